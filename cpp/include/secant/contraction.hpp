// The sums over samples: of inputs times coefficients of the series.
#pragma once

#include "series.hpp"

namespace secant::SECANT_ISA {

// sums(block_columns, P packs) += the series of P packs of units for each input of a row's block. odd: their odd
// coefficients, those of the next power `stride` further.
template <int K, int P>
void add_series(const RowBlock& row, const double* odd, std::size_t stride, double* sums) {
    Pack coefficients[P][odd_powers<K>];
    for (std::size_t p = 0; p < P; ++p)
        for (std::size_t m = 0; m < odd_powers<K>; ++m) coefficients[p][m] = load(odd + m * stride + p * lanes);
    for (const Entry* e = row.begin; e < row.end; ++e) {
        const Pack x = broadcast(row.values[e->value]), square = broadcast(row.squares[e->value]);
        double* to = sums + e->column * (P * lanes);
        for (std::size_t p = 0; p < P; ++p)
            store(to + p * lanes, add_series_term<K>(load(to + p * lanes), x, square, coefficients[p]));
    }
}

// to(columns,) = scale * sums(P packs,); or += that, with Add.
template <int P, bool Add>
void write_row(const double* sums, double scale, double* to, std::size_t columns) {
    for (std::size_t p = 0; p < P; ++p, sums += lanes, to += lanes) {
        const std::size_t count = std::min(lanes, columns - p * lanes);
        store_part(to, fma(broadcast(scale), load(sums), Add ? load_part(to, count) : Pack{}), count);
    }
}

// sums(lanes,) of each of C classes from k on, `units` apart, += the series of a pack of hidden units with the inputs z1,
// over the samples [0, rows) that `skip` does not name. z1: the pack of the first sample, `width` before that of the next.
template <int K, int C>
void add_outgoing_series(const double* series, std::size_t series_size, std::size_t outputs, std::size_t k,
                         const double* z1, std::size_t width, std::size_t rows, const bool* skip, double h, double* sums,
                         std::size_t units) {
    Pack sum[C];
    for (std::size_t c = 0; c < C; ++c) sum[c] = load(sums + c * units);
    for (std::size_t n = 0; n < rows; ++n) {
        if (skip[n]) continue;
        const Pack z = load(z1 + n * width), square = (h * z) * (h * z);
        const Series<K> own(outputs, const_cast<double*>(series) + n / lanes * series_size);
        for (std::size_t c = 0; c < C; ++c) {
            Pack odd[odd_powers<K>];
            for (int m = 1; m <= K; m += 2) odd[m / 2] = broadcast(own.output(m, k + c)[n % lanes]);
            sum[c] = add_series_term<K>(sum[c], z, square, odd);
        }
    }
    for (std::size_t c = 0; c < C; ++c) store(sums + c * units, sum[c]);
}

}  // namespace secant::SECANT_ISA
