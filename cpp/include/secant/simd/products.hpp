// Products of matrices, in tiles of sums that stay in registers: a few rows by a few packs of units. What is loaded is used for
// all rows, or all packs, of a tile. However a product is cut into tiles, the terms of a sum have the same order.
#pragma once

#include <algorithm>
#include <type_traits>

#include "secant/simd/units.hpp"

namespace secant::SECANT_ISA {

// As many sums as there are registers for, beside a row of units and a factor.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr std::size_t tile_rows = 8, tile_packs = 3;  // of 32
#else
constexpr std::size_t tile_rows = 4, tile_packs = fused ? 3 : 2;  // of 16
#endif
constexpr std::size_t tile_lanes = std::min(tile_rows, lanes);  // rows, where they are the samples of one pack

// The factors of term k of a product, one for each row of a tile. The terms follow along the rows of a matrix,
template <class Value>
struct AlongRows {
    const Value* const* rows;
    Value operator()(std::size_t k, std::size_t r) const { return rows[r][k]; }
};
// or each is a row of it, `step` apart: the rows of the tile are its columns from `column` on,
template <class Value, std::size_t step>
struct AlongColumns {
    const Value* const* rows;
    std::size_t column;
    Value operator()(std::size_t k, std::size_t r) const { return rows[k][(column + r) * step]; }
};
// or a pack of samples.
struct OfLanes {
    const Real* packs;
    Real operator()(std::size_t k, std::size_t r) const { return packs[k * lanes + r]; }
};

// to[r] += sum over k < count of factor(k, r) * units.row(k), for R rows; or = that, with `clear`. With `Apart` the sums begin with
// zero, and are added then: that loses less.
template <class Row, std::size_t R, bool Apart, class Factor>
[[gnu::noinline]] void add_tile(const Factor factor, std::size_t count, Tile<const typename Row::Value> units, Real* const* to,
                                [[maybe_unused]] bool clear = false) {
    Row sum[R];
    if constexpr (!Apart)
        if (!clear)
#pragma GCC unroll 8
            for (std::size_t r = 0; r < R; ++r) sum[r] = Row(to[r]);
    for (std::size_t k = 0; k < count; ++k) {
        const Row terms = Row::once(units.row(k));
#pragma GCC unroll 8
        for (std::size_t r = 0; r < R; ++r) sum[r].add(factor(k, r), terms);
    }
    if constexpr (std::is_same_v<typename Row::Value, Real>)
        if (!Apart || clear) {
#pragma GCC unroll 8
            for (std::size_t r = 0; r < R; ++r) sum[r].store_to(to[r]);
            return;
        }
    if constexpr (Apart)
#pragma GCC unroll 8
        for (std::size_t r = 0; r < R; ++r) sum[r].add_to(to[r]);
}

// The width of a row of units: so many packs, of which the last may be half a pack.
struct Width {
    std::size_t packs;
    bool half;
};

// what.template operator()<Row>(position) for each tile of a row.
template <class Full, class Half, class What>
void for_tiles(const Width width, const What& what) {
    constexpr std::size_t step = sizeof(Full) / sizeof(Element<Full>);
    const auto call = [&]<int P>(std::size_t at, bool ends_in_half) {
        if constexpr (P <= tile_packs)
            ends_in_half ? what.template operator()<Units<P, Half, Full>>(at) : what.template operator()<Units<P, Full, Full>>(at);
    };
    std::size_t left = width.packs, at = 0;
    while (left > 0) {
        const std::size_t packs = even_part(left, tile_packs);
        left -= packs;
        const bool half = width.half && left == 0;
        switch (packs) {
            case 1: call.template operator()<1>(at, half); break;
            case 2: call.template operator()<2>(at, half); break;
            default: call.template operator()<3>(at, half);
        }
        at += packs * step;
    }
}

// sums(n) += x(n) units, for the rows [begin, end) of x and of sums, which begin at x(n) and sums(n): a row of units for each of
// `columns`.
template <class Full, class Half, class X, class Sums>
void add_rows(const X& x, std::size_t begin, std::size_t end, std::size_t columns, Tile<const Element<Full>> units, const Sums& sums,
              Width width) {
    for_tiles<Full, Half>(width, [&]<class Row>(std::size_t j) {
        for (std::size_t n = begin; n < end; n += tile_rows) {
            const Element<Full>* from[tile_rows];
            Element<Full>* to[tile_rows];
            for (std::size_t r = 0; r < tile_rows; ++r) {
                const std::size_t row = std::min(n + r, end - 1);  // past the end the last row is repeated
                from[r] = x(row);
                to[r] = sums(row) + j;
            }
            add_tile<Row, tile_rows, false>(AlongRows<Element<Full>>{from}, columns, units.from(0, j), to);
        }
    });
}

// sums += x^T units, for all columns of x, `step` apart, with a row of units for each of its `count` > 0 rows; or = that, with
// `clear`. Floats are summed over at most `most_floats` rows, and each such sum is then added: short sums round off less.
template <class Full, class Half, std::size_t step, class Value>
void add_products(const Value* const* x, std::size_t count, Tile<const Value> units, std::size_t columns, Tile<Real> sums, Width width,
                  bool clear, std::size_t most_floats = 25) {
    constexpr bool apart = std::is_same_v<Value, float>;
    const std::size_t part = apart ? even_part(count, most_floats) : count;
    const auto add = [&]<std::size_t R>(std::size_t column) {
        for_tiles<Full, Half>(width, [&]<class Row>(std::size_t j) {
            Real* to[R];
            for (std::size_t r = 0; r < R; ++r) to[r] = sums.row(column + r) + j;
            for (std::size_t n = 0; n < count; n += part)
                add_tile<Row, R, apart>(AlongColumns<Value, step>{x + n, column}, std::min(part, count - n), units.from(n, j), to,
                                        clear && n == 0);
        });
    };
    std::size_t column = 0;
    for (; column + tile_rows <= columns; column += tile_rows) add.template operator()<tile_rows>(column);
    for (; column < columns; ++column) add.template operator()<1>(column);
}

}  // namespace secant::SECANT_ISA
