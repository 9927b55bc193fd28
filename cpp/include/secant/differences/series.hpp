// The central difference from the Taylor series of the unit response phi(s) = c1 s + c2
// s^2 + c3 s^3 + ...:
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

// Hidden units are expanded for so many samples, in whole groups: powers of weights
// that are loaded are used for all of them.
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

// The odd coefficients of hidden units: those of c1 in a row for each sample, those of
// each next power `next` further.
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

// Powers of a panel's outgoing weights, each in a row for each class: from 2 on in
// Real, or 1 to 3 in float32.
struct Powers {
    Tile<Real> wide;
    Tile<float> single;
    std::size_t outputs;

    // Up to `order`, of the weights w2, a row for each class.
    void find(int order, Tile<const Real> w2, std::size_t width, bool in_single) const {
        for (std::size_t k = 0; k < outputs; ++k)
            for (std::size_t j = 0; j < width; j += lanes) {
                const Pack w = load(w2.row(k) + j);
                Pack power = w;
                for (int m = 1; m <= order; ++m, power *= w)
                    if (in_single)
                        store_in_single(rows<float>(m).row(k) + j, power);
                    else if (m > 1)
                        store(rows<Real>(m).row(k) + j, power);
            }
    }

    // The power m.
    template <class Value>
    Tile<Value> rows(int m) const {
        if constexpr (std::is_same_v<Value, Real>)
            return wide.from(static_cast<std::size_t>(m - 2) * outputs, 0);
        else
            return single.from(static_cast<std::size_t>(m - 1) * outputs, 0);
    }
};

// Sums over many targets, of the power m >= 1 of weights: N_pm for p >= 0 with p + m <=
// order; and M_m, with p = -1, for m < order. How many there are, and the number of
// one.
constexpr int sums_over_targets(int order) {
    return order * (order + 1) / 2 + order - 1;
}
constexpr int target_sum(int order, int p, int m) {
    return (p < 0 ? order * (order + 1) / 2 : p * order - p * (p - 1) / 2) + m - 1;
}

// Sums over classes, of each of expanded_at_once samples: a row of units for each.
// Where the first row of a sum is.
template <class T>
T* sum_row(Tile<T> sums, int number) {
    return sums.row(number * expanded_at_once);
}

// The series of one group of samples at the output layer; lanes run over samples.
// Output units may be expanded to a higher order than hidden units: the growths of
// lower powers are the same.
class Series {
public:
    // Numbers that a group needs: for the growths of a few targets, y times growths,
    // the odd coefficients of the output units, and what all_targets returns.
    static std::size_t size(std::size_t outputs, int highest) {
        return (highest * (few_targets + outputs + 1) + odd_powers(highest) * outputs) *
               lanes;
    }
    // And in float32, for y times the growths of two powers.
    static std::size_t size_in_single(std::size_t outputs) {
        return narrow_packs ? 2 * outputs * lanes : 0;
    }

    // For orders up to `highest`.
    Series(std::size_t outputs, int highest, Real* memory, float* memory_in_single)
        : outputs_(outputs),
          growth_{memory, few_targets},
          mean_{growth_(highest + 1, 0), outputs},
          odd_{mean_(highest + 1, 0), outputs},
          all_targets_{odd_(odd_powers(highest) + 1, 0), 1},
          single_mean_{memory_in_single, outputs} {}

    // Expands the group that begins with sample n. With S = sum over k of y_k e_k, the
    // loss change is
    //
    //     sum over targets i of t_i (log1p(S) - log1p(rest_i S + ratio_i e_i)), rest_i
    //     = 1 - ratio_i.
    //
    // Where only a2_k moves, S = y_k e_k and no other e_i is there: of all targets but
    // k the terms are a polynomial in S, sum over m of (-1)^(m+1) / m Q_m S^m with Q_m
    // = sum over i of t_i (1 - rest_i^m), the same for every k. With `single` what is
    // for the powers 2 and 3 of hidden units is kept in float32.
    template <int K>
    void expand(const Samples& samples, bool sigmoid_output, const TargetLists& targets,
                std::size_t n, std::size_t end, bool single) {
        const Real *y = samples.y(n), *z2 = samples.z2(n), *zc2 = samples.zc2(n);
        const bool many = targets.are_many(n);
        const Jet<K> others = all_targets<K>(targets, n, end);
        for (int m = 1; m <= K; ++m) store(all_targets_(m, 0), others.c[m]);
        for (std::size_t k = 0; k < outputs_; ++k) {
            const Pack y_k = load(y + k * lanes);
            const Jet<K> own = growth<K>(sigmoid_output, load(z2 + k * lanes),
                                         load(zc2 + k * lanes)),
                         mean = scaled(y_k, own);
            for (int m = 1; m <= K && K > 1 && !many;
                 ++m) {  // with many targets, find_factors has them
                if (single && (m == 2 || m == 3))
                    store_in_single(single_mean_(m - 1, k), mean.c[m]);
                else
                    store(mean_(m, k), mean.c[m]);
            }
            Jet<K> change = compose(others, mean);
            if (many) correct(targets.packs(n, k), y_k, own, change);
            for (int m = 1; m <= K; m += 2) store(odd_(m / 2 + 1, k), change.c[m]);
        }
        for (std::size_t i = 0; !many && i < targets.largest_count(n, end); ++i) {
            const LaneClasses k = targets.classes(n, i);
            const Jet<K> own = growth<K>(sigmoid_output, k.load(z2), k.load(zc2));
            for (int m = 1; m <= K; ++m) store(growth_(m, i), own.c[m]);
            Jet<K> change{};
            for (int m = 1; m <= K; m += 2) change.c[m] = k.load(odd_(m / 2 + 1, 0));
            correct(targets.packs(n, i), k.load(y), own, change);
            for (int m = 1; m <= K; m += 2) k.store(odd_(m / 2 + 1, 0), change.c[m]);
        }
    }

