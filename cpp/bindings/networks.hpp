// What is called of a network, whose parameters are float or double: Real.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <pybind11/pybind11.h>

#include "arrays.hpp"
#include "calls.hpp"
#include "threads.hpp"

namespace secant::bindings {

// In training, an iteration with fewer multiplications stays on one thread: it ends before a second one has started.
constexpr std::size_t enough_for_threads_in_training = 500'000;

// The inputs of a network. Engines for float take no doubles: they would have to round them.
template <class Real>
Inputs inputs_of(const py::object& x) {
    const Inputs from = inputs(x);
    require(sizeof(Real) == sizeof(double) || from.type != Inputs::Type::float64, "x must not be float64 for float32 parameters");
    return from;
}

template <class Real>
std::size_t multiplications(const NetworkOf<Real>& net, const Inputs& x) {
    return x.rows * net.hidden() * (net.inputs() + net.outputs());
}

template <class Real>
Array<Real> predict(const Array<Real>& w1, const Array<Real>& b1, const Array<Real>& w2, const Array<Real>& b2,
                    const std::string& hidden, const std::string& output, double log_offset, const py::object& x,
                    int threads) {
    const NetworkOf<Real> net = network(w1, b1, w2, b2, hidden, output, log_offset, compiled.kernels->activations);
    const Inputs from = inputs_of<Real>(x);
    require(from.cols == net.inputs(), "x must be as wide as w1 is high");
    Array<Real> y({from.rows, net.outputs()});
    const PredictCallOf<Real> call{net, from, matrix(y), choose_threads(threads, multiplications(net, from)), interrupted};
    run_in_memory(call.threads, [&](void* block) { return engines<Real>().predict(call, block); });
    throw_if_interrupted();
    return y;
}

inline GradientMethod method_named(const std::string& name) {
    using enum GradientMethod;
    if (name == "derivative") return derivative;
    if (name == "series") return series;
    if (name == "direct") return direct;
    require(name == "auto", "method must be derivative, series, direct or auto");
    return automatic;
}

template <class Real>
Batch samples(const NetworkOf<Real>& net, const py::object& x, const py::array& t) {
    const Inputs from = inputs_of<Real>(x);
    require(from.cols == net.inputs() && from.rows > 0, "x must be as wide as w1 is high, and not empty");
    return {from, targets(t, from.rows, net.outputs()), nullptr, from.rows};
}

// Whether an array is no subclass, in order and aligned, and writeable if it is a parameter.
inline bool plain(const py::object& object, bool parameter) {
    using Api = py::detail::npy_api;
    if (Py_TYPE(object.ptr()) != Api::get().PyArray_Type_) return false;
    const int needed = Api::NPY_ARRAY_C_CONTIGUOUS_ | Api::NPY_ARRAY_ALIGNED_ | (parameter ? Api::NPY_ARRAY_WRITEABLE_ : 0);
    return (py::reinterpret_borrow<py::array>(object).flags() & needed) == needed;
}

// Whether gradients take them as they are: Python need not look for what to convert, or for what is wrong. Elements of x and of
// the parameters that are not finite are found later.
inline bool takes(const py::object& w1, const py::object& b1, const py::object& w2, const py::object& b2, const py::object& hidden,
                  const py::object& output, const py::object& log_offset, const py::object& x, const py::object& t) {
    if (!(PyUnicode_CheckExact(hidden.ptr()) && PyUnicode_CheckExact(output.ptr()) && PyFloat_CheckExact(log_offset.ptr())))
        return false;
    if (!(plain(w1, true) && plain(b1, true) && plain(w2, true) && plain(b2, true) && plain(x, false) && plain(t, false)))
        return false;
    const auto targets = py::reinterpret_borrow<py::array>(t);
    const auto fit = [&]<class Real>() {
        const auto real = [](const py::object& a) { return py::isinstance<Array<Real>>(a); };
        const auto array = [](const py::object& a) { return py::reinterpret_borrow<Array<Real>>(a); };
        if (!(real(w1) && real(b1) && real(w2) && real(b2))) return false;
        const NetworkOf<Real> net = network(array(w1), array(b1), array(w2), array(b2), hidden.cast<std::string>(),
                                            output.cast<std::string>(), log_offset.cast<double>(), compiled.kernels->activations);
        const double* weights = samples(net, x, targets).t.weights;
        const std::size_t size = weights ? static_cast<std::size_t>(targets.size()) : 0;
        return std::all_of(weights, weights + size, [](double w) { return w >= 0 && std::isfinite(w); });
    };
    try {
        return fit.template operator()<double>() || fit.template operator()<float>();
    } catch (const std::exception&) {
        return false;
    }
}

// The cost of a sample, in multiplications: its forward pass and its series, or its direct evaluation.
template <class Real>
std::size_t cost(const GradientCallOf<Real>& call) {
    const NetworkOf<Real>& net = call.net;
    return net.hidden() * (net.inputs() + net.outputs()) *
           (call.method == GradientMethod::direct ? net.outputs() : 2);
}

// ((W1, b1, W2, b2), samples by order, truncation bound)
template <class Real>
py::tuple gradient(const Array<Real>& w1, const Array<Real>& b1, const Array<Real>& w2, const Array<Real>& b2,
                   const std::string& hidden, const std::string& output, double log_offset, const py::object& x,
                   const py::array& t, const std::string& method, double h, int threads) {
    const NetworkOf<Real> net = network(w1, b1, w2, b2, hidden, output, log_offset, compiled.kernels->activations);
    const Batch batch = samples(net, x, t);
    Array<Real> d_w1({net.inputs(), net.hidden()}), d_w2({net.hidden(), net.outputs()});
    Array<Real> d_b1(static_cast<py::ssize_t>(net.hidden())), d_b2(static_cast<py::ssize_t>(net.outputs()));
    GradientReport report{};
    GradientCallOf<Real> call{net, batch, method_named(method), h, {}, 0.0, &report, 0, interrupted};
    call.out = {matrix(d_w1), d_b1.mutable_data(), matrix(d_w2), d_b2.mutable_data()};
    call.threads = choose_threads(threads, cost(call) * batch.size);
    run_in_memory(call.threads, [&](void* block) { return engines<Real>().gradient(call, block); });
    throw_if_interrupted();
    py::dict by_order;
    for (int order = 0; order < 10; ++order)
        if (report.samples[order] > 0) by_order[py::int_(order)] = report.samples[order];
    return py::make_tuple(py::make_tuple(d_w1, d_b1, d_w2, d_b2), by_order, report.truncation_bound);
}

// Updates the parameters once for each row of indices(iterations,batch). Appends the losses of the completed iterations, also
// when it is interrupted.
template <class Real>
void train(Array<Real> w1, Array<Real> b1, Array<Real> w2, Array<Real> b2, const std::string& hidden,
           const std::string& output, double log_offset, const py::object& x, const py::array& t,
           const Array<std::int64_t>& indices, const std::string& method, double h, double rate, int threads, py::list losses,
           bool before) {
    const NetworkOf<Real> net = network(w1, b1, w2, b2, hidden, output, log_offset, compiled.kernels->activations);
    Batch batch = samples(net, x, t);
    require(indices.ndim() == 2 && indices.size() > 0, "indices must be a matrix");
    require(largest(indices.data(), static_cast<std::size_t>(indices.size())) < batch.size, "an index is out of range");
    batch.size = length(indices, 1);
    GradientReport report{};
    GradientCallOf<Real> call{net, batch, method_named(method), h, {}, -rate, &report, 0, interrupted};
    call.out = {matrix(w1), b1.mutable_data(), matrix(w2), b2.mutable_data()};
    call.threads = choose_threads(threads, cost(call) * batch.size, enough_for_threads_in_training);
    std::vector<double> values(length(indices, 0));
    std::size_t done = 0;
    const TrainingCallOf<Real> training{call, indices.data(), values.size(), values.data(), before, &done};
    run_in_memory(call.threads, [&](void* block) { return engines<Real>().train(training, block); });
    {
        const py::error_scope pending;
        for (std::size_t i = 0; i < done; ++i) losses.append(values[i]);
    }
    throw_if_interrupted();
}

}  // namespace secant::bindings
