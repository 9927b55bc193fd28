// The gradient of a mini-batch: which method each sample gets, and the walk over samples and weights.
//
// Samples are taken in blocks. Within one, threads share the panels of hidden units, so that a panel's weights stay in the
// cache of one core; the output layer they share by groups of samples. Sums have a fixed order, whoever computes them: a
// result does not depend on the number of threads.
#pragma once

#include "bound.hpp"
#include "contraction.hpp"
#include "direct.hpp"

namespace secant::SECANT_ISA {

class GradientEngine {
public:
    // With `training` the gradient is not written, but added to a copy of the parameters, all at once at the end of a run.
    GradientEngine(Workspace& work, const GradientCall& call, std::size_t most, bool training)
        : call_(call),
          most_(most),
          training_(training),
          outputs_(call.net.outputs()),
          net_(work, call.net, call.threads, training || call.batch.size >= enough_to_pack),
          parts_((static_cast<std::size_t>(call.threads) + net_.panels.count - 1) / net_.panels.count),
          samples_(work, net_, call.batch.x, most, call.h),
          targets_(work, call.batch.t, outputs_, most),
          direct_(work, net_, samples_, targets_, most, call.threads, call.h),
          series_size_(Series<9>::size(outputs_)),
          series_(work.take<double>(pad(most) / lanes * series_size_)),
          odd_(work.take<double>(odd_powers<9> * most * net_.panels.units())),
          block_sums_(work.take<double>(static_cast<std::size_t>(call.threads) * block_columns * net_.panels.width())),
          w2_sums_(work.take<double>(outputs_ * net_.panels.units())),
          b2_sums_(work.take<double>(outputs_)),
          w1_step_(work, net_.panels, in_place() || !training ? 0 : call.net.inputs()),
          masses_(work.take<double>(most)),
          losses_(work.take<double>(most)),
          directly_(work.take<bool>(most)),
          plan_(work.take<Plan>(1)),
          bound_(work.take<TruncationBound>(1)) {
        if (!work.counting()) new (bound_) TruncationBound(call.net.sigmoid_output, call.h);
    }

    // Before the first run; and after the last one of a training.
    void pack(const Team& team) const {
        team.share_and_wait(net_.panels.count, [&](std::size_t panel) { net_.pack(panel); });
    }
    void unload(const Team& team) const {
        team.share_and_wait(net_.panels.count, [&](std::size_t panel) { net_.unpack(panel, call_.out); });
    }

    // Whether it came to the end.
    bool run(const Team& team, const Batch& batch) const {
        const double scale = (training_ ? call_.step : 1.0) / static_cast<double>(batch.size);
        for (std::size_t first = 0; first < batch.size; first += most_) {
            const std::size_t rows = std::min(most_, batch.size - first);
            if (team.rank == 0) plan_->stopped = call_.interrupted();
            gather(team, batch, first, rows);
            if (plan_->stopped) return false;
            if (team.rank == 0) make_plan(rows);
            activate_hidden(team, rows);
            activate_output(team, batch, first, rows);
            if (first == 0 && plan_->order == 0) clear(team);
            with_order([&]<int K>() { add_series<K>(team, rows, scale, first > 0); });
            if (plan_->samples[0] > 0 && !refuses()) add_directly(team, rows, scale);
            team.wait();
        }
        finish(team, scale);
        return true;
    }

    // The loss of the batch that was run last, with the parameters as they are now. `next` will be run next: its rows are
    // brought to the cache.
    double loss(const Team& team, const Batch& batch, const Batch* next) const {
        double total = 0.0;
        for (std::size_t first = 0; first < batch.size; first += most_) {
            const std::size_t rows = std::min(most_, batch.size - first);
            if (batch.size > most_) gather(team, batch, first, rows);  // else they are still here
            if (next) team.share(rows, [&](std::size_t n) { samples_.rows.prefetch(next->row(first + n)); });
            activate_hidden(team, rows);
            share_groups(team, rows, [&](std::size_t n, std::size_t end) { samples_.affine_output(n, end); });
            share_groups(team, rows, [&](std::size_t n, std::size_t end) {
                samples_.activate_output(n);
                log_sums(samples_.y(n), call_.batch.t, outputs_, [&](std::size_t l) { return batch.row(first + n + l); },
                         end - n, losses_ + n);
            });
            team.wait();
            for (std::size_t n = 0; n < rows; ++n) total -= losses_[n];
        }
        return total / static_cast<double>(batch.size);
    }

private:
    // What is decided for a block of samples by one thread, and then read by all.
    struct Plan {
        bool stopped;
        int order;               // of the series
        std::size_t samples[2];  // how many are evaluated directly, how many by a series
    };

