// What the smallest functions need. Functions that several instruction sets share are inlined by force, else the linker might
// keep the one copy of them that only some processors run.
#pragma once

#include <cstddef>

#ifdef _MSC_VER
#define SECANT_INLINE __forceinline
#else
#define SECANT_INLINE [[gnu::always_inline]] inline
#endif

namespace secant {

// n / d, rounded up.
SECANT_INLINE constexpr std::size_t ceil_of(std::size_t n, std::size_t d) { return (n + d - 1) / d; }

}  // namespace secant
