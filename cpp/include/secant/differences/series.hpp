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

    // Up to `order`, of the weights w2, a row for each class; in float32 with `in_single`.
    void find(int order, Tile<const Real> w2, std::size_t width, bool in_single) const {
        for (std::size_t k = 0; k < outputs; ++k)
            for (std::size_t j = 0; j < width; j += lanes) {
                const Pack w = load(w2.row(k) + j);
                Pack power = w;
                for (int m = 2; m <= order; ++m) {
                    power *= w;
                    if (in_single)
                        store_in_single(rows<float>(m).row(k) + j, power);
                    else
                        store(rows<Real>(m).row(k) + j, power);
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

// The series of one group of samples at the output layer; lanes run over samples. Output units may be expanded to a higher order
// than hidden units: the growths of lower powers are the same.
class Series {
public:
    // Numbers that a group needs: for growths, y times growths, and the odd coefficients of the output units.
    static std::size_t size(std::size_t outputs, int highest) { return (2 * highest + odd_powers(highest)) * outputs * lanes; }
    // And in float32, for y times growths.
    static std::size_t size_in_single(std::size_t outputs) { return narrow_powers * outputs * lanes; }

    // For orders up to `highest`.
    Series(std::size_t outputs, int highest, Real* memory, float* memory_in_single)
        : outputs_(outputs),
          growth_(memory),
          mean_(growth_ + highest * outputs * lanes),
          odd_(mean_ + highest * outputs * lanes),
          single_mean_(memory_in_single) {}

    // Expands the group that begins with sample n. With S = sum over k of y_k e_k, the loss change is
    // sum over targets of t (log1p(S) - log1p((1 - r) S + r e_t)), r = y_t / (y_t + log_offset). Where only a2_k moves, S = y_k e_k.
    // With `single` what is for the powers 2 and 3 of hidden units is kept in float32.
    template <int K>
    void expand(const Samples& samples, bool sigmoid_output, const TargetLists& targets, std::size_t n, std::size_t end, bool single) {
        const std::size_t target_count = targets.largest_count(n, end);
        for (std::size_t k = 0; k < outputs_; ++k) {
            const Pack y = load(samples.y(n) + k * lanes);
            const Jet<K> growth =
                sigmoid_output
                    ? expm1(sigmoid_series<K>(load(samples.z2(n) + k * lanes), load(samples.zc2(n) + k * lanes)))
                    : expm1_series<K>();
            const Jet<K> mean = scaled(y, growth);
            for (int m = 1; m <= K; ++m) {
                store(at(growth_, m, k), growth.c[m]);
                if (single && (m == 2 || m == 3))
                    store_in_single(single_mean_ + ((m - 2) * outputs_ + k) * lanes, mean.c[m]);
                else
                    store(at(mean_, m, k), mean.c[m]);
            }
            const Jet<K> log_mean = log1p(mean);
            LongSum odd[odd_powers(K)];
            for (std::size_t i = 0; i < target_count; ++i) {
                const TargetPacks t = targets.packs(n, i);
                const Pack own = select(t.k == static_cast<Real>(k), t.ratio, Pack{});
                const Jet<K> log_target = log1p(scaled(fma(t.rest, y, own), growth));
                for (int m = 1; m <= K; m += 2) odd[m / 2].add_product(t.weight, log_mean.c[m] - log_target.c[m]);
            }
            for (int m = 1; m <= K; m += 2) store(at(odd_, m / 2 + 1, k), odd[m / 2].rounded());
        }
    }

    // y times the coefficient m of the growths: of each output, a lane for each sample.
    template <class Value>
    const Value* mean(int m) const {
        if constexpr (std::is_same_v<Value, Real>)
            return at(mean_, m, 0);
        else
            return single_mean_ + static_cast<std::size_t>(m - 2) * outputs_ * lanes;
    }

    // odd = `scale` times the odd coefficients of a pack of hidden units, for sample n, given the means M_1, M_2, ... of these units.
    template <int K, class Activation>
    SECANT_INLINE void expand_hidden(std::size_t n, const TargetLists& targets, const PanelPack& units, Tile<const Real> means,
                                     Real scale, const Coefficients& odd) const {
        Jet<K> mean{};
        for (int m = 1; m <= K; ++m) mean.c[m] = load(mean_row(means, m));
        const Jet<K> log_mean = log1p(mean);
        LongSum sums[K + 1];
        for (std::size_t i = 0; i < targets.count(n); ++i) {
            const Target target = targets.target(n, i);
            const Pack w = load(units.w2.row(target.k));
            Jet<K> own;
            Pack power = target.ratio * w;
            for (int m = 1; m <= K; ++m, power *= w)
                own.c[m] = fma(broadcast(at(growth_, m, target.k)[n % lanes]), power, target.rest * mean.c[m]);
            const Jet<K> log_target = log1p(own);
            for (int m = 1; m <= K; ++m) sums[m].add_product(broadcast(target.weight), log_mean.c[m] - log_target.c[m]);
        }
        Jet<K> loss{};  // as a series in f
        for (int m = 1; m <= K; ++m) loss.c[m] = sums[m].rounded();
        const Jet<K> phi = compose(loss, Activation::template series<K>(load(units.z1), load(units.state1)));
        for (int m = 1; m <= K; m += 2) store(odd.power(m / 2).at, scale * phi.c[m]);
    }

    // The coefficient of the odd power m of output k: a lane for each sample.
    const Real* output(int m, std::size_t k) const { return at(odd_, m / 2 + 1, k); }

private:
    Real* at(Real* array, int m, std::size_t k) const {
        return array + (static_cast<std::size_t>(m - 1) * outputs_ + k) * lanes;
    }

    template <int K>
    static Jet<K> scaled(Pack factor, const Jet<K>& a) {
        Jet<K> out{};
        for (int m = 1; m <= K; ++m) out.c[m] = factor * a.c[m];
        return out;
    }

    std::size_t outputs_;
    Real *growth_, *mean_, *odd_;
    float* single_mean_;
};

}  // namespace secant::SECANT_ISA
