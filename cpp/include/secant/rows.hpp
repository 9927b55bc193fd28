// The inputs of a block of samples that are not zero, each row in blocks of columns.
#pragma once

#include <algorithm>
#include <limits>

#include "elementary.hpp"
#include "workspace.hpp"

namespace secant::SECANT_ISA {

// The entries of one block of one row, by rising column, and the tables that they index.
struct RowBlock {
    const Entry* begin;
    const Entry* end;
    const double* values;   // x
    const double* squares;  // (h x)^2
};

class Rows {
public:
    Rows(Workspace& work, const Inputs& x, std::size_t rows, double h)
        : x_(x), h_(h), blocks_(blocks_of(x.cols)), rows_(work.take<Row>(rows)) {
        if (x.type == Inputs::Type::indexed) {
            squares_ = work.take<double>(256);
            if (!work.counting()) square(indexed().values, squares_, 256);
            return;
        }
        stride_ = x.cols + lanes;  // a pack may be written behind the last entry
        entries_ = work.take<Entry>(rows * stride_);
        ends_ = work.take<std::uint32_t>(rows * blocks_);
        values_ = work.take<double>(rows * stride_);
        squares_ = work.take<double>(rows * stride_);
    }

    // Sample `from` of the inputs becomes row n.
    void gather(std::size_t n, std::size_t from) const {
        switch (x_.type) {
            case Inputs::Type::uint8: return find_nonzeros(n, static_cast<const std::uint8_t*>(x_.data) + from * x_.cols);
            case Inputs::Type::float32: return find_nonzeros(n, static_cast<const float*>(x_.data) + from * x_.cols);
            case Inputs::Type::float64: return find_nonzeros(n, static_cast<const double*>(x_.data) + from * x_.cols);
            default:
                const IndexedRows& x = indexed();
                rows_[n] = {x.entries + x.starts[from], x.ends + from * blocks_, x.values, squares_, x.largest[from]};
        }
    }

    // Has sample `from` brought to the cache, for a later gather.
    void prefetch(std::size_t from) const {
#if defined(__GNUC__)
        if (x_.type != Inputs::Type::indexed) return;
        const IndexedRows& x = indexed();
        const std::uint32_t* ends = x.ends + from * blocks_;
        const auto* first = reinterpret_cast<const char*>(x.entries + x.starts[from]);
        for (std::size_t byte = 0; byte < 2 * std::size_t{ends[blocks_ - 1]}; byte += 64) __builtin_prefetch(first + byte);
#endif
    }

    RowBlock block(std::size_t n, std::size_t b) const {
        const Row& row = rows_[n];
        const std::size_t begin = b == 0 ? 0 : row.ends[b - 1], end = row.ends[b];
        const std::size_t first = x_.type == Inputs::Type::indexed ? 0 : begin;  // each block has tables of its own
        return {row.entries + begin, row.entries + end, row.values + first, row.squares + first};
    }

    std::size_t blocks() const { return blocks_; }
    double largest(std::size_t n) const { return rows_[n].largest; }

private:
    struct Row {
        const Entry* entries;
        const std::uint32_t* ends;
        const double* values;
        const double* squares;
        double largest;
    };

    const IndexedRows& indexed() const { return *static_cast<const IndexedRows*>(x_.data); }

    void square(const double* x, double* out, std::size_t size) const {
        map(x, out, size, [h = h_](Pack v) { return (h * v) * (h * v); });
    }

    template <class X>
    void find_nonzeros(std::size_t n, const X* x) const {
        Entry* entries = entries_ + n * stride_;
        double* values = values_ + n * stride_;
        std::uint32_t* ends = ends_ + n * blocks_;
        Pack most{};
        std::size_t size = 0;
        for (std::size_t b = 0; b < blocks_; ++b) {
            const std::size_t first = b * block_columns, columns = std::min(block_columns, x_.cols - first);
            std::size_t count = 0;  // in this block
            for (std::size_t i = 0; i < columns; i += lanes) {
                const Pack v = widen(x + first + i, std::min(lanes, columns - i));
                most = maximum(most, absolute(v));
                count = append_nonzeros(v, i, entries + size, values + size, count);
            }
            size += count;
            ends[b] = static_cast<std::uint32_t>(size);
        }
        square(values, squares_ + n * stride_, size);
        rows_[n] = {entries, ends, values, squares_ + n * stride_, largest_lane(most)};
    }

    const Inputs& x_;
    double h_;
    std::size_t blocks_;
    Row* rows_;
    std::size_t stride_ = 0;
    Entry* entries_ = nullptr;
    std::uint32_t* ends_ = nullptr;
    double *values_ = nullptr, *squares_ = nullptr;
};

}  // namespace secant::SECANT_ISA
