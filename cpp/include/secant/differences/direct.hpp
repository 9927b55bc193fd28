// The central difference, evaluated: phi(h x) - phi(-h x) for every weight and every
// input that is not zero. So are the units near a kink of every sample, one by one:
// then lanes run over the different values of the inputs.
//
// Where a shift is so small that the loss is linear, as far as a float can tell, the
// difference is the slope times the input. So no change is computed that would be
// subnormal.
#pragma once

#include <cmath>

#include "secant/differences/bound.hpp"
#include "secant/differences/contraction.hpp"
#include "secant/differences/exact.hpp"
#include "secant/differences/taylor.hpp"

namespace secant::SECANT_ISA {

// Numbers the different values of a row: equal inputs of a sample have the same
// response, which is evaluated once.
class DistinctValues {
public:
    DistinctValues(Workspace& work, std::size_t inputs)
        : bits_(static_cast<int>(std::bit_width(2 * (inputs + 1)))),
          slots_(work.take<std::uint32_t>(std::size_t{1} << bits_)) {}

    // ids(size,): the number of the value of each entry; distinct(count,): the values,
    // the bias's 1 first. Returns count.
    std::size_t number(const Rows& rows, std::size_t n, std::uint32_t* ids,
                       Real* distinct) {
        std::fill_n(slots_, std::size_t{1} << bits_, empty);
        std::uint32_t count = 0;
        find(1, distinct, count);
        for (std::size_t b = 0; b < rows.blocks(); ++b) {
            const RowBlock row = rows.block(n, b);
            for (const Entry* e = row.begin; e < row.end; ++e)
                *ids++ = find(row.values[e->value], distinct, count);
        }
        return count;
    }

private:
    static constexpr std::uint32_t empty = 0xffffffff;

    std::uint32_t find(Real value, Real* distinct, std::uint32_t& count) {
        const std::size_t slot = slot_of(value, distinct, slots_, bits_, empty);
        if (slots_[slot] == empty) {
            distinct[count] = value;
            slots_[slot] = count++;
        }
        return slots_[slot];
    }

    int bits_;  // so that slots are at most half full
    std::uint32_t* slots_;
};

// A thread's memory for sums over the samples of a block, of one unit or of a pack of
// them: a row for each input, the bias and each output.
class UnitSums {
public:
    // Nothing if `enabled` is false.
    UnitSums(Workspace& work, const Parameters& net, bool enabled)
        : inputs_(net.inputs()),
          rows_(net.inputs() + 1 + net.outputs()),
          sums_(work.take<Real>(enabled ? rows_ * lanes : 0)),
          totals_(work.take<double>(is_single && enabled ? rows_ * lanes : 0)) {}

    // No sums yet, of so many units.
    Accumulator begin(std::size_t units) const {
        return {{sums_, units}, rows_, true, totals_};
    }
    Incoming<Real> incoming(Tile<Real> sums) const {
        return {sums, sums.row(inputs_), sums.stride};
    }
    Tile<Real> outgoing(Tile<Real> sums) const { return sums.from(inputs_ + 1, 0); }

private:
    std::size_t inputs_, rows_;
    Real* sums_;
    double* totals_;
};

class Direct {
public:
    // Nothing if `capacity` is 0.
    Direct(Workspace& work, const Parameters& net, const Samples& samples,
           const TargetLists& targets, std::size_t capacity, int threads, Real h)
        : net_(net),
          samples_(samples),
          targets_(targets),
          h_(h),
          stride_(net.inputs() + 1),
          ids_(work.take<std::uint32_t>(capacity * stride_)),
          counts_(work.take<std::size_t>(capacity)),
          values_(work.take<Real>(capacity * stride_)),
          shifts_(work.take<Real>(capacity * stride_)),
          terms_(work.take<int>(capacity)),
          coefficients_(work.take<Real>(capacity * net.outputs() * most_terms)),
          slopes_(work.take<Real>(finds_slopes ? capacity * net.outputs() : 0)),
          distinct_(one_a_thread<DistinctValues>(work, capacity > 0 ? threads : 0,
                                                 net.inputs())),
          differences_(work.take<Real>(
              capacity > 0 ? static_cast<std::size_t>(threads) * stride_ * lanes : 0)),
          outgoing_(work.take<Real>(capacity > 0 ? static_cast<std::size_t>(threads) *
                                                       net.outputs() * lanes
                                                 : 0)) {}

