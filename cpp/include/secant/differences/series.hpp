// The central difference from the Taylor series of the unit response phi(s) = c1 s + c2 s^2 + c3 s^3 + ...:
//
//     D = 1/N * sum over n and odd m <= K of  h^(m-1) x^m c_m,
//
// The even terms cancel in phi(s) - phi(-s). Cut after c1 it is backpropagation.
#pragma once

#include "secant/network/forward.hpp"
#include "secant/simd/jet.hpp"
#include "secant/simd/products.hpp"
#include "secant/simd/sums.hpp"
#include "secant/network/targets.hpp"

namespace secant::SECANT_ISA {

constexpr int odd_powers(int order) { return (order + 1) / 2; }

// Hidden units are expanded for so many samples, in whole groups: powers of weights that are loaded are used for all of them.
constexpr std::size_t expanded_at_once = 64;
static_assert(expanded_at_once % lanes == 0);

// x, h^2 x^3, h^4 x^5, ..., of a number or a pack.
template <int K, class X>
struct OddPowers {
    OddPowers(X x, Real h) : of{x} {
        for (int m = 1; m < odd_powers(K); ++m) of[m] = of[m - 1] * ((h * x) * (h * x));
    }
    X of[odd_powers(K)];
};

// A pack of a panel's hidden units, for some sample; w2 has a row for each class.
struct PanelPack {
    const Real *z1, *state1;
    Tile<const Real> w2;
};

// The odd coefficients of hidden units: those of c1 in a row for each sample, those of each next power `next` further.
struct Coefficients {
    Tile<Real> first;
    std::size_t next;
    Real h;
    Tile<float> single_third;       // h^2 c3 in float32
    std::size_t samples_in_single;  // of Plan: 0 if that is not used

    Tile<Real> power(int m) const { return {first.at + m * next, first.stride}; }
    Coefficients from(std::size_t n, std::size_t j) const {
        return {first.from(n, j), next, h, single_third.from(n, j), samples_in_single};
    }
};

// Of a panel's outgoing weights: the powers from 2 on, each in a row for each class. Those of 2 and 3 may be in float32.
struct Powers {
    Tile<Real> wide;
    Tile<float> single;
    std::size_t outputs;

    // Up to `order`, of the weights w2, a row for each class; in float32, in Real, or in both.
    void find(int order, Tile<const Real> w2, std::size_t width, bool in_single, bool in_real) const {
        for (std::size_t k = 0; k < outputs; ++k)
            for (std::size_t j = 0; j < width; j += lanes) {
                const Pack w = load(w2.row(k) + j);
                Pack power = w;
                for (int m = 2; m <= order; ++m) {
                    power *= w;
                    if (in_single) store_in_single(rows<float>(m).row(k) + j, power);
                    if (in_real) store(rows<Real>(m).row(k) + j, power);
                }
            }
    }

