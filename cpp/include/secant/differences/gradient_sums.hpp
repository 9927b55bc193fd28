// Where a gradient goes while it is summed: the incoming weights' straight to where it is wanted, a panel at a time; that of
// the few outgoing ones to sums of their own.
#pragma once

#include "secant/platform/parallel.hpp"
#include "secant/network/parameters.hpp"

namespace secant::SECANT_ISA {

class GradientSums {
public:
    // With `training` the gradient is not written to the caller's arrays, but added to the packed parameters.
    GradientSums(Workspace& work, const GradientCall& call, const Parameters& net, std::size_t most, bool training)
        : in_place(training && call.batch.size <= most),
          call_(call),
          net_(net),
          training_(training),
          w2_(work.take<double>(net.outputs() * net.panels.units())),
          b2_(work.take<double>(net.outputs())),
          finite_(work.take<bool>(net.panels.count)),
          w1_step_(work, net.panels, training && !in_place ? net.inputs() : 0) {
        if (!work.counting()) std::fill_n(finite_, net.panels.count, true);
    }

    Incoming<double> incoming(std::size_t panel) const {
        if (!training_) return net_.user_panel(call_.out.w1.data, call_.out.b1, panel);
        return in_place ? net_.packed(panel) : w1_step_.panel(panel);
    }

    // Of class k at [k * units].
    double* outgoing(std::size_t panel) const { return w2_ + panel * net_.panels.width(); }
    double* output_biases() const { return b2_; }

    void clear(const Team& team) const {
        team.share_and_wait(net_.panels.count, [&](std::size_t panel) {
            const Incoming<double> to = incoming(panel);
            for (std::size_t i = 0; i < net_.inputs() && !in_place; ++i)
                std::fill_n(to.rows + i * to.stride, to.columns, 0.0);
            if (!in_place) std::fill_n(to.bias, to.columns, 0.0);
            clear_outgoing(panel);
        });
    }

    void clear_outgoing(std::size_t panel) const {
        for (std::size_t k = 0; k < net_.outputs(); ++k)
            std::fill_n(outgoing(panel) + k * net_.panels.units(), net_.panels.width(), 0.0);
        if (panel == 0) std::fill_n(b2_, net_.outputs(), 0.0);
    }

    // `scale` times what is in the sums of the outgoing weights goes where it belongs; so does what could not be added in
    // place.
    void finish(const Team& team, double scale) const {
        team.share_and_wait(net_.panels.count, [&](std::size_t panel) {
            const Panels& panels = net_.panels;
            for (std::size_t j = 0; j < panels.units_in(panel); ++j)
                put(training_ ? net_.w2(panel, j) : call_.out.w2.row(panels.first(panel) + j), outgoing(panel) + j,
                    panels.units(), scale);
            if (panel == 0) put(training_ ? net_.b2() : call_.out.b2, b2_, 1, scale);
            if (!training_) {
                finite_[panel] = all_finite(panel);
                return;
            }
            net_.transpose(panel);
            if (!in_place) add_step(panel);
        });
    }

    // Whether the gradient that was finished is. That of a training is looked for in the parameters, by the caller.
    bool finite() const {
        return training_ || std::all_of(finite_, finite_ + net_.panels.count, [](bool finite) { return finite; });
    }

    // Whether the gradient of the incoming weights is added to them as it is summed: no later block reads them.
    const bool in_place;

private:
    void put(double* to, const double* sums, std::size_t stride, double scale) const {
        for (std::size_t k = 0; k < net_.outputs(); ++k) to[k] = (training_ ? to[k] : 0.0) + scale * sums[k * stride];
    }

    bool all_finite(std::size_t panel) const {
        const Incoming<double> w1 = incoming(panel);
        Pack finite = zero_or_nan(w1.bias, w1.columns);
        for (std::size_t i = 0; i < net_.inputs(); ++i) finite += zero_or_nan(w1.rows + i * w1.stride, w1.columns);
        for (std::size_t j = 0; j < net_.panels.units_in(panel); ++j)
            finite += zero_or_nan(call_.out.w2.row(net_.panels.first(panel) + j), net_.outputs());
        if (panel == 0) finite += zero_or_nan(call_.out.b2, net_.outputs());
        return lane_sum(finite) == 0.0;
    }

    void add_step(std::size_t panel) const {
        const Incoming<double> from = w1_step_.panel(panel), to = net_.packed(panel);
        for (std::size_t i = 0; i <= net_.inputs(); ++i)  // the bias is the last row
            for (std::size_t j = 0; j < to.columns; ++j) to.rows[i * to.stride + j] += from.rows[i * from.stride + j];
    }

    const GradientCall& call_;
    const Parameters& net_;
    bool training_;
    double *w2_, *b2_;
    bool* finite_;
    PackedWeights w1_step_;
};

}  // namespace secant::SECANT_ISA
