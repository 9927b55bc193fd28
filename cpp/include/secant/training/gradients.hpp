// The gradient of a mini-batch: the walk over its samples.
//
// Samples are taken in blocks. Within one, threads share the panels of hidden units, so that a panel's weights stay in the
// cache of one core; the output layer they share by groups of samples. Sums have a fixed order, whoever computes them: a
// result does not depend on the number of threads.
#pragma once

#include "secant/differences/direct.hpp"
#include "secant/differences/series_engine.hpp"

namespace secant::SECANT_ISA {

class GradientEngine {
public:
    // With `training` the gradient is not written, but `step` times it is added to a copy of the parameters.
    GradientEngine(Workspace& work, const GradientCall& call, std::size_t most, bool training)
        : call_(call),
          most_(most),
          step_(training ? call.step : 1.0),
          net_(work, call.net, call.threads, training || call.batch.size >= enough_to_pack, training),
          samples_(work, net_, call.batch.x, most, true),
          targets_(work, call.batch.t, net_.outputs(), most),
          sums_(work, call, net_, most, training),
          plan_(work, call, most),
          series_(work, net_, samples_, targets_, plan_, sums_, most, call.threads, call.h),
          direct_(work, net_, samples_, targets_, most, call.threads, call.h),
          masses_(work.take<double>(most)),
          losses_(work.take<double>(most)),
          stopped_(work.take<bool>(1)),
          finite_(work.take<bool>(1)) {
        if (!work.counting()) *finite_ = true;
    }

    // Before the first run; and after the last one of a training.
    void pack(const Team& team) const {
        team.share_and_wait(net_.panels.count, [&](std::size_t panel) { net_.pack(panel, true); });
    }
    void unpack(const Team& team) const {
        team.share_and_wait(net_.panels.count, [&](std::size_t panel) { net_.unpack(panel, call_.out); });
    }

    // Whether the samples that were run and the parameters are finite.
    bool finite() const { return *finite_ && net_.finite(); }

    // Whether the gradient is, too.
    bool finite_gradient() const { return finite() && sums_.finite(); }

    // Whether it came to the end.
    bool run(const Team& team, const Batch& batch) const {
        const double scale = step_ / static_cast<double>(batch.size);
        for (std::size_t first = 0; first < batch.size; first += most_) {
            const std::size_t rows = std::min(most_, batch.size - first);
            if (team.rank == 0) *stopped_ = call_.interrupted() || !finite();
            gather(team, batch, first, rows);
            if (*stopped_) return false;
            for (std::size_t n = 0; n < rows && team.rank == 0; ++n)
                if (std::isnan(samples_.rows.largest(n))) *finite_ = false;
            if (team.rank == 0)
                plan_.make(rows, [&](std::size_t n) { return samples_.rows.largest(n); },
                           *std::max_element(masses_, masses_ + rows), net_.largest_outgoing());
            team.wait();  // for the plan
            activate_hidden(team, rows);
            activate_output(team, batch, first, rows);
            if (first == 0 && !plan_.has_series()) sums_.clear(team);
            series_.add(team, rows, scale, first > 0);
            if (plan_.has_direct()) add_directly(team, rows, scale);
            team.wait();
        }
        sums_.finish(team, scale);
        return true;
    }

    // The loss of the batch that was run last, with the parameters as they are now. `next` will be run next: its rows are
    // brought to the cache.
    double loss(const Team& team, const Batch& batch, const Batch* next) const {
        double total = 0.0;
        for (std::size_t first = 0; first < batch.size; first += most_) {
            const std::size_t rows = std::min(most_, batch.size - first);
            if (batch.size > most_) gather(team, batch, first, rows);  // else they are still here
            if (next) team.share(rows, [&](std::size_t n) { samples_.rows.prefetch_row(next->row(first + n)); });
            activate_hidden(team, rows);
            share_groups(team, rows, [&](std::size_t n, std::size_t end) { samples_.affine_output(n, end); });
            share_groups(team, rows, [&](std::size_t n, std::size_t end) {
                samples_.activate_output(n, false);
                log_sums(samples_.y(n), call_.batch.t, net_.outputs(),
                         [&](std::size_t l) { return batch.row(first + n + l); }, end - n, losses_ + n);
            });
            team.wait();
            for (std::size_t n = 0; n < rows; ++n) total -= losses_[n];
        }
        return total / static_cast<double>(batch.size);
    }

private:
    void gather(const Team& team, const Batch& batch, std::size_t first, std::size_t rows) const {
        team.share_and_wait(rows, [&](std::size_t n) {
            samples_.rows.gather(n, batch.row(first + n));
            masses_[n] = targets_.mass(batch.row(first + n));
        });
    }

