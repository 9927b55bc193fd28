// The only file that uses OpenMP's threads. With SECANT_STD_THREADS it uses the threads
// of the standard library instead, for ThreadSanitizer, which does not understand
// OpenMP's barriers.
#pragma once

#include <atomic>
#include <cfenv>
#include <cstddef>

#ifdef _OPENMP
#include <omp.h>
#endif
#ifndef _WIN32
#include <pthread.h>
#endif
#ifdef SECANT_STD_THREADS
#include <barrier>
#include <thread>
#include <vector>
#endif

#include "secant/platform/phases.hpp"

namespace secant {

// Whether threads of OpenMP run this: a call stays on its own thread there.
inline bool in_parallel() {
#ifdef _OPENMP
    return omp_in_parallel();
#else
    return false;
#endif
}

// The default number of threads of a call, as OMP_NUM_THREADS, omp_set_num_threads or
// threadpoolctl say at that time.
inline int max_threads() {
#ifdef _OPENMP
    return in_parallel() ? 1 : omp_get_max_threads();
#else
    return 1;
#endif
}

// Rises at every fork.
inline std::atomic<unsigned> forks{0};

// libgomp's threads do not survive a fork. If they are ended before it, both processes
// start new ones when needed. libomp, which clang links, has a handler of its own, and
// would end the threads of every thread.
inline void end_threads() {
#if defined(_OPENMP) && defined(__GNUC__) && !defined(__clang__)
    omp_pause_resource_all(omp_pause_hard);
#endif
    ++forks;
}

// Has every fork from now on end them first.
inline void end_threads_before_forks() {
#ifndef _WIN32
    [[maybe_unused]] static const int registered =
        pthread_atfork(end_threads, nullptr, nullptr);
#endif
}

#ifdef SECANT_ISA
namespace SECANT_ISA {

// The threads that run a call together, as one of them sees it. All run the same code.
// A task alone writes its outputs, so they do not depend on which thread runs it.
class Team {
public:
    const std::size_t size, rank;

    Team(std::size_t threads, std::size_t thread) : size(threads), rank(thread) {}
#ifdef SECANT_STD_THREADS
    Team(std::size_t threads, std::size_t thread, std::barrier<>* all)
        : size(threads), rank(thread), all_(all) {}
#endif

    // body(begin, end) for this thread's share of tasks, which is always the same and
    // contiguous: what it writes seldom shares a cache line with what another thread
    // writes.
    template <class Body>
    void share_range(std::size_t tasks, const Body& body) const {
        body(rank * tasks / size, (rank + 1) * tasks / size);
    }

    // The same, as body(task) for each.
    template <class Body>
    void share(std::size_t tasks, const Body& body) const {
        share_range(tasks, [&](std::size_t first, std::size_t last) {
            for (std::size_t task = first; task < last; ++task) body(task);
        });
    }

    // The same, as a phase.
    template <class Body>
    void run_range(const Phase& phase, std::size_t tasks, const Body& body) const {
        begin(phase, phase.shared_by, tasks);
        share_range(tasks, body);
        end(phase, false);
    }
    template <class Body>
    void run(const Phase& phase, std::size_t tasks, const Body& body) const {
        begin(phase, phase.shared_by, tasks);
        share(tasks, body);
        end(phase, false);
    }

    // body() on one thread.
    template <class Body>
    void run_once(const Phase& phase, const Body& body) const {
        begin(phase, phase.shared_by, 1);
        if (rank == 0) body();
        end(phase, false);
    }

    // What all threads read.
    void read(const Phase& phase) const { begin(phase, phase.shared_by, 1); }

    // The begin and the end of a phase that is shared otherwise. `parts`: whether
    // panels have several.
    void begin(const Phase& phase, Sharing shared_by, std::size_t tasks) const {
        ledger_.begin(phase, shared_by, tasks);
    }
    void end(const Phase& phase, bool parts) const {
        if (phase.after == Barrier::always ||
            (phase.after == Barrier::between_parts && parts))
            wait();
    }

private:
    // A barrier.
    void wait() const {
#if defined(SECANT_STD_THREADS)
        all_->arrive_and_wait();
#elif defined(_OPENMP)
        if (size > 1) {
#pragma omp barrier
        }
#endif
        ledger_.barrier();
    }

#ifdef SECANT_STD_THREADS
    std::barrier<>* all_ = nullptr;
#endif
    mutable Ledger ledger_;
};

// While it lives, numbers are rounded to nearest and subnormal ones count, whatever
// this thread has been told: a program may have told one thread and not the others.
class UsualArithmetic {
public:
    UsualArithmetic() {
        std::fegetenv(&before_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~UsualArithmetic() { std::fesetenv(&before_); }
    UsualArithmetic(const UsualArithmetic&) = delete;
    UsualArithmetic& operator=(const UsualArithmetic&) = delete;

private:
    std::fenv_t before_;
};

// body(team) on each thread.
template <class Body>
void parallel(int threads, const Body& run) noexcept {
    const auto body = [&](const Team& team) {
        const UsualArithmetic usual;
        run(team);
    };
#if defined(SECANT_STD_THREADS)
    std::barrier<> all(threads);
    std::vector<std::thread> others;
    const auto size = static_cast<std::size_t>(threads);
    for (std::size_t rank = 1; rank < size; ++rank)
        others.emplace_back([&, rank] { body(Team{size, rank, &all}); });
    body(Team{size, 0, &all});
    for (std::thread& other : others) other.join();
#else
#ifdef _OPENMP
    if (threads > 1) {
#pragma omp parallel num_threads(threads)
        body(Team{static_cast<std::size_t>(omp_get_num_threads()),
                  static_cast<std::size_t>(omp_get_thread_num())});
        return;
    }
#endif
    static_cast<void>(threads);
    body(Team{1, 0});
#endif
}

// body(task) for every task. The team is not shrunk to the tasks: libgomp destroys
// threads that a smaller team leaves out.
template <class Body>
void parallel_for(std::size_t tasks, int threads, const Body& body) noexcept {
    parallel(tasks > 1 ? threads : 1,
             [&](const Team& team) { team.share(tasks, body); });
}

}  // namespace SECANT_ISA
#endif

}  // namespace secant
