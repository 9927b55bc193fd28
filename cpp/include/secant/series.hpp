// The central difference from the Taylor series of the unit response: with phi(s) = c1 s + c2 s^2 + c3 s^3 + ...
//
//     D = 1/N * sum over n and odd m <= K of  h^(m-1) x^m c_m,
//
// the odd terms only, for they are all that survives phi(s) - phi(-s). Cut after c1 it is backpropagation.
#pragma once

#include "samples.hpp"

namespace secant::SECANT_ISA {

// The growth of a softmax numerator, exp(z2'_k - z2_k) - 1, as a series in the shift of a2_k.
template <int K, class T>
Jet<K, T> growth_series(bool sigmoid_output, T z2, T zc2) {
    return sigmoid_output ? expm1(sigmoid_series<K>(z2, zc2)) : expm1_series<K, T>();
}

template <int K>
class Series {
public:
    // Doubles that a sample needs between prepare and add: growths, y times growths, and the odd output coefficients.
    static std::size_t size(std::size_t outputs) { return (2 * K + (K + 1) / 2) * pad(outputs); }

    Series(const OutputState& out, double* memory)
        : out_(out), stride_(pad(out.outputs)), growth_(memory), mean_(growth_ + K * stride_), odd_(mean_ + K * stride_) {}

    // With S = sum over k of y_k e_k, the loss change is sum over targets of t (log1p(S) - log1p((1 - r) S + r e_t)),
    // r = y_t / (y_t + 1e-7). Where only a2_k moves, S = y_k e_k. Lanes run over k.
    void prepare() const {
        for (std::size_t k = 0; k < out_.outputs; k += lanes) {
            const std::size_t count = std::min(lanes, out_.outputs - k);
            const Pack y = load_part(out_.y + k, count);
            const Jet<K> growth = growth_series<K>(out_.sigmoid_output, load_part(out_.z2 + k, count),
                                                   load_part(out_.zc2 + k, count));
            const Jet<K> mean = scaled(y, growth);
            for (int m = 1; m <= K; ++m) {
                store(growth_ + (m - 1) * stride_ + k, growth.c[m]);
                store(mean_ + (m - 1) * stride_ + k, mean.c[m]);
            }
            const Jet<K> log_mean = log1p(mean);
            Pack odd[(K + 1) / 2] = {};
            for (std::size_t i = 0; i < out_.target_count; ++i) {
                const Target& t = out_.targets[i];
                double own[lanes] = {};
                if (t.k >= k && t.k < k + lanes) own[t.k - k] = t.ratio;
                const Jet<K> log_target = log1p(scaled(load(own) + t.rest * y, growth));
                for (int m = 1; m <= K; m += 2) odd[m / 2] += t.weight * (log_mean.c[m] - log_target.c[m]);
            }
            for (int m = 1; m <= K; m += 2) store(odd_ + (m / 2) * stride_ + k, odd[m / 2]);
        }
    }

    // The odd coefficients of a pack of hidden units. A growth is a polynomial in w f, w the outgoing weight and f the
    // change of the unit's sigmoid, so S = sum over m of M_m f^m with M_m = sum over k of y_k g_k,m w_k^m.
    void hidden(Pack z1, Pack zc1, const double* w2, std::size_t stride, Pack (&odd)[(K + 1) / 2]) const {
        const Jet<K> change = sigmoid_series<K>(z1, zc1);
        Pack moments[K + 1] = {};
        for (std::size_t k = 0; k < out_.outputs; ++k) add_powers(mean_ + k, load(w2 + k * stride), moments);
        const Jet<K> mean = compose(moments, change);
        const Jet<K> log_mean = log1p(mean);
        for (int m = 1; m <= K; m += 2) odd[m / 2] = Pack{};
        for (std::size_t i = 0; i < out_.target_count; ++i) {
            const Target& t = out_.targets[i];
            Pack own[K + 1] = {};
            add_powers(growth_ + t.k, load(w2 + t.k * stride), own);
            Jet<K> target = compose(own, change);
            for (int m = 1; m <= K; ++m) target.c[m] = t.ratio * target.c[m] + t.rest * mean.c[m];
            const Jet<K> log_target = log1p(target);
            for (int m = 1; m <= K; m += 2) odd[m / 2] += t.weight * (log_mean.c[m] - log_target.c[m]);
        }
    }

    // The odd coefficients of output k.
    void output(std::size_t k, Pack (&odd)[(K + 1) / 2]) const {
        for (int m = 1; m <= K; m += 2) odd[m / 2] = broadcast(odd_[static_cast<std::size_t>(m / 2) * stride_ + k]);
    }

    // x c1 + h^2 x^3 c3 + h^4 x^5 c5 + ..., given hx2 = (h x)^2.
    static Pack term(Pack x, Pack hx2, const Pack (&odd)[(K + 1) / 2]) {
        Pack sum = odd[K / 2];
        for (int m = K / 2 - 1; m >= 0; --m) sum = sum * hx2 + odd[m];
        return x * sum;
    }

private:
    static Jet<K> scaled(Pack factor, const Jet<K>& a) {
        Jet<K> out{};
        for (int m = 1; m <= K; ++m) out.c[m] = factor * a.c[m];
        return out;
    }

    // moments[m] += c_m w^m, c_m at c[(m - 1) stride].
    void add_powers(const double* c, Pack w, Pack (&moments)[K + 1]) const {
        Pack power = w;
        for (int m = 1; m <= K; ++m, power *= w) moments[m] += c[static_cast<std::size_t>(m - 1) * stride_] * power;
    }

    // sum over m of moments[m] f^m
    static Jet<K> compose(const Pack (&moments)[K + 1], const Jet<K>& f) {
        Jet<K> sum{};
        Jet<K> power = f;
        for (int m = 1; m <= K; ++m) {
            for (int i = m; i <= K; ++i) sum.c[i] += moments[m] * power.c[i];
            if (m < K) power = power * f;
        }
        return sum;
    }

    const OutputState& out_;
    std::size_t stride_;
    double *growth_, *mean_, *odd_;
};

}  // namespace secant::SECANT_ISA
