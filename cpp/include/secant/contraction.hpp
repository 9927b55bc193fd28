// The sums over inputs and over samples. Where whole blocks of rows have no zeros, a few rows or columns are taken at once,
// so that what is loaded is used more than once.
#pragma once

#include "series.hpp"

namespace secant::SECANT_ISA {

// The odd coefficients of the units of a panel: those of sample n at first + n * width, of the next power `stride` further.
struct Coefficients {
    double* first;
    std::size_t width;
    std::size_t stride;
    double h;

    double* of(std::size_t n) const { return first + n * width; }
};

// sums += the series of P packs of units for each input of a row's block; the sums of the next input `stride` further.
template <int K, int P>
void add_series(const RowBlock& row, const Coefficients& odd, std::size_t n, double* sums, std::size_t stride) {
    Pack coefficients[P][odd_powers<K>];
    for (std::size_t p = 0; p < P; ++p)
        for (std::size_t m = 0; m < odd_powers<K>; ++m) coefficients[p][m] = load(odd.of(n) + m * odd.stride + p * lanes);
    for (const Entry* e = row.begin; e < row.end; ++e) {
        const OddPowers<K> x(broadcast(row.values[e->value]), broadcast(row.cubes[e->value]), odd.h);
        double* to = sums + e->column * stride;
        for (std::size_t p = 0; p < P; ++p)
            store(to + p * lanes, add_series_term<K>(load(to + p * lanes), x, coefficients[p]));
    }
}

// The same for C columns of several samples whose blocks are full.
template <int K, int P, int C>
void add_series_of_columns(const RowBlock* rows, std::size_t count, std::size_t column, const Coefficients& odd,
                           std::size_t n, double* sums, std::size_t stride) {
    Pack sum[C][P];
    for (std::size_t c = 0; c < C; ++c)
        for (std::size_t p = 0; p < P; ++p) sum[c][p] = load(sums + (column + c) * stride + p * lanes);
    for (std::size_t i = 0; i < count; ++i) {
        const double *values = rows[i].values + column, *cubes = rows[i].cubes + column;
        for (std::size_t p = 0; p < P; ++p) {
            Pack coefficients[odd_powers<K>];
            for (std::size_t m = 0; m < odd_powers<K>; ++m)
                coefficients[m] = load_once(odd.of(n + i) + m * odd.stride + p * lanes);
            for (std::size_t c = 0; c < C; ++c)
                sum[c][p] = add_series_term<K>(sum[c][p], {broadcast(values[c]), broadcast(cubes[c]), odd.h}, coefficients);
        }
    }
    for (std::size_t c = 0; c < C; ++c)
        for (std::size_t p = 0; p < P; ++p) store(sums + (column + c) * stride + p * lanes, sum[c][p]);
}

// The same for block b of the rows [0, count), without those that `skip` names.
template <int K, int P>
void add_series_of_block(const Rows& rows, std::size_t b, std::size_t count, const bool* skip, const Coefficients& odd,
                         double* sums, std::size_t stride) {
    constexpr std::size_t most = 16;  // samples: their coefficients stay in the L1 cache
    RowBlock full[most];
    for (std::size_t n = 0; n < count; ++n) {
        std::size_t found = 0;
        for (; n + found < count && found < most && !skip[n + found]; ++found) {
            full[found] = rows.block(n + found, b);
            if (!full[found].full) break;
        }
        if (found < 2) {
            if (!skip[n]) add_series<K, P>(rows.block(n, b), odd, n, sums, stride);
            continue;
        }
        std::size_t column = 0;
        for (; column + 2 <= rows.columns(b); column += 2)
            add_series_of_columns<K, P, 2>(full, found, column, odd, n, sums, stride);
        if (column < rows.columns(b)) add_series_of_columns<K, P, 1>(full, found, column, odd, n, sums, stride);
        n += found - 1;
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
        const Pack z = load(z1 + n * width);
        const OddPowers<K> powers(z, (h * z) * (h * z) * z, h);
        const Series<K> own(outputs, const_cast<double*>(series) + n / lanes * series_size);
        for (std::size_t c = 0; c < C; ++c) {
            Pack odd[odd_powers<K>];
            for (int m = 1; m <= K; m += 2) odd[m / 2] = broadcast(own.output(m, k + c)[n % lanes]);
            sum[c] = add_series_term<K>(sum[c], powers, odd);
        }
    }
    for (std::size_t c = 0; c < C; ++c) store(sums + c * units, sum[c]);
}

}  // namespace secant::SECANT_ISA
