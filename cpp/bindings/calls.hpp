// A call of the core: its kernels, its memory, and signals that arrive meanwhile.
#pragma once

#include <chrono>
#include <optional>
#include <type_traits>

#include <pybind11/pybind11.h>

#include "arrays.hpp"
#include "secant/platform/multiversion.hpp"
#include "threads.hpp"

namespace secant::bindings {

inline Compiled compiled{};  // set once, when the module is imported

// The engines for networks of float or double.
template <class Real>
const EnginesOf<Real>& engines() {
    if constexpr (std::is_same_v<Real, float>)
        return *compiled.single;
    else
        return compiled.kernels->engines;
}

using Clock = std::chrono::steady_clock;

// When the current call of this thread looks for signals again.
inline thread_local Clock::time_point next_look;
constexpr std::chrono::milliseconds between_looks{10};

// From the module threading; set once, when this one is imported.
inline py::handle main_thread, get_ident;

// Python runs signal handlers on the main thread only; a fork makes the thread that
// called it the main one. To ask takes as long as a small call.
inline bool on_main_thread() {
    struct Answer {
        unsigned at_fork;
        bool main;
    };
    thread_local std::optional<Answer> known;
    if (!known || known->at_fork != forks)
        known = {forks, py::object(main_thread().attr("ident")).equal(get_ident())};
    return known->main;
}

// run(block) without the GIL; run(nullptr) tells how much memory the block must have.
template <class Run>
void run_in_memory(const Run& run) {
    const Memory memory(run(nullptr));
    next_look =
        on_main_thread() ? Clock::now() + between_looks : Clock::time_point::max();
    const Unlocked unlocked;
    run(memory.get());
}

// Whether a signal handler has raised. Looks only now and then: another thread may hold
// the GIL for milliseconds.
inline bool interrupted() {
    if (Clock::now() < next_look) return false;
    const py::gil_scoped_acquire locked;
    next_look = Clock::now() + between_looks;
    return PyErr_CheckSignals() != 0;
}

inline void throw_if_interrupted() {
    if (PyErr_Occurred()) throw py::error_already_set();
}

}  // namespace secant::bindings
