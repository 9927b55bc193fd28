// Small functions that all instruction sets share. They are always inlined: else the
// linker keeps one copy of each, and that may be one that only some processors run.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#ifdef _MSC_VER
#define SECANT_INLINE __forceinline
#else
#define SECANT_INLINE [[gnu::always_inline]] inline
#endif

namespace secant {

// n / d, rounded up.
SECANT_INLINE constexpr std::size_t ceil_of(std::size_t n, std::size_t d) {
    return (n + d - 1) / d;
}
// The size of parts of n > 0 things: of at most `most`, as few as possible, of about
// the same size.
SECANT_INLINE constexpr std::size_t even_part(std::size_t n, std::size_t most) {
    return ceil_of(n, ceil_of(n, most));
}

// A number as a template argument: what.template operator()<N>() for the N that it is,
// of First, First + Step, ..., Last. A smaller number is First, a larger one Last.
template <int First, int Last, int Step = 1, class Number, class What>
SECANT_INLINE auto with_number(Number number, const What& what) {
    if constexpr (First < Last)
        if (static_cast<int>(number) > First)
            return with_number<First + Step, Last, Step>(number, what);
    return what.template operator()<First>();
}

// The slot of a value in a hash table with 2^bits slots, not all in use: the one that
// has its number, or a free one. A slot that is not `free` has the number of a value,
// which is an index into `values`.
template <class Value, class Number>
SECANT_INLINE std::size_t slot_of(Value value, const Value* values, const Number* slots,
                                  int bits, Number free) {
    const std::size_t mask = (std::size_t{1} << bits) - 1;
    std::size_t slot = (std::bit_cast<std::uint64_t>(static_cast<double>(value)) *
                        0x9e3779b97f4a7c15u) >>
                       (64 - bits);  // Fibonacci hashing
    while (slots[slot] != free && values[slots[slot]] != value)
        slot = (slot + 1) & mask;
    return slot;
}

}  // namespace secant
