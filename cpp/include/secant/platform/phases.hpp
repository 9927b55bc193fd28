// The threads of a call work in phases. A phase says what its tasks are, which arrays they read and write, and whether the threads
// wait for each other after it. A debug build (without NDEBUG) checks that they wait where one needs what another does.
#pragma once

#ifndef NDEBUG
#include <array>
#include <cstdio>
#include <cstdlib>
#endif

namespace secant {

// What a task of a phase is. Tasks of the same kind and number are always the same thread's, those of different kinds of any thread.
// `everything`: each thread looks at everything.
enum class Sharing : unsigned {
    one_thread, rows_of_weights, samples, groups, panels, packs, parts_of_samples, parts_of_groups, parts_of_inputs, everything
};

// If a panel has one part, its parts are shared as panels are.
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
#ifdef NDEBUG
public:
    void begin(const Phase&, Sharing) {}
    void barrier() {}
#else
public:
    // Of the arrays of a phase, those that may be in use by another thread in a way that does not go with it.
    unsigned conflicts(const Phase& phase, Sharing shared_by) const {
        unsigned found = 0;
        for (unsigned a = 0; a < arrays; ++a) {
            const unsigned array = 1u << a, others = ~bit(shared_by);
            if (phase.reads & array && written_[a] & others) found |= array;
            if (phase.writes & array && (written_[a] | read_[a]) & others) found |= array;
        }
        return found;
    }

    void begin(const Phase& phase, Sharing shared_by) {
        if (const unsigned found = conflicts(phase, shared_by)) {
            std::fprintf(stderr, "the phase %s does not wait for those that use its arrays %#x\n", phase.name, found);
            std::abort();
        }
        for (unsigned a = 0; a < arrays; ++a) {
            if (phase.reads & 1u << a) read_[a] |= bit(shared_by);
            if (phase.writes & 1u << a) written_[a] |= bit(shared_by);
        }
    }

    void barrier() { read_ = written_ = {}; }

private:
    static constexpr unsigned arrays = 32;
    static constexpr unsigned bit(Sharing shared_by) { return 1u << static_cast<unsigned>(shared_by); }

    std::array<unsigned, arrays> read_{}, written_{};  // by which kinds of tasks
#endif
};

}  // namespace SECANT_ISA
#endif

}  // namespace secant
