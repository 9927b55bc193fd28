// Scratch memory, taken piece by piece from one block that the caller allocated. Laid over a null block it only counts,
// so that the code that takes the pieces is also the code that knows their total.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

namespace secant::SECANT_ISA {

class Workspace {
public:
    explicit Workspace(void* block) : block_(static_cast<std::byte*>(block)) {}

    // `count` elements at a 64-byte boundary: no two pieces share a cache line.
    template <class T>
    T* take(std::size_t count) {
        T* piece = block_ ? reinterpret_cast<T*>(block_ + bytes_) : nullptr;
        bytes_ += (count * sizeof(T) + 63) / 64 * 64;
        return piece;
    }

    std::size_t bytes() const { return bytes_; }
    bool counting() const { return block_ == nullptr; }

private:
    std::byte* block_;
    std::size_t bytes_ = 0;
};

// Takes one piece of scratch a thread from the workspace. Piece is made from (work, arguments...).
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
