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

// The GIL is released while one of these lives. An interpreter that is ending does not give it back, but ends the thread by
// unwinding its stack, whose objects need the GIL: such a thread sleeps until the process is gone, as in Python 3.14.
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

// No call gets more than this, and than there are cores.
inline int most_threads() {
    static const int most = std::max(64, static_cast<int>(std::thread::hardware_concurrency()));  // that reads files
    return most;
}

// How many threads can be created, one of them being there already; at most `threads`.
inline int creatable(int threads) {
    std::latch end(1);
    std::vector<std::thread> created;
    try {
        created.reserve(static_cast<std::size_t>(threads) - 1);
        while (created.size() + 1 < static_cast<std::size_t>(threads)) created.emplace_back([&] { end.wait(); });
    } catch (const std::system_error&) {  // it stays at those
    }
    end.count_down();
    for (std::thread& thread : created) thread.join();
    return static_cast<int>(created.size()) + 1;
}

// Rises where the threads that OpenMP keeps were ended.
inline std::atomic<unsigned> generation{0};

inline void end_kept_threads() {
    end_threads();
    ++generation;
}

// `threads`, or as many as can be had. libgomp ends the process where it cannot create a thread, so whether it can is tried
// first, unless it has kept as many since this thread's last call.
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

// About as many multiplications take a millisecond. Less work stays on one thread: a second one that has to wait for a core
// costs more than it can save.
constexpr std::size_t enough_for_threads = 30'000'000;

// `asked` is 0 where the choice is ours.
inline int choose_threads(int asked, std::size_t multiplications, std::size_t enough = enough_for_threads) {
    if (asked == 0) asked = multiplications < enough ? 1 : max_threads();
    return available_threads(asked);
}

}  // namespace secant::bindings
