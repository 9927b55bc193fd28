// The gradient of a mini-batch: the walk over its samples.
//
// Samples are taken in blocks. Threads share the hidden layer of a block by panels of
// units, so that the weights of a panel stay in the cache of one core, and its output
// layer by groups of samples. Sums have a fixed order, so a result does not depend on
// the number of threads. The phases are those of platform/phases.hpp.
#pragma once

#include <atomic>
#include <limits>

#include "secant/differences/direct.hpp"
#include "secant/differences/series_engine.hpp"

namespace secant::SECANT_ISA {

class GradientEngine {
public:
    // With `training`, `step` times the gradient is added to a copy of the parameters;
    // else the gradient is written.
    GradientEngine(Workspace& work, const GradientCall& call, std::size_t capacity,
                   bool training)
        : call_(call),
          capacity_(capacity),
          step_(training ? call.step : 1.0),
          net_(work, call.net, call.threads,
               training ? Reading::packed : reading_for(call.batch.size, capacity),
               training),
          samples_(work, net_, call.batch.x, capacity, call.threads, !differentiates(),
                   h()),
          targets_(work, call.batch.t, net_, capacity),
          plan_(work, call, capacity),
          sums_(work, call, net_, plan_, capacity, training, may_evaluate(),
                samples_.kinks.enabled),
          series_(work, net_, samples_, targets_, plan_, sums_, capacity, call.threads,
                  h(), highest_order_of(call.method)),
          direct_(work, net_, samples_, targets_, may_evaluate() ? capacity : 0,
                  call.threads, h()),
          unit_sums_(one_a_thread<UnitSums>(work, call.threads, net_, may_evaluate())),
          masses_(work.take<double>(capacity)),
          losses_(work.take<double>(capacity)) {}

    // Before the first run; after the last one in training.
    void pack(const Team& team) { net_.pack(team); }
    void unpack(const Team& team) {
        team.run(phases::unpack, net_.panels.count,
                 [&](std::size_t panel) { net_.unpack(panel, call_.out); });
    }

    // Whether the parameters, the samples and their targets were valid so far.
    bool valid() const { return valid_ && net_.finite(); }
    // Whether the gradient is finite, too, and no pre-activation was too large.
    bool finite() const { return valid() && sums_.finite() && !samples_.too_large(); }
    // No sum of the losses of a valid batch is larger: 746 is above the logarithm of
    // any number.
    double largest_loss() const {
        return 746 * static_cast<double>(call_.batch.size) * largest_mass_;
    }

    // False if it was stopped or a sample is not valid: then nothing is updated. If
    // asked, `loss` becomes that of the batch, before the update, or NaN once a
    // pre-activation was too large. The rows of the `next` batch are brought to the
    // cache.
    bool run(const Team& team, const Batch& batch, double* loss = nullptr,
             const Batch* next = nullptr) {
        const auto scale = static_cast<Real>(step_ / static_cast<double>(batch.size));
        SumOfBlocks losses;
        for (std::size_t first = 0; first < batch.size; first += capacity_) {
            const std::size_t count = std::min(capacity_, batch.size - first);
            team.run_once(phases::begin_block,
                          [&] { stopped_ = call_.interrupted() || !valid(); });
            gather(team, batch, first, count, samples_.kinks.enabled);
            team.read(phases::look_whether_stopped);
            if (stopped_) return false;
            const bool bounded = net_.bounded();
            if (!bounded) activate_hidden(team, count, !differentiates());
            make_plan(team, count);
            team.read(phases::look_at_plan);
            if (!valid_) return false;
            if (bounded) activate_hidden(team, count, evaluates());
            activate_output(team, batch, first, count, loss);
            if (loss) add_losses(team, count, losses);
            prefetch(team, next, first, count);
            sums_.clear(team, first == 0, plan_.has_series());
            series_.add(team, count, scale);
            if (evaluates()) add_directly(team, count, scale);
            if (given_up_) return false;
            sums_.add_block(team);
        }
        if (loss) *loss = losses.value / static_cast<double>(batch.size);
        sums_.finish(team, scale);
        return true;
    }

    // The loss of the batch that was run last, with the parameters as they are now. The
    // rows of the `next` batch are brought to the cache.
    double loss(const Team& team, const Batch& batch, const Batch* next) {
        SumOfBlocks total;
        for (std::size_t first = 0; first < batch.size; first += capacity_) {
            const std::size_t count = std::min(capacity_, batch.size - first);
            if (batch.size > capacity_)
                gather(team, batch, first, count,
                       false);  // else its rows are still there
            prefetch(team, next, first, count);
            activate_hidden(team, count, false);
            affine_output(team, count);
            const bool many = targets_.any_has_many(count);
            run_groups(team, phases::find_losses, count,
                       [&](std::size_t n, std::size_t end) {
                           samples_.activate_output(n, false);
                           find_targets(batch, first, n, end, many, true);
                       });
            add_losses(team, count, total);
        }
        return total.value / static_cast<double>(batch.size);
    }

private:
    Real h() const { return differentiates() ? Real{0} : static_cast<Real>(call_.h); }
    bool differentiates() const { return call_.method == GradientMethod::derivative; }
    // The highest order of a series; 0 if there is none.
    static int highest_order_of(GradientMethod method) {
        return method == GradientMethod::derivative ? 1
               : method == GradientMethod::direct   ? 0
                                                    : Limits<Real>::highest_order;
    }
    bool may_evaluate() const {
        return call_.method == GradientMethod::direct ||
               call_.method == GradientMethod::automatic || samples_.kinks.enabled;
    }
    bool evaluates() const { return plan_.has_direct() || samples_.kinks.enabled; }
    bool directly(std::size_t n) const {
        return plan_.has_direct() && plan_.directly()[n];
    }

