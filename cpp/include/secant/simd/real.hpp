// The type of the numbers that the kernels compute with. They are compiled for double,
// and with SECANT_SINGLE for float, in a namespace of their own.
#pragma once

#include <cstdint>
#include <type_traits>

namespace secant::SECANT_ISA {

#ifdef SECANT_SINGLE
using Real = float;
using RealBits = std::uint32_t;
#else
using Real = double;
using RealBits = std::uint64_t;
#endif
constexpr bool is_single = std::is_same_v<Real, float>;

}  // namespace secant::SECANT_ISA
