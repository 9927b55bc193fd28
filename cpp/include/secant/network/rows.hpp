// The inputs of a block of samples that are not zero, each row in blocks of columns.
#pragma once

#include <algorithm>

#include "secant/simd/elementary.hpp"
#include "secant/simd/products.hpp"
#include "secant/interface/kernels.hpp"
#include "secant/platform/workspace.hpp"

namespace secant::SECANT_ISA {

// The entries of one block of one row, in the order of columns, and the table that they
// index.
struct RowBlock {
    const Entry* begin;
    const Entry* end;
    const Real* values;
    bool full;  // whether each column has an entry: then values[i] is that of column i
};

class Rows {
public:
    // With `copy` full blocks are copied to where their rows lie side by side: that
    // pays where they are read many times.
    Rows(Workspace& work, const Inputs& x, std::size_t capacity, bool copy)
        : x_(x),
          capacity_(capacity),
          blocks_(blocks_of(x.cols)),
          stride_(x.cols + nonzeros_room),
          spans_(work.take<Span>(capacity * blocks_ + 2)),
          tables_(work.take<const Real*>(capacity * blocks_)),
          values_(work.take<Real>(capacity * stride_)),
          every_column_(work.take<Entry>(block_columns)),
          largest_(work.take<Real>(capacity)),
          copies_(copy ? work.take<Real>(capacity * blocks_ * block_columns)
                       : nullptr) {
        if (!work.counting()) std::fill_n(spans_, capacity * blocks_ + 2, Span{});
        if (!indexed()) entries_ = work.take<Entry>(capacity * stride_);
        for (std::size_t i = 0; i < block_columns && !work.counting(); ++i)
            every_column_[i] = {static_cast<std::uint8_t>(i),
                                static_cast<std::uint8_t>(i)};
    }

    // Sample `from` of the inputs becomes row n.
    [[gnu::noinline]] void gather(std::size_t n, std::size_t from) {
        if (!indexed())
            return x_.with_data([&]<class X>(const X* x) {
                if constexpr (sizeof(X) <= sizeof(Real))
                    find_entries(n, x + from * x_.cols);  // the caller converts others
            });
        const Entry *row = x_.indexed.entries + x_.indexed.starts[from], *begin = row,
                    *end;
        const std::uint32_t* ends = x_.indexed.ends + from * blocks_;
        for (std::size_t b = 0; b < blocks_; ++b, begin = end) {
            end = row + ends[b];
            span(n, b) = {begin, end};
            if (is_full(static_cast<std::size_t>(end - begin), b)) make_full(n, b);
        }
        largest_[n] = static_cast<Real>(x_.indexed.largest[from]);
    }

    // Brings sample `from` to the cache, for a later gather.
    void prefetch_row(std::size_t from) const {
        const auto all = [](const void* begin, std::size_t bytes) {
            for (std::size_t line = 0; line < bytes; line += 64)
                prefetch(static_cast<const std::byte*>(begin) + line);
        };
        if (!indexed())
            return x_.with_data(
                [&](const auto* x) { all(x + from * x_.cols, x_.cols * sizeof *x); });
        const std::size_t* start = x_.indexed.starts + from;
        prefetch(x_.indexed.ends + from * blocks_);
        all(x_.indexed.entries + start[0], (start[1] - start[0]) * sizeof(Entry));
    }

    // Sequential access: also prefetches row n + 2. Gather all rows first.
    RowBlock block(std::size_t n, std::size_t b) const {
        prefetch(spans_[b * capacity_ + n + 2].begin);
        return block_alone(n, b);
    }

    RowBlock block_alone(std::size_t n, std::size_t b) const {
        const std::size_t at = b * capacity_ + n;
        const auto [begin, end] = spans_[at];
        const bool full = begin == every_column_;
        return {begin, end, indexed() && !full ? x_.indexed.table<Real>() : tables_[at],
                full};
    }

    // body(first, last, x) for the rows [begin, end) in their order, without those that
    // `skip` names, if it is not null: for two to rows_at_once rows that are full in
    // block b, whose values x points to; or for others, with x null.
    template <class Body>
    void for_runs(std::size_t b, std::size_t begin, std::size_t end, const bool* skip,
                  const Body& body) const {
        const auto read = [&](std::size_t n) { return n < end && !(skip && skip[n]); };
        const auto full = [&](std::size_t n) {
            return read(n) && spans_[b * capacity_ + n].begin == every_column_;
        };
        for (std::size_t n = begin, last; n < end; n = last) {
            for (last = n; full(last);) ++last;
            const bool several = last >= n + 2;
            if (!several)
                for (last = n; read(last) && !(full(last) && full(last + 1));) ++last;
            const Real* x[rows_at_once];
            for (std::size_t part; several && n < last; n += part) {
                part = even_part(last - n, rows_at_once);
                std::copy_n(tables_ + b * capacity_ + n, part, x);
                body(n, n + part, x);
            }
            if (last > n) body(n, last, nullptr);
            if (!read(last)) ++last;
        }
    }

