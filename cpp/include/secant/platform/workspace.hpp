// Scratch memory, taken piece by piece from one block that the caller allocated. Over a
// null block it only counts: the code that takes the pieces also tells how many bytes
// they need. A debug build fills them with NaN.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <type_traits>

#include "secant/base/inline.hpp"

namespace secant::SECANT_ISA {

class Workspace {
public:
    explicit Workspace(void* block) : block_(static_cast<std::byte*>(block)) {}

    // `count` elements at a cache line of their own.
    template <class T>
    T* take(std::size_t count) {
        static_assert(alignof(T) <= alignment && std::is_trivially_destructible_v<T>,
                      "nobody destroys what is placed here");
        T* piece = block_ ? reinterpret_cast<T*>(block_ + bytes_) : nullptr;
#ifndef NDEBUG
        if (piece) std::memset(static_cast<void*>(piece), 0xff, count * sizeof(T));
#endif
        bytes_ += ceil_of(count * sizeof(T), alignment) * alignment;
        return piece;
    }

    std::size_t bytes() const { return bytes_; }
    bool counting() const { return block_ == nullptr; }

private:
    static constexpr std::size_t alignment = 64;

    std::byte* block_;
    std::size_t bytes_ = 0;
};

// A Piece(work, arguments...) for each thread.
template <class Piece, class... Arguments>
Piece* one_a_thread(Workspace& work, int threads, const Arguments&... arguments) {
    Piece* pieces = work.take<Piece>(static_cast<std::size_t>(threads));
    for (int thread = 0; thread < threads; ++thread) {
        if (work.counting())
            Piece(work, arguments...);
        else
            new (pieces + thread) Piece(work, arguments...);
    }
    return pieces;
}

}  // namespace secant::SECANT_ISA