    // The coefficient of the odd power m of output k: a lane for each sample.
    const Real* output(int m, std::size_t k) const { return odd_(m / 2 + 1, k); }

    // y times the coefficient m of the growths: of each output, a lane for each sample.
    template <class Value>
    const Value* mean(int m) const {
        if constexpr (std::is_same_v<Value, Real>)
            return mean_(m, 0);
        else
            return single_mean_(m - 1, 0);
    }

    // The loss change of the sample in lane l, with these few targets, as a series in
    // the change f of the output of a hidden unit. It takes the place of the means M_1
    // to M_K of a pack of units, whose outgoing weights are w2, a row for each class.
    template <int K>
    SECANT_INLINE void find_loss(std::size_t l, const SampleTargets& targets,
                                 Tile<const Real> w2, Tile<Real> means) const {
        const Jet<K> mean = load_sums<K>(means), log_mean = log1p(mean);
        Jet<K> loss{};
        for (std::size_t i = 0; i < targets.count; ++i) {
            const Target t = targets[i];
            const Pack w = load(w2.row(t.k));
            Jet<K> own;
            Pack power = w;
            for (int m = 1; m <= K; ++m, power *= w)
                own.c[m] = fma(broadcast(t.ratio * growth_(m, i)[l]), power,
                               t.rest * mean.c[m]);
            const Jet<K> log_target = log1p(own);
            for (int m = 1; m <= K; ++m)
                loss.c[m] = fma(broadcast(t.weight), log_mean.c[m] - log_target.c[m],
                                loss.c[m]);
        }
        store_sums(loss, means);
    }

    // odd = `scale` times the odd coefficients of a pack of hidden units: the loss is a
    // series in f, and f one in the shift.
    template <int K>
    SECANT_INLINE static void expand_hidden(const Jet<K>& f, Tile<const Real> loss,
                                            Real scale, const Coefficients& odd) {
        const Jet<K> phi = compose(load_sums<K>(loss), f);
        for (int m = 1; m <= K; m += 2) store(odd.power(m / 2).at, scale * phi.c[m]);
    }

    // With many targets: A_i = ratio_i e_i is a polynomial in w_i f, and
    //
    //     t_i log1p(rest_i S + A_i) = t_i log1p(A_i) + sum over p >= 1 of (-1)^(p+1) /
    //     p t_i rest_i^p S^p (1 + A_i)^-p.
    //
    // Terms of S alone add up to the polynomial of `expand`. So the loss change is that
    // without its first term, and
    //
    //     sum over m of N_0m f^m + sum over p, m >= 1 of S^p f^m N_pm,   N_pm = sum
    //     over k of l_kpm w_k^m,
    //
    // where Q_1 S is in N_0m, and l_k01 is the coefficient of output k. put(number, k -
    // first, l) for the other factors of target_sum, for the classes [first, first +
    // count) and the samples of the group, up to an order K of hidden units.
    template <int K, class Put>
    void find_factors(const Samples& samples, bool sigmoid_output,
                      const TargetLists& targets, std::size_t n, std::size_t first,
                      std::size_t count, Put put)
        const {  // a copy: what it stores might be its own members, to the compiler
        const Pack of_all_targets = load(all_targets_(1, 0));
        for (std::size_t k = first; k < first + count; ++k) {
            const Pack y = load(samples.y(n) + k * lanes);
            const TargetPacks t = targets.packs(n, k);
            const Jet<K> own =
                growth<K>(sigmoid_output, load(samples.z2(n) + k * lanes),
                          load(samples.zc2(n) + k * lanes));
            const Jet<K> log = log1p(scaled(t.ratio, own));
            for (int m = 1; m < K; ++m)
                put(target_sum(K, -1, m), k - first, y * own.c[m]);
            for (int m = 2; m <= K; ++m)
                put(target_sum(K, 0, m), k - first,
                    fma(of_all_targets, y * own.c[m], -(t.weight * log.c[m])));
            Pack weight = t.weight;
            for (int p = 1; p < K; ++p) {
                weight *= -t.rest;
                const Jet<K> power = expm1(
                    scaled(broadcast(static_cast<Real>(-p)), log));  // (1 + A)^-p - 1
                for (int m = 1; m <= K - p; ++m)
                    put(target_sum(K, p, m), k - first,
                        weight * fraction<Pack>(p) * power.c[m]);
            }
        }
    }

