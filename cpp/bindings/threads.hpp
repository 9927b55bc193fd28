// The GIL, and how many threads a call may have.
#pragma once

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include <pybind11/pybind11.h>

#include "secant/platform/parallel.hpp"

namespace secant::bindings {

// Releases the GIL while it lives. When the interpreter is ending, it does not return
// the GIL but unwinds the thread's stack, whose objects need the GIL. Such a thread
// sleeps until the process ends, as in Python 3.14.
class Unlocked {
public:
    Unlocked() : state_(PyEval_SaveThread()) {}
    ~Unlocked() {
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

private:
    PyThreadState* state_;
};

// The upper limit for any call: 64, or the number of cores if there are more.
inline int most_threads() {
    static const int most = std::max(
        64, static_cast<int>(std::thread::hardware_concurrency()));  // reads files
    return most;
}

// About as many multiplications take a millisecond. Less work stays on one thread: a
// second one, if it has to wait for a core, costs more than it saves.
constexpr std::size_t enough_for_threads = 30'000'000;

// `asked` is 0 if the caller did not choose.
inline int choose_threads(int asked, std::size_t multiplications,
                          std::size_t enough = enough_for_threads) {
    if (asked < 0)
        throw std::invalid_argument("secant._core: n_threads must not be negative");
    if (asked == 0) asked = multiplications < enough ? 1 : max_threads();
    return std::min(asked, most_threads());
}

}  // namespace secant::bindings
