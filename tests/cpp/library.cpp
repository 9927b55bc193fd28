// The kernels as a C++ program uses them: it links secant::secant, and nothing of
// Python. For every instruction set of this processor, the gradient of a small network
// against a plain central difference in long double; then again on two threads, in a
// child too.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#ifndef _WIN32
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "secant/platform/multiversion.hpp"

namespace {

constexpr std::size_t N = 5, I = 7, H = 4, O = 3;

struct Numbers {
    std::vector<double> w1, b1, w2, b2;
    std::vector<double>& operator[](int i) {
        return i == 0 ? w1 : i == 1 ? b1 : i == 2 ? w2 : b2;
    }
};

long double loss(const Numbers& net, const std::vector<double>& x,
                 const std::vector<std::int64_t>& labels, int array, std::size_t at,
                 long double shift) {
    const auto value = [&](int of, const std::vector<double>& numbers, std::size_t i) {
        return static_cast<long double>(numbers[i]) +
               (of == array && i == at ? shift : 0.0L);
    };
    long double total = 0;
    for (std::size_t n = 0; n < N; ++n) {
        long double z[H], a[O], sum = 0;
        for (std::size_t j = 0; j < H; ++j) {
            z[j] = value(1, net.b1, j);
            for (std::size_t i = 0; i < I; ++i)
                z[j] += x[n * I + i] * value(0, net.w1, i * H + j);
            z[j] = 1 / (1 + std::exp(-z[j]));
        }
        for (std::size_t k = 0; k < O; ++k) {
            a[k] = value(3, net.b2, k);
            for (std::size_t j = 0; j < H; ++j)
                a[k] += z[j] * value(2, net.w2, j * O + k);
            sum += std::exp(a[k]);
        }
        total += std::log(sum) - a[labels[n]];
    }
    return total / N;
}

bool never() { return false; }

}  // namespace

int main() {
    using namespace secant;
    Numbers net, out;
    const std::size_t sizes[] = {I * H, H, H * O, O};
    for (int array = 0; array < 4; ++array)
        for (std::size_t i = 0; i < sizes[array]; ++i) {
            net[array].push_back(
                std::sin(static_cast<double>(7 * i + 3) * (array + 1)));
            out[array].push_back(0);
        }
    std::vector<double> x;
    for (std::size_t i = 0; i < N * I; ++i)
        x.push_back(i % 3 == 0 ? 0 : std::cos(static_cast<double>(i)));
    const std::vector<std::int64_t> labels{0, 2, 1, 1, 0};

    constexpr double h = 1e-4;
    const NetworkOf<double> view{{net.w1.data(), I, H},
                                 net.b1.data(),
                                 {net.w2.data(), H, O},
                                 net.b2.data(),
                                 0,
                                 false,
                                 0.0};
    int wrong = 0, sets = 0;
    for (const Compiled& compiled : usable_kernels()) {
        GradientReport report{};
        const GradientCallOf<double> call{view,
                                          {{Inputs::Type::float64, x.data(), N, I, {}},
                                           {labels.data(), nullptr},
                                           nullptr,
                                           N},
                                          GradientMethod::automatic,
                                          h,
                                          {{out.w1.data(), I, H},
                                           out.b1.data(),
                                           {out.w2.data(), H, O},
                                           out.b2.data()},
                                          0.0,
                                          &report,
                                          1,
                                          never};
        void* memory = std::aligned_alloc(
            64, (compiled.kernels->engines.gradient(call, nullptr) + 63) / 64 * 64);
        compiled.kernels->engines.gradient(call, memory);
        std::free(memory);
        wrong += !report.finite ||
                 std::abs(report.loss -
                          static_cast<double>(loss(net, x, labels, -1, 0, 0))) > 1e-14;
        for (int array = 0; array < 4; ++array)
            for (std::size_t i = 0; i < sizes[array]; ++i) {
                const long double above = loss(net, x, labels, array, i, h),
                                  below = loss(net, x, labels, array, i, -h);
                wrong += !(std::abs(static_cast<double>((above - below) / (2 * h)) -
                                    out[array][i]) < 1e-13);
            }
        ++sets;
        auto on_two = call;
        on_two.threads = 2;
        const auto right_on_two = [&] {
            const std::vector<double> before = out.w1;
            std::fill(out.w1.begin(), out.w1.end(), 0.0);
            void* block = std::aligned_alloc(
                64,
                (compiled.kernels->engines.gradient(on_two, nullptr) + 63) / 64 * 64);
            compiled.kernels->engines.gradient(on_two, block);
            std::free(block);
            return out.w1 == before;
        };
        wrong += !right_on_two();
#ifndef _WIN32
        const pid_t child = fork();
        if (child == 0) _exit(right_on_two() ? 0 : 1);
        int status = 1;
        wrong += waitpid(child, &status, 0) != child || status != 0 || !right_on_two();
#endif
    }
    std::printf("library: %d instruction sets, %d wrong\n", sets, wrong);
    return wrong > 0 || sets == 0;
}
