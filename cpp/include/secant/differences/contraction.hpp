// The sums over inputs and over samples. Where whole blocks of rows have no zeros, several rows or columns are taken at once, so
// that what is loaded is used more than once.
#pragma once

#include <array>
#include <type_traits>
#include <utility>

#include "secant/differences/series.hpp"
#include "secant/simd/units.hpp"

namespace secant::SECANT_ISA {

// sums += the series of a panel's units, of the coefficients of one sample, for each input of a row's block; a row for each.
template <int K, class PanelRow>
void add_series(const RowBlock& row, const Coefficients& odd, std::size_t n, Tile<Real> sums) {
    const auto coefficients = [&]<std::size_t... M>(std::index_sequence<M...>) {
        return std::array{PanelRow(odd.power(M).row(n))...};
    }(std::make_index_sequence<odd_powers<K>>());
    const auto [begin, end, values, full] = row;  // copies: the sums that are stored might be these, to the compiler
    const Real h = odd.h;
    for (const Entry* e = begin; e < end; ++e) {
        const OddPowers<K> x(broadcast(values[e->value]), h);
        PanelRow::add_terms(sums.row(e->column), x.of, coefficients);
    }
}

// The same block of several rows, all full.
struct FullRows {
    const RowBlock* rows;
    std::size_t count, columns;
};

// A thread's memory for powers of the inputs of full rows; and for these and their coefficients in float32.
struct PowerTables {
    PowerTables(Workspace& work, std::size_t width)
        : powers(work.take<Real>(full_rows_at_once * block_columns)),
          single_powers(work.take<float>(full_rows_at_once * block_columns)),
          single_coefficients(work.take<float>(full_rows_at_once * width)) {}
    Real* powers;
    float *single_powers, *single_coefficients;
};

// table = power(x). Returns a function that finds row i of the table.
template <class Value, class Power>
auto fill_power_table(const FullRows& full, Value* table, const Power& power) {
    for (std::size_t i = 0; i < full.count; ++i)
        for (std::size_t c = 0; c < full.columns; c += lanes)
            store(table + i * block_columns + c, power(load_part(full.rows[i].values + c, std::min(lanes, full.columns - c))));
    return [table](std::size_t i) { return table + i * block_columns; };
}

// sums += x^T c for C columns of x from `column` on. x(i): row i of x; c has a row for each. Floats are summed apart, and then added:
// that loses less.
template <class PanelRow, int C, class X>
void add_products_of_columns(const X& x, std::size_t count, Tile<const typename PanelRow::Value> c, std::size_t column,
                             Tile<Real> sums) {
    constexpr bool apart = std::is_same_v<typename PanelRow::Value, float>;
    PanelRow sum[C];
    Real* to[C];
    for (int k = 0; k < C; ++k) to[k] = sums.row(column + k);
    if constexpr (!apart)
        for (int k = 0; k < C; ++k) sum[k] = PanelRow(to[k]);
    for (std::size_t i = 0; i < count; ++i) {
        const auto* x_i = x(i) + column;
        PanelRow::each(sum, [&]<class P>(P* const(&part)[C], std::size_t at) {
            const P c_i = load_once<P>(c.row(i) + at);
            for (int k = 0; k < C; ++k) *part[k] = fma(broadcast<P>(x_i[k]), c_i, *part[k]);
        });
    }
    if constexpr (apart)
        PanelRow::each(sum, [&]<class P>(P* const(&part)[C], std::size_t at) {
            for (int k = 0; k < C; ++k) add_to(to[k] + at, *part[k]);
        });
    else
        for (int k = 0; k < C; ++k) sum[k].store_to(to[k]);
}

// The same for all columns: as many at once as there are registers for.
template <class PanelRow, class X>
void add_products(const X& x, std::size_t count, Tile<const typename PanelRow::Value> c, std::size_t columns, Tile<Real> sums) {
    constexpr int sums_in_registers = most_packs * 5 / 2;
    constexpr int together = PanelRow::packs * 8 <= sums_in_registers ? 8 : PanelRow::packs * 4 <= sums_in_registers ? 4 : 2;
    std::size_t column = 0;
    for (; column + together <= columns; column += together)
        add_products_of_columns<PanelRow, together>(x, count, c, column, sums);
    for (; column < columns; ++column) add_products_of_columns<PanelRow, 1>(x, count, c, column, sums);
}

#ifdef SECANT_NARROW_PACKS
// The third-order terms of the series for full rows, in float32.
template <class PanelRow>
void add_third_in_single(const FullRows& full, const Coefficients& odd, const PowerTables& tables, Tile<Real> sums) {
    using Last = std::conditional_t<PanelRow::packs % 2 == 0, FloatPack, HalfFloatPack>;
    const auto cubes = fill_power_table(full, tables.single_powers, [](Pack x) { return narrow(x * x * x); });
    const Tile<float> third{tables.single_coefficients, odd.first.stride};
    for (std::size_t i = 0; i < full.count; ++i)
        for (std::size_t j = 0; j < PanelRow::packs * lanes; j += lanes)
            store(third.row(i) + j, narrow(odd.h * odd.h * load(odd.power(1).row(i) + j)));
    add_products<Units<(PanelRow::packs + 1) / 2, Last, FloatPack>>(cubes, full.count, third, full.columns, sums);
}
#endif

// The series for full rows, with the coefficients `odd` of their samples: a product for each power, the highest first.
template <int K, class PanelRow>
void add_series_of_full(const FullRows& full, const Coefficients& odd, [[maybe_unused]] bool third_in_single,
                        const PowerTables& tables, Tile<Real> sums) {
    const auto add_powers_above_1 = [&] {
#ifdef SECANT_NARROW_PACKS
        if constexpr (K == 3)
            if (third_in_single) return add_third_in_single<PanelRow>(full, odd, tables, sums);
#endif
        for (int m = odd_powers<K> - 1; m >= 1; --m) {
            const auto powers = fill_power_table(full, tables.powers, [&](Pack x) { return OddPowers<K>(x, odd.h).of[m]; });
            add_products<PanelRow>(powers, full.count, odd.power(m), full.columns, sums);
        }
    };
    add_powers_above_1();
    add_products<PanelRow>([rows = full.rows](std::size_t i) { return rows[i].values; }, full.count, odd.first, full.columns, sums);
}

// The series for block b of the rows [0, count), without those that `skip` names.
template <int K, class PanelRow>
void add_series_of_block(const Rows& rows, std::size_t b, std::size_t count, const bool* skip, const Coefficients& odd,
                         bool third_in_single, const PowerTables& tables, Tile<Real> sums) {
    RowBlock row[full_rows_at_once];
    std::size_t n = 0;
    while (n < count) {
        if (skip[n]) {
            ++n;
            continue;
        }
        std::size_t full = 0;  // how many from n on are full
        row[0] = rows.block(n, b);
        while (row[full].full && ++full < std::min(full_rows_at_once, count - n) && !skip[n + full])
            row[full] = rows.block(n + full, b);
        if (full >= 2)
            add_series_of_full<K, PanelRow>({row, full, rows.columns(b)}, odd.from(n, 0), third_in_single, tables, sums);
        else
            add_series<K, PanelRow>(row[0], odd, n, sums);
        n += std::max<std::size_t>(full, 1);
    }
}

}  // namespace secant::SECANT_ISA
