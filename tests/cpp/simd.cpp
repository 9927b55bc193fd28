// The elementary functions and the series of secant/simd/, which includes only
// secant/base/, against the standard library in long double (2 ulp) and against closed
// forms. With -DSECANT_SINGLE they are those of float. From the root:
//
//     g++ -std=c++20 -O2 -ffp-contract=off -DSECANT_ISA=baseline -Icpp/include
//     tests/cpp/simd.cpp -o simd && ./simd
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "secant/simd/elementary.hpp"
#include "secant/base/inline.hpp"
#include "secant/simd/jet.hpp"
#include "secant/simd/packs.hpp"
#include "secant/simd/transpose.hpp"
#include "secant/simd/units.hpp"

namespace {

using namespace secant::SECANT_ISA;
using Exact = long double;

using Limits = std::numeric_limits<Real>;

int failures = 0;
double worst_of_all = 0.0;

// |got - expected| in units of the last place.
double ulps(Real got, Exact expected) {
    int exponent = 0;
    std::frexp(expected, &exponent);
    const Exact ulp =
        std::ldexp(Exact{1}, std::max(exponent, Limits::min_exponent) - Limits::digits);
    return static_cast<double>(std::abs(got - expected) / ulp);
}

void require(const char* what, double x, Real got, Exact expected, double allowed) {
    const double error = ulps(got, expected);
    worst_of_all = std::max(worst_of_all, error);
    if (error <= allowed) return;
    std::printf("%s at %.17g is %.17g, expected %.17Lg: %.2f ulp, allowed %.2f\n", what,
                x, static_cast<double>(got), expected, error, allowed);
    ++failures;
}

// function(x) is within so many ulp of exact(x), in every lane, for x across a range
// and close to 0.
template <class Function, class Reference>
void check(const char* what, double from, double to, double allowed,
           const Function& function, const Reference& exact) {
    std::vector<Real> x;
    for (int i = 0; i <= 4000; ++i)
        x.push_back(static_cast<Real>(from + (to - from) * i / 4000));
    for (double small = 0.3; small > Limits::min(); small *= 1e-3)
        for (const double signed_small : {small, -small})
            if (signed_small >= from && signed_small <= to)
                x.push_back(static_cast<Real>(signed_small));
    std::vector<Real> got(x.size());
    map(x.data(), got.data(), x.size(), function);
    for (std::size_t i = 0; i < x.size(); ++i)
        require(what, x[i], got[i], exact(Exact{x[i]}), allowed);
}

// c[m] = p_m for the powers 1 to K, within 8 epsilon, relative to 1 or to the
// coefficient.
template <int K, class T>
void check_series(const char* what, const Jet<K, T>& series,
                  const Exact (&expected)[K]) {
    for (int m = 1; m <= K; ++m) {
        const Exact scale = std::max(std::abs(expected[m - 1]), Exact{1});
        if (!(std::abs(series.c[m] - expected[m - 1]) <=
              8 * std::numeric_limits<T>::epsilon() * scale)) {
            std::printf(
                "coefficient %d of the series of %s is %.17g, expected %.17Lg\n", m,
                what, static_cast<double>(series.c[m]), expected[m - 1]);
            ++failures;
        }
    }
}

void check_all_series() {
    for (const double a : {-3.0, -0.5, 0.0, 0.7, 2.5}) {
        // The derivatives of sigmoid, as polynomials in z.
        const Exact z = 1 / (1 + std::exp(-Exact{a})), d = z * (1 - z);
        check_series<4>("sigmoid",
                        sigmoid_series<4, double>(static_cast<double>(z),
                                                  static_cast<double>(1 - z)),
                        {d, d * (1 - 2 * z) / 2, d * (1 - 6 * d) / 6,
                         d * (1 - 2 * z) * (1 - 12 * d) / 24});
        // The derivatives of tanh, as polynomials in t.
        const Exact t = std::tanh(Exact{a}), slope = 1 - t * t;
        check_series<4>("tanh",
                        logistic_series<4, double>(static_cast<double>(slope),
                                                   static_cast<double>(-2 * t)),
                        {slope, -t * slope, slope * (3 * t * t - 1) / 3,
                         t * slope * (2 - 3 * t * t) / 3});
        // exp(a s) - 1 and log(1 + a s), whose coefficients are known.
        const Exact b = a;
        const Jet<4, double> linear{{0.0, a, 0.0, 0.0, 0.0}};
        check_series<4>("expm1", expm1(linear),
                        {b, b * b / 2, b * b * b / 6, b * b * b * b / 24});
        check_series<4>("log1p", log1p(linear),
                        {b, -b * b / 2, b * b * b / 3, -b * b * b * b / 4});
        check_series<4>("log1p(expm1)", log1p(expm1(linear)), {b, 0, 0, 0});
    }
    const Jet<4> halved =
        compose(expm1_series<4>(), Jet<4>{{Pack{}, broadcast(Real{0.5})}});
    Jet<4, Real> lane_of_halved{};
    for (int m = 1; m <= 4; ++m) lane_of_halved.c[m] = lane(halved.c[m], lanes - 1);
    check_series<4>("expm1(s / 2)", lane_of_halved,
                    {Exact{1} / 2, Exact{1} / 8, Exact{1} / 48, Exact{1} / 384});
    check_series<4>("exp - 1", expm1_series<4, double>(),
                    {1, Exact{1} / 2, Exact{1} / 6, Exact{1} / 24});
    // sin(s) up to s^4, in exp(s) - 1.
    const Jet<4, double> sine{{0.0, 1.0, 0.0, -1.0 / 6, 0.0}};
    check_series<4>("expm1(sin)", compose(expm1_series<4, double>(), sine),
                    {1, Exact{1} / 2, 0, -Exact{1} / 8});
}

// Columns of a few rows, in two squares, of which the second is not full; what no row
// has is 0.
void check_columns() {
    constexpr std::size_t rows = lanes > 1 ? lanes - 1 : 1, columns = lanes + 1;
    Real matrix[rows][2 * lanes];
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < 2 * lanes; ++c)
            matrix[r][c] = static_cast<Real>(100 * (r + 1) + c);
    std::size_t next = 0;
    for_columns({matrix[0], 2 * lanes}, rows, columns, [&](std::size_t c, Pack column) {
        bool right = c == next++;
        for (std::size_t r = 0; r < lanes; ++r)
            right &= lane(column, r) == (r < rows ? matrix[r][c] : 0);
        if (!right) std::printf("column %zu of %zu rows is another one\n", c, rows);
        failures += !right;
    });
    failures += next != columns;
}

}  // namespace

