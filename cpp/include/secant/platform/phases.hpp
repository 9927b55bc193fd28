// The threads of a call work in phases. A phase says what its tasks are, which arrays they read and write, and whether the threads
// wait for each other after it. A debug build (without NDEBUG) checks that they wait where one needs what another does.
#pragma once

#include <cstddef>

#ifndef NDEBUG
#include <cstdio>
#include <cstdlib>
#endif

namespace secant {

// What a task of a phase is. A task is always the same thread's as long as there are as many tasks of its kind. Tasks of different
// kinds may be of any thread. If panels have one part each, their parts are shared as panels are.
enum class Sharing : unsigned {
    one_thread, rows_of_weights, samples, groups, panels, packs, parts_of_samples, parts_of_groups, parts_of_inputs,
    everything  // each thread looks at everything
};

// between_parts: only if panels have several parts.
enum class Barrier : unsigned char { none, between_parts, always };

struct Phase {
    const char* name;
    Sharing shared_by;
    unsigned reads, writes;  // sets of arrays, a bit for each
    Barrier after;
};

#ifdef SECANT_ISA
namespace SECANT_ISA {

// What a thread and the others have used since the last barrier.
class Ledger {
public:
#ifdef NDEBUG
    void begin(const Phase&, Sharing, std::size_t) {}
    void barrier() {}
#else
    // A phase of so many tasks begins.
    void begin(const Phase& phase, Sharing shared_by, std::size_t tasks) {
        const auto kind = static_cast<unsigned>(shared_by);
        const unsigned same = 1u << kind, others = ~same;
        bool missing = used_[kind] && tasks_[kind] != tasks;
        for (unsigned a = 0; a < 32; ++a) {
            missing |= phase.reads & 1u << a && written_[a] & others;
            missing |= phase.writes & 1u << a && (written_[a] | read_[a]) & others;
            if (phase.reads & 1u << a) read_[a] |= same;
            if (phase.writes & 1u << a) written_[a] |= same;
        }
        used_[kind] = true;
        tasks_[kind] = tasks;
        if (!missing) return;
        std::fprintf(stderr, "a barrier is missing before the phase %s\n", phase.name);
        std::abort();
    }

    void barrier() { *this = {}; }

private:
    unsigned read_[32] = {}, written_[32] = {};  // of each array: by which kinds of tasks
    bool used_[32] = {};                         // of each kind of tasks: whether there were any, and how many
    std::size_t tasks_[32] = {};
#endif
};

}  // namespace SECANT_ISA
#endif

}  // namespace secant