    // The shifts h |v| by the different input values v, as the activation wants them,
    // and the slopes and series of the outputs.
    void prepare(std::size_t n, std::size_t thread) {
        Real* values = values_ + n * stride_;
        const std::size_t count =
            distinct_[thread].number(samples_.rows, n, ids_ + n * stride_, values);
        terms_[n] = terms_needed(n);
        with_activation(net_.hidden_activation(), [&]<class A>() {
            map(values, shifts_ + n * stride_, count,
                [h = h_](Pack v) { return A::prepare(h * absolute(v)); });
        });
        counts_[n] = count;
        if constexpr (finds_slopes) find_slopes(output(n), slopes(n));
        if (terms_[n] == few_terms)
            Taylor<few_terms>::expand(output(n), coefficients(n));
        if (terms_[n] == most_terms)
            Taylor<most_terms>::expand(output(n), coefficients(n));
    }

    // Adds what sample n contributes to the gradient of pack p's weights, in rows of a
    // pack: to `incoming` times `scale`, to `outgoing` as it is.
    void add_pack(std::size_t panel, std::size_t p, std::size_t n, std::size_t thread,
                  const Incoming<Real>& incoming, Real scale, Tile<Real> outgoing) {
        with_method(n, [&](const auto& method) {
            with_activation(net_.hidden_activation(), [&]<class A>() {
                add_incoming<A>(panel, p, n, method, incoming, scale,
                                differences_ + thread * stride_ * lanes);
            });
            const Pack z1 = load(samples_.z1(panel, n) + p * lanes), shift = h_ * z1;
            const bool all_linear =
                finds_slopes && !(largest_lane(absolute(shift)) > linear);
            for (std::size_t k = 0; k < net_.outputs(); ++k) {
                Real* to = outgoing.row(k);
                const Pack before = load(to);
                Pack sum{};
                if (!all_linear)
                    sum = fma(
                        broadcast(Real{0.5} / h_),
                        difference_of(method.loss_change_of_output(k, {shift, -shift})),
                        before);
                if constexpr (finds_slopes)
                    sum = select(absolute(shift) > linear, sum,
                                 fma(z1, broadcast(slopes(n)[k]), before));
                store(to, sum);
            }
        });
    }

    // Adds what unit j, which sample n brings near a kink, contributes to the gradient
    // of its weights, in rows of one unit.
    void add_near_kink(std::size_t panel, std::size_t j, std::size_t n,
                       std::size_t thread, const Incoming<Real>& incoming, Real scale) {
        with_activation(net_.hidden_activation(), [&]<class A>() {
            if constexpr (A::kink)
                with_method(n, [&](const auto& method) {
                    add_near_kink<A>(panel, j, n, samples_.a1(panel, n)[j], method,
                                     incoming, scale, thread);
                });
        });
    }

    // The gradient of b2(O,) from sample n.
    void add_output_biases(std::size_t n, double* b2) const {
        with_method(n, [&](const auto& method) {
            for (std::size_t k = 0; k < net_.outputs(); ++k)
                if (finds_slopes && h_ <= linear)
                    b2[k] += slopes(n)[k];
                else
                    b2[k] += Real{0.5} / h_ *
                             lane(difference_of(method.loss_change_of_output(
                                      k, {broadcast(h_), -broadcast(h_)})),
                                  0);
        });
    }

private:
    static constexpr Real linear = static_cast<Real>(Limits<Real>::linear);
    static constexpr Real linear_one_sided =
        linear *
        linear;  // where the changes on both sides differ, even terms do not cancel
    static constexpr bool finds_slopes = linear > 0;

    Real* slopes(std::size_t n) const { return slopes_ + n * net_.outputs(); }
    Real* coefficients(std::size_t n) const {
        return coefficients_ + n * net_.outputs() * most_terms;
    }
    OutputState output(std::size_t n) const { return {net_, samples_, targets_, n}; }

