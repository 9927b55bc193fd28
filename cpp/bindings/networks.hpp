// What is called of a network, whose parameters are float or double: Real.
#pragma once

#include <array>
#include <limits>
#include <string>
#include <vector>

#include <pybind11/pybind11.h>

#include "arrays.hpp"
#include "calls.hpp"
#include "threads.hpp"

namespace secant::bindings {

// In training, an iteration with fewer multiplications stays on one thread: it ends
// before a second one has started.
constexpr std::size_t enough_for_threads_in_training = 500'000;

// W1, b1, W2 and b2 of a network as Python passes it, secant.backends.base.Parameters.
// None is converted.
template <class Real>
std::array<Array<Real>, 4> arrays(const py::tuple& parameters) {
    const auto array = [&](std::size_t i) {
        require(is_array<Real>(parameters[i]),
                "parameters must be C-contiguous, aligned arrays, all float64 or all "
                "float32");
        return py::reinterpret_borrow<Array<Real>>(parameters[i]);
    };
    return {array(0), array(1), array(2), array(3)};
}

// A view of such a network: with the names of the two activations, and the log offset.
template <class Real>
NetworkOf<Real> network(const py::tuple& parameters) {
    constexpr const char* output[] = {"identity", "sigmoid", nullptr};
    const auto [w1, b1, w2, b2] = arrays<Real>(parameters);
    const NetworkOf<Real> view{
        matrix(w1),
        b1.data(),
        matrix(w2),
        b2.data(),
        number_of(parameters[4].cast<std::string>(), compiled.kernels->activations,
                  "hidden_activation"),
        number_of(parameters[5].cast<std::string>(), output, "output_activation") == 1,
        parameters[6].cast<double>()};
    require(b1.ndim() == 1 && length(b1, 0) == view.hidden(),
            "b1 must be as long as w1 is wide");
    require(view.w2.rows == view.hidden(), "w2 must have a row for each column of w1");
    require(b2.ndim() == 1 && length(b2, 0) == view.outputs(),
            "b2 must be as long as w2 is wide");
    require(view.inputs() > 0 && view.hidden() > 0 && view.outputs() > 0,
            "a layer is empty");
    require(view.inputs() < UINT32_MAX && view.outputs() < UINT32_MAX,
            "there are too many inputs or classes");  // for 32-bit numbers
    return view;
}

// what.template operator()<Real>() of the type of the parameters.
template <class What>
auto with_type_of(const py::tuple& parameters, const What& what) {
    require(parameters.size() == 7, "a network is a tuple of 7");
    return py::isinstance<Array<float>>(parameters[0])
               ? what.template operator()<float>()
               : what.template operator()<double>();
}

// The inputs of a network. Engines for float take no doubles: they would have to round
// them.
template <class Real>
Inputs inputs_of(const NetworkOf<Real>& net, const py::object& x) {
    const Inputs from = inputs(x);
    require(sizeof(Real) == sizeof(double) || from.type != Inputs::Type::float64,
            "x must not be float64 for float32 parameters");
    require(from.cols == net.inputs() && from.rows > 0,
            "x must be as wide as w1 is high, and not empty");
    return from;
}

// None if x, a parameter or y is not finite.
inline py::object predict(const py::tuple& parameters, const py::object& x,
                          int threads) {
    return with_type_of(parameters, [&]<class Real>() -> py::object {
        const NetworkOf<Real> net = network<Real>(parameters);
        const Inputs from = inputs_of(net, x);
        Array<Real> y({from.rows, net.outputs()});
        bool finite = false;
        const PredictCallOf<Real> call{
            net,         from,
            matrix(y),   choose_threads(threads, from.rows * net.multiplications()),
            interrupted, &finite};
        run_in_memory(
            [&](void* block) { return engines<Real>().predict(call, block); });
        throw_if_interrupted();
        return finite ? py::object(y) : py::none();
    });
}

// The cost of a sample, in multiplications: its forward pass and its series, or its
// direct evaluation.
template <class Real>
std::size_t cost(const GradientCallOf<Real>& call) {
    return call.net.multiplications() * (call.method == GradientMethod::direct
                                             ? passes_an_output * call.net.outputs()
                                             : 2);
}

// ({"W1": ..., "b1": ..., "W2": ..., "b2": ...}, samples by order, truncation bound,
// loss as in GradientReport). Without gradients if something is not finite, a label out
// of range or a weight of a target negative; no samples are counted then, unless it is
// the gradient.
inline py::tuple gradient(const py::tuple& parameters, const py::object& x,
                          const py::array& t, const std::string& method, double h,
                          int threads, bool with_loss) {
    return with_type_of(parameters, [&]<class Real>() -> py::tuple {
        const NetworkOf<Real> net = network<Real>(parameters);
        const Inputs from = inputs_of(net, x);
        const OwnTargets to(t, from.rows, net.outputs());
        const auto how =
            static_cast<GradientMethod>(number_of(method, gradient_methods, "method"));
        py::dict by_order;
        constexpr double nan = std::numeric_limits<double>::quiet_NaN();
        if (!to.in_range()) return py::make_tuple(py::none(), by_order, nan, nan);
        Array<Real> d_w1({net.inputs(), net.hidden()}),
            d_w2({net.hidden(), net.outputs()});
        Array<Real> d_b1(static_cast<py::ssize_t>(net.hidden())),
            d_b2(static_cast<py::ssize_t>(net.outputs()));
        GradientReport report{};
        GradientCallOf<Real> call{net,         {from, to.view(), nullptr, from.rows},
                                  how,         h,
                                  {},          0.0,
                                  &report,     0,
                                  interrupted, with_loss};
        call.out = {matrix(d_w1), d_b1.mutable_data(), matrix(d_w2),
                    d_b2.mutable_data()};
        call.threads = choose_threads(threads, cost(call) * from.rows);
        run_in_memory(
            [&](void* block) { return engines<Real>().gradient(call, block); });
        throw_if_interrupted();
        for (int order = 0;
             order < static_cast<int>(std::size(report.samples)) && report.valid;
             ++order)
            if (report.samples[order] > 0)
                by_order[py::int_(order)] = report.samples[order];
        using namespace py::literals;
        const py::dict gradients("W1"_a = d_w1, "b1"_a = d_b1, "W2"_a = d_w2,
                                 "b2"_a = d_b2);
        return py::make_tuple(report.finite ? py::object(gradients) : py::none(),
                              by_order, report.truncation_bound, report.loss);
    });
}

// Updates the parameters once for each row of indices(iterations,batch). Appends the
// losses of the completed iterations, also when it is interrupted. Returns whether x, t
// and the parameters were valid, as far as it came: the next iteration would be the
// first that was not.
inline bool train(const py::tuple& parameters, const py::object& x, const py::array& t,
                  const Array<std::int64_t>& indices, const std::string& method,
                  double h, double rate, int threads, py::list losses, bool before) {
    return with_type_of(parameters, [&]<class Real>() {
        const NetworkOf<Real> net = network<Real>(parameters);
        const Inputs from = inputs_of(net, x);
        const OwnTargets to(t, from.rows, net.outputs());
        const auto how =
            static_cast<GradientMethod>(number_of(method, gradient_methods, "method"));
        if (!to.in_range()) return false;
        require(indices.ndim() == 2 && indices.size() > 0, "indices must be a matrix");
        const std::vector<std::int64_t> drawn = copied<std::int64_t>(indices);
        require(largest(drawn.data(), drawn.size()) < from.rows,
                "an index is out of range");
        const Batch batch{from, to.view(), nullptr, length(indices, 1)};
        GradientReport report{};
        GradientCallOf<Real> call{net,   batch,   how, h,          {},
                                  -rate, &report, 0,   interrupted};
        auto [w1, b1, w2, b2] = arrays<Real>(parameters);  // to be written
        call.out = {matrix(w1), b1.mutable_data(), matrix(w2), b2.mutable_data()};
        call.threads = choose_threads(threads, cost(call) * batch.size,
                                      enough_for_threads_in_training);
        std::vector<double> values(length(indices, 0));
        std::size_t done = 0;
        const TrainingCallOf<Real> training{call,          drawn.data(), values.size(),
                                            values.data(), before,       &done};
        run_in_memory(
            [&](void* block) { return engines<Real>().train(training, block); });
        {
            const py::error_scope pending;
            for (std::size_t i = 0; i < done; ++i) losses.append(values[i]);
        }
        throw_if_interrupted();
        return report.valid;
    });
}

}  // namespace secant::bindings