    // The power m.
    template <class Value>
    Tile<Value> rows(int m) const {
        const std::size_t first = static_cast<std::size_t>(m - 2) * outputs;
        if constexpr (std::is_same_v<Value, Real>)
            return wide.from(first, 0);
        else
            return single.from(first, 0);
    }
};
constexpr std::size_t narrow_powers = narrow_packs ? 2 : 0;

// M_1 of some units in a row for each of expanded_at_once samples, then M_2, ...: where M_m of the first sample is.
template <class T>
T* mean_row(Tile<T> means, int m) {
    return means.row(static_cast<std::size_t>(m - 1) * expanded_at_once);
}

// The pairs (p, m) with p >= 0, m >= 1 and p + m <= order: how many there are, and the number of one.
constexpr std::size_t pairs(int order) { return static_cast<std::size_t>(order * (order + 1) / 2); }
constexpr std::size_t pair_number(int order, int p, int m) { return static_cast<std::size_t>(p * order - p * (p - 1) / 2 + m - 1); }

// More targets of a sample than these are summed over in products, for many units and samples at once.
constexpr std::size_t few_targets = 4;
// Of so many classes at a time: factors and powers of weights then stay near the L1 cache. 112 take 10 % longer (784-50-1000 x 100).
constexpr std::size_t classes_at_once = 32;
static_assert(classes_at_once <= longest_float_sum);

// A target of one sample, as its hidden units read it: `ratio_growth[m - 1]` is the ratio times the coefficient m of the growth.
struct HiddenTarget {
    std::size_t k;
    Real weight, rest, ratio_growth[Limits<Real>::highest_order];
};

// The series of one group of samples at the output layer; lanes run over samples. Output units may be expanded to a higher order
// than hidden units: the growths of lower powers are the same.
class Series {
public:
    // Numbers that a group needs: for growths of targets, y times growths, the odd coefficients of the output units, and what
    // all_targets returns.
    static std::size_t size(std::size_t outputs, std::size_t most_targets, int highest) {
        return (highest * (most_targets + outputs + 1) + odd_powers(highest) * outputs) * lanes;
    }
    // And in float32, for y times growths.
    static std::size_t size_in_single(std::size_t outputs) { return narrow_powers * outputs * lanes; }

    // For orders up to `highest`.
    Series(std::size_t outputs, std::size_t most_targets, int highest, Real* memory, float* memory_in_single)
        : outputs_(outputs),
          most_targets_(most_targets),
          growth_(memory),
          mean_(growth_ + highest * most_targets * lanes),
          odd_(mean_ + highest * outputs * lanes),
          all_targets_(odd_ + static_cast<std::size_t>(odd_powers(highest)) * outputs * lanes),
          single_mean_(memory_in_single) {}

    // Expands the group that begins with sample n. With S = sum over k of y_k e_k, the loss change is
    //
    //     sum over targets i of t_i (log1p(S) - log1p(rest_i S + ratio_i e_i)),   rest_i = 1 - ratio_i.
    //
    // Where only a2_k moves, S = y_k e_k and no other e_i is there: of all targets but k the terms are a polynomial in S,
    // sum over m of (-1)^(m+1) / m Q_m S^m with Q_m = sum over i of t_i (1 - rest_i^m), the same for every k.
    // With `single` what is for the powers 2 and 3 of hidden units is kept in float32.
    template <int K>
    void expand(const Samples& samples, bool sigmoid_output, const TargetLists& targets, std::size_t n, std::size_t end, bool single) {
        const Jet<K> others = all_targets<K>(targets, n, end);
        for (int m = 1; m <= K; ++m) store(all_targets_ + (m - 1) * lanes, others.c[m]);
        TargetsByClass by_class(targets, n, end);
        for (std::size_t k = 0; k < outputs_; ++k) {
            const Pack y = load(samples.y(n) + k * lanes);
            const Jet<K> growth =
                sigmoid_output
                    ? expm1(sigmoid_series<K>(load(samples.z2(n) + k * lanes), load(samples.zc2(n) + k * lanes)))
                    : expm1_series<K>();
            const Jet<K> mean = scaled(y, growth);
            for (int m = 1; m <= K; ++m) {
                if (single && (m == 2 || m == 3))
                    store_in_single(single_mean_ + ((m - 2) * outputs_ + k) * lanes, mean.c[m]);
                else
                    store(at(mean_, m, k), mean.c[m]);
            }
            Jet<K> change = compose(others, mean);
            bool any;
            const TargetPacks own = by_class.take(k, any, [&](std::size_t l, std::size_t i) {
                for (int m = 1; m <= K; ++m) growth_at(m, i)[l] = lane(growth.c[m], l);
            });
            for (int m = 1; m <= K && by_class.all; ++m) store(growth_at(m, k), growth.c[m]);
            if (any) {
                const Pack rest = own.rest * y;
                const Jet<K> with = log1p(scaled(rest + own.ratio, growth)), without = log1p(scaled(rest, growth));
                for (int m = 1; m <= K; m += 2) change.c[m] = fma(own.weight, without.c[m] - with.c[m], change.c[m]);
            }
            for (int m = 1; m <= K; m += 2) store(at(odd_, m / 2 + 1, k), change.c[m]);
        }
    }

