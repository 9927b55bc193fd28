// The sums over inputs and over samples. Where whole blocks of rows have no zeros, a few rows or columns are taken at once,
// so that what is loaded is used more than once.
#pragma once

#include <array>
#include <utility>

#include "series.hpp"
#include "units.hpp"

namespace secant::SECANT_ISA {

// The odd coefficients of the units of a panel: those of sample n at first + n * width, of the next power `stride` further.
struct Coefficients {
    double* first;
    std::size_t width;
    std::size_t stride;
    double h;

    double* of(std::size_t n) const { return first + n * width; }
};

// sums += the series of a panel's units for each input of a row's block; the sums of the next input `stride` further.
template <int K, class Row>
void add_series(const RowBlock& row, const Coefficients& odd, std::size_t n, double* sums, std::size_t stride) {
    const auto coefficients = [&]<std::size_t... M>(std::index_sequence<M...>) {
        return std::array{Row(odd.of(n) + M * odd.stride)...};
    }(std::make_index_sequence<odd_powers<K>>());
    for (const Entry* e = row.begin; e < row.end; ++e) {
        const OddPowers<K> x(broadcast(row.values[e->value]), odd.h);
        Row::add_terms(sums + e->column * stride, x.of, coefficients);
    }
}

// The same for two columns of several samples whose blocks are full.
template <int K, class Row>
void add_series_of_columns(const RowBlock* rows, std::size_t count, std::size_t column, const Coefficients& odd,
                           std::size_t n, double* sums, std::size_t stride) {
    double* to = sums + column * stride;
    Row sum[] = {Row(to), Row(to + stride)};
    for (std::size_t i = 0; i < count; ++i) {
        const double* values = rows[i].values + column;
        const OddPowers<K> x[] = {{broadcast(values[0]), odd.h}, {broadcast(values[1]), odd.h}};
        Row::each(sum, [&]<class P>(P* const(&part)[2], std::size_t at) {
            for (int m = odd_powers<K> - 1; m >= 0; --m) {
                const P coefficients = load_once<P>(odd.of(n + i) + m * odd.stride + at);
                for (int c = 0; c < 2; ++c) *part[c] = fma(low<P>(x[c].of[m]), coefficients, *part[c]);
            }
        });
    }
    for (int c = 0; c < 2; ++c) sum[c].store_to(to + c * stride);
}

// The same for block b of the rows [0, count), without those that `skip` names.
template <int K, class Row>
void add_series_of_block(const Rows& rows, std::size_t b, std::size_t count, const bool* skip, const Coefficients& odd,
                         double* sums, std::size_t stride) {
    constexpr std::size_t most = 25;  // samples: their coefficients stay in the L1 cache
    RowBlock full[most];
    for (std::size_t n = 0; n < count; ++n) {
        if (skip[n]) continue;
        std::size_t found = 0;
        full[0] = rows.block(n, b);
        while (full[found].full && ++found < std::min(most, count - n) && !skip[n + found])
            full[found] = rows.block(n + found, b);
        if (found < 2) {
            add_series<K, Row>(full[0], odd, n, sums, stride);
            continue;
        }
        std::size_t column = 0;
        for (; column + 2 <= rows.columns(b); column += 2)
            add_series_of_columns<K, Row>(full, found, column, odd, n, sums, stride);
        for (std::size_t i = 0; column < rows.columns(b) && i < found; ++i) {  // an odd one out
            const RowBlock& row = full[i];
            add_series<K, Row>({row.end - 1, row.end, row.values, false}, odd, n + i, sums, stride);
        }
        n += found - 1;
    }
}

// sums(lanes,) of each of C classes from k on, `units` apart, += the series of a pack of hidden units with the inputs z1,
// over the samples [0, rows) that `skip` does not name. z1: the pack of the first sample, `width` before that of the next.
template <int K, int C>
void add_outgoing_series(double* series, std::size_t series_size, std::size_t outputs, std::size_t k,
                         const double* z1, std::size_t width, std::size_t rows, const bool* skip, double h, double* sums,
                         std::size_t units) {
    Pack sum[C];
    for (std::size_t c = 0; c < C; ++c) sum[c] = load(sums + c * units);
    for (std::size_t n = 0; n < rows; ++n) {
        if (skip[n]) continue;
        const Pack z = load(z1 + n * width);
        const OddPowers<K> powers(z, h);
        const Series<K> own(outputs, series + n / lanes * series_size);
        for (std::size_t c = 0; c < C; ++c) {
            Pack odd[odd_powers<K>];
            for (int m = 1; m <= K; m += 2) odd[m / 2] = broadcast(own.output(m, k + c)[n % lanes]);
            sum[c] = add_series_term<K>(sum[c], powers, odd);
        }
    }
    for (std::size_t c = 0; c < C; ++c) store(sums + c * units, sum[c]);
}

}  // namespace secant::SECANT_ISA
