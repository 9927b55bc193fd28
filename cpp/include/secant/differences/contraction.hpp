// The sums over inputs and over samples. Where whole blocks of rows have no zeros, a few rows or columns are taken at once,
// so that what is loaded is used more than once.
#pragma once

#include <array>
#include <type_traits>
#include <utility>

#include "secant/differences/series.hpp"
#include "secant/simd/units.hpp"

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

// A thread's memory for powers of the inputs of full rows; and in float32, for these and their coefficients.
struct PowerTables {
    PowerTables(Workspace& work, std::size_t width)
        : powers(work.take<double>(full_rows_at_once * block_columns)),
          single_powers(work.take<float>(full_rows_at_once * block_columns)),
          single_coefficients(work.take<float>(full_rows_at_once * width)) {}
    double* powers;
    float *single_powers, *single_coefficients;
};

// sums += x^T c of C columns of full rows, from `column` on. x(i): the inputs of row i; its coefficients at c + i * width.
template <class Row, int C, class X>
void add_products_of_columns(const X& x, std::size_t count, const typename Row::Value* c, std::size_t width,
                             std::size_t column, double* sums, std::size_t stride) {
    constexpr bool widened = !std::is_same_v<typename Row::Value, double>;
    Row sum[C];
    double* to[C];
    for (int k = 0; k < C; ++k) to[k] = sums + (column + k) * stride;
    if constexpr (!widened)
        for (int k = 0; k < C; ++k) sum[k] = Row(to[k]);
    for (std::size_t i = 0; i < count; ++i) {
        const auto* x_i = x(i) + column;
        Row::each(sum, [&]<class P>(P* const(&part)[C], std::size_t at) {
            const P c_i = load_once<P>(c + i * width + at);
            for (int k = 0; k < C; ++k) *part[k] = fma(broadcast<P>(x_i[k]), c_i, *part[k]);
        });
    }
    if constexpr (widened)
        Row::each(sum, [&]<class P>(P* const(&part)[C], std::size_t at) {
            for (int k = 0; k < C; ++k) add_widened(to[k] + at, *part[k]);
        });
    else
        for (int k = 0; k < C; ++k) sum[k].store_to(to[k]);
}

// The same for all columns: as many at once as there are registers for their sums.
template <class Row, class X>
void add_products(const X& x, std::size_t count, const typename Row::Value* c, std::size_t width, std::size_t columns,
                  double* sums, std::size_t stride) {
    constexpr int sums_in_registers = most_packs * 5 / 2;
    constexpr int together = Row::packs * 8 <= sums_in_registers ? 8 : Row::packs * 4 <= sums_in_registers ? 4 : 2;
    std::size_t column = 0;
    for (; column + together <= columns; column += together)
        add_products_of_columns<Row, together>(x, count, c, width, column, sums, stride);
    for (; column < columns; ++column) add_products_of_columns<Row, 1>(x, count, c, width, column, sums, stride);
}

// The series for the full rows [0, count), which begin with sample n: a product for each power.
template <int K, class Row>
void add_series_of_full(const RowBlock* rows, std::size_t count, std::size_t columns, const Coefficients& odd,
                        std::size_t n, bool third_in_single, const PowerTables& tables, double* sums, std::size_t stride) {
    const auto power_table = [&](auto* table, const auto& power) {
        for (std::size_t i = 0; i < count; ++i)
            for (std::size_t c = 0; c < columns; c += lanes)
                store(table + i * block_columns + c, power(load_part(rows[i].values + c, std::min(lanes, columns - c))));
        return [table](std::size_t i) { return table + i * block_columns; };
    };
#ifdef SECANT_HALF_PACKS
    if (K == 3 && third_in_single) {
        const auto narrow = [](Pack x) { return __builtin_convertvector(x, HalfFloatPack); };
        const auto cubes = power_table(tables.single_powers, [&](Pack x) { return narrow(x * x * x); });
        for (std::size_t i = 0; i < count; ++i)
            for (std::size_t j = 0; j < Row::packs * lanes; j += lanes)
                store(tables.single_coefficients + i * odd.width + j,
                      narrow(odd.h * odd.h * load(odd.of(n + i) + odd.stride + j)));
        using Single = Units<(Row::packs + 1) / 2, std::conditional_t<Row::packs % 2 == 0, FloatPack, HalfFloatPack>, FloatPack>;
        add_products<Single>(cubes, count, tables.single_coefficients, odd.width, columns, sums, stride);
    }
#endif
    for (int m = odd_powers<K> - 1; m >= (third_in_single ? 2 : 1); --m)
        add_products<Row>(power_table(tables.powers, [&](Pack x) { return OddPowers<K>(x, odd.h).of[m]; }), count,
                          odd.of(n) + m * odd.stride, odd.width, columns, sums, stride);
    add_products<Row>([rows](std::size_t i) { return rows[i].values; }, count, odd.of(n), odd.width, columns, sums, stride);
}

// The series for block b of the rows [0, count), without those that `skip` names.
template <int K, class Row>
void add_series_of_block(const Rows& rows, std::size_t b, std::size_t count, const bool* skip, const Coefficients& odd,
                         bool third_in_single, const PowerTables& tables, double* sums, std::size_t stride) {
    RowBlock full[full_rows_at_once];
    for (std::size_t n = 0; n < count; ++n) {
        if (skip[n]) continue;
        std::size_t found = 0;
        full[0] = rows.block(n, b);
        while (full[found].full && ++found < std::min(full_rows_at_once, count - n) && !skip[n + found])
            full[found] = rows.block(n + found, b);
        if (found < 2) {
            add_series<K, Row>(full[0], odd, n, sums, stride);
            continue;
        }
        add_series_of_full<K, Row>(full, found, rows.columns(b), odd, n, third_in_single, tables, sums, stride);
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
