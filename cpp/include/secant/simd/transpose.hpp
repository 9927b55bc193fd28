// Squares of numbers, a pack for each row.
#pragma once

#include <algorithm>
#include <utility>

#include "secant/simd/units.hpp"

namespace secant::SECANT_ISA {

// Two rows that are so far apart exchange what lies beside the diagonal of their
// square.
template <std::size_t distance, std::size_t... L>
void exchange(Pack& upper, Pack& lower, std::index_sequence<L...>) {
    const Pack a = upper, b = lower;
    upper = shuffled<(L & distance ? lanes + L - distance : L)...>(a, b);
    lower = shuffled<(L & distance ? lanes + L : L + distance)...>(a, b);
}

// Rows become columns: squares of half the size change places, then those within them
// (Eklundh, 1972).
template <std::size_t distance = lanes / 2>
SECANT_INLINE void transpose(Pack (&square)[lanes]) {
#pragma GCC unroll 16
    for (std::size_t r = 0; r < lanes && distance > 0; ++r)
        if (!(r & distance))
            exchange<distance>(square[r], square[r + distance],
                               std::make_index_sequence<lanes>());
    if constexpr (distance > 1) transpose<distance / 2>(square);
}

// put(c, column) for each column c < `columns`: a pack of the first `lanes` rows, of
// which those from `rows` on are zeros. Rows are read in whole packs.
template <class Put>
void for_columns(Tile<const Real> from, std::size_t rows, std::size_t columns,
                 const Put& put) {
    constexpr Real zeros[lanes] = {};
    for (std::size_t first = 0; first < columns; first += lanes) {
        Pack square[lanes];
        for (std::size_t r = 0; r < lanes; ++r)
            square[r] = load(r < rows ? from.row(r) + first : zeros);
        transpose(square);
        for (std::size_t c = 0; c < std::min(lanes, columns - first); ++c)
            put(first + c, square[c]);
    }
}

}  // namespace secant::SECANT_ISA
