// The GIL, and how many threads a call may have.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <system_error>
#include <thread>
#include <vector>

#include <pybind11/pybind11.h>

#include "secant/platform/parallel.hpp"

namespace secant::bindings {

// Releases the GIL while it lives. When the interpreter is ending, it does not return the GIL but unwinds the thread's stack,
// whose objects need the GIL. Such a thread sleeps until the process ends, as in Python 3.14.
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
    static const int most = std::max(64, static_cast<int>(std::thread::hardware_concurrency()));  // reads files
    return most;
}

// How many threads can run at once, this one included; at most `threads`.
inline int creatable(int threads) {
    std::latch end(1);
    std::vector<std::thread> created;
    try {
        created.reserve(static_cast<std::size_t>(threads) - 1);
        while (created.size() + 1 < static_cast<std::size_t>(threads)) created.emplace_back([&] { end.wait(); });
    } catch (const std::system_error&) {  // no more can be created
    }
    end.count_down();
    for (std::thread& thread : created) thread.join();
    return static_cast<int>(created.size()) + 1;
}

// Rises when the threads that OpenMP keeps are ended.
inline std::atomic<unsigned> generation{0};

inline void end_kept_threads() {
    end_threads();
    ++generation;
}

// `threads`, or as many as can be created. libgomp ends the process if it cannot create a thread, so this is tried first,
// unless libgomp still has as many from this thread's last call.
inline int available_threads(int threads) {
    thread_local struct {
        unsigned generation;
        int threads;
    } kept{0, 1};
    threads = std::min(threads, most_threads());
    if (kept.generation != generation) kept = {generation, 1};
    if (threads > kept.threads) threads = creatable(threads);
    kept.threads = threads;
    return threads;
}

// About as many multiplications take a millisecond. Less work stays on one thread: a second one, if it has to wait for a core,
// costs more than it saves.
constexpr std::size_t enough_for_threads = 30'000'000;

// `asked` is 0 if the caller did not choose.
inline int choose_threads(int asked, std::size_t multiplications, std::size_t enough = enough_for_threads) {
    if (asked == 0) asked = multiplications < enough ? 1 : max_threads();
    return available_threads(asked);
}

}  // namespace secant::bindings
