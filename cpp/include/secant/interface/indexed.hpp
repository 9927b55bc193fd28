// Inputs that are mostly zero and have at most 256 different values, in two bytes for
// each that is not zero. Made once, for many mini-batches.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "secant/interface/kernels.hpp"

namespace secant {

class IndexedInputs {
public:
    // From x(rows,cols), or from table[x] if there is a table of 256 values, whose
    // first must be 0. Nothing if more than half of them are not zero, if they have
    // more than 256 different values, or if one is not finite.
    template <class X>
    static std::optional<IndexedInputs> make(const X* x, std::size_t rows,
                                             std::size_t cols, const double* table) {
        const std::size_t size = rows * cols;
        const auto count =
            size - static_cast<std::size_t>(std::count(x, x + size, X{0}));
        IndexedInputs made(rows, cols);
        if (count > size / 2) return {};
        made.entries_.reserve(count);
        for (std::size_t n = 0; n < rows; ++n)
            if (!made.append(x + n * cols, table)) return {};
        made.starts_.push_back(made.entries_.size());
        return made;
    }

    Inputs inputs() const {
        return {Inputs::Type::indexed,
                nullptr,
                rows_,
                cols_,
                {entries_.data(), starts_.data(), ends_.data(), values_.data(),
                 single_values_.data(), largest_.data()}};
    }

    std::size_t rows() const { return rows_; }
    std::size_t cols() const { return cols_; }

private:
    IndexedInputs(std::size_t rows, std::size_t cols) : rows_(rows), cols_(cols) {
        slots_.fill(empty);
    }

    template <class X>
    bool append(const X* x, const double* table) {
        const std::size_t start = entries_.size();
        starts_.push_back(start);
        double largest = 0.0;
        for (std::size_t first = 0; first < cols_; first += block_columns) {
            for (std::size_t i = first; i < std::min(cols_, first + block_columns);
                 ++i) {
                if (x[i] == 0) continue;
                const double value = table ? table[static_cast<std::uint8_t>(x[i])]
                                           : static_cast<double>(x[i]);
                const int index = index_of(value);
                if (index < 0 || !std::isfinite(value)) return false;
                entries_.push_back({static_cast<std::uint8_t>(i - first),
                                    static_cast<std::uint8_t>(index)});
                largest = std::max(largest, std::abs(value));
            }
            ends_.push_back(static_cast<std::uint32_t>(entries_.size() - start));
        }
        largest_.push_back(largest);
        return true;
    }

    // The index of a value in the table; -1 if the table is full.
    int index_of(double value) {
        const std::size_t slot =
            slot_of(value, values_.data(), slots_.data(), slot_bits, empty);
        if (slots_[slot] == empty) {
            if (count_ == values_.size()) return -1;
            values_[count_] = value;
            single_values_[count_] = static_cast<float>(value);
            slots_[slot] = static_cast<std::uint16_t>(count_++);
        }
        return slots_[slot];
    }

    static constexpr int slot_bits = 10;
    static constexpr std::uint16_t empty = 0xffff;

    std::size_t rows_, cols_, count_ = 0;
    std::array<std::uint16_t, 1 << slot_bits> slots_;
    std::array<double, 256> values_{};
    std::array<float, 256> single_values_{};
    std::vector<Entry> entries_;
    std::vector<std::size_t> starts_;
    std::vector<std::uint32_t> ends_;
    std::vector<double> largest_;
};

}  // namespace secant
