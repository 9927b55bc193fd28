// NumPy arrays as views. What a view is made of is required here, so that no call can
// read or write memory that is not ours; the errors that users see are raised in
// Python. What indexes an array is copied and then checked: another thread may write to
// the original.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "secant/interface/indexed.hpp"

namespace secant::bindings {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

inline void require(bool condition, const char* what) {
    if (!condition) throw std::invalid_argument(std::string("secant._core: ") + what);
}

inline std::size_t length(const py::array& a, int axis) {
    return static_cast<std::size_t>(a.shape(axis));
}

// Whether it can be read where it is.
template <class T>
bool is_array(const py::handle& object) {
    return py::isinstance<Array<T>>(object) &&
           py::detail::check_flags(object.ptr(),
                                   py::detail::npy_api::NPY_ARRAY_ALIGNED_);
}

template <class T>
View<const T> matrix(const Array<T>& a) {
    require(a.ndim() == 2 && is_array<T>(a), "an aligned matrix is needed");
    return {a.data(), length(a, 0), length(a, 1)};
}

template <class T>
View<T> matrix(Array<T>& a) {
    return {a.mutable_data(), length(a, 0), length(a, 1)};
}

inline Inputs inputs(const py::object& object) {
    if (!py::isinstance<py::array>(object)) {
        require(py::isinstance<IndexedInputs>(object), "x must be an array");
        return object.cast<const IndexedInputs&>().inputs();
    }
    const auto x = py::reinterpret_borrow<py::array>(object);
    require(x.ndim() == 2, "x must be a matrix");
    const auto view = [&](Inputs::Type type) {
        return Inputs{type, x.data(), length(x, 0), length(x, 1), {}};
    };
    if (is_array<double>(x)) return view(Inputs::Type::float64);
    if (is_array<float>(x)) return view(Inputs::Type::float32);
    require(is_array<std::uint8_t>(x),
            "x must be C-contiguous, aligned float64, float32 or uint8");
    return view(Inputs::Type::uint8);
}

// The largest index or label. A negative one, read as unsigned, is larger than all
// others.
inline std::uint64_t largest(const std::int64_t* values, std::size_t size) {
    std::uint64_t largest = 0;
    for (std::size_t i = 0; i < size; ++i)
        largest = std::max(largest, static_cast<std::uint64_t>(values[i]));
    return largest;
}

// A copy of an array of real numbers.
template <class T>
std::vector<T> copied(const py::array& a) {
    const py::array_t<T, py::array::c_style | py::array::forcecast> numbers(a);
    std::vector<T> copy(static_cast<std::size_t>(numbers.size()));
    std::memcpy(copy.data(), numbers.data(),
                copy.size() * sizeof(T));  // they need not be aligned
    return copy;
}

// t(N,) of integers are labels, t(N,O) of any real type are weights: a copy of them,
// but for weights that are double already.
class OwnTargets {
public:
    OwnTargets(const py::array& t, std::size_t rows, std::size_t classes) {
        require(t.ndim() >= 1 && length(t, 0) == rows,
                "t must have a row for each of x");
        if (t.ndim() == 1) {
            labels_ = copied<std::int64_t>(t);
            in_range_ = largest(labels_.data(), rows) < classes;
            view_ = {labels_.data(), nullptr};
        } else {
            require(t.ndim() == 2 && length(t, 1) == classes,
                    "t must have a column for each class");
            const bool as_it_is = is_array<double>(t);
            if (!as_it_is) weights_ = copied<double>(t);
            view_ = {nullptr,
                     as_it_is ? static_cast<const double*>(t.data()) : weights_.data()};
        }
    }
    OwnTargets(const OwnTargets&) = delete;
    OwnTargets& operator=(const OwnTargets&) = delete;

    bool in_range() const { return in_range_; }  // all labels
    const Targets& view() const { return view_; }

private:
    std::vector<std::int64_t> labels_;
    std::vector<double> weights_;
    Targets view_{};
    bool in_range_ = true;
};

// The number of a name in a list that ends with null.
inline std::size_t number_of(const std::string& name, const char* const* names,
                             const char* what) {
    std::string all;
    for (std::size_t i = 0; names[i]; ++i) {
        if (name == names[i]) return i;
        all += std::string(i > 0 ? ", " : "") + names[i];
    }
    throw std::invalid_argument(std::string("secant._core: ") + what +
                                " must be one of " + all + ", got '" + name + "'");
}

// With small pages much of the time of wide networks goes into finding them. NumPy asks
// the same for its arrays of this size.
inline void ask_for_huge_pages([[maybe_unused]] void* start,
                               [[maybe_unused]] std::size_t bytes) {
#ifdef MADV_HUGEPAGE
    constexpr std::size_t page = 4096, enough = 4 << 20;
    const std::size_t before =
        reinterpret_cast<std::uintptr_t>(start) % page;  // madvise takes whole pages
    if (bytes >= enough)
        madvise(static_cast<std::byte*>(start) - before, bytes + before, MADV_HUGEPAGE);
#endif
}

// A block of memory that starts at a cache line. A thread keeps it for its next call,
// unless it is large: fresh pages from the system can cost as much as the work that is
// done in them.
class Memory {
public:
    explicit Memory(std::size_t bytes) : own_(std::exchange(kept_block, Block{})) {
        if (bytes <= own_.bytes) return;
        own_.start.reset();
        own_ = {Start(::operator new(bytes, alignment)), bytes};
        ask_for_huge_pages(own_.start.get(), bytes);
    }
    ~Memory() {  // a signal handler may have called, and kept its block
        if (own_.bytes <= most_kept && own_.bytes > kept_block.bytes)
            kept_block = std::move(own_);
    }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    void* get() const { return own_.start.get(); }

private:
    static constexpr std::align_val_t alignment{64};
#ifdef __SANITIZE_ADDRESS__
    static constexpr std::size_t most_kept =
        0;  // a block that is too long would hide an overflow
#else
    static constexpr std::size_t most_kept = 64 << 20;
#endif
    struct Free {
        void operator()(void* block) const { ::operator delete(block, alignment); }
    };
    using Start = std::unique_ptr<void, Free>;
    struct Block {
        Start start;
        std::size_t bytes;
    };
    static inline thread_local Block kept_block;

    Block own_;
};

}  // namespace secant::bindings