    // slopes(O,): the derivative of the loss in each a2_k.
    static void find_slopes(const OutputState& out, Real* slopes) {
        double sum = 0;
        for (std::size_t i = 0; i < out.targets.count; ++i)
            sum += out.targets[i].weight * out.targets[i].ratio;
        for (std::size_t k = 0; k < out.outputs; ++k)
            slopes[k] = static_cast<Real>(out.y(k) * sum);
        for (std::size_t i = 0; i < out.targets.count; ++i)
            slopes[out.targets[i].k] -= out.targets[i].weight * out.targets[i].ratio;
        for (std::size_t k = 0; k < out.outputs && out.sigmoid_output; ++k)
            slopes[k] *= out.z2(k) * out.zc2(k);
    }

    // The derivative in the outputs of a pack of hidden units, with the outgoing
    // weights w2.
    Pack hidden_slope(std::size_t n, Tile<const Real> w2) const {
        return long_sum<Pack>(net_.outputs(), [&](Pack& sum, std::size_t k) {
            sum = fma(broadcast(slopes(n)[k]), load(w2.row(k)), sum);
        });
    }

    // How far a shift of a1 by 1 moves an a2, at most.
    double largest_effect() const {
        return with_activation(net_.hidden_activation(),
                               []<class A>() { return A::steepest; }) *
               net_.largest_outgoing();
    }

    // The terms that a sample needs, 0 for the full functions. No a2 is shifted by more
    // than u = h max(1, |z1_n|, max(1, |x_n|) max|w2| max|f'|). The error of D terms is
    // (2u)^D / (D + 1), here at most 1e-15, for float 5e-7. They need powers of the
    // weights.
    int terms_needed(std::size_t n) const {
        const double by_hidden =
            std::max<double>(1, samples_.rows.largest(n)) * largest_effect();
        const double u = h_ * std::max<double>(samples_.largest_hidden(n), by_hidden);
        const int terms = u <= Limits<Real>::few_terms_limit    ? few_terms
                          : u <= Limits<Real>::most_terms_limit ? most_terms
                                                                : 0;
        return powers_are_normal(net_.largest_outgoing(), terms,
                                 h_ * samples_.rows.largest(n))
                   ? terms
                   : 0;
    }

    template <class What>
    void with_method(std::size_t n, const What& what) const {
        const OutputState out = output(n);
        switch (terms_[n]) {
            case few_terms:
                return what(Taylor<few_terms>(out, coefficients(n)));
            case most_terms:
                return what(Taylor<most_terms>(out, coefficients(n)));
            default:
                return what(Exact(out));
        }
    }

    // The changes of a pack of hidden units that are shifted by s > 0 and by -s.
    template <class Activation>
    static Sides changes(const Unshifted& before, Real s, Real prepared) {
        if (s <= small_shift_limit)
            return Activation::small_changes(before, broadcast(prepared));
        return {Activation::large_change(before, broadcast(s)),
                Activation::large_change(before, broadcast(-s))};
    }