int main() {
    constexpr double largest = 40.0, end = is_single ? 87.0 : 700.0,
                     huge = is_single ? 3e38 : 1e300;
    check(
        "exp", -end, end, 2.0, [](Pack x) { return secant::SECANT_ISA::exp(x); },
        [](Exact x) { return std::exp(x); });
    check(
        "expm1", -end, end, 2.0, [](Pack x) { return secant::SECANT_ISA::expm1(x); },
        [](Exact x) { return std::expm1(x); });
    check(
        "expm1", -1.0, 1.0, 2.0, [](Pack x) { return secant::SECANT_ISA::expm1(x); },
        [](Exact x) { return std::expm1(x); });
    check(
        "log", 1e-3, 2.0, 2.0, [](Pack x) { return secant::SECANT_ISA::log(x); },
        [](Exact x) { return std::log(x); });
    check(
        "log", 1.0, huge, 2.0, [](Pack x) { return secant::SECANT_ISA::log(x); },
        [](Exact x) { return std::log(x); });
    check(
        "log1p", -0.999, 3.0, 2.0, [](Pack x) { return secant::SECANT_ISA::log1p(x); },
        [](Exact x) { return std::log1p(x); });
    check(
        "sigmoid", -largest, largest, 2.0, [](Pack x) { return sigmoid(x).z; },
        [](Exact x) { return 1 / (1 + std::exp(-x)); });
    check(
        "sigmoid of -a", -largest, largest, 2.0, [](Pack x) { return sigmoid(x).zc; },
        [](Exact x) { return 1 / (1 + std::exp(x)); });
    check_all_series();
    check_columns();
    if (failures == 0)
        std::printf("simd: right on %zu lanes of %zu bytes, worst error %.2f ulp\n",
                    lanes, sizeof(Real), worst_of_all);
    return failures > 0;
}
