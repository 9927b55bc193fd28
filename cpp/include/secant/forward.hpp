// The forward pass, one sample at a time: pre-activations, sigmoid, softmax, cross entropy.
#pragma once

#include <algorithm>

#include "elementary.hpp"
#include "parallel.hpp"
#include "views.hpp"
#include "workspace.hpp"

namespace secant::SECANT_ISA {

// The entries of one sample that are not zero, by rising column.
struct Row {
    const std::uint32_t* columns;
    const double* values;
    std::size_t size;
};

template <class X>
std::size_t find_nonzeros(const X* x, std::size_t size, std::uint32_t* columns, double* values) {
    std::size_t count = 0, i = 0;
    for (; i + lanes <= size; i += lanes)
        count += append_nonzeros(widen(x + i), static_cast<std::uint32_t>(i), columns + count, values + count);
    if (i == size) return count;
    X rest[lanes] = {};
    std::copy(x + i, x + size, rest);
    return count + append_nonzeros(widen(rest), static_cast<std::uint32_t>(i), columns + count, values + count);
}

// How many entries there must be room for: all of a row, the bias that others append, and a pack written behind.
inline std::size_t entry_room(std::size_t inputs) { return inputs + 1 + lanes; }

inline std::size_t find_nonzeros(const Inputs& x, std::size_t n, std::uint32_t* columns, double* values) {
    const auto find = [&](const auto* data) { return find_nonzeros(data + n * x.cols, x.cols, columns, values); };
    switch (x.type) {
        case Inputs::Type::uint8: return find(static_cast<const std::uint8_t*>(x.data));
        case Inputs::Type::float32: return find(static_cast<const float*>(x.data));
        default: return find(static_cast<const double*>(x.data));
    }
}

// P packs of outputs from column j on, summed in registers.
template <int P>
void affine_packs(const Row& row, ConstMatrix w, const double* b, std::size_t j, double* out) {
    Pack sum[P];
    for (std::size_t p = 0; p < P; ++p) sum[p] = load_part(b + j + p * lanes, std::min(lanes, w.cols - j - p * lanes));
    // The last pack of a row may run into the next one: those lanes are never used. At the end of w it must not.
    std::size_t e = 0, inside = row.size;
    const std::size_t end = w.rows * w.cols;
    while (inside > 0 && row.columns[inside - 1] * w.cols + j + P * lanes > end) --inside;
    for (; e < inside; ++e) {
        const double* w_i = w.row(row.columns[e]) + j;
        for (std::size_t p = 0; p < P; ++p) sum[p] += row.values[e] * load(w_i + p * lanes);
    }
    for (; e < row.size; ++e) {
        const double* w_i = w.row(row.columns[e]) + j;
        for (std::size_t p = 0; p < P; ++p)
            sum[p] += row.values[e] * load_part(w_i + p * lanes, std::min(lanes, w.cols - j - p * lanes));
    }
    for (std::size_t p = 0; p < P; ++p) store(out + j + p * lanes, sum[p]);
}

// out = x_n w + b; out has room for pad(w.cols).  |error| <= (I + 1) eps (|x_n| |w| + |b|)
inline void affine(const Row& row, ConstMatrix w, const double* b, double* out) {
    for (std::size_t j = 0; j < w.cols; j += 8 * lanes) {
        switch (std::min<std::size_t>(8, pad(w.cols - j) / lanes)) {
            case 1: affine_packs<1>(row, w, b, j, out); break;
            case 2: affine_packs<2>(row, w, b, j, out); break;
            case 3: affine_packs<3>(row, w, b, j, out); break;
            case 4: affine_packs<4>(row, w, b, j, out); break;
            case 5: affine_packs<5>(row, w, b, j, out); break;
            case 6: affine_packs<6>(row, w, b, j, out); break;
            case 7: affine_packs<7>(row, w, b, j, out); break;
            default: affine_packs<8>(row, w, b, j, out); break;
        }
    }
}

// The sum of packs with what each addition rounded off kept beside it (two-sum).
class CompensatedSum {
public:
    void add(Pack x) {
        const Pack next = sum_ + x;
        const Pack part = next - sum_;
        lost_ += (sum_ - (next - part)) + (x - part);
        sum_ = next;
    }
    Pack lane_totals() const { return sum_ + lost_; }
    double total() const {
        double sum = 0.0, lost = 0.0;
        for (std::size_t i = 0; i < lanes; ++i) {
            const double x = lane(sum_, i);
            const double next = sum + x;
            const double part = next - sum;
            lost += (sum - (next - part)) + (x - part) + lane(lost_, i);
            sum = next;
        }
        return sum + lost;
    }

private:
    Pack sum_{}, lost_{};
};

// The larger of the two, lane by lane.
inline Pack maximum(Pack a, Pack b) { return select(a > b, a, b); }

// exp(v - top). 2 ulp: the difference hands the rounding error it makes (two-sum) to exp.
inline Pack exp_difference(Pack v, Pack top) {
    const Pack difference = v - top;
    const Pack part = difference - v;
    const Pack lost = (v - (difference - part)) - (top + part);
    return exp(difference, select(lost == lost, lost, Pack{}));
}

// out_k = exp(x_k - max x) / sum, of one row: lanes run along it.
inline void softmax_row(const double* x, double* out, std::size_t size) {
    const double top = *std::max_element(x, x + size);
    CompensatedSum sum;
    for (std::size_t k = 0; k < size; k += lanes) {
        const std::size_t count = std::min(lanes, size - k);
        store_part(out + k, exp_difference(load_part(x + k, count, top), broadcast(top)), count);
        sum.add(load_part(out + k, count));
    }
    const double total = sum.total();
    map(out, out, size, [total](Pack e) { return e / total; });
}

// The same for as many rows as a pack has lanes, a lane each: for rows too short to fill packs.
inline void softmax_rows(const double* x, double* out, std::size_t size) {
    const auto column = [&](const double* from, std::size_t k) {
        double values[lanes];
        for (std::size_t l = 0; l < lanes; ++l) values[l] = from[l * size + k];
        return load(values);
    };
    const auto put = [&](std::size_t k, Pack v) {
        for (std::size_t l = 0; l < lanes; ++l) out[l * size + k] = lane(v, l);
    };
    Pack top = column(x, 0);
    for (std::size_t k = 1; k < size; ++k) top = maximum(top, column(x, k));
    CompensatedSum sum;
    for (std::size_t k = 0; k < size; ++k) {
        const Pack e = exp_difference(column(x, k), top);
        sum.add(e);
        put(k, e);
    }
    const Pack total = sum.lane_totals();
    for (std::size_t k = 0; k < size; ++k) put(k, column(out, k) / total);
}

// out(N,O) = softmax of each row of x.  2 ulp.
inline void softmax(ConstMatrix x, Matrix out) {
    std::size_t n = 0;
    if (x.cols < 4 * lanes)
        for (; n + lanes <= x.rows; n += lanes) softmax_rows(x.row(n), out.row(n), x.cols);
    for (; n < x.rows; ++n) softmax_row(x.row(n), out.row(n), x.cols);
}

// Scratch of one thread for the forward pass of one sample.
struct ForwardScratch {
    ForwardScratch(Workspace& work, const Network& net)
        : columns(work.take<std::uint32_t>(entry_room(net.inputs()))),
          values(work.take<double>(entry_room(net.inputs()))),
          units(work.take<std::uint32_t>(net.hidden())),
          a1(work.take<double>(pad(net.hidden()))),
          z1(work.take<double>(pad(net.hidden()))),
          a2(work.take<double>(pad(net.outputs()))) {
        if (!work.counting())
            for (std::size_t j = 0; j < net.hidden(); ++j) units[j] = static_cast<std::uint32_t>(j);
    }

