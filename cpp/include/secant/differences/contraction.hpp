// The sums over inputs and over samples. Where whole blocks of rows have no zeros, several rows or columns are taken at once, so
// that what is loaded is used more than once.
#pragma once

#include <array>
#include <utility>

#include "secant/differences/series.hpp"
#include "secant/simd/products.hpp"

namespace secant::SECANT_ISA {

// The kernel that adds a row, for a panel's rows of units.
using AddSeries = void (*)(const RowBlock&, const Coefficients&, std::size_t n, Tile<Real> sums, bool clear);

// sums += the series of a panel's units, of the coefficients of one sample, for each input of a row's block; a row for each. With
// `clear` sums = that: the block must be full.
template <int K, class Row>
void add_series(const RowBlock& row, const Coefficients& odd, std::size_t n, Tile<Real> sums, bool clear) {
    const auto coefficients = [&]<std::size_t... M>(std::index_sequence<M...>) {
        return std::array{Row(odd.power(M).row(n))...};
    }(std::make_index_sequence<odd_powers(K)>());
    const auto [begin, end, values, full] = row;  // copies: the sums that are stored might be these, to the compiler
    const Real h = odd.h;
    for (const Entry* e = begin; e < end; ++e) {
        const OddPowers<K, Real> x(values[e->value], h);  // of packs, clang would multiply what lies beside h, too
        Row::add_terms(sums.row(e->column), x.of, coefficients, clear);
    }
}

// The same block of the rows [first, first + count), all full.
struct FullRows {
    const Real* const* x;
    std::size_t first, count, columns;
};

// A thread's memory for powers of a block of inputs.
struct PowerTables {
    PowerTables(Workspace& work, std::size_t capacity)
        : powers{work.take<Real>(rows_at_once * block_columns), block_columns},
          cubes{work.take<float>(narrow_packs ? capacity * block_columns : 0), block_columns} {}
    Tile<Real> powers;  // of the full rows that are summed over at once
    Tile<float> cubes;  // a row for each sample
};

// Sums to which rows are added one by one. Those of floats are added in double now and then, and begin again (simd/sums.hpp).
class ShortSums {
public:
    // For floats, totals(size,) is memory in double.
    ShortSums(Real* sums, double* totals, std::size_t size) : sums_(sums), totals_(totals), size_(size) {}

    // Before each row: whether the sums begin again.
    bool begin_again() {
        if (!is_single || ++rows_ <= longest_float_sum) return false;
        add_in_double(sums_, totals_, size_, !any_, false);
        any_ = true;
        rows_ = 1;
        return true;
    }