    // With `measure` what is needed to find kinks, too.
    void gather(const Team& team, const Batch& batch, std::size_t first,
                std::size_t count, bool measure) {
        if (first == 0 && measure)
            team.run(phases::measure_kinks, net_.panels.count,
                     [&](std::size_t panel) { samples_.kinks.measure(panel); });
        team.run(phases::gather, count, [&](std::size_t n) {
            samples_.rows.gather(n, batch.sample(first + n));
            if (measure) samples_.kinks.measure_row(n);
            masses_[n] = targets_.measure(n, batch.sample(first + n));
        });
    }

    void make_plan(const Team& team, std::size_t count) {
        team.run_once(phases::make_plan, [&] {
            for (std::size_t n = 0; n < count; ++n)
                if (std::isnan(samples_.rows.largest(n)) || std::isnan(masses_[n]))
                    valid_ = false;
            const double mass = *std::max_element(masses_, masses_ + count);
            largest_mass_ = std::max(largest_mass_, mass);
            plan_.make(
                count,
                [&](std::size_t n) {
                    return Largest{samples_.rows.largest(n),
                                   samples_.largest_hidden(n)};
                },
                mass, net_.largest_outgoing());
        });
    }

    void activate_hidden(const Team& team, std::size_t count, bool keep) {
        const Panels& panels = net_.panels;
        panels.run(team, phases::activate_hidden,
                   [&](std::size_t first, std::size_t last, std::size_t part) {
                       const std::size_t begin = panels.begin(part, count),
                                         end = panels.begin(part + 1, count);
                       net_.record(samples_.activate_hidden(first, last, begin, end,
                                                            keep, team.rank));
                   });
    }

    void affine_output(const Team& team, std::size_t count) {
        team.run_range(phases::affine_output, pad(count) / lanes,
                       [&](std::size_t begin, std::size_t end) {
                           samples_.affine_output(begin * lanes,
                                                  std::min(count, end * lanes));
                       });
    }

    // body(n, end) for each group of samples [n, end).
    template <class Body>
    void run_groups(const Team& team, const Phase& phase, std::size_t count,
                    const Body& body) const {
        team.run(phase, pad(count) / lanes, [&](std::size_t g) {
            body(g * lanes, std::min(count, (g + 1) * lanes));
        });
    }

    // The output layer, and what the methods prepare for a block: of a group at a time,
    // which stays in the L2 cache.
    void activate_output(const Team& team, const Batch& batch, std::size_t first,
                         std::size_t count, bool losses) {
        affine_output(team, count);
        const bool many = targets_.any_has_many(count);
        run_groups(team, phases::activate_output, count,
                   [&](std::size_t n, std::size_t end) {
                       samples_.activate_output(n, evaluates());
                       find_targets(batch, first, n, end, many, losses);
                       series_.expand_output(n, end);
                       for (std::size_t i = n; i < end; ++i)
                           if (directly(i) ||
                               (samples_.kinks.enabled && samples_.kinks.found(i)))
                               direct_.prepare(i, team.rank);
                   });
    }

    // The targets of a group of samples [n, end); and their losses, with the sign of a
    // logarithm.
    void find_targets(const Batch& batch, std::size_t first, std::size_t n,
                      std::size_t end, bool many, bool losses) {
        const auto from = [&](std::size_t l) { return batch.sample(first + n + l); };
        targets_.fill(n, end, many, from, samples_.y(n),
                      losses ? losses_ + n : nullptr);
    }

    void add_losses(const Team& team, std::size_t count, SumOfBlocks& total) const {
        team.read(phases::add_losses);
        double of_block = 0.0;
        for (std::size_t n = 0; n < count; ++n) of_block -= losses_[n];
        total.add(of_block);
        if (samples_.too_large())
            total.value = std::numeric_limits<double>::quiet_NaN();
    }

    void prefetch(const Team& team, const Batch* next, std::size_t first,
                  std::size_t count) {
        if (next)
            team.share(count, [&](std::size_t n) {
                samples_.rows.prefetch_row(next->sample(first + n));
            });
    }

