// What is decided for a block of samples: which of them get a series, and of which
// order.
#pragma once

#include <optional>

#include "secant/differences/bound.hpp"
#include "secant/network/targets.hpp"
#include "secant/simd/products.hpp"
#include "secant/platform/workspace.hpp"

namespace secant::SECANT_ISA {

class Plan {
public:
    Plan(Workspace& work, const GradientCall& call, std::size_t capacity)
        : call_(call), directly_(work.take<bool>(capacity)) {}

    // Called by one thread; the others wait before they ask. largest_of(n) is of sample
    // n, `mass` the largest sum of the target weights of a sample. All samples that
    // have a proven order share the smallest that is enough for all of them.
    template <class LargestOf>
    void make(std::size_t count, const LargestOf& largest_of, double mass,
              double largest_outgoing) {
        Largest largest{};
        Orders orders{};
        if (call_.method == GradientMethod::derivative) orders = {1, 1};
        std::optional<TruncationBound> bound;  // where an order must be proven
        if (call_.method == GradientMethod::series ||
            call_.method == GradientMethod::automatic) {
            bound.emplace(call_.net, call_.h, largest_outgoing);
            for (std::size_t n = 0; n < count; ++n)
                largest = maximum(largest, largest_of(n));
            orders = bound->orders(largest, mass);
        }
        std::fill_n(directly_, count, orders.hidden == 0);
        std::size_t direct = orders.hidden == 0 ? count : 0;
        if (bound && orders.hidden == 0) {  // no order is enough for all
            largest = {};
            for (std::size_t n = 0; n < count; ++n) {
                if (bound->orders(largest_of(n), mass).hidden == 0) continue;
                directly_[n] = false;
                --direct;
                largest = maximum(largest, largest_of(n));
            }
            if (direct < count) orders = bound->orders(largest, mass);
        }
        // Those of few targets are multiplied by sums in double.
        const int means_in_a_term =
            call_.batch.t.most(call_.net.outputs()) > few_targets ? 3 : 1;
        const bool third = narrow_packs && orders.hidden == 3;
        single_ =
            third ? bound->in_single(largest.input, mass, rows_at_once, means_in_a_term)
                  : ThirdOrderInFloat{};
        orders_ = orders;
        direct_ = direct;
        call_.report->samples[0] += direct;
        if (has_series()) call_.report->samples[orders.output] += count - direct;
        double& worst = call_.report->truncation_bound;
        if (bound && orders.hidden > 0)
            worst = std::max(worst, bound->at(orders, largest, mass));
    }

    // Calls what.template operator()<K>() for an order K, of hidden or of output units,
    // if there is a series.
    template <class What>
    static void with_order(int order, const What& what) {
        if (order > 0) with_number<1, Limits<Real>::highest_order, 2>(order, what);
    }

    // How much of the third order may be float32; empty unless the order is 3.
    ThirdOrderInFloat single() const { return single_; }

    const Orders& orders() const { return orders_; }
    bool has_series() const { return orders_.hidden > 0; }
    // Whether samples are evaluated directly. The method series only counts them: its
    // result will be refused.
    bool has_direct() const {
        return direct_ > 0 && call_.method != GradientMethod::series;
    }
    const bool* directly() const {
        return directly_;
    }  // (count,), whether a sample has no series

private:
    const GradientCall& call_;
    bool* directly_;
    Orders orders_{};
    std::size_t direct_ = 0;
    ThirdOrderInFloat single_;
};

}  // namespace secant::SECANT_ISA
