// Which samples of a block get a series, and of which order. From the root:
//
//     g++ -std=c++20 -O1 -ffp-contract=off -DSECANT_ISA=baseline -Icpp/include tests/cpp/plan.cpp -o plan && ./plan
#include "driver.hpp"
#include "secant/differences/plan.hpp"

using namespace driver;

namespace {

struct Planned {
    GradientReport report{};
    GradientCall call;
    std::vector<double> inputs;
    Made<Plan> plan;

    Planned(const Network& net, GradientMethod method, double h, std::vector<double> largest)
        : call{net, {}, method, h, {}, 0, &report, 1, nullptr}, inputs(std::move(largest)), plan(call, inputs.size()) {
        plan->make(inputs.size(), [&](std::size_t n) { return Largest{inputs[n], 1.0}; }, 1.0, 1.0);
    }
    // The orders that have been instantiated for this plan.
    Orders chosen() const {
        Orders orders{};
        made_plan().with_order([&]<int K>() { orders.hidden = K; });
        made_plan().with_output_order([&]<int K>() { orders.output = K; });
        return orders;
    }
    const Plan& made_plan() const { return *const_cast<Planned*>(this)->plan; }
};

}  // namespace

int main() {
    const SmallNetwork small{2, 4, 3};
    const Network net = small.view();
    constexpr double tiny = 1e-6, huge = 1e9;
    {
        const Planned made(net, GradientMethod::derivative, 1e-4, {1, huge});
        require(made.chosen().hidden == 1 && made.chosen().output == 1, "a derivative has order 1");
        require(!made.made_plan().has_direct() && made.report.samples[1] == 2 && made.report.truncation_bound == 0, "of every sample");
    }
    {
        const Planned made(net, GradientMethod::automatic, tiny, {1, 2, 3});
        const Orders orders = made.chosen();
        require(orders.hidden == Limits<Real>::lowest_order && made.made_plan().orders().output == orders.output, "small steps need few terms");
        require(made.report.samples[0] == 0 && made.report.samples[orders.output] == 3, "samples are counted");
        require(made.report.truncation_bound > 0, "the largest bound is kept");
        require((made.made_plan().single().samples > 0) == (narrow_packs && orders.hidden == 3), "cubes in float32");
    }
    {
        const Planned made(net, GradientMethod::automatic, tiny, {1, huge, 2});
        require(made.made_plan().has_series() && made.made_plan().has_direct(), "samples without a proven order are evaluated");
        require(!made.made_plan().directly()[0] && made.made_plan().directly()[1] && !made.made_plan().directly()[2], "no others are");
        require(made.report.samples[0] == 1 && made.report.samples[made.chosen().output] == 2, "both are counted");
    }
    {
        const Planned made(net, GradientMethod::series, tiny, {1, huge});
        require(!made.made_plan().has_direct() && made.report.samples[0] == 1, "the method series only counts them");
    }
    for (const GradientMethod method : {GradientMethod::direct, GradientMethod::automatic}) {
        const Planned made(net, method, method == GradientMethod::direct ? tiny : 100.0, {1, 2});
        require(!made.made_plan().has_series() && made.made_plan().has_direct() && made.chosen().hidden == 0, "no series");
        require(made.made_plan().directly()[0] && made.made_plan().directly()[1] && made.report.samples[0] == 2, "all are evaluated");
    }
    return verdict("plan");
}