    template <class What>
    void with_order(const What& what) const {
        switch (plan_->order) {
            case 1: return what.template operator()<1>();
            case 3: return what.template operator()<3>();
            case 5: return what.template operator()<5>();
            case 7: return what.template operator()<7>();
            case 9: return what.template operator()<9>();
            default: return;
        }
    }

    void gather(const Team& team, const Batch& batch, std::size_t first, std::size_t rows) const {
        team.share_and_wait(rows, [&](std::size_t n) {
            samples_.rows.gather(n, batch.row(first + n));
            masses_[n] = targets_.mass(batch.row(first + n));
        });
    }

    // One order for all samples of the block that have a proven one.
    void make_plan(std::size_t rows) const {
        const double mass = *std::max_element(masses_, masses_ + rows);
        bound_->set_weights(net_.largest_outgoing());
        double largest = 0.0;
        for (std::size_t n = 0; n < rows; ++n) largest = std::max(largest, samples_.rows.largest(n));
        const bool derivative = call_.method == GradientCall::Method::derivative;
        const bool direct = call_.method == GradientCall::Method::direct;
        plan_->order = derivative ? 1 : direct ? 0 : bound_->order(largest, mass);
        std::fill_n(directly_, rows, plan_->order == 0);
        plan_->samples[0] = plan_->order == 0 ? rows : 0;
        if (plan_->order == 0 && !direct) {  // not for all of them
            largest = 0.0;
            for (std::size_t n = 0; n < rows; ++n) {
                const double input = samples_.rows.largest(n);
                if (bound_->order(input, mass) == 0) continue;
                directly_[n] = false;
                --plan_->samples[0];
                largest = std::max(largest, input);
            }
            if (plan_->samples[0] < rows) plan_->order = bound_->order(largest, mass);
        }
        plan_->samples[1] = rows - plan_->samples[0];
        call_.report->samples[0] += plan_->samples[0];
        if (plan_->order == 0) return;
        call_.report->samples[plan_->order] += plan_->samples[1];
        double& worst = call_.report->truncation_bound;
        if (!derivative) worst = std::max(worst, bound_->at(plan_->order, largest, mass));
    }

    // Of `size` things, the share of one part.
    std::size_t begin(std::size_t part, std::size_t size) const { return part * size / parts_; }

    // body(panel, part): threads beyond the number of panels share each panel's samples, or its inputs.
    template <class Body>
    void share_panels(const Team& team, const Body& body) const {
        team.share(net_.panels.count * parts_, [&](std::size_t task) { body(task / parts_, task % parts_); });
        if (parts_ > 1) team.wait();  // else what a thread has computed of a panel, it uses itself
    }

    // body(n, end) for each group of samples [n, end) that is output together. What is written in one of these loops is read
    // in the next: read at once, it would still be on its way to the cache.
    template <class Body>
    void share_groups(const Team& team, std::size_t rows, const Body& body) const {
        team.share(pad(rows) / lanes, [&](std::size_t g) { body(g * lanes, std::min(rows, (g + 1) * lanes)); });
    }

    void activate_hidden(const Team& team, std::size_t rows) const {
        share_panels(team, [&](std::size_t panel, std::size_t part) {
            samples_.activate_hidden(panel, begin(part, rows), begin(part + 1, rows));
        });
        team.wait();
    }

    // The output layer, and the expansions there.
    void activate_output(const Team& team, const Batch& batch, std::size_t first, std::size_t rows) const {
        share_groups(team, rows, [&](std::size_t n, std::size_t end) { samples_.affine_output(n, end); });
        share_groups(team, rows, [&](std::size_t n, std::size_t end) {
            samples_.activate_output(n);
            for (std::size_t i = n; i < end; ++i) targets_.fill(i, batch.row(first + i), samples_.y(i));
            targets_.complete(n, end);
        });
        share_groups(team, rows, [&](std::size_t n, std::size_t end) {
            with_order([&]<int K>() { series<K>(n).expand(samples_, call_.net.sigmoid_output, targets_, n, end); });
            for (std::size_t i = n; i < end; ++i)
                if (directly_[i] && !refuses()) direct_.prepare(i, team.rank);
        });
        team.wait();
    }

    template <int K>
    Series<K> series(std::size_t n) const {
        return {outputs_, series_ + n / lanes * series_size_};
    }

    // Where the gradient of a panel's incoming weights goes.
    Incoming<double> destination(std::size_t panel) const {
        if (!training_) return net_.user_panel(call_.out.w1.data, call_.out.b1, panel);
        return in_place() ? net_.packed(panel) : w1_step_.panel(panel);
    }

