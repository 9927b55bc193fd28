// secant._core: check, view, release the GIL, call, return.
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "calls.hpp"
#include "networks.hpp"
#include "threads.hpp"

namespace secant::bindings {
namespace {

using namespace py::literals;

// The cost of an element, in multiplications.
constexpr std::size_t cost_of_reading = 6, cost_of_a_function = 40;

py::array::ShapeContainer shape_of(const py::array& a) {
    return {a.shape(), a.shape() + a.ndim()};
}

bool all_finite(const py::array& a) {
    const Inputs flat = inputs(a);
    const Unlocked unlocked;
    return compiled.kernels->all_finite(
        flat, choose_threads(0, flat.rows * flat.cols * cost_of_reading));
}

Array<double> sigmoid(const Array<double>& x) {
    Array<double> out(shape_of(x));
    const auto size = static_cast<std::size_t>(x.size());
    const double* from = x.data();
    double* to = out.mutable_data();
    const Unlocked unlocked;
    compiled.kernels->sigmoid(from, to, size,
                              choose_threads(0, size * cost_of_a_function));
    return out;
}

Array<double> softmax(const Array<double>& x) {
    Array<double> out(shape_of(x));
    require(x.ndim() >= 1 && x.size() > 0, "softmax needs a last axis");
    const std::size_t classes = length(x, static_cast<int>(x.ndim()) - 1);
    const std::size_t rows = static_cast<std::size_t>(x.size()) / classes;
    const View<const double> from{x.data(), rows, classes};
    const View<double> to{out.mutable_data(), rows, classes};
    const Unlocked unlocked;
    compiled.kernels->softmax(from, to,
                              choose_threads(0, rows * classes * cost_of_a_function));
    return out;
}

// NaN if a label is out of range, too.
double cross_entropy(const Array<double>& y, const py::array& t, double log_offset) {
    const View<const double> view = matrix(y);
    const OwnTargets to(t, view.rows, view.cols);
    if (!to.in_range()) return std::numeric_limits<double>::quiet_NaN();
    const Unlocked unlocked;
    const std::size_t logarithms = view.rows * (t.ndim() == 1 ? 1 : view.cols);
    return compiled.kernels->cross_entropy(
        view, to.view(), log_offset,
        choose_threads(0, logarithms * cost_of_a_function));
}

// x as IndexedInputs, if it can be. values(256,): what the pixels of uint8 stand for.
std::optional<IndexedInputs> index_inputs(const py::array& x,
                                          const std::optional<Array<double>>& values) {
    const Inputs from = inputs(x);
    require(!values || (values->ndim() == 1 && length(*values, 0) == 256 &&
                        from.type == Inputs::Type::uint8),
            "256 values are for uint8");
    const double* table = values ? values->data() : nullptr;
    const Unlocked unlocked;
    return from.with_data([&](const auto* data) {
        return IndexedInputs::make(data, from.rows, from.cols, table);
    });
}

// Difference quotients of the function of C at that address, of the coordinates begin
// to end - 1 of x(n,).
Array<double> difference(std::uintptr_t address, std::uintptr_t data,
                         const Array<double>& x, std::size_t begin, std::size_t end,
                         const std::string& scheme, double h, int threads) {
    require(address != 0 && x.ndim() == 1 && is_array<double>(x) && begin <= end &&
                end <= length(x, 0),
            "a range of a vector is needed");
    require(threads > 0, "threads must be at least 1");
    Array<double> out(static_cast<py::ssize_t>(end - begin));
    const DifferenceCall call{
        reinterpret_cast<double (*)(const double*, std::intptr_t, void*)>(address),
        reinterpret_cast<void*>(data),
        x.data(),
        length(x, 0),
        begin,
        end,
        static_cast<DifferenceCall::Scheme>(
            number_of(scheme, DifferenceCall::schemes, "scheme")),
        h,
        out.mutable_data(),
        std::min(threads, most_threads()),
        interrupted};
    run_in_memory(
        [&](void* block) { return compiled.kernels->difference(call, block); });
    throw_if_interrupted();
    return out;
}

py::dict build_info() {
    py::list usable;
    for (const Compiled& candidate : usable_kernels())
        usable.append(candidate.kernels->isa);
#if defined(__clang__)
    const char* compiler = "clang " __clang_version__;
#elif defined(__GNUC__)
    const char* compiler = "gcc " __VERSION__;
#else
    const char* compiler = "unknown";
#endif
#ifdef _OPENMP
    const int openmp = _OPENMP;  // the date of the specification
#else
    const int openmp = 0;
#endif
    return py::dict("compiler"_a = compiler, "openmp"_a = openmp,
                    "isa"_a = compiled.kernels->isa,
                    "usable_isas"_a = py::tuple(usable));
}

void choose_kernels() {
    const char* variable = std::getenv("SECANT_ISA");
    const std::string asked = variable ? variable : "";
    compiled = find_kernels(asked);
    if (compiled.kernels) return;
    std::string names;
    for (const Compiled& candidate : usable_kernels())
        names += std::string(names.empty() ? "" : ", ") + candidate.kernels->isa;
    if (names.empty())
        throw py::import_error(
            "this processor has none of the instruction sets that the core was "
            "compiled for");
    throw py::import_error("SECANT_ISA must be one of " + names +
                           " on this machine, got '" + asked + "'");
}

}  // namespace

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
    m.doc() =
        "The compiled core. Use it through secant, which validates what is passed.";
    choose_kernels();
    const auto threading = py::module_::import("threading");
    main_thread = threading.attr("main_thread").cast<py::object>().release();
    get_ident = threading.attr("get_ident").cast<py::object>().release();
    m.def("all_finite", &all_finite, "a"_a);
    m.def("sigmoid", &sigmoid, "x"_a);
    m.def("softmax", &softmax, "x"_a);
    m.def("cross_entropy", &cross_entropy, "y"_a, "t"_a, "log_offset"_a);
    m.def("predict", &predict, "net"_a, "x"_a, "n_threads"_a);
    m.def("gradient", &gradient, "net"_a, "x"_a, "t"_a, "method"_a, "h"_a, "threads"_a,
          "with_loss"_a = true);
    m.def("train", &train, "net"_a, "x"_a, "t"_a, "indices"_a, "method"_a, "h"_a,
          "learning_rate"_a, "n_threads"_a, "losses"_a, "before"_a = false);
    m.def("difference", &difference, "address"_a, "data"_a, "x"_a, "begin"_a, "end"_a,
          "scheme"_a, "h"_a, "threads"_a);
    py::class_<IndexedInputs>(m, "IndexedInputs")
        .def("__len__", &IndexedInputs::rows)
        .def_property_readonly("shape", [](const IndexedInputs& x) {
            return py::make_tuple(x.rows(), x.cols());
        });
    m.def("index_inputs", &index_inputs, "x"_a, "values"_a = py::none());
    m.def("build_info", &build_info);
    m.def("max_threads", [] { return std::min(max_threads(), most_threads()); });
}

}  // namespace secant::bindings
