// Products of matrices, in tiles of sums that stay in registers: a few rows by a few
// packs of units. What is loaded is used for all rows, or all packs, of a tile. However
// a product is cut into tiles, the terms of a sum have the same order.
#pragma once

#include <algorithm>
#include <type_traits>

#include "secant/simd/sums.hpp"
#include "secant/simd/units.hpp"

namespace secant::SECANT_ISA {

// As many sums as there are registers for, in addition to a row of units and a factor.
constexpr std::size_t tile_rows = registers == 32 ? 8 : 4,
                      tile_packs = registers == 32 || fused ? 3 : 2;
constexpr std::size_t tile_lanes =
    std::min(tile_rows, lanes);  // rows, where they are the samples of one pack

// How many rows of x are summed over at once in x^T units, at most: then the units of a
// tile stay in the L1 cache.
constexpr std::size_t rows_at_once = 112;
static_assert(rows_at_once <= longest_float_sum);

// The factors of term k of a product, one for each row of a tile. The terms follow
// along the rows of a matrix,
template <class Value>
struct AlongRows {
    const Value* const* rows;
    Value operator()(std::size_t k, std::size_t r) const { return rows[r][k]; }
};
// or each is a row of it, `step` apart: the rows of the tile are its columns from
// `column` on, and what follows is brought to the cache for the next tile,
template <class Value, std::size_t step>
struct AlongColumns {
    const Value* const* rows;
    std::size_t column;
    Value operator()(std::size_t k, std::size_t r) const {
        const Value* from = rows[k] + column * step;
        if (step == 1 && r == 0) prefetch(from + 64 / sizeof(Value));
        return from[r * step];
    }
};
// or side by side.
template <class Value>
struct SideBySide {
    Tile<const Value> tile;
    Value operator()(std::size_t k, std::size_t r) const { return tile.row(k)[r]; }
};

// The other terms are a row of a tile; or, where lanes run over columns, a part of a
// row of a matrix, from `column` on.
template <class Value>
struct SomeColumns {
    const Value* const* rows;
    std::size_t column;
    const Value* row(std::size_t k) const { return rows[k] + column; }
};

// to[r] += sum over k < count of factor(k, r) * terms.row(k), for R rows, count > 0; or
// = that, with `clear`. With `Apart` the sums begin with zero, and are added then: that
// loses less.
template <class Row, std::size_t R, bool Apart, class Factor, class Terms>
[[gnu::noinline]] void add_tile_of(const Factor factor, std::size_t count,
                                   const Terms terms, Real* const* to, bool clear) {
    Row sum[R];
    if constexpr (!Apart)
        if (!clear)
#pragma GCC unroll 8
            for (std::size_t r = 0; r < R; ++r) sum[r] = Row(to[r]);
    std::size_t k = 0;
    do {  // a loop that could end before its first term would copy all sums
        const Row row = Row::once(terms.row(k));
#pragma GCC unroll 8
        for (std::size_t r = 0; r < R; ++r) sum[r].add(factor(k, r), row);
    } while (++k < count);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < R; ++r) sum[r].put(to[r], Apart && !clear);
}

// How many of `width` units are in the last pack, if they fit in half of it, else 0.
template <class Full, class Half>
constexpr std::size_t units_in_half(std::size_t width) {
    const std::size_t last = width % lanes_of<Full>;
    return lanes_of<Half> < lanes_of<Full> && last <= lanes_of<Half> ? last : 0;
}

// The units of a tile: `packs` packs of a row, from unit `at` on. The last pack may be
// a half.
template <class Full, class Half>
struct Strip {
    std::size_t at, packs;
    bool half;

    std::size_t width() const {
        return packs * lanes_of<Full>;
    }  // with what pads the last pack
};

// add_tile_of for a strip.
template <std::size_t R, bool Apart, class Full, class Half, class Factor, class Terms>
void add_tile(const Strip<Full, Half>& strip, const Factor& factor, std::size_t count,
              const Terms& terms, Real* const* to, bool clear = false) {
    with_number<1, tile_packs>(strip.packs, [&]<int P>() {
        strip.half ? add_tile_of<Units<P, Half, Full>, R, Apart>(factor, count, terms,
                                                                 to, clear)
                   : add_tile_of<Units<P, Full, Full>, R, Apart>(factor, count, terms,
                                                                 to, clear);
    });
}

// what(strip) for each strip of a row of `width` units.
template <class Full, class Half, class What>
void for_strips(std::size_t width, const What& what) {
    const bool ends_in_half = units_in_half<Full, Half>(width) > 0;
    Strip<Full, Half> strip{};
    for (std::size_t left = ceil_of(width, lanes_of<Full>); left > 0;
         strip.at += strip.width()) {
        strip.packs = even_part(left, tile_packs);
        left -= strip.packs;
        strip.half = ends_in_half && left == 0;
        what(strip);
    }
}

// sums += x units, for the `count` rows of x: a row of `width` units for each of its
// `columns`. A tile has tile_rows, a half, a quarter or an eighth of it: the largest
// that is more than half full.
template <class Full, class Half>
void add_rows(const Real* const* x, std::size_t count, std::size_t columns,
              Tile<const Real> units, Tile<Real> sums, std::size_t width) {
    for_strips<Full, Half>(width, [&](const auto& strip) {
        std::size_t n = 0;
        const auto add = [&]<std::size_t R>() {
            for (; n + R / 2 < count; n += R) {
                const Real* from[R];
                Real* to[R];
                for (std::size_t r = 0; r < R; ++r) {
                    const std::size_t row = std::min(
                        n + r, count - 1);  // past the end the last row is repeated
                    from[r] = x[row];
                    to[r] = sums.row(row) + strip.at;
                }
                add_tile<R, false>(strip, AlongRows<Real>{from}, columns,
                                   units.from(0, strip.at), to);
            }
        };
        add.template operator()<tile_rows>();
        add.template operator()<tile_rows / 2>();
        add.template operator()<tile_rows / 4>();
        if constexpr (tile_rows == 8) add.template operator()<1>();
    });
}

