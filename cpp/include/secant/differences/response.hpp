// The unit response phi: how much the loss of one sample changes when one
// pre-activation of the network is shifted.
//
// Two losses are never subtracted: that cancels half of the digits, and is all of the
// error of a plain central difference. The change itself is computed
// (docs/derivation.md), at +s and at -s.
#pragma once

#include "secant/interface/constants.hpp"
#include "secant/network/forward.hpp"
#include "secant/network/targets.hpp"

namespace secant::SECANT_ISA {

// The change of a unit for any shift.
template <class Activation>
Pack change(const Unshifted& unit, Pack u) {
    const Pack size = absolute(u);
    const Sides small = Activation::small_changes(unit, Activation::prepare(size));
    const Pack near = select(u > 0, small.plus, small.minus);
    if (!(largest_lane(size) > small_shift_limit)) return near;
    return select(size > small_shift_limit, Activation::large_change(unit, u), near);
}

// The output layer of one sample, as the forward pass left it, and its targets.
class OutputState {
public:
    OutputState(const Parameters& net, const Samples& samples, const TargetLists& lists,
                std::size_t n)
        : sigmoid_output(net.sigmoid_output()),
          log_offset(static_cast<Real>(net.log_offset())),
          outputs(net.outputs()),
          targets(lists.of_sample(n)),
          a2_(samples.a2(n)),
          z2_(samples.z2(n)),
          zc2_(samples.zc2(n)),
          y_(samples.y(n)) {}

    Real a2(std::size_t k) const { return a2_[k * lanes]; }
    Real z2(std::size_t k) const { return z2_[k * lanes]; }
    Real zc2(std::size_t k) const { return zc2_[k * lanes]; }
    Real y(std::size_t k) const { return y_[k * lanes]; }

    std::size_t most_probable() const {
        std::size_t best = 0;
        for (std::size_t k = 1; k < outputs; ++k) best = y(k) > y(best) ? k : best;
        return best;
    }

    const bool sigmoid_output;
    const Real log_offset;
    const std::size_t outputs;
    const SampleTargets targets;

private:
    const Real *a2_, *z2_, *zc2_, *y_;
};

// A method (taylor.hpp, exact.hpp) computes the loss change when one a2_k is shifted by
// u. Its loss_change_of_hidden(w2)(f) is that for a pack of hidden units with the
// outgoing weights w2, a row for each class, whose outputs change by f: each a2_k is
// shifted by w_k f. With growth e_k = exp(z2'_k - z2_k) - 1 of the softmax numerators,
// and S = sum over k of y_k e_k, it is
// - sum over k of t_k log1p( y_k / (y_k + log_offset) * (e_k - S) / (1 + S) ).

// phi(s) - phi(-s)
inline Pack difference_of(Sides phi) { return phi.plus - phi.minus; }

}  // namespace secant::SECANT_ISA