    // The coefficient of the odd power m of output k: a lane for each sample.
    const Real* output(int m, std::size_t k) const { return at(odd_, m / 2 + 1, k); }

    // y times the coefficient m of the growths: of each output, a lane for each sample.
    template <class Value>
    const Value* mean(int m) const {
        if constexpr (std::is_same_v<Value, Real>)
            return at(mean_, m, 0);
        else
            return single_mean_ + static_cast<std::size_t>(m - 2) * outputs_ * lanes;
    }

    // list(count,): the targets of sample n, for hidden units of an order up to `order`. Returns count.
    std::size_t hidden_targets(const TargetLists& targets, std::size_t n, int order, HiddenTarget* list) const {
        for (std::size_t i = 0; i < targets.count(n); ++i) {
            const Target t = targets.target(n, i);
            list[i].k = t.k;
            list[i].weight = t.weight;
            list[i].rest = t.rest;
            for (int m = 1; m <= order; ++m) list[i].ratio_growth[m - 1] = t.ratio * growth_at(m, i)[n % lanes];
        }
        return targets.count(n);
    }

    // odd = `scale` times the odd coefficients of a pack of hidden units, for a sample with these targets, given the means
    // M_1, M_2, ... of these units.
    template <int K, class Activation>
    SECANT_INLINE static void expand_hidden(const HiddenTarget* targets, std::size_t count, const PanelPack& units,
                                            Tile<const Real> means, Real scale, const Coefficients& odd) {
        Jet<K> mean{};
        for (int m = 1; m <= K; ++m) mean.c[m] = load(mean_row(means, m));
        const Jet<K> log_mean = log1p(mean);
        LongSum sums[K + 1];
        for (const HiddenTarget* target = targets; target < targets + count; ++target) {
            const Pack w = load(units.w2.row(target->k));
            Jet<K> own;
            Pack power = w;
            for (int m = 1; m <= K; ++m, power *= w)
                own.c[m] = fma(broadcast(target->ratio_growth[m - 1]), power, target->rest * mean.c[m]);
            const Jet<K> log_target = log1p(own);
            for (int m = 1; m <= K; ++m) sums[m].add_product(broadcast(target->weight), log_mean.c[m] - log_target.c[m]);
        }
        Jet<K> loss{};  // as a series in f
        for (int m = 1; m <= K; ++m) loss.c[m] = sums[m].rounded();
        finish_hidden<K, Activation>(loss, units, scale, odd);
    }

    // Of many targets i the sum of t_i log1p(rest_i S + A_i), where A_i is a polynomial in v = w_i f, is that of
    //
    //     t_i log1p(A_i) + sum over p >= 1 of (-1)^(p+1) / p rest_i^p S^p (1 + A_i)^-p.
    //
    // The powers of S alone are those of all_targets. The rest are sums over m of S^p f^m N_pm, with N_pm = sum over i of l_ipm w_i^m.
    // factors(pairs,classes,lanes): these l of the group's samples, for the classes [first, first + count).
    template <int K>
    void find_factors(TargetsByClass& by_class, std::size_t first, std::size_t count, std::size_t classes, Real* factors) const {
        for (std::size_t k = 0; k < count; ++k) {
            Real growths[K + 1][lanes] = {};
            bool any;
            const TargetPacks t = by_class.take(first + k, any, [&](std::size_t l, std::size_t i) {
                for (int m = 1; m <= K; ++m) growths[m][l] = growth_at(m, i)[l];
            });
            Jet<K> a{}, inverse{};
            for (int m = 1; m <= K; ++m) a.c[m] = t.ratio * load(by_class.all ? growth_at(m, first + k) : growths[m]);
            const auto put = [&](int p, int m, Pack l) { store(factors + (pair_number(K, p, m) * classes + k) * lanes, l); };
            const Jet<K> log = log1p(a);
            for (int m = 1; m <= K; ++m) {
                put(0, m, t.weight * log.c[m]);
                inverse.c[m] = -a.c[m];
                for (int i = 1; i < m; ++i) inverse.c[m] = fma(-a.c[i], inverse.c[m - i], inverse.c[m]);
            }
            Jet<K> power = inverse;  // (1 + A)^-p - 1
            Pack weight = t.weight;
            for (int p = 1; p < K; ++p) {
                weight = weight * -t.rest;
                for (int m = 1; m <= K - p; ++m) put(p, m, (weight * -fraction<Pack>(p)) * power.c[m]);
                const Jet<K> product = power * inverse;
                for (int m = 1; m <= K; ++m) power.c[m] += inverse.c[m] + product.c[m];
            }
        }
    }