    template <int K>
    void add_series(const Team& team, std::size_t rows, double scale, bool again) const {
        const std::size_t width = net_.panels.width(), blocks = samples_.rows.blocks();
        double* scratch = block_sums_ + team.rank * block_columns * width;
        const auto coefficients = [&](std::size_t panel) {
            return Coefficients{odd_ + panel * most_ * width, width, most_ * net_.panels.units(), call_.h};
        };
        share_panels(team, [&](std::size_t panel, std::size_t part) {
            for (std::size_t n = begin(part, rows); n < begin(part + 1, rows); ++n)
                if (!directly_[n]) expand_hidden<K>(panel, n, scale, coefficients(panel));
        });
        share_panels(team, [&](std::size_t panel, std::size_t part) {
            with_packs(net_.panels.packs_in(panel), [&]<int P>() {
                for (std::size_t b = begin(part, blocks); b < begin(part + 1, blocks); ++b)
                    add_block<K, P>(panel, b, rows, again, coefficients(panel), scratch);
                if (part == 0) add_bias<K, P>(panel, rows, again, coefficients(panel), scratch);
            });
            if (part == 0) add_outgoing<K>(panel, rows, again);
        });
    }

    template <int K>
    void expand_hidden(std::size_t panel, std::size_t n, double scale, const Coefficients& odd) const {
        const std::size_t packs = net_.panels.packs_in(panel);
        const auto expand = [&]<int T>(std::size_t p) {
            series<K>(n).template expand_hidden<T>(n, targets_, samples_.z1(panel, n) + p * lanes,
                                                   samples_.zc1(panel, n) + p * lanes,
                                                   net_.transposed(0) + panel * net_.panels.width() + p * lanes,
                                                   net_.panels.units(), scale, odd.of(n) + p * lanes, odd.stride);
        };
        std::size_t p = 0;
        for (; p + 2 <= packs; p += 2) expand.template operator()<2>(p);
        if (p < packs) expand.template operator()<1>(p);
    }

    // In place, sums are the weights themselves; else they are cleared first, and then written or added.
    template <int K, int P>
    void add_block(std::size_t panel, std::size_t b, std::size_t rows, bool again, const Coefficients& odd,
                   double* scratch) const {
        const std::size_t width = net_.panels.width(), columns = samples_.rows.columns(b);
        const Incoming<double> to = destination(panel);
        double* first = to.rows + b * block_columns * to.stride;
        if (!in_place()) std::fill_n(scratch, columns * width, 0.0);
        add_series_of_block<K, P>(samples_.rows, b, rows, directly_, odd, in_place() ? first : scratch, width);
        for (std::size_t i = 0; i < columns && !in_place(); ++i)
            write<P>(scratch + i * width, again, first + i * to.stride, to.columns);
    }

    // A bias is the weight of an input that is always 1.
    template <int K, int P>
    void add_bias(std::size_t panel, std::size_t rows, bool again, const Coefficients& odd, double* scratch) const {
        constexpr Entry entry{0, 0};
        const double one = 1.0, cube = call_.h * call_.h;
        const Incoming<double> to = destination(panel);
        double* sums = in_place() ? to.bias : scratch;
        if (!in_place()) std::fill_n(sums, P * lanes, 0.0);
        for (std::size_t n = 0; n < rows; ++n)
            if (!directly_[n])
                SECANT_ISA::add_series<K, P>({&entry, &entry + 1, &one, &cube, false}, odd, n, sums, 0);
        if (!in_place()) write<P>(sums, again, to.bias, to.columns);
    }

    // to(columns,) = sums(P packs,); or += that.
    template <int P>
    static void write(const double* sums, bool add, double* to, std::size_t columns) {
        for (std::size_t p = 0; p < P; ++p, sums += lanes, to += lanes) {
            const std::size_t count = std::min(lanes, columns - p * lanes);
            store_part(to, add ? load_part(to, count) + load(sums) : load(sums), count);
        }
    }

    template <int K>
    void add_outgoing(std::size_t panel, std::size_t rows, bool again) const {
        const std::size_t width = net_.panels.width(), units = net_.panels.units();
        double* sums = w2_sums_ + panel * width;
        for (std::size_t k = 0; k < outputs_ && !again; ++k) std::fill_n(sums + k * units, width, 0.0);
        for (std::size_t p = 0; p < net_.panels.packs_in(panel); ++p) {
            const auto add = [&]<int C>(std::size_t k) {
                add_outgoing_series<K, C>(series_, series_size_, outputs_, k, samples_.z1(panel, 0) + p * lanes, width, rows,
                                          directly_, call_.h, sums + k * units + p * lanes, units);
            };
            std::size_t k = 0;
            for (; k + 5 <= outputs_; k += 5) add.template operator()<5>(k);
            for (; k < outputs_; ++k) add.template operator()<1>(k);
        }
        if (panel > 0) return;
        for (std::size_t k = 0; k < outputs_; ++k) {
            double sum = again ? b2_sums_[k] : 0.0;
            for (std::size_t n = 0; n < rows; ++n) {
                if (directly_[n]) continue;
                double term = 0.0;
                for (int m = K; m >= 1; m -= 2) term = term * (call_.h * call_.h) + series<K>(n).output(m, k)[n % lanes];
                sum += term;
            }
            b2_sums_[k] = sum;
        }
    }

