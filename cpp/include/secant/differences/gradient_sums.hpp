// Where a gradient is summed: that of the incoming weights where it is wanted, one panel at a time; that of the outgoing
// weights, which are few, in an array of its own.
#pragma once

#include <atomic>

#include "secant/differences/plan.hpp"
#include "secant/network/parameters.hpp"
#include "secant/platform/parallel.hpp"

namespace secant::SECANT_ISA {

class GradientSums {
public:
    // With `training` the gradient is added to the packed parameters, and not written to the caller's arrays. `may_evaluate`: whether
    // samples, or units `near_kinks`, may be evaluated directly.
    GradientSums(Workspace& work, const GradientCall& call, Parameters& net, const Plan& plan, std::size_t capacity, bool training,
                 bool may_evaluate, bool near_kinks)
        : call_(call),
          net_(net),
          plan_(plan),
          training_(training),
          one_block_(training && call.batch.size <= capacity),
          near_kinks_(near_kinks),
          w2_(work.take<Real>(net.outputs() * net.panels.total_width())),
          b2_(work.take<double>(pad(net.outputs()))),
          w1_step_(work, net.panels, training && (!one_block_ || (is_single && may_evaluate)) ? net.inputs() : 0) {}

    Incoming<Real> incoming(std::size_t panel) {
        if (!training_) return net_.user_panel(call_.out.w1.data, call_.out.b1, panel);
        const Incoming<Real> padded = in_place() ? net_.packed(panel) : w1_step_.panel(panel);
        return {padded.weights, padded.bias, net_.panels.units_in(panel)};  // what pads them stays 0
    }

    // A row for each class. What pads it may be anything.
    Tile<Real> outgoing(std::size_t panel) { return {w2_ + panel * net_.panels.width(), net_.panels.total_width()}; }
    double* output_biases() { return b2_; }  // padded to whole packs

    void clear(const Team& team) {
        team.run(phases::clear_sums, net_.panels.count, [&](std::size_t panel) {
            const Incoming<Real> to = incoming(panel);
            for (std::size_t i = 0; i < net_.inputs() && !in_place(); ++i) std::fill_n(to.weights.row(i), to.columns, Real{0});
            if (!in_place()) std::fill_n(to.bias, to.columns, Real{0});
            clear_outgoing(panel);
            if (panel == 0) clear_output_biases();
        });
    }

    void clear_outgoing(std::size_t panel) {
        for (std::size_t k = 0; k < net_.outputs(); ++k) std::fill_n(outgoing(panel).row(k), net_.panels.width(), Real{0});
    }
    void clear_output_biases() { std::fill_n(b2_, pad(net_.outputs()), 0.0); }

    // Takes 0, or NaN where a part of the gradient is not finite. A later block cannot make it finite again.
    void record(Pack finite) {
        if (lane_sum(finite) != 0) finite_ = false;
    }

    // Moves what was not summed in place to where it is wanted: the sums of the outgoing weights, times `scale`, and the
    // step of a training in several blocks. `recorded`: whether all incoming weights and biases were, as finite or not.
    void finish(const Team& team, Real scale, bool recorded) {
        team.run(phases::finish, net_.panels.count, [&](std::size_t panel) {
            Pack finite = put_outgoing(panel, scale);
            if (panel == 0) finite += put_output_biases(scale);
            if (!training_) {
                record(finite);
                if (!recorded) record_incoming(panel);
                return;
            }
            net_.transpose(panel);
            if (!in_place()) add_step(panel);
        });
    }

    // Whether the gradient is finite, after finish(). In training the caller looks at the parameters instead.
    bool finite() const { return training_ || finite_; }

    // Whether the sums of incoming weights are added to these at once: no later block will read them. Where samples are evaluated
    // directly floats wait for these: a step that is added in parts would be rounded as often.
    bool in_place() const { return one_block_ && !(is_single && (near_kinks_ || plan_.has_direct())); }
    // Whether these sums are the weights themselves. Doubles have digits enough for that.
    bool in_weights() const { return !is_single && in_place(); }

private:
    // Both return 0, or NaN where something is not finite.
    Pack put_outgoing(std::size_t panel, Real scale) {
        Pack finite{};
        const std::size_t outputs = net_.outputs(), units = net_.panels.units_in(panel);
        for (std::size_t k = 0; k < outputs; k += lanes)
            for_columns(outgoing(panel).from(k, 0), outputs - k, units, [&](std::size_t j, Pack sums) {
                Real* to = (training_ ? net_.w2(panel, j) : call_.out.w2.row(net_.panels.first(panel) + j)) + k;
                const std::size_t count = std::min(lanes, outputs - k);
                const Pack gradient = (training_ ? load_part(to, count) : Pack{}) + scale * sums;
                finite += zero_or_nan(gradient);
                store_part(to, gradient, count);
            });
        return finite;
    }

    Pack put_output_biases(Real scale) {
        Real* to = training_ ? net_.b2() : call_.out.b2;
        for (std::size_t k = 0; k < net_.outputs(); ++k) to[k] = static_cast<Real>((training_ ? to[k] : 0) + scale * b2_[k]);
        return zero_or_nan(to, net_.outputs());
    }

    void record_incoming(std::size_t panel) {
        const Incoming<Real> w1 = incoming(panel);
        Pack finite = zero_or_nan(w1.bias, w1.columns);
        for (std::size_t i = 0; i < net_.inputs(); ++i) finite += zero_or_nan(w1.weights.row(i), w1.columns);
        record(finite);
    }

    void add_step(std::size_t panel) {
        const Incoming<Real> from = w1_step_.panel(panel), to = net_.packed(panel);
        for (std::size_t i = 0; i <= net_.inputs(); ++i)  // the bias is the last row
            for (std::size_t j = 0; j < net_.panels.units_in(panel); ++j) to.weights.row(i)[j] += from.weights.row(i)[j];
    }

    const GradientCall& call_;
    Parameters& net_;
    const Plan& plan_;
    bool training_, one_block_, near_kinks_;
    Real* w2_;
    double* b2_;
    std::atomic<bool> finite_{true};
    PackedWeights w1_step_;
};

}  // namespace secant::SECANT_ISA