    // The same as expand_hidden, for lane l of the group, given the sums N_pm of these units: a row for each pair and each lane.
    template <int K, class Activation>
    SECANT_INLINE void expand_hidden_of_many(std::size_t l, Tile<const Real> sums, const PanelPack& units, Tile<const Real> means,
                                             Real scale, const Coefficients& odd) const {
        Jet<K> mean{}, all{};
        for (int m = 1; m <= K; ++m) {
            mean.c[m] = load(mean_row(means, m));
            all.c[m] = broadcast(all_targets_[(m - 1) * lanes + l]);
        }
        Jet<K> loss = compose(all, mean), power = mean;
        for (int p = 0; p < K; ++p) {
            Jet<K> own{};
            for (int m = 1; m <= K - p; ++m) own.c[m] = load(sums.row(pair_number(K, p, m) * lanes + l));
            if (p > 0) own = power * own;
            if (p > 0) power = power * mean;
            for (int m = 1; m <= K; ++m) loss.c[m] -= own.c[m];
        }
        finish_hidden<K, Activation>(loss, units, scale, odd);
    }

private:
    template <int K, class Activation>
    SECANT_INLINE static void finish_hidden(const Jet<K>& loss, const PanelPack& units, Real scale, const Coefficients& odd) {
        const Jet<K> phi = compose(loss, Activation::template series<K>(load(units.z1), load(units.state1)));
        for (int m = 1; m <= K; m += 2) store(odd.power(m / 2).at, scale * phi.c[m]);
    }

    Real* at(Real* array, int m, std::size_t k) const {
        return array + (static_cast<std::size_t>(m - 1) * outputs_ + k) * lanes;
    }

    Real* growth_at(int m, std::size_t i) const { return growth_ + (static_cast<std::size_t>(m - 1) * most_targets_ + i) * lanes; }

    // As a series in S. 1 - rest^m would cancel.
    template <int K>
    static Jet<K> all_targets(const TargetLists& targets, std::size_t n, std::size_t end) {
        LongSum sums[K + 1];
        for (std::size_t i = 0; i < targets.largest_count(n, end); ++i) {
            const TargetPacks t = targets.packs(n, i);
            Pack powers = broadcast(1);  // 1 + rest + ... + rest^(m-1)
            for (int m = 1; m <= K; ++m, powers = fma(powers, t.rest, broadcast(1))) sums[m].add_product(t.weight * t.ratio, powers);
        }
        Jet<K> out{};
        for (int m = 1; m <= K; ++m) out.c[m] = fraction<Pack>(m % 2 == 0 ? -m : m) * sums[m].rounded();
        return out;
    }

    template <int K>
    static Jet<K> scaled(Pack factor, const Jet<K>& a) {
        Jet<K> out{};
        for (int m = 1; m <= K; ++m) out.c[m] = factor * a.c[m];
        return out;
    }

    std::size_t outputs_, most_targets_;
    Real *growth_, *mean_, *odd_, *all_targets_;
    float* single_mean_;
};

}  // namespace secant::SECANT_ISA
