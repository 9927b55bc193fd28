// Units near the kink of ReLU: those that a shift may take across it are found, with
// all digits of their pre-activation, and no others. From the root:
//
//     g++ -std=c++20 -O1 -ffp-contract=off -DSECANT_ISA=baseline -Icpp/include
//     tests/cpp/kinks.cpp -o kinks && ./kinks
#include "driver.hpp"
#include "secant/network/forward.hpp"

using namespace driver;

namespace {

constexpr std::size_t I = 130, H = 3 * lanes + 6, N = 6;
constexpr double h = 1e-3;

Exact pre_activation(const SmallNetwork& net, const Real* x, std::size_t j) {
    Exact sum = net.b1[j];
    for (std::size_t i = 0; i < I; ++i) sum += Exact{x[i]} * net.w1[i * H + j];
    return sum;
}

}  // namespace

int main() {
    SmallNetwork small{I, H, 2};
    Numbers x = uniform(N * I, 7);
    for (std::size_t i = 0; i < I; ++i) {
        x[1 * I + i] = i % 3 == 0 ? x[1 * I + i] : 0;  // some zeros
        x[2 * I + i] = 0;  // the pre-activations are the biases
        x[3 * I + i] *= 5;
    }
    // Biases that bring a unit within half a step of the kink, for one sample each; and
    // two that are just beyond.
    const std::size_t near[][2] = {{0, 1}, {1, 2}, {2, H - 1}, {3, 0}};
    for (const auto& [n, j] : near)
        small.b1[j] -= static_cast<Real>(pre_activation(small, &x[n * I], j) - h / 2);
    small.b1[3] = static_cast<Real>(1.01 * h);
    small.b1[4] = static_cast<Real>(-1.01 * h);

    for (const bool find : {true, false}) {
        const Network net = small.view("relu");
        Made<Parameters> parameters(net, 1, Reading::packed, false);
        const Inputs inputs = inputs_of(x, N, I);
        Made<Samples> samples(*parameters, inputs, N, 1, true,
                              static_cast<Real>(find ? h : 0));
        require(samples->kinks.enabled == find, "without a step nothing is looked for");
        parameters->pack(alone);
        const Panels& panels = parameters->panels;
        for (std::size_t panel = 0; panel < panels.count && find; ++panel)
            samples->kinks.measure(panel);
        for (std::size_t n = 0; n < N; ++n) {
            samples->rows.gather(n, n);
            if (find) samples->kinks.measure_row(n);
        }
        samples->activate_hidden(0, panels.count, 0, N, true, 0);
        for (std::size_t n = 0; n < N && find; ++n) {
            bool any = false;
            for (std::size_t panel = 0; panel < panels.count; ++panel) {
                for (std::size_t j = 0; j < panels.units_in(panel); ++j) {
                    const Exact a =
                        pre_activation(small, &x[n * I], panels.first(panel) + j);
                    const Exact reach =
                        h * std::max<Exact>(1, samples->rows.largest(n));
                    const bool close_to_kink = std::abs(a) <= reach;
                    any = any || close_to_kink;
                    const bool near_kink =
                        samples->kinks.near(panel, n, j / lanes) >> j % lanes & 1;
                    require(near_kink == close_to_kink,
                            "a unit near the kink is found, and no other");
                    if (samples->kinks.near(panel, n, j / lanes) == 0) continue;
                    const Real a1 = samples->a1(panel, n)[j],
                               slope = samples->state1(panel, n)[j];
                    const Exact lost =
                        5 * I * std::numeric_limits<Exact>::epsilon();  // here
                    if (close_to_kink)
                        require(
                            std::abs(a1 - a) <=
                                    std::numeric_limits<Real>::epsilon() * std::abs(a) +
                                        lost &&
                                slope == 0,
                            "its digits, and no slope");
                    else
                        require(slope == (a > 0 ? 1 : 0), "the slope of another unit");
                }
            }
            require(samples->kinks.found(n) == any, "whether a sample has one");
            if (n < std::size(near)) require(any, "a sample that was to have one");
        }
    }
    const Network smooth = small.view("tanh");
    Made<Parameters> parameters(smooth, 1, Reading::packed, false);
    const Inputs inputs = inputs_of(x, N, I);
    Made<Samples> samples(*parameters, inputs, N, 1, true, static_cast<Real>(h));
    require(!samples->kinks.enabled, "tanh has no kink");
    return verdict("kinks");
}
