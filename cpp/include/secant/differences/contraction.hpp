// The sums over inputs and over samples. Where whole blocks of rows have no zeros,
// several rows or columns are taken at once, so that what is loaded is used more than
// once.
#pragma once

#include <array>
#include <utility>

#include "secant/differences/series.hpp"
#include "secant/simd/products.hpp"

namespace secant::SECANT_ISA {

// The kernel that adds a row, for a panel's rows of units.
using AddSeries = void (*)(const RowBlock&, const Coefficients&, std::size_t n,
                           Tile<Real> sums, bool clear);

// sums += the series of a panel's units, of the coefficients of one sample, for each
// input of a row's block; a row for each. With `clear` sums = that: the block must be
// full.
template <int K, class Row>
void add_series(const RowBlock& row, const Coefficients& odd, std::size_t n,
                Tile<Real> sums, bool clear) {
    const auto coefficients = [&]<std::size_t... M>(std::index_sequence<M...>) {
        return std::array{Row(odd.power(M).row(n))...};
    }(std::make_index_sequence<odd_powers(K)>());
    const auto [begin, end, values, full] =
        row;  // copies: the sums that are stored might be these, to the compiler
    const Real h = odd.h;
    for (const Entry* e = begin; e < end; ++e) {
        const OddPowers<K, Real> x(
            values[e->value],
            h);  // of packs, clang would multiply what lies beside h, too
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
          cubes{work.take<float>(narrow_packs ? capacity * block_columns : 0),
                block_columns} {}
    Tile<Real> powers;  // of the full rows that are summed over at once
    Tile<float> cubes;  // a row for each sample
};

// Sums in rows of a tile: none yet, while it is empty. Where rows of floats are added
// one by one, their sums are flushed to doubles now and then (simd/sums.hpp).
class Accumulator {
public:
    // For floats, totals(rows * sums.stride,) is memory in double.
    Accumulator(Tile<Real> tile, std::size_t rows, bool empty, double* totals)
        : sums(tile), totals_(totals), size_(rows * tile.stride), empty_(empty) {}

    // For who writes to `sums`: whether to store, since it is empty, or to add. It is
    // not empty then.
    bool stores() { return std::exchange(empty_, false); }
    void clear() {
        if (stores()) std::fill_n(sums.at, size_, Real{0});
    }

    // Before a row is added by itself.
    void flush_if_full() {
        if (!is_single || ++rows_ <= longest_float_sum) return;
        add_in_double(sums.at, totals_, size_, !flushed_, false);
        empty_ = flushed_ = true;
        rows_ = 1;
    }

    // When all rows are added.
    void finish() {
        clear();
        if (flushed_) add_in_double(sums.at, totals_, size_, false, true);
    }

    const Tile<Real> sums;

private:
    double* totals_;
    std::size_t size_, rows_ = 0;
    bool empty_, flushed_ = false;
};

// cubes = x^3 in float32, for block b of the rows [0, count), where it is full.
inline void find_cubes(const Rows& rows, std::size_t b, std::size_t count,
                       Tile<float> cubes) {
    for (std::size_t n = 0; n < count; ++n) {
        const RowBlock row = rows.block_alone(n, b);
        for (std::size_t c = 0; c < rows.columns(b) && row.full; c += lanes) {
            const Pack x =
                load_part(row.values + c, std::min(lanes, rows.columns(b) - c));
            store_in_single(cubes.row(n) + c, x * x * x);
        }
    }
}

// The third-order terms of the series for full rows, in float32, given their cubes.
template <class Full, class Half>
void add_third_in_single(const FullRows& full, const Coefficients& odd,
                         Tile<const float> cubes, const Destination& into) {
    const float* own[rows_at_once];
    for (std::size_t i = 0; i < full.count; ++i) own[i] = cubes.row(full.first + i);
    add_products<Full, Half, 1, float>(own, full.count, odd.single_third, full.columns,
                                       into, odd.samples_in_single);
}

// to(columns,) = the odd power m > 0 of x, as in OddPowers.
inline void store_odd_power(int m, const Real* x, std::size_t columns, Real h,
                            Real* to) {
    with_number<1, odd_powers(Limits<Real>::highest_order) - 1>(m, [&]<int M>() {
        for (std::size_t c = 0; c < columns; c += lanes)
            store(to + c, OddPowers<2 * M + 1, Pack>(
                              load_part(x + c, std::min(lanes, columns - c)), h)
                              .of[M]);
    });
}

// Adds the series of full rows: a product for each power, the highest first. Cubes in
// float32 are in the tables already. `later`: see Destination.
inline void add_full_rows(int order, const FullRows& full, const Coefficients& odd,
                          const PowerTables& tables, std::size_t width,
                          Tile<const Real> later, Accumulator& into) {
    const bool single = narrow_packs && order == 3 && odd.samples_in_single > 0;
    if constexpr (narrow_packs)
        if (single)
            add_third_in_single<FloatPack, HalfFloatPack>(
                full, odd, tables.cubes, {into.sums, width, into.stores()});
    for (int m = odd_powers(order) - 1; m >= 1 && !single; --m) {
        const Real* powers[rows_at_once];
        for (std::size_t i = 0; i < full.count; ++i) {
            powers[i] = tables.powers.row(i);
            store_odd_power(m, full.x[i], full.columns, odd.h, tables.powers.row(i));
        }
        add_products<Pack, HalfPack, 1, Real>(powers, full.count, odd.power(m),
                                              full.columns,
                                              {into.sums, width, into.stores()});
    }
    add_products<Pack, HalfPack, 1, Real>(full.x, full.count, odd.first, full.columns,
                                          {into.sums, width, into.stores(), later});
}

// Adds the series for block b of the rows [0, count), without those that `skip` names.
inline void add_series_of_block(int order, const Rows& rows, std::size_t b,
                                std::size_t count, const bool* skip,
                                const Coefficients& odd, const PowerTables& tables,
                                AddSeries add_row, std::size_t width,
                                Tile<const Real> later, Accumulator into) {
    rows.for_runs(
        b, 0, count, skip, [&](std::size_t n, std::size_t end, const Real* const* x) {
            if (x)
                return add_full_rows(order, {x, n, end - n, rows.columns(b)},
                                     odd.from(n, 0), tables, width, later, into);
            for (; n < end; ++n) {
                const RowBlock row = rows.block(n, b);
                into.flush_if_full();
                if (!row.full) into.clear();
                add_row(row, odd, n, into.sums, into.stores());
            }
        });
    into.finish();
}

}  // namespace secant::SECANT_ISA
