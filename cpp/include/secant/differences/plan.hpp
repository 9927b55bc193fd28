// What is decided for a block of samples: which of them get a series, and of which order.
#pragma once

#include <optional>

#include "secant/differences/bound.hpp"
#include "secant/simd/products.hpp"
#include "secant/platform/workspace.hpp"

namespace secant::SECANT_ISA {

class Plan {
public:
    Plan(Workspace& work, const GradientCall& call, std::size_t capacity)
        : call_(call),
          directly_(work.take<bool>(capacity)),
          decided_(work.take<Decided>(1)) {}

    // Called by one thread; the others wait before they ask. largest_of(n) is of sample n, `mass` the largest sum of the target
    // weights of a sample. All samples that have a proven order share the smallest that is enough for all of them.
    template <class LargestOf>
    void make(std::size_t count, const LargestOf& largest_of, double mass, double largest_outgoing) {
        Largest largest{};
        Orders orders{};
        if (call_.method == GradientMethod::derivative) orders = {1, 1};
        std::optional<TruncationBound> bound;  // where an order must be proven
        if (call_.method == GradientMethod::series || call_.method == GradientMethod::automatic) {
            bound.emplace(call_.net, call_.h, largest_outgoing);
            for (std::size_t n = 0; n < count; ++n) largest = maximum(largest, largest_of(n));
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
        const bool third = narrow_packs && orders.hidden == 3;
        const Single single = third ? bound->in_single(largest.input, mass, rows_at_once) : Single{};
        *decided_ = {orders, direct, single};
        call_.report->samples[0] += direct;
        if (has_series()) call_.report->samples[orders.output] += count - direct;
        double& worst = call_.report->truncation_bound;
        if (bound && orders.hidden > 0) worst = std::max(worst, bound->at(orders, largest, mass));
    }

    // Calls what.template operator()<K>() for the order K of hidden units, or of output units, if there is a series.
    template <class What>
    void with_order(const What& what) const {
        with(decided_->orders.hidden, what);
    }
    template <class What>
    void with_output_order(const What& what) const {
        with(decided_->orders.output, what);
    }

    // What of the third order may be in float32: of the sums over samples, those of full rows. Nothing if the order is not 3.
    Single single() const { return decided_->single; }

    const Orders& orders() const { return decided_->orders; }
    bool has_series() const { return decided_->orders.hidden > 0; }
    // Whether samples are evaluated directly. The method series only counts them: its result will be refused.
    bool has_direct() const { return decided_->direct > 0 && call_.method != GradientMethod::series; }
    const bool* directly() const { return directly_; }  // (count,), whether a sample has no series

private:
    template <class What>
    static void with(int order, const What& what) {
        if (order > 0) with_number<1, Limits<Real>::highest_order, 2>(order, what);
    }

    struct Decided {
        Orders orders;
        std::size_t direct;
        Single single;
    };

    const GradientCall& call_;
    bool* directly_;
    Decided* decided_;
};

}  // namespace secant::SECANT_ISA
