// The GIL, and how many threads a call may have.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <latch>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#ifndef _WIN32
#include <pthread.h>
#include <signal.h>
#endif

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

#ifdef _WIN32
inline int creatable(int threads) { return threads; }
#else
// The stack that OMP_STACKSIZE asks for, in bytes; 0 for the system's choice.
inline std::size_t openmp_stack_size() {
    const char* text = std::getenv("OMP_STACKSIZE");
    if (!text) text = std::getenv("GOMP_STACKSIZE");
    if (!text) return 0;
    char* unit = nullptr;
    const std::size_t size = std::strtoull(text, &unit, 10);
    switch (unit[std::strspn(unit, " ")]) {
        case 'b': case 'B': return size;
        case 'm': case 'M': return size << 20;
        case 'g': case 'G': return size << 30;
        default: return size << 10;
    }
}

// How many threads can run at once, this one included; at most `threads`.
inline int creatable(int threads) {
    std::latch end(1);
    const auto wait = [](void* latch) -> void* {
        static_cast<std::latch*>(latch)->wait();
        return nullptr;
    };
    std::vector<pthread_t> created;
    created.reserve(static_cast<std::size_t>(threads));
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (const std::size_t size = openmp_stack_size()) pthread_attr_setstacksize(&attributes, size);
    for (pthread_t thread; created.size() + 1 < static_cast<std::size_t>(threads);) {
        if (pthread_create(&thread, &attributes, wait, &end) != 0) break;
        created.push_back(thread);
    }
    pthread_attr_destroy(&attributes);
    end.count_down();
    for (const pthread_t thread : created) pthread_join(thread, nullptr);
    return static_cast<int>(created.size()) + 1;
}
#endif

// Signals are for the threads that are there already: one that went to a new thread would not wake Python's main thread. New
// threads inherit this.
class SignalsBlocked {
#ifndef _WIN32
public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_;
#endif
};

// `threads`, or as many as can be created. libgomp ends the process if it cannot create a thread, so this is tried first.
inline int available_threads(int threads) {
    threads = std::min(threads, most_threads());
    if (threads <= *kept_threads()) return threads;
    const SignalsBlocked blocked;
    return creatable(threads);
}

// Tried again, once the memory of a call is allocated: that may have taken what the threads need. Then they are started.
inline void require_threads(int threads) {
    if (threads == 1 || in_parallel() || threads <= *kept_threads()) return;  // OpenMP keeps those that it has
    const SignalsBlocked blocked;
    if (creatable(threads) < threads) throw std::bad_alloc();
    start_threads(threads);
}

// About as many multiplications take a millisecond. Less work stays on one thread: a second one, if it has to wait for a core,
// costs more than it saves.
constexpr std::size_t enough_for_threads = 30'000'000;

// `asked` is 0 if the caller did not choose.
inline int choose_threads(int asked, std::size_t multiplications, std::size_t enough = enough_for_threads) {
    if (asked < 0) throw std::invalid_argument("secant._core: n_threads must not be negative");
    if (asked == 0) asked = multiplications < enough ? 1 : max_threads();
    return available_threads(asked);
}

// So many threads, started: for a call that needs no memory.
inline int started_threads(std::size_t multiplications) {
    const int threads = choose_threads(0, multiplications);
    require_threads(threads);
    return threads;
}

}  // namespace secant::bindings
