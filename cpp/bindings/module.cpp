// secant._core: check, view, release the GIL, call, return.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <vector>

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "secant/interface/constants.hpp"
#include "secant/platform/multiversion.hpp"
#include "threads.hpp"

namespace secant::bindings {
namespace {

const Kernels* kernels = nullptr;  // set once, when the module is imported

// In training, an iteration with fewer multiplications stays on one thread: it ends before a second one has started.
constexpr std::size_t enough_for_threads_in_training = 500'000;

// The cost of an element, in multiplications.
constexpr std::size_t cost_of_reading = 6, cost_of_a_function = 40;

using Clock = std::chrono::steady_clock;

// When the current call of this thread looks for signals again.
thread_local Clock::time_point next_look;
constexpr std::chrono::milliseconds between_looks{10};

// Of the module threading; set once, when this one is imported.
py::handle main_thread, get_ident;

// Python runs signal handlers on the main thread only.
bool on_main_thread() { return py::object(main_thread().attr("ident")).equal(get_ident()); }

// run(block) on so many threads without the GIL; run(nullptr) tells how much memory the block must have.
template <class Run>
void run_in_memory(int threads, const Run& run) {
    const Memory memory(run(nullptr));
    require_threads(threads);
    next_look = on_main_thread() ? Clock::now() + between_looks : Clock::time_point::max();
    const Unlocked unlocked;
    run(memory.get());
}

// Whether a signal handler has raised. Looks only now and then: another thread may hold the GIL for milliseconds.
bool interrupted() {
    if (Clock::now() < next_look) return false;
    const py::gil_scoped_acquire locked;
    next_look = Clock::now() + between_looks;
    return PyErr_CheckSignals() != 0;
}

void throw_if_interrupted() {
    if (PyErr_Occurred()) throw py::error_already_set();
}

py::array::ShapeContainer shape_of(const py::array& a) { return {a.shape(), a.shape() + a.ndim()}; }

bool all_finite(const py::array& a, int threads) {
    const Inputs flat = inputs(a);
    const Unlocked unlocked;
    return kernels->all_finite(flat, started_threads(threads, flat.rows * flat.cols * cost_of_reading));
}

Array<double> sigmoid(const Array<double>& x) {
    Array<double> out(shape_of(x));
    const auto size = static_cast<std::size_t>(x.size());
    const double* from = x.data();
    double* to = out.mutable_data();
    const Unlocked unlocked;
    kernels->sigmoid(from, to, size, started_threads(0, size * cost_of_a_function));
    return out;
}

Array<double> softmax(const Array<double>& x) {
    Array<double> out(shape_of(x));
    require(x.ndim() >= 1 && x.size() > 0, "softmax needs a last axis");
    const std::size_t classes = length(x, static_cast<int>(x.ndim()) - 1);
    const std::size_t rows = static_cast<std::size_t>(x.size()) / classes;
    const ConstMatrix from{x.data(), rows, classes};
    const Matrix to{out.mutable_data(), rows, classes};
    const Unlocked unlocked;
    kernels->softmax(from, to, started_threads(0, rows * classes * cost_of_a_function));
    return out;
}

double cross_entropy(const Array<double>& y, const py::array& t, double log_offset) {
    const ConstMatrix view = matrix(y);
    const Targets to = targets(t, view.rows, view.cols);
    const Unlocked unlocked;
    const std::size_t logarithms = view.rows * (to.labels ? 1 : view.cols);
    return kernels->cross_entropy(view, to, log_offset, started_threads(0, logarithms * cost_of_a_function));
}

std::size_t multiplications(const Network& net, const Inputs& x) {
    return x.rows * net.hidden() * (net.inputs() + net.outputs());
}

Array<double> predict(const Array<double>& w1, const Array<double>& b1, const Array<double>& w2, const Array<double>& b2,
                      const std::string& hidden, const std::string& output, double log_offset, const py::object& x,
                      int threads) {
    const Network net = network(w1, b1, w2, b2, hidden, output, log_offset, kernels->activations);
    const Inputs from = inputs(x);
    require(from.cols == net.inputs(), "x must be as wide as w1 is high");
    Array<double> y({from.rows, net.outputs()});
    const PredictCall call{net, from, matrix(y), choose_threads(threads, multiplications(net, from)), interrupted};
    run_in_memory(call.threads, [&](void* block) { return kernels->predict(call, block); });
    throw_if_interrupted();
    return y;
}

GradientCall::Method method_named(const std::string& name) {
    using enum GradientCall::Method;
    if (name == "derivative") return derivative;
    if (name == "series") return series;
    if (name == "direct") return direct;
    require(name == "auto", "method must be derivative, series, direct or auto");
    return automatic;
}

Batch samples(const Network& net, const py::object& x, const py::array& t) {
    const Inputs from = inputs(x);
    require(from.cols == net.inputs() && from.rows > 0, "x must be as wide as w1 is high, and not empty");
    return {from, targets(t, from.rows, net.outputs()), nullptr, from.rows};
}

// x as IndexedInputs, if it can be. values(256,): what the pixels of uint8 stand for.
std::optional<IndexedInputs> index_inputs(const py::array& x, const std::optional<Array<double>>& values) {
    const Inputs from = inputs(x);
    require(!values || (values->ndim() == 1 && length(*values, 0) == 256 && from.type == Inputs::Type::uint8),
            "256 values are for uint8");
    const double* table = values ? values->data() : nullptr;
    const Unlocked unlocked;
    const auto make = [&](const auto* data) { return IndexedInputs::make(data, from.rows, from.cols, table); };
    switch (from.type) {
        case Inputs::Type::uint8: return make(static_cast<const std::uint8_t*>(from.data));
        case Inputs::Type::float32: return make(static_cast<const float*>(from.data));
        default: return make(static_cast<const double*>(from.data));
    }
}

// The cost of a sample, in multiplications: its forward pass and its series, or its direct evaluation.
std::size_t cost(const GradientCall& call) {
    const Network& net = call.net;
    return net.hidden() * (net.inputs() + net.outputs()) *
           (call.method == GradientCall::Method::direct ? net.outputs() : 2);
}

// ((W1, b1, W2, b2), samples by order, truncation bound)
py::tuple gradient(const Array<double>& w1, const Array<double>& b1, const Array<double>& w2, const Array<double>& b2,
                   const std::string& hidden, const std::string& output, double log_offset, const py::object& x,
                   const py::array& t, const std::string& method, double h, int threads) {
    const Network net = network(w1, b1, w2, b2, hidden, output, log_offset, kernels->activations);
    const Batch batch = samples(net, x, t);
    Array<double> d_w1({net.inputs(), net.hidden()}), d_w2({net.hidden(), net.outputs()});
    Array<double> d_b1(static_cast<py::ssize_t>(net.hidden())), d_b2(static_cast<py::ssize_t>(net.outputs()));
    GradientReport report{};
    GradientCall call{net, batch, method_named(method), h, {}, 0.0, &report, 0, interrupted};
    call.out = {matrix(d_w1), d_b1.mutable_data(), matrix(d_w2), d_b2.mutable_data()};
    call.threads = choose_threads(threads, cost(call) * batch.size);
    run_in_memory(call.threads, [&](void* block) { return kernels->gradient(call, block); });
    throw_if_interrupted();
    py::dict by_order;
    for (int order = 0; order < 10; ++order)
        if (report.samples[order] > 0) by_order[py::int_(order)] = report.samples[order];
    return py::make_tuple(py::make_tuple(d_w1, d_b1, d_w2, d_b2), by_order, report.truncation_bound);
}

// Updates the parameters once for each row of indices(iterations,batch). Appends the losses of the completed iterations, also
// when it is interrupted.
void train(Array<double> w1, Array<double> b1, Array<double> w2, Array<double> b2, const std::string& hidden,
           const std::string& output, double log_offset, const py::object& x, const py::array& t,
           const Array<std::int64_t>& indices, const std::string& method, double h, double rate, int threads, py::list losses) {
    const Network net = network(w1, b1, w2, b2, hidden, output, log_offset, kernels->activations);
    Batch batch = samples(net, x, t);
    require(indices.ndim() == 2 && indices.size() > 0, "indices must be a matrix");
    require(largest(indices.data(), static_cast<std::size_t>(indices.size())) < batch.size, "an index is out of range");
    batch.size = length(indices, 1);
    GradientReport report{};
    GradientCall call{net, batch, method_named(method), h, {}, -rate, &report, 0, interrupted};
    call.out = {matrix(w1), b1.mutable_data(), matrix(w2), b2.mutable_data()};
    call.threads = choose_threads(threads, cost(call) * batch.size, enough_for_threads_in_training);
    std::vector<double> values(length(indices, 0));
    std::size_t done = 0;
    const TrainingCall training{call, indices.data(), values.size(), values.data(), &done};
    run_in_memory(call.threads, [&](void* block) { return kernels->train(training, block); });
    {
        const py::error_scope pending;
        for (std::size_t i = 0; i < done; ++i) losses.append(values[i]);
    }
    throw_if_interrupted();
}

// Difference quotients of the function of C at that address, of the coordinates begin to end - 1 of x(n,).
Array<double> difference(std::uintptr_t address, std::uintptr_t data, const Array<double>& x, std::size_t begin,
                         std::size_t end, const std::string& scheme, double h, int threads) {
    require(address != 0 && x.ndim() == 1 && begin <= end && end <= length(x, 0), "a range of a vector is needed");
    constexpr const char* schemes[] = {"central", "forward", "five-point", nullptr};
    Array<double> out(static_cast<py::ssize_t>(end - begin));
    const DifferenceCall call{reinterpret_cast<double (*)(const double*, std::intptr_t, void*)>(address),
                              reinterpret_cast<void*>(data),
                              x.data(),
                              length(x, 0),
                              begin,
                              end,
                              static_cast<DifferenceCall::Scheme>(number_of(scheme, schemes, "scheme")),
                              h,
                              out.mutable_data(),
                              available_threads(threads),
                              interrupted};
    run_in_memory(call.threads, [&](void* block) { return kernels->difference(call, block); });
    throw_if_interrupted();
    return out;
}

py::dict build_info() {
    py::list usable;
    for (const Kernels* candidate : usable_kernels()) usable.append(candidate->isa);
    py::dict info;
#if defined(__clang__)
    info["compiler"] = "clang " __clang_version__;
#elif defined(__GNUC__)
    info["compiler"] = "gcc " __VERSION__;
#else
    info["compiler"] = "unknown";
#endif
    info["openmp"] = openmp_version();
    info["isa"] = kernels->isa;
    info["usable_isas"] = py::tuple(usable);
    return info;
}

// Those of interface/constants.hpp, by their names in secant/backends/bound.py.
py::dict constants() {
    using namespace py::literals;
    return py::dict("FEW_TERMS"_a = few_terms, "MOST_TERMS"_a = most_terms,
                    "FEW_TERMS_LIMIT"_a = few_terms_limit, "MOST_TERMS_LIMIT"_a = most_terms_limit,
                    "SMALL_SHIFT_LIMIT"_a = small_shift_limit, "EXPONENT_LIMIT"_a = exponent_limit,
                    "TRUNCATION_LIMIT"_a = truncation_limit, "ROUNDING_SHARE"_a = rounding_share, "DISCS"_a = discs,
                    "LARGEST_RADIUS"_a = largest_radius, "RADIUS_RATIO"_a = radius_ratio, "LOG_BOUND_LIMIT"_a = log_bound_limit);
}

void choose_kernels() {
    const char* asked = std::getenv("SECANT_ISA");
    kernels = find_kernels(asked ? asked : "");
    if (kernels) return;
    std::string names;
    for (const Kernels* candidate : usable_kernels()) names += std::string(names.empty() ? "" : ", ") + candidate->isa;
    throw py::import_error("SECANT_ISA must be one of " + names + " on this machine, got '" + asked + "'");
}

}  // namespace

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
    m.doc() = "The compiled core. Use it through secant, which validates what is passed.";
    choose_kernels();
    const auto threading = py::module_::import("threading");
    main_thread = threading.attr("main_thread").cast<py::object>().release();
    get_ident = threading.attr("get_ident").cast<py::object>().release();
    m.def("all_finite", &all_finite, py::arg("a"), py::arg("threads"));
    m.def("sigmoid", &sigmoid, py::arg("x"));
    m.def("softmax", &softmax, py::arg("x"));
    m.def("cross_entropy", &cross_entropy, py::arg("y"), py::arg("t"), py::arg("log_offset"));
    m.def("predict", &predict, py::arg("w1"), py::arg("b1"), py::arg("w2"), py::arg("b2"),
          py::arg("hidden_activation"), py::arg("output_activation"), py::arg("log_offset"), py::arg("x"),
          py::arg("threads"));
    m.def("gradient", &gradient, py::arg("w1"), py::arg("b1"), py::arg("w2"), py::arg("b2"),
          py::arg("hidden_activation"), py::arg("output_activation"), py::arg("log_offset"), py::arg("x"), py::arg("t"),
          py::arg("method"), py::arg("h"), py::arg("threads"));
    m.def("train", &train, py::arg("w1").noconvert(), py::arg("b1").noconvert(), py::arg("w2").noconvert(),
          py::arg("b2").noconvert(), py::arg("hidden_activation"), py::arg("output_activation"), py::arg("log_offset"),
          py::arg("x"), py::arg("t"), py::arg("indices"), py::arg("method"), py::arg("h"), py::arg("rate"), py::arg("threads"),
          py::arg("losses"));
    m.def("difference", &difference, py::arg("address"), py::arg("data"), py::arg("x"), py::arg("begin"), py::arg("end"),
          py::arg("scheme"), py::arg("h"), py::arg("threads"));
    py::class_<IndexedInputs>(m, "IndexedInputs")
        .def("__len__", &IndexedInputs::rows)
        .def_property_readonly("shape", [](const IndexedInputs& x) { return py::make_tuple(x.rows(), x.cols()); });
    m.def("index_inputs", &index_inputs, py::arg("x"), py::arg("values") = py::none());
    m.def("build_info", &build_info);
    m.def("constants", &constants);
    m.def("max_threads", [] { return std::min(max_threads(), most_threads()); });
    m.def("end_threads", &end_kept_threads);
    // A child forked after a parallel region would wait for threads that it does not have.
    const auto os = py::module_::import("os");
    if (py::hasattr(os, "register_at_fork")) os.attr("register_at_fork")(py::arg("before") = m.attr("end_threads"));
}

}  // namespace secant::bindings