// Where products go: a row of `width` sums for each column. With `clear` there are none
// yet. Where these will be written to, `later`, is brought to the L2 cache meanwhile,
// if it is not null.
struct Destination {
    Tile<Real> sums;
    std::size_t width;
    bool clear;
    Tile<const Real> later = {nullptr, 0};
};

// How many of `width` units are left over by whole tiles: few, for which lanes that run
// over columns waste less.
template <class Full, class Half>
std::size_t leftover_units(std::size_t width) {
    return width <= tile_rows ? width : units_in_half<Full, Half>(width);
}

// add_products for the units before `end` of the columns [begin, column_end). Each sum
// is of `part` rows.
template <class Full, class Half, std::size_t step, class Value>
void add_whole_tiles(const Value* const* x, std::size_t count, Tile<const Value> units,
                     std::size_t begin, std::size_t column_end, const Destination& into,
                     std::size_t end, std::size_t part) {
    for_strips<Full, Half>(end, [&](const auto& strip) {
        const auto add_columns = [&]<std::size_t R>(std::size_t column) {
            Real* to[R];
            for (std::size_t r = 0; r < R; ++r) {
                to[r] = into.sums.row(column + r) + strip.at;
                if (into.later.at)
                    prefetch_later(into.later.row(column + r) + strip.at,
                                   strip.width());
            }
            for (std::size_t n = 0; n < count; n += part)
                add_tile<R, std::is_same_v<Value, float>>(
                    strip, AlongColumns<Value, step>{x + n, column},
                    std::min(part, count - n), units.from(n, strip.at), to,
                    into.clear && n == 0);
        };
        std::size_t column = begin;
        for (; column + tile_rows <= column_end; column += tile_rows)
            add_columns.template operator()<tile_rows>(column);
        for (; column < column_end; ++column)
            add_columns.template operator()<1>(column);
    });
}

// The same for a few units, from `first` on, and whole packs of columns: lanes run over
// the columns. What pads a row of units may be read, up to `at_once` units, and is left
// out.
template <class Full, std::size_t at_once, class Value>
void add_leftover_units(const Value* const* x, std::size_t count,
                        Tile<const Value> units, std::size_t columns,
                        const Destination& into, std::size_t first, std::size_t part) {
    for_strips<Full, Full>(columns, [&](const auto& strip) {
        for (std::size_t u = first; u < into.width; u += at_once) {
            const Tile<Real> own = into.sums.from(strip.at, u);
            const std::size_t some = std::min(at_once, into.width - u);
            Real transposed[at_once][tile_packs * lanes_of<Full>] = {};
            for (std::size_t r = 0; r < some && !into.clear; ++r)
                for (std::size_t c = 0; c < strip.width(); ++c)
                    transposed[r][c] = own.row(c)[r];
            Real* to[at_once];
            for (std::size_t r = 0; r < at_once; ++r) to[r] = transposed[r];
            for (std::size_t n = 0; n < count; n += part)
                add_tile<at_once, std::is_same_v<Value, float>>(
                    strip, SideBySide<Value>{units.from(n, u)},
                    std::min(part, count - n), SomeColumns<Value>{x + n, strip.at}, to,
                    into.clear && n == 0);
            for (std::size_t r = 0; r < some; ++r)
                for (std::size_t c = 0; c < strip.width(); ++c)
                    own.row(c)[r] = transposed[r][c];
        }
    });
}

// into.sums += x^T units, for all columns of x, `step` apart, with a row of units for
// each of its `count` > 0 rows. Floats are summed over at most `most_floats` rows, and
// each such sum is then added: short sums round off less.
template <class Full, class Half, std::size_t step, class Value>
void add_products(const Value* const* x, std::size_t count, Tile<const Value> units,
                  std::size_t columns, const Destination& into,
                  std::size_t most_floats = 50) {
    const std::size_t part =
        std::is_same_v<Value, float> ? even_part(count, most_floats) : count;
    std::size_t whole = 0;  // columns whose leftover units are done
    if constexpr (step == 1 && lanes_of<Half> > 2)
        if (const std::size_t few = leftover_units<Full, Half>(into.width)) {
            static_assert(
                lanes_of<Half> == lanes_of<Full> || lanes_of<Full> % tile_rows == 0,
                "packs of columns end with a tile");
            whole = columns / lanes_of<Full> * lanes_of<Full>;
            add_whole_tiles<Full, Half, step>(x, count, units, 0, whole, into,
                                              into.width - few, part);
            const auto add_few = few > 4   ? add_leftover_units<Full, tile_rows, Value>
                                 : few > 2 ? add_leftover_units<Full, 4, Value>
                                           : add_leftover_units<Full, 2, Value>;
            add_few(x, count, units, whole, into, into.width - few, part);
        }
    add_whole_tiles<Full, Half, step>(x, count, units, whole, columns, into, into.width,
                                      part);
}

}  // namespace secant::SECANT_ISA