    // What add_series leaves where there is nothing to add.
    void clear(const Team& team) const {
        team.share_and_wait(net_.panels.count, [&](std::size_t panel) {
            const Incoming<double> to = destination(panel);
            for (std::size_t i = 0; i < call_.net.inputs() && !in_place(); ++i)
                std::fill_n(to.rows + i * to.stride, to.columns, 0.0);
            if (!in_place()) std::fill_n(to.bias, to.columns, 0.0);
            for (std::size_t k = 0; k < outputs_; ++k)
                std::fill_n(w2_sums_ + k * net_.panels.units() + panel * net_.panels.width(), net_.panels.width(), 0.0);
            if (panel == 0) std::fill_n(b2_sums_, outputs_, 0.0);
        });
    }

    void add_directly(const Team& team, std::size_t rows, double scale) const {
        team.wait();
        team.share(net_.panels.total, [&](std::size_t pack) {
            const std::size_t panel = pack / net_.panels.packs, p = pack % net_.panels.packs;
            for (std::size_t n = 0; n < rows; ++n)
                if (directly_[n])
                    direct_.add_pack(panel, p, n, team.rank, destination(panel), scale,
                                     w2_sums_ + panel * net_.panels.width());
        });
        if (team.rank == 0)
            for (std::size_t n = 0; n < rows; ++n)
                if (directly_[n]) direct_.add_output_biases(n, b2_sums_);
    }

    // The gradient of the outgoing weights to where it belongs; and what could not be added in place.
    void finish(const Team& team, double scale) const {
        team.share_and_wait(net_.panels.count, [&](std::size_t panel) {
            const std::size_t first = panel * net_.panels.width(), units = net_.panels.units();
            for (std::size_t j = first; j < std::min(call_.net.hidden(), first + net_.panels.width()); ++j) {
                double* to = training_ ? net_.w2(j) : call_.out.w2.row(j);
                for (std::size_t k = 0; k < outputs_; ++k)
                    to[k] = (training_ ? to[k] : 0.0) + scale * w2_sums_[k * units + j];
            }
            double* b2 = training_ ? net_.b2() : call_.out.b2;
            for (std::size_t k = 0; k < outputs_ && panel == 0; ++k)
                b2[k] = (training_ ? b2[k] : 0.0) + scale * b2_sums_[k];
            if (!training_) return;
            net_.transpose(panel);
            if (!in_place()) add_step(panel);
        });
    }

    void add_step(std::size_t panel) const {
        const Incoming<double> from = w1_step_.panel(panel), to = net_.packed(panel);
        for (std::size_t i = 0; i <= call_.net.inputs(); ++i)  // the bias is the last row
            for (std::size_t j = 0; j < to.columns; ++j) to.rows[i * to.stride + j] += from.rows[i * from.stride + j];
    }

    // Whether a sample without a proven order is only counted.
    bool refuses() const { return call_.method == GradientCall::Method::series; }

    // Whether the gradient of the incoming weights is added to them as it is summed: no later block reads them.
    bool in_place() const { return training_ && call_.batch.size <= most_; }

    const GradientCall& call_;
    std::size_t most_;
    bool training_;
    std::size_t outputs_;
    Parameters net_;
    std::size_t parts_;
    Samples samples_;
    TargetLists targets_;
    Direct direct_;
    std::size_t series_size_;
    double *series_, *odd_, *block_sums_, *w2_sums_, *b2_sums_;
    PackedWeights w1_step_;
    double *masses_, *losses_;
    bool* directly_;
    Plan* plan_;
    TruncationBound* bound_;
};

// Enough for the forward passes of a block to be worth it; fewer where a sample is so large that a block would keep an
// interrupt waiting.
inline std::size_t block_rows(const GradientCall& call) {
    constexpr std::size_t most = 128, slice = 100'000'000;
    const Network& net = call.net;
    const std::size_t series = slice / ((net.inputs() + net.outputs()) * net.hidden()) + 1;
    const std::size_t direct = series / net.outputs() + 1;
    return std::min({call.batch.size, most, call.method == GradientCall::Method::direct ? direct : series});
}

inline std::size_t gradient(const GradientCall& call, void* memory) noexcept {
    Workspace work(memory);
    const GradientEngine engine(work, call, block_rows(call), false);
    if (!work.counting())
        parallel(call.threads, [&](const Team& team) {
            engine.pack(team);
            engine.run(team, call.batch);
        });
    return work.bytes();
}

}  // namespace secant::SECANT_ISA