    // The sums of all rows, if any began again. `clear`: whether there are no others; returns whether there are none at all.
    bool finish(bool clear) {
        if (!any_) return clear;
        if (clear) std::fill_n(sums_, size_, Real{0});
        add_in_double(sums_, totals_, size_, false, true);
        return false;
    }

private:
    Real* sums_;
    double* totals_;
    std::size_t size_, rows_ = 0;
    bool any_ = false;
};

// cubes = x^3 in float32, for block b of the rows [0, count), where it is full.
inline void find_cubes(const Rows& rows, std::size_t b, std::size_t count, Tile<float> cubes) {
    for (std::size_t n = 0; n < count; ++n) {
        const RowBlock row = rows.block_alone(n, b);
        for (std::size_t c = 0; c < rows.columns(b) && row.full; c += lanes) {
            const Pack x = load_part(row.values + c, std::min(lanes, rows.columns(b) - c));
            store_in_single(cubes.row(n) + c, x * x * x);
        }
    }
}

// The third-order terms of the series for full rows, in float32, given their cubes.
template <class Full, class Half>
void add_third_in_single(const FullRows& full, const Coefficients& odd, Tile<const float> cubes, const Destination& into) {
    const float* own[rows_at_once];
    for (std::size_t i = 0; i < full.count; ++i) own[i] = cubes.row(full.first + i);
    add_products<Full, Half, 1, float>(own, full.count, odd.single_third, full.columns, into, odd.samples_in_single);
}

// to(columns,) = the odd power m > 0 of x, as in OddPowers.
inline void store_odd_power(int m, const Real* x, std::size_t columns, Real h, Real* to) {
    with_number<1, odd_powers(Limits<Real>::highest_order) - 1>(m, [&]<int M>() {
        for (std::size_t c = 0; c < columns; c += lanes)
            store(to + c, OddPowers<2 * M + 1, Pack>(load_part(x + c, std::min(lanes, columns - c)), h).of[M]);
    });
}

// The powers above 1 of the series for full rows: a product for each, the highest first. Cubes in float32 are in the tables already.
inline void add_higher_powers(int order, const FullRows& full, const Coefficients& odd, const PowerTables& tables, Destination into) {
    if constexpr (narrow_packs)
        if (order == 3 && odd.samples_in_single > 0)
            return add_third_in_single<FloatPack, HalfFloatPack>(full, odd, tables.cubes, into);
    for (int m = odd_powers(order) - 1; m >= 1; --m) {
        const Real* powers[rows_at_once];
        for (std::size_t i = 0; i < full.count; ++i) {
            powers[i] = tables.powers.row(i);
            store_odd_power(m, full.x[i], full.columns, odd.h, tables.powers.row(i));
        }
        add_products<Pack, HalfPack, 1, Real>(powers, full.count, odd.power(m), full.columns, into);
        into.clear = false;
    }
}

// The sums of a panel for one block of inputs, to which the series of rows are added.
class BlockSums {
public:
    // `totals` as for ShortSums.
    BlockSums(const Destination& into, std::size_t columns, double* totals)
        : into_(into), columns_(columns), alone_(into.sums.at, totals, columns * into.sums.stride) {}

    void add_full(int order, const FullRows& full, const Coefficients& odd, const PowerTables& tables) {
        Destination into = into_;
        if (order > 1) {
            add_higher_powers(order, full, odd, tables, {into.sums, into.width, into.clear});
            into.clear = false;
        }
        add_products<Pack, HalfPack, 1, Real>(full.x, full.count, odd.first, full.columns, into);
        into_.clear = false;
    }

    void add_alone(const RowBlock& row, const Coefficients& odd, std::size_t n, AddSeries add_row) {
        into_.clear |= alone_.begin_again();
        if (!row.full) clear_once();
        add_row(row, odd, n, into_.sums, into_.clear);
        into_.clear = false;
    }

    void finish() {
        into_.clear = alone_.finish(into_.clear);
        clear_once();
    }

private:
    // If there are no sums yet, they become 0.
    void clear_once() {
        if (into_.clear) std::fill_n(into_.sums.at, columns_ * into_.sums.stride, Real{0});
        into_.clear = false;
    }

    Destination into_;
    std::size_t columns_;
    ShortSums alone_;
};

// Adds the series for block b of the rows [0, count), without those that `skip` names.
inline void add_series_of_block(int order, const Rows& rows, std::size_t b, std::size_t count, const bool* skip,
                                const Coefficients& odd, const PowerTables& tables, AddSeries add_row, BlockSums sums) {
    const Real* x[rows_at_once];
    for (std::size_t n = 0; n < count;) {
        std::size_t full = 0;  // how many from n on are full
        while (n + full < count && !skip[n + full] && rows.block_alone(n + full, b).full) ++full;
        if (full >= 2) {
            full = even_part(full, rows_at_once);
            for (std::size_t i = 0; i < full; ++i) x[i] = rows.block_alone(n + i, b).values;
            sums.add_full(order, {x, n, full, rows.columns(b)}, odd.from(n, 0), tables);
        } else if (!skip[n]) {
            sums.add_alone(rows.block(n, b), odd, n, add_row);
        }
        n += std::max<std::size_t>(full, 1);
    }
    sums.finish();
}

}  // namespace secant::SECANT_ISA
