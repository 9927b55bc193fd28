// Which samples of a block get a series, and of which order. From the root:
//
//     g++ -std=c++20 -O1 -ffp-contract=off -DSECANT_ISA=baseline -Icpp/include
//     tests/cpp/plan.cpp -o plan && ./plan
#include "driver.hpp"
#include "secant/differences/plan.hpp"

using namespace driver;

namespace {

struct Planned {
    GradientReport report{};
    GradientCall call;
    std::vector<double> inputs;
    Made<Plan> plan;

    Planned(const Network& net, GradientMethod method, double h,
            std::vector<double> largest)
        : call{net, {}, method, h, {}, 0, &report, 1, nullptr},
          inputs(std::move(largest)),
          plan(call, inputs.size()) {
        plan->make(
            inputs.size(), [&](std::size_t n) { return Largest{inputs[n], 1.0}; }, 1.0,
            1.0);
    }
    // The orders that have been instantiated for this plan.
    Orders chosen() const {
        Orders orders{};
        Plan::with_order(plan->orders().hidden, [&]<int K>() { orders.hidden = K; });
        Plan::with_order(plan->orders().output, [&]<int K>() { orders.output = K; });
        return orders;
    }
};

}  // namespace

int main() {
    const SmallNetwork small{2, 4, 3};
    const Network net = small.view();
    constexpr double tiny = 1e-6, huge = 1e9;
    {
        const Planned p(net, GradientMethod::derivative, 1e-4, {1, huge});
        require(p.chosen().hidden == 1 && p.chosen().output == 1,
                "a derivative has order 1");
        require(!p.plan->has_direct() && p.report.samples[1] == 2 &&
                    p.report.truncation_bound == 0,
                "of every sample");
    }
    {
        const Planned p(net, GradientMethod::automatic, tiny, {1, 2, 3});
        const Orders orders = p.chosen();
        require(orders.hidden == Limits<Real>::lowest_order &&
                    p.plan->orders().output == orders.output,
                "small steps need few terms");
        require(p.report.samples[0] == 0 && p.report.samples[orders.output] == 3,
                "samples are counted");
        require(p.report.truncation_bound > 0, "the largest bound is kept");
        require((p.plan->single().samples > 0) == (narrow_packs && orders.hidden == 3),
                "cubes in float32");
    }
    {
        const Planned p(net, GradientMethod::automatic, tiny, {1, huge, 2});
        require(p.plan->has_series() && p.plan->has_direct(),
                "samples without a proven order are evaluated");
        require(
            !p.plan->directly()[0] && p.plan->directly()[1] && !p.plan->directly()[2],
            "no others are");
        require(p.report.samples[0] == 1 && p.report.samples[p.chosen().output] == 2,
                "both are counted");
    }
    {
        const Planned p(net, GradientMethod::series, tiny, {1, huge});
        require(!p.plan->has_direct() && p.report.samples[0] == 1,
                "the method series only counts them");
    }
    for (const GradientMethod method :
         {GradientMethod::direct, GradientMethod::automatic}) {
        const Planned p(net, method, method == GradientMethod::direct ? tiny : 100.0,
                        {1, 2});
        require(!p.plan->has_series() && p.plan->has_direct() && p.chosen().hidden == 0,
                "no series");
        require(
            p.plan->directly()[0] && p.plan->directly()[1] && p.report.samples[0] == 2,
            "all are evaluated");
    }
    return verdict("plan");
}
