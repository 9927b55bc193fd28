// The sums over samples of odd powers of the inputs times coefficients, against a plain
// loop: dense, sparse and mixed rows, for every order and every width of a panel. From
// the root:
//
//     g++ -std=c++20 -O1 -ffp-contract=off -DSECANT_ISA=baseline -Icpp/include
//     tests/cpp/contraction.cpp -o contraction && ./contraction
#include "driver.hpp"
#include "secant/differences/contraction.hpp"

using namespace driver;

namespace {

constexpr std::size_t N = 2 * rows_at_once + 5, I = block_columns + 9;
constexpr Real h = static_cast<Real>(0.125);

// x(N,I), of which a row in `dense` has no zeros: all are dense for 1, none for 0.
Numbers inputs(std::size_t dense) {
    Numbers x = uniform(N * I, 5, 0.1, 1.0);
    for (std::size_t n = 0; n < N; ++n)
        for (std::size_t i = 0; i < I; ++i)
            if (dense == 0 || n % dense != 0) x[n * I + i] *= (n + i) % 7 == 0;
    return x;
}

template <int K>
AddSeries kernel_of(const Panels& panels) {
    return with_units(panels, 0,
                      []<class Row>() -> AddSeries { return add_series<K, Row>; });
}

template <int K>
void check(std::size_t units, std::size_t dense, bool clear) {
    const Panels panels(units, 1, false);
    const std::size_t width = panels.width();
    const Numbers x = inputs(dense);
    const Inputs view = inputs_of(x, N, I);
    Made<Rows> rows(view, N, false);
    for (std::size_t n = 0; n < N; ++n) rows->gather(n, n);
    Made<PowerTables> tables(N);

    const Numbers c = uniform(odd_powers(K) * N * width, 6);
    std::vector<float> third(N * width);
    const Coefficients odd{
        {const_cast<Real*>(c.data()), width}, N * width, h, {third.data(), width}, 0};
    std::unique_ptr<bool[]> skip(new bool[N]);
    for (std::size_t n = 0; n < N; ++n) skip[n] = n % 11 == 3;

    for (std::size_t b = 0; b < rows->blocks(); ++b) {
        const std::size_t columns = rows->columns(b);
        const Numbers before = uniform(columns * width, 8);
        Numbers sums = before;
        std::vector<double> totals(columns * width);
        add_series_of_block(K, *rows, b, N, skip.get(), odd, *tables,
                            kernel_of<K>(panels), units, {nullptr, 0},
                            {{sums.data(), width}, columns, clear, totals.data()});
        for (std::size_t i = 0; i < columns; ++i)
            for (std::size_t j = 0; j < units; ++j) {
                Exact sum = clear ? 0 : before[i * width + j], size = std::abs(sum);
                for (std::size_t n = 0; n < N; ++n) {
                    Exact power = x[n * I + b * block_columns + i];
                    const Exact square = (h * power) * (h * power);
                    for (std::size_t m = 0; m < odd_powers(K) && !skip[n];
                         ++m, power *= square) {
                        const Exact term = power * c[(m * N + n) * width + j];
                        sum += term;
                        size += std::abs(term);
                    }
                }
                require(close(sums[i * width + j], sum, size, 8), "a sum over samples");
            }
    }
}

template <int K = 1>
void check_orders(std::size_t units, std::size_t dense, bool clear) {
    check<K>(units, dense, clear);
    if constexpr (K < Limits<Real>::highest_order)
        check_orders<K + 2>(units, dense, clear);
}

}  // namespace

int main() {
    for (const std::size_t dense : {0, 1, 3})
        for (const bool clear : {true, false}) {
            for (std::size_t units = 1; units <= most_packs * lanes;
                 units += lanes / 2 + 1)
                check<3>(units, dense, clear);
            check_orders(2 * lanes + 1, dense, clear);
        }
    return verdict("contraction");
}