    void add_directly(const Team& team, std::size_t count, Real scale) {
        const std::size_t packs = net_.panels.packs_in(0);
        team.run(phases::add_directly, net_.panels.count * packs,
                 [&](std::size_t task) {
                     const std::size_t panel = task / packs, p = task % packs;
                     if (p >= net_.panels.packs_in(panel)) return;
                     if (plan_.has_direct()) add_pack(team, panel, p, count, scale);
                     if (samples_.kinks.enabled)
                         add_near_kinks(team, panel, p, count, scale);
                 });
        team.run_once(phases::add_output_biases, [&] {
            for (std::size_t n = 0; n < count; ++n)
                if (directly(n)) direct_.add_output_biases(n, sums_.output_biases());
        });
    }

    // Of the samples that are evaluated directly, for the units of a pack.
    void add_pack(const Team& team, std::size_t panel, std::size_t p, std::size_t count,
                  Real scale) {
        const UnitSums& own = unit_sums_[team.rank];
        Accumulator into = own.begin(lanes);
        for (std::size_t n = 0; n < count; ++n) {
            if (given_up(team, begins_slice(n, count))) return;
            if (!directly(n)) continue;
            into.flush_if_full();
            into.clear();
            direct_.add_pack(panel, p, n, team.rank, own.incoming(into.sums), scale,
                             own.outgoing(into.sums));
        }
        into.finish();
        const std::size_t first = p * lanes;
        put_incoming(
            own.incoming(into.sums),
            {panel, first, std::min(lanes, net_.panels.units_in(panel) - first)});
        sums_.add_outgoing(own.outgoing(into.sums), panel, p);
    }

    // Of the units of a pack that samples bring near a kink, one after the other.
    void add_near_kinks(const Team& team, std::size_t panel, std::size_t p,
                        std::size_t count, Real scale) {
        const UnitSums& own = unit_sums_[team.rank];
        std::uint32_t of_any_sample = 0;  // a bit for each unit of the pack
        for (std::size_t n = 0; n < count; ++n)
            of_any_sample |= samples_.kinks.near(panel, n, p);
        for (; of_any_sample != 0; of_any_sample &= of_any_sample - 1) {
            const auto unit = static_cast<std::size_t>(std::countr_zero(of_any_sample));
            Accumulator into = own.begin(1);
            for (std::size_t n = 0; n < count; ++n) {
                if (given_up(team, begins_slice(n, count))) return;
                if ((samples_.kinks.near(panel, n, p) >> unit & 1) == 0) continue;
                into.flush_if_full();
                into.clear();
                direct_.add_near_kink(panel, p * lanes + unit, n, team.rank,
                                      own.incoming(into.sums), scale);
            }
            into.finish();
            put_incoming(own.incoming(into.sums), {panel, p * lanes + unit, 1});
        }
    }

    void put_incoming(const Incoming<Real>& sums, GradientSums::UnitRange units) {
        sums_.put_weights(sums.weights, 0, net_.inputs(), units, false);
        sums_.put_biases(sums.bias, units, false);
    }

    // Whether an interrupt is looked for before sample n: samples between take a
    // moment.
    bool begins_slice(std::size_t n, std::size_t count) const {
        return n % block_capacity(call_.net, count,
                                  passes_an_output * net_.outputs()) ==
               0;
    }

    // Whether an interrupt has ended the work within a block: the full functions take
    // seconds. It is looked for with `look`. Not where sums are made in place: a step
    // of training is completed.
    bool given_up(const Team& team, bool look) {
        if (sums_.in_place()) return false;
        if (look && team.rank == 0 && !given_up_ && call_.interrupted())
            given_up_ = true;  // a handler that has raised is not run again
        return given_up_;
    }

    const GradientCall& call_;
    std::size_t capacity_;
    double step_;
    Parameters net_;
    Samples samples_;
    TargetLists targets_;
    Plan plan_;
    GradientSums sums_;
    SeriesEngine series_;
    Direct direct_;
    UnitSums* unit_sums_;
    double *masses_, *losses_, largest_mass_ = 0.0;
    bool stopped_ = false, valid_ = true;
    std::atomic<bool> given_up_{false};
};

inline std::size_t block_capacity(const GradientCall& call) {
    return block_capacity(call.net, call.batch.size,
                          call.method == GradientMethod::direct
                              ? passes_an_output * call.net.outputs()
                              : 1);
}

inline std::size_t gradient(const GradientCall& call, void* memory) noexcept {
    Workspace work(memory);
    GradientEngine engine(work, call, block_capacity(call), false);
    if (!work.counting())
        parallel(call.threads, [&](const Team& team) {
            double loss = 0.0;
            engine.pack(team);
            engine.run(team, call.batch, call.with_loss ? &loss : nullptr);
            team.run_once(phases::report, [&] {
                call.report->loss = call.with_loss ? loss : engine.largest_loss();
                call.report->valid = engine.valid();
                call.report->finite = engine.finite();
            });
        });
    return work.bytes();
}

}  // namespace secant::SECANT_ISA
