// The inputs of a block of samples that are not zero, each row in blocks of columns.
#pragma once

#include <algorithm>
#include <limits>

#include "elementary.hpp"
#include "nonzeros.hpp"
#include "workspace.hpp"

namespace secant::SECANT_ISA {

// The entries of one block of one row, by rising column, and the tables that they index.
struct RowBlock {
    const Entry* begin;
    const Entry* end;
    const double* values;  // x
    const double* cubes;   // h^2 x^3
    bool full;             // whether the tables have a value for each column, in order

    std::size_t size() const { return static_cast<std::size_t>(end - begin); }
};

class Rows {
public:
    Rows(Workspace& work, const Inputs& x, std::size_t rows, double h)
        : x_(x), h_(h), blocks_(blocks_of(x.cols)), rows_(work.take<Row>(rows)) {
        if (x.type == Inputs::Type::indexed) {
            cubes_ = work.take<double>(256);
            if (!work.counting()) cube(indexed().values, cubes_, 256);
            return;
        }
        stride_ = x.cols + nonzeros_room;
        entries_ = work.take<Entry>(rows * stride_);
        ends_ = work.take<std::uint32_t>(rows * blocks_);
        values_ = work.take<double>(rows * stride_);
        cubes_ = work.take<double>(rows * stride_);
    }

    // Sample `from` of the inputs becomes row n.
    void gather(std::size_t n, std::size_t from) const {
        switch (x_.type) {
            case Inputs::Type::uint8: return find_entries(n, static_cast<const std::uint8_t*>(x_.data) + from * x_.cols);
            case Inputs::Type::float32: return find_entries(n, static_cast<const float*>(x_.data) + from * x_.cols);
            case Inputs::Type::float64: return find_entries(n, static_cast<const double*>(x_.data) + from * x_.cols);
            default:
                const IndexedRows& x = indexed();
                rows_[n] = {x.entries + x.starts[from], x.ends + from * blocks_, x.values, cubes_, x.largest[from]};
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
        const bool full = x_.type != Inputs::Type::indexed && end - begin == columns(b);
        return {row.entries + begin, row.entries + end, row.values + first, row.cubes + first, full};
    }

    std::size_t blocks() const { return blocks_; }
    std::size_t columns(std::size_t b) const { return std::min(block_columns, x_.cols - b * block_columns); }
    double largest(std::size_t n) const { return rows_[n].largest; }

private:
    struct Row {
        const Entry* entries;
        const std::uint32_t* ends;
        const double* values;
        const double* cubes;
        double largest;
    };

    const IndexedRows& indexed() const { return *static_cast<const IndexedRows*>(x_.data); }

    // cubes(size,) of x; returns max |x|.
    double cube(const double* x, double* cubes, std::size_t size) const {
        Pack most{};
        map(x, cubes, size, [&](Pack v) {
            most = maximum(most, absolute(v));
            return (h_ * v) * (h_ * v) * v;
        });
        return largest_lane(most);
    }

    template <class X>
    void find_entries(std::size_t n, const X* x) const {
        Entry* entries = entries_ + n * stride_;
        double *values = values_ + n * stride_, *cubes = cubes_ + n * stride_;
        std::uint32_t* ends = ends_ + n * blocks_;
        std::size_t size = 0;
        for (std::size_t b = 0; b < blocks_; ++b) {
            const X* x_b = x + b * block_columns;
            const std::size_t count = find_nonzeros(x_b, columns(b), entries + size, values + size);
            size += count > columns(b) / 4 * 3 ? keep_zeros(x_b, columns(b), entries + size, values + size) : count;
            ends[b] = static_cast<std::uint32_t>(size);
        }
        const double largest = cube(values, cubes, size);
        rows_[n] = {entries, ends, values, cubes, largest};
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
    double h_;
    std::size_t blocks_;
    Row* rows_;
    std::size_t stride_ = 0;
    Entry* entries_ = nullptr;
    std::uint32_t* ends_ = nullptr;
    double *values_ = nullptr, *cubes_ = nullptr;
};

}  // namespace secant::SECANT_ISA
