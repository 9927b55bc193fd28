// The activations of hidden units, a policy for each. To add one, write its policy, and
// its name in the list at the end.
//
// A policy has
//     name                      what Python calls it
//     bounded                   whether |z| <= 1
//     kink                      whether it has one, at 0; then changes_near_kink(a, s)
//     for shifts s > 0 and -s that may cross it steepest                  its largest
//     slope coefficients[m]           upper bound on |c_m| of its change c_1 s + c_2
//     s^2 + ..., away from a kink, for m of 1 to 3 largest_change(rho)       upper
//     bound on its change for complex shifts |s| <= rho, away from a kink evaluate(a)
//     z, and a second number that says how z changes: its `state` series<K>(z, state)
//     the series of its change prepare(u)                what small_changes needs of a
//     shift u >= 0 small_changes(unit, m)    its changes for u and -u, given m =
//     prepare(u) large_change(unit, u)     its change for |u| > small_shift_limit
#pragma once

#include <tuple>

#include "secant/base/inline.hpp"
#include "secant/simd/jet.hpp"
#include "secant/simd/sides.hpp"

namespace secant::SECANT_ISA {

// A unit before it is shifted: a, z = f(a), and the state.
struct Unshifted {
    Pack a, z, state;
};

struct Activated {
    Pack z, state;
};

namespace activations {

constexpr double unlimited = std::numeric_limits<double>::infinity();

// The state is zc = sigmoid(-a).
struct Sigmoid {
    static constexpr const char* name = "sigmoid";
    static constexpr bool bounded = true, kink = false;
    static constexpr double steepest = 1.0 / 4,
                            coefficients[] = {0.0, 1.0 / 4, 1.0 / 20, 1.0 / 48};

    static double largest_change(double rho) {
        constexpr double pi = 3.14159265358979323846;
        if (!(rho < pi)) return unlimited;
        const double cosine = std::cos(rho / 2);
        return rho / (4 * cosine * cosine);
    }

    static Activated evaluate(Pack a) {
        const auto [z, zc] = sigmoid(a);
        return {z, zc};
    }

    template <int K>
    static Jet<K> series(Pack z, Pack zc) {
        return sigmoid_series<K>(z, zc);
    }

    static Pack prepare(Pack u) { return expm1(u); }

    // sigmoid(a + u) - sigmoid(a) = z zc m / (1 + z m). For -u that denominator would
    // cancel; the mirrored form,
    // - z zc m / (1 + zc m), does not.
    static Sides small_changes(const Unshifted& unit, Pack m) {
        const auto [a, z, zc] = unit;
        return {(z * zc) * m / fma(z, m, broadcast(1)),
                -((z * zc) * m / fma(zc, m, broadcast(1)))};
    }

    // Two sigmoids are then so far apart that their difference does not cancel. It is
    // computed from a, which is exact also where z or zc has underflowed.
    static Pack large_change(const Unshifted& unit, Pack u) {
        const Pack shifted = unit.a + u;
        const auto [z, zc] = sigmoid(shifted);
        return select(unit.a + shifted > 0, unit.state - zc, z - unit.z);
    }
};

// tanh(a) = 2 sigmoid(2a) - 1. The state is the slope (1 + z)(1 - z), which keeps its
// digits where z is 1.
struct Tanh {
    static constexpr const char* name = "tanh";
    static constexpr bool bounded = true, kink = false;
    static constexpr double steepest = 1.0,
                            coefficients[] = {0.0, 1.0, 2.0 / 5, 1.0 / 3};

    static double largest_change(double rho) {
        return 2 * Sigmoid::largest_change(2 * rho);
    }

    static Activated evaluate(Pack a) {
        const auto [z, zc] = sigmoid(2 * a);
        const Pack m = expm1(-2 * absolute(a)),
                   size = -m / (2 + m);  // z - zc would cancel near 0
        return {select(a < 0, -size, size), 4 * z * zc};
    }

    template <int K>
    static Jet<K> series(Pack z, Pack slope) {
        return logistic_series<K>(slope, -2 * z);
    }

    static Pack prepare(Pack u) { return expm1(2 * u); }

    static Sides small_changes(const Unshifted& unit, Pack m) {
        const Pack top = Real{0.5} * unit.state * m,
                   up = Real{0.5} + Real{0.5} * unit.z,
                   down = Real{0.5} - Real{0.5} * unit.z;
        return {top / fma(up, m, broadcast(1)), -(top / fma(down, m, broadcast(1)))};
    }

    static Pack large_change(const Unshifted& unit, Pack u) {
        const auto [z, zc] = Sigmoid::evaluate(2 * unit.a);
        return 2 * Sigmoid::large_change({2 * unit.a, z, zc}, 2 * u);
    }
};

// Linear, away from a kink. The state is the slope.
struct Linear {
    static constexpr bool bounded = false;
    static constexpr double steepest = 1.0, coefficients[] = {0.0, 1.0, 0.0, 0.0};

    static double largest_change(double rho) { return rho; }
    template <int K>
    static Jet<K> series(Pack, Pack slope) {
        return {{Pack{}, slope}};
    }
    static Pack prepare(Pack u) { return u; }
    static Sides small_changes(const Unshifted& unit, Pack u) {
        return {unit.state * u, -(unit.state * u)};
    }
    static Pack large_change(const Unshifted& unit, Pack u) { return unit.state * u; }
};

struct Identity : Linear {
    static constexpr const char* name = "identity";
    static constexpr bool kink = false;

    static Activated evaluate(Pack a) { return {a, broadcast(1)}; }
};

struct Relu : Linear {
    static constexpr const char* name = "relu";
    static constexpr bool kink = true;

    static Activated evaluate(Pack a) {
        return {select(a > 0, a, Pack{}), select(a > 0, broadcast(1), Pack{})};
    }

    static Sides changes_near_kink(Pack a, Pack s) {
        const Pack up = a + s;
        return {select(a > 0, s, select(up > 0, up, Pack{})),
                select(a > 0, -select(a < s, a, s), Pack{})};
    }
};

template <class... Policies>
struct List {
    static constexpr const char* names[] = {Policies::name..., nullptr};
    static constexpr int last = sizeof...(Policies) - 1;
    template <int N>
    using Policy = std::tuple_element_t<N, std::tuple<Policies...>>;
};

}  // namespace activations

using Activations = activations::List<activations::Sigmoid, activations::Relu,
                                      activations::Tanh, activations::Identity>;

// Calls what.template operator()<Policy>() for the activation of that number.
template <class What>
auto with_activation(std::size_t number, const What& what) {
    return with_number<0, Activations::last>(number, [&]<int N>() {
        return what.template operator()<Activations::Policy<N>>();
    });
}

// Whether |z| <= 1.
inline bool is_bounded(std::size_t number) {
    return with_activation(number, []<class A>() { return A::bounded; });
}

}  // namespace secant::SECANT_ISA