    // Evaluates each distinct input of the sample once, then adds the result to the
    // weights of all inputs that equal it.
    template <class Activation, class Method>
    void add_incoming(std::size_t panel, std::size_t p, std::size_t n,
                      const Method& method, const Incoming<Real>& incoming, Real scale,
                      Real* differences) const {
        const Unshifted before{load(samples_.a1(panel, n) + p * lanes),
                               load(samples_.z1(panel, n) + p * lanes),
                               load(samples_.state1(panel, n) + p * lanes)};
        const Tile<const Real> w2 = net_.transposed(panel).from(0, p * lanes);
        const auto loss_change = method.loss_change_of_hidden(w2);
        const Pack slope = finds_slopes ? hidden_slope(n, w2) : Pack{};
        const Pack derivative =
            compose(Jet<1>{{Pack{}, slope}},
                    Activation::template series<1>(before.z, before.state))
                .c[1];
        const double effect = std::max(1.0, largest_effect());
        Pack largest{};  // each unit's largest outgoing weight
        for (std::size_t k = 0; k < net_.outputs() && finds_slopes; ++k)
            largest = maximum(largest, absolute(load(w2.row(k))));
        for (std::size_t v = 0; v < counts_[n]; ++v) {
            const Real value = values_[n * stride_ + v], shift = h_ * value,
                       quotient = std::copysign(Real{0.5} / h_, shift) * scale;
            if (finds_slopes && std::abs(shift) * effect <= linear) {
                store(differences + v * lanes, scale * (value * derivative));
                continue;
            }
            const Sides f =
                changes<Activation>(before, std::abs(shift), shifts_[n * stride_ + v]);
            Pack difference = quotient * difference_of(loss_change(f));
            if constexpr (finds_slopes) {  // the loss may be linear here, too: a
                                           // saturated unit changes little by a large
                                           // shift
                const bool small =
                    std::abs(shift) <= linear;  // then the unit is linear as well, and
                                                // f may be 0 as a float
                const Pack by_slope = small ? scale * (value * derivative)
                                            : quotient * (f.plus - f.minus) * slope;
                const Pack moved = (absolute(f.plus) + absolute(f.minus)) * largest;
                difference = select(moved > (small ? linear : linear_one_sided),
                                    difference, by_slope);
            }
            store(differences + v * lanes, difference);
        }
        for_each_input(n, incoming, [&](Real* to, std::size_t v) {
            put(to, load(differences + v * lanes), true);
        });
    }

    // The same for one unit near a kink, with the pre-activation a.
    template <class Activation, class Method>
    void add_near_kink(std::size_t panel, std::size_t j, std::size_t n, Real a,
                       const Method& method, const Incoming<Real>& incoming, Real scale,
                       std::size_t thread) const {
        Real *differences = differences_ + thread * stride_ * lanes,
             *w2 = outgoing_ + thread * net_.outputs() * lanes;
        for (std::size_t k = 0; k < net_.outputs(); ++k)
            store(w2 + k * lanes, broadcast(net_.w2(panel, j)[k]));
        const auto loss_change = method.loss_change_of_hidden({w2, lanes});
        const Pack slope = finds_slopes ? hidden_slope(n, {w2, lanes}) : Pack{};
        const auto effect = static_cast<Real>(std::max(1.0, largest_effect()));
        map(values_ + n * stride_, differences, counts_[n], [&](Pack v) {
            const Pack shift = h_ * v,
                       quotient = select(shift < 0, broadcast(-Real{0.5} / h_),
                                         broadcast(Real{0.5} / h_));
            const Pack difference =
                quotient * scale *
                difference_of(loss_change(
                    Activation::changes_near_kink(broadcast(a), absolute(shift))));
            if constexpr (!finds_slopes) return difference;
            const Sides f = Activation::changes_near_kink(
                broadcast(a / h_), absolute(v));  // in units of h
            const Pack half =
                select(v < 0, broadcast(-Real{0.5}), broadcast(Real{0.5}));
            return select(absolute(shift) * effect > linear_one_sided, difference,
                          half * scale * ((f.plus - f.minus) * slope));
        });
        for_each_input(n, incoming,
                       [&](Real* to, std::size_t v) { *to += differences[v]; });
    }

    // add(a row of weights, the number of the value) for each input of sample n that is
    // not zero, and the bias.
    template <class Add>
    void for_each_input(std::size_t n, const Incoming<Real>& incoming,
                        const Add& add) const {
        const std::uint32_t* id = ids_ + n * stride_;
        for (std::size_t b = 0; b < samples_.rows.blocks(); ++b) {
            const RowBlock row = samples_.rows.block(n, b);
            const Tile<Real> weights = incoming.weights.from(b * block_columns, 0);
            for (const Entry* e = row.begin; e < row.end; ++e)
                add(weights.row(e->column), *id++);
        }
        add(incoming.bias, 0);
    }

    const Parameters& net_;
    const Samples& samples_;
    const TargetLists& targets_;
    Real h_;
    std::size_t stride_;
    std::uint32_t* ids_;
    std::size_t* counts_;
    Real *values_, *shifts_;
    int* terms_;
    Real *coefficients_, *slopes_;
    DistinctValues* distinct_;
    Real *differences_, *outgoing_;
};

}  // namespace secant::SECANT_ISA
