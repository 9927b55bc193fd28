// Where a gradient is summed. The sums of a block of samples begin with zero, and are
// then added to those of earlier blocks as simd/sums.hpp says. Those of incoming
// weights are added where the gradient is wanted; those of outgoing weights, which are
// few, have an array of their own.
#pragma once

#include <atomic>

#include "secant/differences/plan.hpp"
#include "secant/network/parameters.hpp"
#include "secant/platform/parallel.hpp"
#include "secant/simd/sums.hpp"

namespace secant::SECANT_ISA {

class GradientSums {
public:
    // With `training` the gradient is added to the packed parameters, and not written
    // to the caller's arrays. `may_evaluate`: whether samples, or units `near_kinks`,
    // may be evaluated directly.
    GradientSums(Workspace& work, const GradientCall& call, Parameters& net,
                 const Plan& plan, std::size_t capacity, bool training,
                 bool may_evaluate, bool near_kinks)
        : call_(call),
          net_(net),
          plan_(plan),
          training_(training),
          several_blocks_(call.batch.size > capacity),
          near_kinks_(near_kinks),
          w2_(work.take<Real>(net.outputs() * net.panels.total_width())),
          b2_(work.take<double>(net.outputs())),
          w1_step_(work, net.panels,
                   training && (several_blocks_ || (is_single && may_evaluate))
                       ? net.inputs()
                       : 0),
          w1_lost_(work, net.panels, several_blocks_ ? net.inputs() : 0),
          w2_total_(several_blocks_
                        ? work.take<Real>(net.outputs() * net.panels.total_width())
                        : w2_),
          w2_lost_(work.take<Real>(
              several_blocks_ ? net.outputs() * net.panels.total_width() : 0)),
          b2_total_(work.take<SumOfBlocks>(several_blocks_ ? net.outputs() : 0)) {}

    Incoming<Real> incoming(std::size_t panel) {
        if (!training_) return net_.user_panel(call_.out.w1.data, call_.out.b1, panel);
        const Incoming<Real> padded =
            in_place() ? net_.packed(panel) : w1_step_.panel(panel);
        return {padded.weights, padded.bias,
                net_.panels.units_in(panel)};  // what pads them stays 0
    }

    // Sums of the block: a row for each class. What pads it may be anything.
    Tile<Real> outgoing(std::size_t panel) { return of_panel(w2_, panel); }
    double* output_biases() { return b2_; }

    // Before what a block adds. With a series, the sums of a block need no zeros.
    void clear(const Team& team, bool first_block, bool has_series) {
        const bool clear_total = first_block && (several_blocks_ || !has_series);
        if (!clear_total && has_series) return;
        team.run(phases::clear_sums, net_.panels.count, [&](std::size_t panel) {
            clear_outgoing(panel);
            if (panel == 0) clear_output_biases();
            if (!clear_total) return;
            if (!in_place()) clear_incoming(incoming(panel));
            if (!several_blocks_) return;
            clear_incoming(w1_lost_.panel(panel));
            clear_rows(of_panel(w2_total_, panel));
            clear_rows(of_panel(w2_lost_, panel));
            if (panel == 0) std::fill_n(b2_total_, net_.outputs(), SumOfBlocks{});
        });
    }

    void clear_outgoing(std::size_t panel) { clear_rows(outgoing(panel)); }
    void clear_output_biases() { std::fill_n(b2_, net_.outputs(), 0.0); }

    // Some units of a panel.
    struct UnitRange {
        std::size_t panel, first, count;
    };

    // Adds sums of a block, a row of units for each of `rows` inputs from input `i` on.
    // If they are the `first` sums of a block, and there are no other blocks, they
    // become the gradient.
    void put_weights(Tile<const Real> sums, std::size_t i, std::size_t rows,
                     UnitRange units, bool first) {
        const Tile<Real> to = incoming(units.panel).weights.from(i, units.first);
        const Tile<Real> lost =
            several_blocks_ ? w1_lost_.panel(units.panel).weights.from(i, units.first)
                            : Tile<Real>{nullptr, 0};
        const bool add = !first || in_place();
        Pack finite{};
        for (std::size_t row = 0; row < rows; ++row)
            finite += lost.at ? put_compensated(sums.row(row), to.row(row),
                                                lost.row(row), units.count)
                              : put(sums.row(row), add, to.row(row), units.count);
        record(finite);
    }
    void put_biases(const Real* sums, UnitRange units, bool first) {
        Real* to = incoming(units.panel).bias + units.first;
        record(several_blocks_
                   ? put_compensated(sums, to,
                                     w1_lost_.panel(units.panel).bias + units.first,
                                     units.count)
                   : put(sums, !first || in_place(), to, units.count));
    }

    // Adds sums of a block to its sums of the outgoing weights of a pack: a row for
    // each class.
    void add_outgoing(Tile<const Real> sums, std::size_t panel, std::size_t p) {
        for (std::size_t k = 0; k < net_.outputs(); ++k)
            SECANT_ISA::put(outgoing(panel).row(k) + p * lanes, load(sums.row(k)),
                            true);
    }

    // After what a block adds: its sums of outgoing weights and output biases are added
    // to those of earlier blocks.
    void add_block(const Team& team) {
        if (!several_blocks_) return;
        team.run(phases::add_block, net_.panels.count, [&](std::size_t panel) {
            const Tile<Real> total = of_panel(w2_total_, panel),
                             lost = of_panel(w2_lost_, panel);
            for (std::size_t k = 0; k < net_.outputs(); ++k)
                put_compensated(outgoing(panel).row(k), total.row(k), lost.row(k),
                                net_.panels.units_in(panel));
            for (std::size_t k = 0; k < net_.outputs() && panel == 0; ++k)
                b2_total_[k].add(b2_[k]);
        });
    }

