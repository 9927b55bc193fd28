// What the drivers share: memory for what is taken piece by piece, a small network, and
// a report of what is wrong.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "secant/network/parameters.hpp"

namespace driver {

using namespace secant;
using namespace secant::SECANT_ISA;
using Exact = long double;
using Numbers = std::vector<Real>;

inline int failures = 0;

inline void require(bool condition, const char* what) {
    if (condition) return;
    std::printf("wrong: %s\n", what);
    ++failures;
}

// |got - expected| <= `epsilons` roundings of `scale`.
inline bool close(Exact got, Exact expected, Exact scale, double epsilons) {
    return std::abs(got - expected) <=
           epsilons * std::numeric_limits<Real>::epsilon() * scale;
}

// A Piece(work, arguments...) in as much memory as it asks for. What it refers to must
// outlive it.
template <class Piece>
class Made {
public:
    template <class... Arguments>
    explicit Made(Arguments&&... arguments) {
        Workspace counting(nullptr);
        Piece(counting, arguments...);
        block_.reset(std::aligned_alloc(64, counting.bytes() + 64));
        Workspace work(block_.get());
        piece_.emplace(work, arguments...);
        require(work.bytes() == counting.bytes(), "the memory that a piece asks for");
    }
    Piece& operator*() { return *piece_; }
    Piece* operator->() { return &*piece_; }
    const Piece* operator->() const { return &*piece_; }

private:
    struct Free {
        void operator()(void* block) const { std::free(block); }
    };
    std::unique_ptr<void, Free> block_;
    std::optional<Piece> piece_;
};

inline Numbers uniform(std::size_t size, unsigned seed, double from = -1,
                       double to = 1) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> distribution(from, to);
    Numbers numbers(size);
    for (Real& number : numbers) number = static_cast<Real>(distribution(random));
    return numbers;
}

inline Inputs inputs_of(const Numbers& x, std::size_t rows, std::size_t cols) {
    return {std::is_same_v<Real, float> ? Inputs::Type::float32 : Inputs::Type::float64,
            x.data(),
            rows,
            cols,
            {}};
}

struct SmallNetwork {
    std::size_t I, H, O;
    Numbers w1 = uniform(I * H, 1), b1 = uniform(H, 2), w2 = uniform(H * O, 3),
            b2 = uniform(O, 4);

    Network view(std::string_view activation = "sigmoid", bool sigmoid_output = false,
                 double log_offset = 0) const {
        std::size_t number = 0;
        while (Activations::names[number] != activation) ++number;
        return {{w1.data(), I, H}, b1.data(), {w2.data(), H, O}, b2.data(), number,
                sigmoid_output,    log_offset};
    }
};

inline const Team alone(1, 0);

// The end of main.
inline int verdict(const char* name) {
    if (failures == 0) std::printf("%s: right\n", name);
    return failures > 0;
}

}  // namespace driver
