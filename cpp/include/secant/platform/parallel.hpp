// The only file that knows OpenMP. With SECANT_STD_THREADS threads are those of the standard library instead: ThreadSanitizer
// understands them, and takes OpenMP's for races.
#pragma once

#include <cstddef>

#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef SECANT_STD_THREADS
#include <barrier>
#include <thread>
#include <vector>
#endif

namespace secant {

// How many threads a call uses when it is not told: what OMP_NUM_THREADS, omp_set_num_threads or threadpoolctl allow,
// asked anew for every call. A call made inside a parallel region stays on its own thread.
inline int max_threads() {
#ifdef _OPENMP
    return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
    return 1;
#endif
}

// libgomp's threads do not survive a fork: ended before it, they are started anew on both sides when next needed.
inline void end_threads() {
// An OpenMP 5.0 function, which libgomp has had since GCC 9.
#if defined(_OPENMP) && (_OPENMP >= 201811 || (defined(__GNUC__) && !defined(__clang__)))
    omp_pause_resource_all(omp_pause_hard);
#endif
}

// The specification's date, as OpenMP names its versions; 0 without OpenMP.
inline int openmp_version() {
#ifdef _OPENMP
    return _OPENMP;
#else
    return 0;
#endif
}

#ifdef SECANT_ISA
namespace SECANT_ISA {

// The threads that run a call together, as one of them sees it. All run the same code. Each task owns its outputs, so who
// runs it cannot change a bit of them.
struct Team {
    std::size_t size, rank;

#ifdef SECANT_STD_THREADS
    std::barrier<>* all;
#endif

    // Nobody goes on before all are here.
    void wait() const {
#if defined(SECANT_STD_THREADS)
        all->arrive_and_wait();
#elif defined(_OPENMP)
        if (size > 1) {
#pragma omp barrier
        }
#endif
    }

    // body(task) for this thread's share of the tasks. The same thread gets the same ones each time, and those that lie
    // together, so that what they write seldom shares a cache line with what another thread writes.
    template <class Body>
    void share(std::size_t tasks, const Body& body) const {
        for (std::size_t task = rank * tasks / size; task < (rank + 1) * tasks / size; ++task) body(task);
    }

    template <class Body>
    void share_and_wait(std::size_t tasks, const Body& body) const {
        share(tasks, body);
        wait();
    }
};

// body(team) on each of so many threads.
template <class Body>
void parallel(int threads, const Body& body) noexcept {
#if defined(SECANT_STD_THREADS)
    std::barrier<> all(threads);
    std::vector<std::thread> others;
    const auto size = static_cast<std::size_t>(threads);
    for (std::size_t rank = 1; rank < size; ++rank) others.emplace_back([&, rank] { body(Team{size, rank, &all}); });
    body(Team{size, 0, &all});
    for (std::thread& other : others) other.join();
#else
#ifdef _OPENMP
    if (threads > 1) {
#pragma omp parallel num_threads(threads)
        body(Team{static_cast<std::size_t>(omp_get_num_threads()), static_cast<std::size_t>(omp_get_thread_num())});
        return;
    }
#endif
    static_cast<void>(threads);
    body(Team{1, 0});
#endif
}

// body(task) for every task, on as many threads as there is use for.
template <class Body>
void parallel_for(std::size_t tasks, int threads, const Body& body) noexcept {
    const int useful = tasks < static_cast<std::size_t>(threads) ? static_cast<int>(tasks > 0 ? tasks : 1) : threads;
    parallel(useful, [&](const Team& team) { team.share(tasks, body); });
}

}  // namespace SECANT_ISA
#endif

}  // namespace secant
