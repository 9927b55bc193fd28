// The loss change for shifts of any size, by the full functions. Softmax does not
// change when all its numerators have a common factor, so growths are relative to one
// that is large enough for 1 + S not to cancel.
#pragma once

#include "secant/differences/response.hpp"
#include "secant/simd/sums.hpp"

namespace secant::SECANT_ISA {

class Exact {
public:
    explicit Exact(const OutputState& out)
        : out_(out), top_(out.most_probable()), limit_(Limits<Real>::exponent) {
        if (out.log_offset == 0 || out.log_offset >= Limits<Real>::small_offset) return;
        for (std::size_t i = 0; i < out.targets.count; ++i)
            if (out.targets[i].weight != 0 &&
                out.y(out.targets[i].k) < std::numeric_limits<Real>::min())
                limit_ = 0;
    }

    // Relative to the most probable class: 1 + S >= 1 / O.
    auto loss_change_of_hidden(Tile<const Real> w2) const {
        return [this, w2](Sides f) {
            const auto exponent_of = [&](std::size_t k) {
                return exponent(k, load(w2.row(k)) * f);
            };
            const Sides top = exponent_of(top_);
            Sides farthest{};
            const Sides mean =
                long_sum<Sides>(out_.outputs, [&](Sides& sum, std::size_t k) {
                    const Sides q = exponent_of(k) - top;
                    sum = sum + broadcast(out_.y(k)) * expm1(q);
                    farthest = larger(farthest, q);
                });
            const Sides change = loss_change_from_growths(1 + mean, [&](std::size_t k) {
                const Sides q = exponent_of(k) - top;
                return Growth{q, expm1(q) - mean};
            });
            return or_recomputed(change, farthest, exponent_of);
        };
    }

    // Relative to the larger of e^q and 1, the numerators of k and of the others: 1 + S
    // is a sum of positive terms, and e_k - S = (1 - y_k) (e^q - 1).
    Sides loss_change_of_output(std::size_t k, Sides u) const {
        double others = 0;  // 1 - y_k would cancel
        for (std::size_t l = 0; l < out_.outputs; ++l) others += l == k ? 0 : out_.y(l);
        const Sides q = exponent(k, u), down = not_above_0(q), up = not_above_0(-q);
        const Sides own = exp(down), other = exp(up);
        const Sides rise = expm1(down) - expm1(up);  // own - other; one of them is 1
        const Pack y = broadcast(out_.y(k)),
                   rest = broadcast(static_cast<Real>(others));
        const Sides change =
            loss_change_from_growths(rest * other + y * own, [&](std::size_t l) {
                return l == k ? Growth{down, rest * rise} : Growth{up, -y * rise};
            });
        return or_recomputed(change, larger(Sides{}, q),
                             [&](std::size_t l) { return l == k ? q : Sides{}; });
    }

private:
    // How a numerator grows: the logarithm of its factor, and that factor less 1 + S.
    struct Growth {
        Sides exponent, excess;
    };

    // z2'_k - z2_k
    Sides exponent(std::size_t k, Sides u) const {
        if (!out_.sigmoid_output) return u;
        const Unshifted unit{broadcast(out_.a2(k)), broadcast(out_.z2(k)),
                             broadcast(out_.zc2(k))};
        return {change<activations::Sigmoid>(unit, u.plus),
                change<activations::Sigmoid>(unit, u.minus)};
    }

    static Sides not_above_0(Sides q) {
        return {select(q.plus < 0, q.plus, Pack{}),
                select(q.minus < 0, q.minus, Pack{})};
    }
    static Sides larger(Sides a, Sides b) {
        return {maximum(absolute(b.plus), a.plus), maximum(absolute(b.minus), a.minus)};
    }

    // The sum over targets that have a weight: what others would add may be 0 times
    // infinity.
    template <class Add>
    Sides sum_over_targets(const Add& add) const {
        return long_sum<Sides>(out_.targets.count, [&](Sides& sum, std::size_t i) {
            if (const Target t = out_.targets[i]; t.weight != 0) add(sum, t);
        });
    }

    // Given 1 + S.
    template <class GrowthOf>
    Sides loss_change_from_growths(Sides sum, const GrowthOf& growth_of) const {
        const Sides scale = reciprocal(sum);
        return sum_over_targets([&](Sides& change, const Target& t) {
            const Real y = out_.y(t.k);
            const Growth growth = growth_of(t.k);
            const Sides w = broadcast(t.ratio) * (growth.excess * scale);
            // If little of the probability is left, 1 + w cancels: then the probability
            // itself is computed.
            const Sides near = log1p(w);
            const Sides far = log_ratio(t.k, y, growth.exponent, scale);
            change =
                change + broadcast(-t.weight) *
                             Sides{select(w.plus < -Real{0.5}, far.plus, near.plus),
                                   select(w.minus < -Real{0.5}, far.minus, near.minus)};
        });
    }

    // `change` if exponents are so small that growths are finite and no probability
    // that has underflowed counts when it comes back; else the softmax is computed
    // again.
    template <class ExponentOf>
    Sides or_recomputed(Sides change, Sides farthest,
                        const ExponentOf& exponent_of) const {
        if (!(largest_lane(maximum(farthest.plus, farthest.minus)) > limit_))
            return change;
        const auto logit = [&](std::size_t k) {
            return both(out_.sigmoid_output ? out_.z2(k) : out_.a2(k)) + exponent_of(k);
        };
        Sides top = logit(0);
        for (std::size_t k = 1; k < out_.outputs; ++k)
            top = {maximum(top.plus, logit(k).plus),
                   maximum(top.minus, logit(k).minus)};
        const Sides scale =
            reciprocal(long_sum<Sides>(out_.outputs, [&](Sides& sum, std::size_t k) {
                sum = sum + exp(logit(k) - top);
            }));
        const auto [plus, minus] = sum_over_targets([&](Sides& anew, const Target& t) {
            anew = anew +
                   broadcast(-t.weight) * log_ratio(t.k, 1, logit(t.k) - top, scale);
        });
        return {select(farthest.plus > limit_, plus, change.plus),
                select(farthest.minus > limit_, minus, change.minus)};
    }

    // log((shifted + log_offset) / (y_k + log_offset)), where shifted = from
    // exp(exponent) scale, and from is y_k or 1. Either of them may underflow.
    Sides log_ratio(std::size_t k, Real from, Sides exponent, Sides scale) const {
        const Real offset = out_.log_offset, y = out_.y(k);
        if (offset == 0)
            return exponent + log(scale) + both(from == y ? Pack{} : minus_log(k));
        return log(broadcast(1 / (y + offset)) *
                   (offset + broadcast(from) * (exp(exponent) * scale)));
    }

    // - log y_k, also where y_k is subnormal: it has lost digits then.
    Pack minus_log(std::size_t k) const {
        if (out_.y(k) >= std::numeric_limits<Real>::min())
            return log(broadcast(1 / out_.y(k)));
        const auto logit = [&](std::size_t l) {
            return broadcast(out_.sigmoid_output ? out_.z2(l) : out_.a2(l));
        };
        const Pack sum = long_sum<Pack>(out_.outputs, [&](Pack& terms, std::size_t l) {
            terms += exp(logit(l) - logit(top_));
        });
        return (logit(top_) - logit(k)) + log(sum);
    }

    const OutputState& out_;
    std::size_t top_;
    Real limit_;  // of exponents
};

}  // namespace secant::SECANT_ISA
