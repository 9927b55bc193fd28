// Difference quotients of a function of C, evaluated at shifted points.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>

#include "secant/interface/kernels.hpp"
#include "secant/platform/parallel.hpp"

namespace secant::SECANT_ISA {

// The quotient for x[i]; x(n,) is as before when it returns. The arithmetic is that of
// secant/differentiation/evaluators/evaluation.py, bit for bit. base = f(x), for forward differences.
inline double quotient(const DifferenceCall& call, double base, double* x, std::size_t i) noexcept {
    const double value = x[i], h = call.h;
    const auto at = [&](double shift) {
        const double there = value + shift;
        x[i] = there;
        const double result = call.f(x, static_cast<std::intptr_t>(call.size), call.data);
        if (std::memcmp(x + i, &there, sizeof there) != 0) call.changed->store(true, std::memory_order_relaxed);
        return result;
    };
    double result = 0;
    switch (call.scheme) {
        using enum DifferenceCall::Scheme;
        case central: {
            const double above = at(h), below = at(-h);
            result = (above - below) / (2 * h);
            break;
        }
        case forward: result = (at(h) - base) / h; break;
        case five_point: {
            const double far_above = at(2 * h), above = at(h), below = at(-h), far_below = at(-2 * h);
            result = (8 * (above - below) - (far_above - far_below)) / (12 * h);
            break;
        }
    }
    x[i] = value;
    return result;
}

// Each thread has a copy of x. A coordinate is a task, taken by whichever thread is free, and has an output of its own. The
// first thread polls `interrupted` between tasks.
inline std::size_t difference(const DifferenceCall& call, void* block) noexcept {
    if (!block) return static_cast<std::size_t>(call.threads) * call.size * sizeof(double);
    double base = 0;
    if (call.scheme == DifferenceCall::Scheme::forward) {
        std::copy(call.x, call.x + call.size, static_cast<double*>(block));  // f may be wrong about const
        base = call.f(static_cast<double*>(block), static_cast<std::intptr_t>(call.size), call.data);
    }
    std::atomic<std::size_t> next{call.begin};
    std::atomic<bool> stopped{false};
    parallel(call.threads, [&](const Team& team) {
        double* x = static_cast<double*>(block) + team.rank * call.size;
        std::copy(call.x, call.x + call.size, x);
        for (std::size_t i = next++; i < call.end && !stopped.load(std::memory_order_relaxed); i = next++) {
            call.out[i - call.begin] = quotient(call, base, x, i);
            if (team.rank == 0 && call.interrupted()) stopped.store(true, std::memory_order_relaxed);
        }
        if (std::memcmp(x, call.x, call.size * sizeof *x) != 0) call.changed->store(true, std::memory_order_relaxed);
    });
    return 0;
}

}  // namespace secant::SECANT_ISA