    std::size_t blocks() const { return blocks_; }
    std::size_t columns(std::size_t b) const {
        return std::min(block_columns, x_.cols - b * block_columns);
    }
    Real largest(std::size_t n) const {
        return largest_[n];
    }  // max |x|, NaN if one is not finite

private:
    struct Span {
        const Entry* begin;
        const Entry* end;
    };

    bool indexed() const { return x_.type == Inputs::Type::indexed; }
    Span& span(std::size_t n, std::size_t b) { return spans_[b * capacity_ + n]; }

    // The largest |x| of a row, of which it is shown a part at a time, and whether one
    // is 0.
    class Magnitudes {
    public:
        void add(const Real* x, std::size_t size) {
            Pack largest{}, finite{};  // parts need not wait for each other
            for (std::size_t i = 0; i < size; i += lanes) {
                const Pack some = load_part(x + i, std::min(lanes, size - i),
                                            x[0]);  // x[0] again changes nothing
                largest = maximum(largest, absolute(some));
                zero_ = select(some == 0, broadcast(1), zero_);
                finite = fma(some, Pack{}, finite);
            }
            largest_ = maximum(largest_, largest);
            finite_ += finite;
        }
        Real largest() const {
            return largest_lane(largest_) + lane_sum(finite_);
        }  // NaN if one is not finite
        bool any_is_zero() const { return lane_sum(zero_) != 0; }

    private:
        Pack largest_{}, finite_{}, zero_{};
    };

    template <class X>
    void find_entries(std::size_t n, const X* x) {
        Entry* entries = entries_ + n * stride_;
        Real *first = values_ + n * stride_, *values = first;
        Magnitudes seen;
        if (std::none_of(x, x + std::min<std::size_t>(x_.cols, 4),
                         [](X x_i) { return x_i == 0; })) {  // likely none is
            const Real* all = converted(x, x_.cols, values);
            for (std::size_t b = 0; b < blocks_; ++b)
                seen.add(all + b * block_columns, columns(b));
            if (!seen.any_is_zero()) {
                for (std::size_t b = 0; b < blocks_; ++b)
                    set_full(n, b, all + b * block_columns);
                largest_[n] = seen.largest();
                return;
            }
        }
        for (std::size_t b = 0; b < blocks_; ++b) {
            const X* x_b = x + b * block_columns;
            const std::size_t size = columns(b);
            const std::size_t nonzeros = find_nonzeros(x_b, size, entries, values);
            if (!is_full(nonzeros, b)) {
                span(n, b) = {entries, entries + nonzeros};
                tables_[b * capacity_ + n] = values;
                entries += nonzeros;
                values += nonzeros;
                continue;
            }
            const Real* all = converted(x_b, size, values);
            set_full(n, b, all);
            if (all == values)
                values += size;
            else
                seen.add(all, size);
        }
        seen.add(first, static_cast<std::size_t>(values - first));
        largest_[n] = seen.largest();
    }

    void set_full(std::size_t n, std::size_t b, const Real* values) {
        span(n, b) = {every_column_, every_column_ + columns(b)};
        if (copies_) {
            Real* copy = copies_ + (b * capacity_ + n) * block_columns;
            std::copy_n(values, columns(b), copy);
            values = copy;
        }
        tables_[b * capacity_ + n] = values;
    }

    // A block with few zeros keeps them: full blocks are faster. 784-50-10 x 100 takes
    // 470 us in full blocks; entries take 441 where 45 % of the inputs are not zero,
    // 473 where 50 % are, and 557 at 60 %. With a limit of one half MNIST, where full
    // blocks are seldom next to each other, takes 1.03 to 1.05 of the time, with three
    // fifths 1.00.
    bool is_full(std::size_t nonzeros, std::size_t b) const {
        return nonzeros * 5 > columns(b) * 3;
    }

    // Block b of row n, of indexed inputs.
    void make_full(std::size_t n, std::size_t b) {
        Real* values = values_ + n * stride_ + b * block_columns;
        std::fill_n(values, columns(b), Real{0});
        for (const Entry* e = span(n, b).begin; e < span(n, b).end; ++e)
            values[e->column] = x_.indexed.table<Real>()[e->value];
        set_full(n, b, values);
    }

    // x(size,) as it is if its type is right, else copied to `values`.
    template <class X>
    static const Real* converted(const X* x, std::size_t size,
                                 [[maybe_unused]] Real* values) {
        if constexpr (std::is_same_v<X, Real>) {
            return x;
        } else {
            for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<Real>(x[i]);
            return values;
        }
    }

    const Inputs& x_;
    std::size_t capacity_, blocks_, stride_;
    Span* spans_;          // (blocks, capacity), and two more to prefetch
    const Real** tables_;  // (blocks, capacity), what they index; not used for indexed
                           // inputs, unless full
    Real* values_;
    Entry* every_column_;  // the entries of a block that is full
    Real* largest_;
    Real* copies_;  // (blocks, capacity, block_columns), if there are any
    Entry* entries_ = nullptr;
};

}  // namespace secant::SECANT_ISA
