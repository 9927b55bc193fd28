// The kernels on several threads, for ThreadSanitizer, and their results against those
// of one thread. With -DSECANT_SINGLE they are those of float. From the root:
//
//     g++ -std=c++20 -O1 -g -fsanitize=thread -ffp-contract=off -DSECANT_ISA=baseline
//     -DSECANT_STD_THREADS -Icpp/include
//         tests/cpp/threads.cpp -o threads && ./threads
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>
#include <thread>

#include "../../cpp/src/kernels.cpp"
#include "secant/interface/indexed.hpp"

namespace {

using namespace secant;
using namespace secant::SECANT_ISA;
using Numbers = std::vector<Real>;

constexpr std::size_t I = 130, H = 37, O = 5, N = 300, iterations = 3, few = 50,
                      many = 170;  // many: more than a block

std::size_t number_of(std::string_view activation) {
    std::size_t number = 0;
    while (Activations::names[number] != activation) ++number;
    return number;
}

// A network, samples and targets; most inputs are zero, and in some samples all.
struct Case {
    Numbers w1 = Numbers(I * H), b1 = Numbers(H), w2 = Numbers(H * O), b2 = Numbers(O),
            x = Numbers(N * I);
    std::vector<std::int64_t> labels = std::vector<std::int64_t>(N),
                              indices = std::vector<std::int64_t>(iterations * many);

    std::size_t activation;

    explicit Case(std::string_view hidden = "sigmoid") : activation(number_of(hidden)) {
        std::mt19937_64 random(1);
        std::uniform_real_distribution<Real> uniform(-1, 1);
        for (Numbers* array : {&w1, &b1, &w2, &b2})
            for (Real& value : *array) value = uniform(random);
        for (Real& value : x)
            value = uniform(random) > 0.5 ? static_cast<Real>(random() % 200) / 200 : 0;
        for (std::size_t j = 0; j < H; j += 2)
            b1[j] = Real(1e-5);  // near a kink, where all inputs are zero
        std::fill_n(x.begin(), N / 5 * I, 0.0);
        for (std::int64_t& label : labels)
            label = static_cast<std::int64_t>(random() % O);
        for (std::int64_t& index : indices)
            index = static_cast<std::int64_t>(random() % N);
    }

    Network net(bool sigmoid_output) const {
        return {{w1.data(), I, H}, b1.data(), {w2.data(), H, O}, b2.data(), activation,
                sigmoid_output,    1e-7};
    }
    Inputs inputs() const {
        return {is_single ? Inputs::Type::float32 : Inputs::Type::float64,
                x.data(),
                N,
                I,
                {}};
    }
    Gradient parameters() {
        return {{w1.data(), I, H}, b1.data(), {w2.data(), H, O}, b2.data()};
    }
};

int failures = 0;

void require(bool condition, const char* what) {
    if (condition) return;
    std::printf("%s differs\n", what);
    ++failures;
}

bool never() { return false; }

// In as much memory as run(nullptr) asks for.
template <class Run>
void run_in_memory(const Run& run) {
    void* block = std::aligned_alloc(64, (run(nullptr) + 63) / 64 * 64);
    run(block);
    std::free(block);
}

Numbers predicted(const Case& c, const Inputs& x, int threads) {
    Numbers y(N * O);
    bool finite = false;
    const PredictCall call{c.net(true), x, {y.data(), N, O}, threads, never, &finite};
    run_in_memory(
        [&](void* block) { return secant::SECANT_ISA::predict(call, block); });
    return y;
}

GradientCall gradient_call(const Case& c, GradientMethod method, double h,
                           const Gradient& out, GradientReport& report, int threads) {
    return {c.net(method != GradientMethod::direct),
            {c.inputs(), {c.labels.data(), nullptr}, nullptr, N},
            method,
            h,
            out,
            0.0,
            &report,
            threads,
            never};
}

Numbers gradient(const Case& c, GradientMethod method, double h, int threads) {
    Case out;
    GradientReport report{};
    const GradientCall call =
        gradient_call(c, method, h, out.parameters(), report, threads);
    run_in_memory(
        [&](void* block) { return secant::SECANT_ISA::gradient(call, block); });
    out.w1.insert(out.w1.end(), out.w2.begin(), out.w2.end());
    return out.w1;
}

// What a training changes the parameters to: with labels or, with `soft`, targets that
// every class has a part of.
Numbers trained(const Case& c, int threads, std::size_t batch = few,
                const Inputs* x = nullptr, bool soft = false) {
    Case own = c;
    GradientReport report{};
    std::vector<double> losses(iterations), weights(N * O, 1.0 / O);
    std::size_t done = 0;
    GradientCall call = gradient_call(own, GradientMethod::automatic, 1e-4,
                                      own.parameters(), report, threads);
    call.step = -0.1;
    call.batch.size = batch;
    if (x) call.batch.x = *x;
    if (soft) call.batch.t = {nullptr, weights.data()};
    run_in_memory([&](void* block) {
        return secant::SECANT_ISA::train(
            {call, own.indices.data(), iterations, losses.data(), soft, &done}, block);
    });
    require(done == iterations, "the number of iterations");
    own.w1.insert(own.w1.end(), own.w2.begin(), own.w2.end());
    return own.w1;
}

void check(const Case& c) {
    using Method = GradientMethod;
    for (const int threads : {2, 3, 5}) {
        require(predicted(c, c.inputs(), threads) == predicted(c, c.inputs(), 1),
                "predict");
        require(gradient(c, Method::derivative, 1.0, threads) ==
                    gradient(c, Method::derivative, 1.0, 1),
                "derivative");
        require(gradient(c, Method::automatic, 1e-4, threads) ==
                    gradient(c, Method::automatic, 1e-4, 1),
                "series");
        require(gradient(c, Method::direct, 1e-4, threads) ==
                    gradient(c, Method::direct, 1e-4, 1),
                "direct");
        require(gradient(c, Method::direct, 30.0, threads) ==
                    gradient(c, Method::direct, 30.0, 1),
                "direct, exact");
        require(trained(c, threads) == trained(c, 1), "training");
        require(trained(c, threads, many) == trained(c, 1, many),
                "training in several blocks");
        require(trained(c, threads, many, nullptr, true) ==
                    trained(c, 1, many, nullptr, true),
                "training with soft targets");
    }
}

}  // namespace

int main() {
    for (const char* hidden : {"relu", "sigmoid"}) check(Case(hidden));
    const Case c;
    const auto indexed = IndexedInputs::make(c.x.data(), N, I, nullptr);
    require(indexed.has_value(), "whether inputs are indexed");
    if (!indexed) return 1;
    Numbers other;
    std::thread reader(
        [&] { other = predicted(c, indexed->inputs(), 1); });  // both read the same
    const Numbers own = predicted(c, indexed->inputs(), 2);
    reader.join();
    require(own == other, "predict of indexed inputs");
    const Inputs view = indexed->inputs();
    require(trained(c, 2, few, &view) == trained(c, 1), "training with indexed inputs");
    if (failures == 0) std::puts("the same bits on 1, 2, 3 and 5 threads");
    return failures;
}
