// The cross entropy of outputs y(N,O) and targets.
#pragma once

#include <algorithm>
#include <numbers>

#include "secant/simd/elementary.hpp"
#include "secant/simd/sums.hpp"
#include "secant/platform/parallel.hpp"
#include "secant/interface/kernels.hpp"

namespace secant::SECANT_ISA {

// t log(y + log_offset); NaN where t or y is negative or NaN. 0 where t is 0, also if y
// and log_offset are.
inline Pack log_terms(Pack t, Pack y, Real log_offset) {
    constexpr Real smallest =
        std::numeric_limits<Real>::min();  // for which `log` is right
    const Pack nan = broadcast(std::numeric_limits<Real>::quiet_NaN());
    const Pack weight = select(t >= 0, t, nan),
               sum = select(y >= 0, y, nan) + log_offset;
    if (log_offset >= smallest) return weight * log(sum);
    const Pack none = broadcast(-std::numeric_limits<Real>::infinity());
    const Pack some = select(
        sum < smallest,
        log(sum * Real{0x1p60}) - static_cast<Real>(60 * std::numbers::ln2), log(sum));
    return select(t == 0, zero_or_nan(sum), weight * select(sum == 0, none, some));
}

#ifndef SECANT_SINGLE  // those that come from outside are double

// sum over n and k of t log(y + log_offset), for the samples from `first` on: packs of
// terms are added in blocks (simd/sums.hpp).
inline double log_sum(ConstMatrix y, const Targets& t, double log_offset,
                      std::size_t first, std::size_t samples) {
    constexpr std::size_t packs_in_a_block = 128;
    const std::size_t size = t.labels ? samples : samples * y.cols;
    const double* y_first = y.row(first);
    const auto terms = [&](std::size_t i) {
        const std::size_t count = std::min(lanes, size - i);
        if (!t.labels)
            return log_terms(load_part(t.weights + first * y.cols + i, count),
                             load_part(y_first + i, count), log_offset);
        double weights[lanes] = {}, named[lanes] = {};
        for (std::size_t l = 0; l < count; ++l) {
            weights[l] = 1.0;
            named[l] = y_first[(i + l) * y.cols +
                               static_cast<std::size_t>(t.labels[first + i + l])];
        }
        return log_terms(load(weights), load(named), log_offset);
    };
    Pack sum{}, lost{};
    for (std::size_t begin = 0, end; begin < size; begin = end) {
        end = std::min(size, begin + packs_in_a_block * lanes);
        Pack of_block{};
        for (std::size_t i = begin; i < end; i += lanes) of_block += terms(i);
        add_compensated(sum, lost, of_block);
    }
    return lane_sum(sum);
}

// -sum over n and k of t log(y + log_offset) / N, for y(N,O). NaN if a t or y is
// negative or NaN.
inline double cross_entropy(ConstMatrix y, const Targets& t, double log_offset,
                            int threads) noexcept {
    constexpr std::size_t samples_a_task = 1024, tasks_a_round = 64;
    double sums[tasks_a_round];
    SumOfBlocks total;
    for (std::size_t first = 0; first < y.rows;
         first += samples_a_task * tasks_a_round) {
        const std::size_t samples =
            std::min(y.rows - first, samples_a_task * tasks_a_round);
        const std::size_t tasks = ceil_of(samples, samples_a_task);
        parallel_for(tasks, threads, [&](std::size_t task) {
            const std::size_t begin = task * samples_a_task;
            sums[task] = log_sum(y, t, log_offset, first + begin,
                                 std::min(samples_a_task, samples - begin));
        });
        for (std::size_t task = 0; task < tasks; ++task) total.add(sums[task]);
    }
    return -total.value / static_cast<double>(y.rows);
}

#endif

}  // namespace secant::SECANT_ISA