    // Takes 0, or NaN where a part of the gradient is not finite. A later block cannot
    // make it finite again.
    void record(Pack finite) {
        if (lane_sum(finite) != 0) finite_ = false;
    }

    // Moves what was not summed in place to where it is wanted: the sums of the
    // outgoing weights, times `scale`, and the step of a training in several blocks.
    void finish(const Team& team, Real scale) {
        team.run(phases::finish, net_.panels.count, [&](std::size_t panel) {
            Pack finite = put_outgoing(panel, scale);
            if (panel == 0) finite += put_output_biases(scale);
            if (!training_) return record(finite);
            net_.transpose(panel);
            if (!in_place()) add_step(panel);
        });
    }

    // Whether the gradient is finite, after finish(). In training the caller looks at
    // the parameters instead.
    bool finite() const { return training_ || finite_; }

    // Whether the sums of incoming weights are added to these at once: no later block
    // will read them. Where samples are evaluated directly floats wait for these: a
    // step that is added in parts would be rounded as often.
    bool in_place() const {
        return training_ && !several_blocks_ &&
               !(is_single && (near_kinks_ || plan_.has_direct()));
    }
    // Whether these sums are the weights themselves. Doubles have digits enough for
    // that.
    bool in_weights() const { return !is_single && in_place(); }

private:
    Tile<Real> of_panel(Real* outgoing, std::size_t panel) const {
        return {outgoing + panel * net_.panels.width(), net_.panels.total_width()};
    }

    void clear_incoming(const Incoming<Real>& weights) const {
        for (std::size_t i = 0; i < net_.inputs(); ++i)
            std::fill_n(weights.weights.row(i), weights.columns, Real{0});
        std::fill_n(weights.bias, weights.columns, Real{0});
    }
    void clear_rows(Tile<Real> outgoing) const {
        for (std::size_t k = 0; k < net_.outputs(); ++k)
            std::fill_n(outgoing.row(k), net_.panels.width(), Real{0});
    }

    // to(count,) = sums; or += that. Like the functions below it returns 0, or NaN
    // where something is not finite.
    static Pack put(const Real* sums, bool add, Real* to, std::size_t count) {
        Pack finite{};
        for_packs(count, [&](std::size_t j, std::size_t some) {
            const Pack own = load_part(sums + j, some),
                       sum = add ? load_part(to + j, some) + own : own;
            finite += zero_or_nan(sum);
            store_part(to + j, sum, some);
        });
        return finite;
    }

    // to(count,) += sums, where rounding has added `lost` so far.
    static Pack put_compensated(const Real* sums, Real* to, Real* lost,
                                std::size_t count) {
        Pack finite{};
        for_packs(count, [&](std::size_t j, std::size_t some) {
            Pack sum = load_part(to + j, some), lost_of_sum = load_part(lost + j, some);
            add_compensated(sum, lost_of_sum, load_part(sums + j, some));
            finite += zero_or_nan(sum);
            store_part(lost + j, lost_of_sum, some);
            store_part(to + j, sum, some);
        });
        return finite;
    }

    Pack put_outgoing(std::size_t panel, Real scale) {
        Pack finite{};
        const std::size_t outputs = net_.outputs(), units = net_.panels.units_in(panel);
        for (std::size_t k = 0; k < outputs; k += lanes)
            for_columns(
                of_panel(w2_total_, panel).from(k, 0), outputs - k, units,
                [&](std::size_t j, Pack sums) {
                    Real* to =
                        (training_ ? net_.w2(panel, j)
                                   : call_.out.w2.row(net_.panels.first(panel) + j)) +
                        k;
                    const std::size_t count = std::min(lanes, outputs - k);
                    const Pack gradient =
                        (training_ ? load_part(to, count) : Pack{}) + scale * sums;
                    finite += zero_or_nan(gradient);
                    store_part(to, gradient, count);
                });
        return finite;
    }

    Pack put_output_biases(Real scale) {
        Real* to = training_ ? net_.b2() : call_.out.b2;
        for (std::size_t k = 0; k < net_.outputs(); ++k) {
            const double sum = several_blocks_ ? b2_total_[k].value : b2_[k];
            to[k] = static_cast<Real>((training_ ? to[k] : 0) + scale * sum);
        }
        return zero_or_nan(to, net_.outputs());
    }

    void add_step(std::size_t panel) {
        const Incoming<Real> from = w1_step_.panel(panel), to = net_.packed(panel);
        for (std::size_t i = 0; i <= net_.inputs(); ++i)  // the bias is the last row
            for (std::size_t j = 0; j < net_.panels.units_in(panel); ++j)
                to.weights.row(i)[j] += from.weights.row(i)[j];
    }

    const GradientCall& call_;
    Parameters& net_;
    const Plan& plan_;
    bool training_, several_blocks_, near_kinks_;
    Real* w2_;    // of the block
    double* b2_;  // of the block
    std::atomic<bool> finite_{true};
    PackedWeights w1_step_, w1_lost_;
    Real *w2_total_, *w2_lost_;
    SumOfBlocks* b2_total_;
};

}  // namespace secant::SECANT_ISA