    std::uint32_t* columns;
    double* values;
    std::uint32_t* units;  // 0, 1, ..., H-1: the columns of a row without zeros
    double* a1;
    double* z1;
    double* a2;
};

// y(O,) of one sample. Leaves z1(H,) and a2(O,) in the scratch.
inline void forward_row(const Network& net, const Row& row, const ForwardScratch& scratch, double* y) {
    affine(row, net.w1, net.b1, scratch.a1);
    map(scratch.a1, scratch.z1, net.hidden(), [](Pack a) { return sigmoid(a).z; });
    affine({scratch.units, scratch.z1, net.hidden()}, net.w2, net.b2, scratch.a2);
    if (!net.sigmoid_output) return softmax_row(scratch.a2, y, net.outputs());
    map(scratch.a2, y, net.outputs(), [](Pack a) { return sigmoid(a).z; });
    softmax_row(y, y, net.outputs());
}

inline std::size_t predict(const Network& net, const Inputs& x, Matrix y, int threads, void* block) noexcept {
    constexpr std::size_t rows_a_task = 32;
    Workspace work(block);
    const auto* scratch = one_a_thread<ForwardScratch>(work, threads, net);
    if (work.counting()) return work.bytes();
    parallel_for((x.rows + rows_a_task - 1) / rows_a_task, threads, [&](std::size_t task, int thread) {
        const ForwardScratch& own = scratch[thread];
        for (std::size_t n = task * rows_a_task; n < std::min(x.rows, (task + 1) * rows_a_task); ++n) {
            const std::size_t count = find_nonzeros(x, n, own.columns, own.values);
            forward_row(net, {own.columns, own.values, count}, own, y.row(n));
        }
    });
    return work.bytes();
}

// t log(y + 1e-7), lane by lane; NaN where t or y is negative or NaN.
inline Pack log_terms(Pack t, Pack y) {
    const Pack nan = broadcast(std::numeric_limits<double>::quiet_NaN());
    return select(t >= 0.0, t, nan) * log(select(y >= 0.0, y, nan) + log_offset);
}

// sum over n and k of t log(y + 1e-7), for the rows from `first` on.
inline double log_sum(ConstMatrix y, const Targets& t, std::size_t first, std::size_t rows) {
    Pack sum{};
    const std::size_t size = t.labels ? rows : rows * y.cols;
    const double* y_first = y.row(first);
    for (std::size_t i = 0; i < size; i += lanes) {
        const std::size_t count = std::min(lanes, size - i);
        if (t.labels) {
            double weights[lanes] = {}, named[lanes] = {};
            for (std::size_t l = 0; l < count; ++l) {
                weights[l] = 1.0;
                named[l] = y_first[(i + l) * y.cols + static_cast<std::size_t>(t.labels[first + i + l])];
            }
            sum += log_terms(load(weights), load(named));
        } else {
            sum += log_terms(load_part(t.weights + first * y.cols + i, count), load_part(y_first + i, count));
        }
    }
    double total = 0.0;
    for (std::size_t l = 0; l < lanes; ++l) total += lane(sum, l);
    return total;
}

// -sum over n and k of t log(y + 1e-7) / N, for y(N,O). NaN where a t or y is negative or NaN.
inline double cross_entropy(ConstMatrix y, const Targets& t, int threads) noexcept {
    constexpr std::size_t rows_a_task = 1024, tasks_a_round = 64;
    double sums[tasks_a_round];
    double total = 0.0;
    for (std::size_t first = 0; first < y.rows; first += rows_a_task * tasks_a_round) {
        const std::size_t rows = std::min(y.rows - first, rows_a_task * tasks_a_round);
        const std::size_t tasks = (rows + rows_a_task - 1) / rows_a_task;
        parallel_for(tasks, threads, [&](std::size_t task, int) {
            const std::size_t begin = task * rows_a_task;
            sums[task] = log_sum(y, t, first + begin, std::min(rows_a_task, rows - begin));
        });
        for (std::size_t task = 0; task < tasks; ++task) total += sums[task];
    }
    return -total / static_cast<double>(y.rows);
}

}  // namespace secant::SECANT_ISA
