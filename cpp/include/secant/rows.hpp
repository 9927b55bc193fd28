// The inputs of a block of samples that are not zero, each row in blocks of columns.
#pragma once

#include <algorithm>

#include "elementary.hpp"
#include "nonzeros.hpp"
#include "workspace.hpp"

namespace secant::SECANT_ISA {

// The entries of one block of one row, by rising column, and the table that they index.
struct RowBlock {
    const Entry* begin;
    const Entry* end;
    const double* values;
    bool full;  // whether the table has a value for each column, in order
};

class Rows {
public:
    Rows(Workspace& work, const Inputs& x, std::size_t most)
        : x_(x),
          most_(most),
          blocks_(blocks_of(x.cols)),
          spans_(work.take<Span>(most * blocks_ + 2)),
          largest_(work.take<double>(most)) {
        if (!work.counting()) std::fill_n(spans_, most * blocks_ + 2, Span{});
        if (indexed()) return;
        stride_ = x.cols + nonzeros_room;
        entries_ = work.take<Entry>(most * stride_);
        values_ = work.take<double>(most * stride_);
    }

    // Sample `from` of the inputs becomes row n.
    void gather(std::size_t n, std::size_t from) const {
        switch (x_.type) {
            case Inputs::Type::uint8: return find_entries(n, static_cast<const std::uint8_t*>(x_.data) + from * x_.cols);
            case Inputs::Type::float32: return find_entries(n, static_cast<const float*>(x_.data) + from * x_.cols);
            case Inputs::Type::float64: return find_entries(n, static_cast<const double*>(x_.data) + from * x_.cols);
            default: break;
        }
        const Entry* begin = rows().entries + rows().starts[from];
        const std::uint32_t* ends = rows().ends + from * blocks_;
        for (std::size_t b = 0; b < blocks_; ++b) span(n, b) = {begin + (b == 0 ? 0 : ends[b - 1]), begin + ends[b]};
        largest_[n] = rows().largest[from];
    }

    // Has sample `from` brought to the cache, for a later gather.
    void prefetch_row(std::size_t from) const {
        if (!indexed()) return;
        prefetch(rows().ends + from * blocks_);
        const Entry *begin = rows().entries + rows().starts[from], *end = rows().entries + rows().starts[from + 1];
        for (const Entry* line = begin; line < end; line += 64 / sizeof(Entry)) prefetch(line);
    }

    RowBlock block(std::size_t n, std::size_t b) const {
        const auto [begin, end] = span(n, b);
        prefetch(spans_[b * most_ + n + 2].begin);  // whoever takes a block of rows takes it row by row
        if (indexed()) return {begin, end, rows().values, false};
        const std::ptrdiff_t first = begin - entries_;  // each block has a table of its own
        return {begin, end, values_ + first, static_cast<std::size_t>(end - begin) == columns(b)};
    }

    std::size_t blocks() const { return blocks_; }
    std::size_t columns(std::size_t b) const { return std::min(block_columns, x_.cols - b * block_columns); }
    double largest(std::size_t n) const { return largest_[n]; }  // max |x|, NaN if one is not finite

private:
    struct Span {
        const Entry* begin;
        const Entry* end;
    };

    bool indexed() const { return x_.type == Inputs::Type::indexed; }
    const IndexedRows& rows() const { return *static_cast<const IndexedRows*>(x_.data); }
    Span& span(std::size_t n, std::size_t b) const { return spans_[b * most_ + n]; }

    static double largest_of(const double* x, std::size_t size) {
        Pack most{}, lost{};  // x - x is 0, or NaN for NaN and infinities
        for (std::size_t i = 0; i < size; i += lanes) {
            const Pack x_i = load_part(x + i, std::min(lanes, size - i));
            most = maximum(most, absolute(x_i));
            lost += x_i - x_i;
        }
        return largest_lane(most) + lane_sum(lost);
    }

    template <class X>
    void find_entries(std::size_t n, const X* x) const {
        Entry* entries = entries_ + n * stride_;
        double* values = values_ + n * stride_;
        std::size_t size = 0;
        for (std::size_t b = 0; b < blocks_; ++b) {
            const X* x_b = x + b * block_columns;
            span(n, b).begin = entries + size;
            const std::size_t count = find_nonzeros(x_b, columns(b), entries + size, values + size);
            size += count > columns(b) / 4 * 3 ? keep_zeros(x_b, columns(b), entries + size, values + size) : count;
            span(n, b).end = entries + size;
        }
        largest_[n] = largest_of(values, size);
    }

    // For a block with so few zeros that they do not matter: full ones are faster.
    template <class X>
    static std::size_t keep_zeros(const X* x, std::size_t size, Entry* entries, double* values) {
        for (std::size_t i = 0; i < size; ++i) {
            entries[i] = {static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i)};
            values[i] = static_cast<double>(x[i]);
        }
        return size;
    }

    const Inputs& x_;
    std::size_t most_, blocks_;
    Span* spans_;  // those of a block together
    double* largest_;
    std::size_t stride_ = 0;
    Entry* entries_ = nullptr;  // an entry's value lies where the entry does
    double* values_ = nullptr;
};

}  // namespace secant::SECANT_ISA
