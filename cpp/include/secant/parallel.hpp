// The only file that knows OpenMP.
#pragma once

#include <cstddef>

#ifdef _OPENMP
#include <omp.h>
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

// One copy of a body's machine code for the threads and for the plain loop: a second one could fuse other multiplications
// with additions, and round differently.
template <class Body>
#if defined(_MSC_VER)
__declspec(noinline)
#else
[[gnu::noinline]]
#endif
void run_task(const Body& body, std::size_t task, int thread) noexcept {
    body(task, thread);
}

// body(task, thread) for every task; each task owns its outputs, so the schedule cannot change a bit of them.
template <class Body>
void parallel_for(std::size_t tasks, [[maybe_unused]] int threads, const Body& body) noexcept {
#ifdef _OPENMP
    if (threads > 1 && tasks > 1) {
        const int useful = tasks < static_cast<std::size_t>(threads) ? static_cast<int>(tasks) : threads;
#pragma omp parallel for num_threads(useful) schedule(dynamic, 1)
        for (std::ptrdiff_t task = 0; task < static_cast<std::ptrdiff_t>(tasks); ++task)  // signed: OpenMP 2 wants that
            run_task(body, static_cast<std::size_t>(task), omp_get_thread_num());
        return;
    }
#endif
    for (std::size_t task = 0; task < tasks; ++task) run_task(body, task, 0);
}

}  // namespace SECANT_ISA
#endif

}  // namespace secant