    // As find_loss, with many targets: the series takes the place of the first K of
    // these sums of a pack of units.
    template <int K>
    SECANT_INLINE void find_loss_of_many(std::size_t l, Tile<Real> sums) const {
        Jet<K> mean{}, all{};
        for (int m = 1; m < K; ++m)
            mean.c[m] = load(sum_row(sums, target_sum(K, -1, m)));
        for (int m = 2; m <= K; ++m) all.c[m] = broadcast(all_targets_(m, 0)[l]);
        Jet<K> loss = compose(all, mean), power = mean;
        for (int p = 0; p < K; ++p) {
            Jet<K> own{};
            for (int m = 1; m <= K - p; ++m)
                own.c[m] = load(sum_row(sums, target_sum(K, p, m)));
            if (p > 0) own = power * own;
            if (p > 0) power = power * mean;
            for (int m = 1; m <= K; ++m) loss.c[m] += own.c[m];
        }
        store_sums(loss, sums);
    }

private:
    // The first K rows of a pack of units: of sums over classes, or of the series that
    // took their place.
    template <int K>
    static Jet<K> load_sums(Tile<const Real> sums) {
        Jet<K> out{};
        for (int m = 1; m <= K; ++m) out.c[m] = load(sum_row(sums, m - 1));
        return out;
    }
    template <int K>
    static void store_sums(const Jet<K>& from, Tile<Real> sums) {
        for (int m = 1; m <= K; ++m) store(sum_row(sums, m - 1), from.c[m]);
    }

    // Adds to the change of a class, for the samples of which it is a target, what sets
    // it apart from the others.
    template <int K>
    SECANT_INLINE static void correct(const TargetPacks& t, Pack y, const Jet<K>& own,
                                      Jet<K>& change) {
        const Pack rest = t.rest * y;
        const Jet<K> with = log1p(scaled(rest + t.ratio, own)),
                     without = log1p(scaled(rest, own));
        for (int m = 1; m <= K; m += 2)
            change.c[m] = fma(t.weight, without.c[m] - with.c[m], change.c[m]);
    }

    // As a series in S. 1 - rest^m would cancel.
    template <int K>
    static Jet<K> all_targets(const TargetLists& targets, std::size_t n,
                              std::size_t end) {
        Jet<K> out = long_sum<Jet<K>>(
            targets.largest_count(n, end), [&](Jet<K>& sum, std::size_t i) {
                const TargetPacks t = targets.packs(n, i);
                Pack powers = broadcast(1);  // 1 + rest + ... + rest^(m-1)
                for (int m = 1; m <= K; ++m, powers = fma(powers, t.rest, broadcast(1)))
                    sum.c[m] = fma(t.weight * t.ratio, powers, sum.c[m]);
            });
        for (int m = 1; m <= K; ++m) out.c[m] *= fraction<Pack>(m % 2 == 0 ? -m : m);
        return out;
    }

    template <int K>
    static Jet<K> growth(bool sigmoid_output, Pack z2, Pack zc2) {
        return sigmoid_output ? expm1(sigmoid_series<K>(z2, zc2)) : expm1_series<K>();
    }

    template <int K>
    static Jet<K> scaled(Pack factor, const Jet<K>& a) {
        Jet<K> out{};
        for (int m = 1; m <= K; ++m) out.c[m] = factor * a.c[m];
        return out;
    }

    // Coefficients of the powers m >= 1, for each of so many columns: a lane for each
    // sample.
    template <class Value>
    struct Table {
        Value* at;
        std::size_t columns;
        Value* operator()(int m, std::size_t k) const {
            return at + (static_cast<std::size_t>(m - 1) * columns + k) * lanes;
        }
    };

    std::size_t outputs_;
    Table<Real> growth_, mean_, odd_, all_targets_;
    Table<float> single_mean_;
};

}  // namespace secant::SECANT_ISA
