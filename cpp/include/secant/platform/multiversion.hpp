// Which instruction sets the kernels were compiled for, which of them this processor
// can run, and which one is used.
#pragma once

#include <string>
#include <vector>

#if defined(SECANT_HAS_x86_64_v3) || defined(SECANT_HAS_x86_64_v4)
#define SECANT_X86_64
#include <cpuid.h>
#endif

#include "secant/interface/kernels.hpp"
#include "secant/platform/parallel.hpp"

namespace secant {

namespace baseline {
extern const Kernels kernels;
}
namespace baseline_single {
extern const EnginesOf<float> engines;
}
namespace x86_64_v3 {
extern const Kernels kernels;
}
namespace x86_64_v3_single {
extern const EnginesOf<float> engines;
}
namespace x86_64_v4 {
extern const Kernels kernels;
}
namespace x86_64_v4_single {
extern const EnginesOf<float> engines;
}

// What was compiled for one instruction set.
struct Compiled {
    const Kernels* kernels;
    const EnginesOf<float>* single;
};

#ifdef SECANT_X86_64
// Whether the processor and the system support x86-64-v3. clang's
// __builtin_cpu_supports does not know all its features.
inline bool has_v3() {
    __builtin_cpu_init();
    unsigned a, b, basic = 0, extended = 0;
    __get_cpuid(1, &a, &b, &basic, &a);
    __get_cpuid(0x80000001, &a, &b, &extended, &a);
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           (basic & bit_MOVBE) && (basic & bit_F16C) && (extended & bit_LZCNT);
}

inline bool has_v4() {
    return has_v3() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd");
}
#endif

// The kernels that this processor can run, the best first. Once they have been asked
// for, the process may fork.
inline std::vector<Compiled> usable_kernels() {
    end_threads_before_forks();
    std::vector<Compiled> usable;
#ifdef SECANT_HAS_x86_64_v4
    if (has_v4()) usable.push_back({&x86_64_v4::kernels, &x86_64_v4_single::engines});
#endif
#ifdef SECANT_HAS_x86_64_v3
    if (has_v3()) usable.push_back({&x86_64_v3::kernels, &x86_64_v3_single::engines});
#endif
#ifdef SECANT_HAS_baseline
    usable.push_back({&baseline::kernels, &baseline_single::engines});
#endif
    return usable;
}

// The kernels of that name, or the best if it is empty; null if this processor cannot
// run them.
inline Compiled find_kernels(const std::string& name) {
    for (const Compiled& candidate : usable_kernels())
        if (name.empty() || name == candidate.kernels->isa) return candidate;
    return {};
}

}  // namespace secant
