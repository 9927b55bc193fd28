// Difference quotients of a function of C, evaluated at shifted points.
#pragma once

#include <algorithm>
#include <atomic>

#include "secant/interface/kernels.hpp"
#include "secant/platform/parallel.hpp"

namespace secant::SECANT_ISA {

// The quotient for x[i], with `point` as memory for a point. It divides by the distance
// of the points as rounding left them, and is 0 where all steps of h round to nothing.
// The arithmetic is that of secant/differentiation/evaluators/evaluation.py, bit for
// bit. base = f(x), for forward differences.
inline double quotient(const DifferenceCall& call, double base, double* point,
                       std::size_t i) noexcept {
    const double value = call.x[i], h = call.h;
    const double above = value + h, below = value - h;
    const auto at = [&](double there) {
        std::copy(call.x, call.x + call.size, point);  // f may write to its argument
        point[i] = there;
        return call.f(point, static_cast<std::intptr_t>(call.size), call.data);
    };
    switch (call.scheme) {
        using enum DifferenceCall::Scheme;
        case central: {
            const double f_above = at(above), f_below = at(below);
            return above == below ? 0.0 : (f_above - f_below) / (above - below);
        }
        case forward: {
            const double f_above = at(above);
            return above == value ? 0.0 : (f_above - base) / (above - value);
        }
        case five_point: {
            const double far_above = value + 2 * h, far_below = value - 2 * h;
            const double f_far_above = at(far_above), f_above = at(above),
                         f_below = at(below), f_far_below = at(far_below);
            if (above == below) return 0.0;
            const double near = (f_above - f_below) / (above - below),
                         far = (f_far_above - f_far_below) / (far_above - far_below);
            return (4 * near - far) / 3;
        }
    }
    return 0.0;
}

// Each thread has memory for a point. A coordinate is a task, taken by whichever thread
// is free, and has an output of its own. The first thread polls `interrupted` between
// tasks.
inline std::size_t difference(const DifferenceCall& call, void* block) noexcept {
    if (!block)
        return static_cast<std::size_t>(call.threads) * call.size * sizeof(double);
    double base = 0;
    if (call.scheme == DifferenceCall::Scheme::forward) {
        std::copy(call.x, call.x + call.size, static_cast<double*>(block));
        base = call.f(static_cast<double*>(block),
                      static_cast<std::intptr_t>(call.size), call.data);
    }
    std::atomic<std::size_t> next{call.begin};
    std::atomic<bool> stopped{false};
    parallel(call.threads, [&](const Team& team) {
        double* point = static_cast<double*>(block) + team.rank * call.size;
        for (std::size_t i = next++;
             i < call.end && !stopped.load(std::memory_order_relaxed); i = next++) {
            call.out[i - call.begin] = quotient(call, base, point, i);
            if (team.rank == 0 && call.interrupted())
                stopped.store(true, std::memory_order_relaxed);
        }
    });
    return 0;
}

}  // namespace secant::SECANT_ISA