    void activate_hidden(const Team& team, std::size_t rows) const {
        const Panels& panels = net_.panels;
        panels.share(team, [&](std::size_t panel, std::size_t part) {
            samples_.activate_hidden(panel, panels.begin(part, rows), panels.begin(part + 1, rows), plan_.has_direct());
        });
        team.wait();
    }

    // body(n, end) for each group of samples [n, end) that is output together. What is written in one of these loops is read
    // in the next: read at once, it would still be on its way to the cache.
    template <class Body>
    void share_groups(const Team& team, std::size_t rows, const Body& body) const {
        team.share(pad(rows) / lanes, [&](std::size_t g) { body(g * lanes, std::min(rows, (g + 1) * lanes)); });
    }

    // The output layer, and what the methods prepare there.
    void activate_output(const Team& team, const Batch& batch, std::size_t first, std::size_t rows) const {
        share_groups(team, rows, [&](std::size_t n, std::size_t end) { samples_.affine_output(n, end); });
        share_groups(team, rows, [&](std::size_t n, std::size_t end) {
            samples_.activate_output(n, plan_.has_direct());
            for (std::size_t i = n; i < end; ++i) targets_.fill(i, batch.row(first + i), samples_.y(i));
            targets_.complete(n, end);
        });
        share_groups(team, rows, [&](std::size_t n, std::size_t end) {
            series_.expand_output(n, end);
            for (std::size_t i = n; i < end && plan_.has_direct(); ++i)
                if (plan_.directly()[i]) direct_.prepare(i, team.rank);
        });
        team.wait();
    }

    void add_directly(const Team& team, std::size_t rows, double scale) const {
        team.wait();
        const std::size_t packs = net_.panels.packs_in(0);
        team.share(net_.panels.count * packs, [&](std::size_t task) {
            const std::size_t panel = task / packs, p = task % packs;
            for (std::size_t n = 0; n < rows && p < net_.panels.packs_in(panel); ++n)
                if (plan_.directly()[n])
                    direct_.add_pack(panel, p, n, team.rank, sums_.incoming(panel), scale, sums_.outgoing(panel));
        });
        for (std::size_t n = 0; n < rows && team.rank == 0; ++n)
            if (plan_.directly()[n]) direct_.add_output_biases(n, sums_.output_biases());
    }

    const GradientCall& call_;
    std::size_t most_;
    double step_;
    Parameters net_;
    Samples samples_;
    TargetLists targets_;
    GradientSums sums_;
    Plan plan_;
    SeriesEngine series_;
    Direct direct_;
    double *masses_, *losses_;
    bool *stopped_, *finite_;
};

inline std::size_t block_rows(const GradientCall& call) {
    return block_rows(call.net, call.batch.size, call.method == GradientCall::Method::direct ? call.net.outputs() : 1);
}

inline std::size_t gradient(const GradientCall& call, void* memory) noexcept {
    Workspace work(memory);
    const GradientEngine engine(work, call, block_rows(call), false);
    if (!work.counting())
        parallel(call.threads, [&](const Team& team) {
            engine.pack(team);
            engine.run(team, call.batch);
            if (team.rank > 0 || engine.finite_gradient()) return;
            std::fill_n(call.out.b2, call.net.outputs(), std::numeric_limits<double>::quiet_NaN());
            *call.report = {};
        });
    return work.bytes();
}

}  // namespace secant::SECANT_ISA
