// The threads of a call work in phases. A phase says what its tasks are, which arrays
// they read and write, and whether the threads wait for each other after it. A debug
// build (without NDEBUG) checks that they wait where one needs what another does.
#pragma once

#include <cstddef>

#ifndef NDEBUG
#include <cstdio>
#include <cstdlib>
#endif

namespace secant {

// What a task of a phase is. A task is always the same thread's as long as there are as
// many tasks of its kind. Tasks of different kinds may be of any thread. If panels have
// one part each, their parts are shared as panels are.
enum class Sharing : unsigned {
    one_thread,
    rows_of_weights,
    samples,
    groups,
    panels,
    packs,
    parts_of_samples,
    parts_of_groups,
    parts_of_inputs,
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
    unsigned read_[32] = {},
             written_[32] = {};  // of each array: by which kinds of tasks
    bool used_[32] = {};  // of each kind of tasks: whether there were any, and how many
    std::size_t tasks_[32] = {};
#endif
};

// Those of a gradient, block by block, in their order.
namespace phases {

// What threads share.
enum Array : unsigned {
    w1 = 1u << 0,
    b1 = 1u << 1,
    rest = 1u << 2,  // W2, b2, and what is derived of the parameters
    parameters = w1 | b1 | rest,
    stopped = 1u << 3,  // whether an interrupt ended the work
    valid = 1u << 4,    // whether samples and targets are
    kinks = 1u << 5,    // what rounding does to a1 of the units
    rows = 1u << 6,     // inputs, and the mass of their targets
    plan = 1u << 7,
    hidden = 1u << 8,  // a1, z1, its state, which units are near kinks, and whether all
                       // that it read is finite
    outputs = 1u << 9,  // a2, z2, zc2, y, target lists
    losses = 1u << 10,
    output_series = 1u << 11,
    input_values = 1u << 12,  // of Direct
    hidden_series = 1u << 13,
    sums = 1u << 14,       // of W1, b1 and W2; those of W1 and b1 may be added in place
    bias_sums = 1u << 15,  // of b2
};

using enum Sharing;
using enum Barrier;

inline constexpr Phase pack_rows{"pack_rows", rows_of_weights, 0, w1, none};
inline constexpr Phase pack_rest{"pack_rest", panels, 0, b1 | rest, always};
inline constexpr Phase begin_block{"begin_block", one_thread,
                                   parameters | hidden | valid, stopped, none};
inline constexpr Phase measure_kinks{"measure_kinks", panels, parameters, kinks, none};
inline constexpr Phase gather{"gather", samples, 0, rows, always};
inline constexpr Phase look_whether_stopped{"look_whether_stopped", everything, stopped,
                                            0, none};
inline constexpr Phase make_plan{"make_plan", one_thread, rows | hidden | rest,
                                 plan | valid, always};
inline constexpr Phase look_at_plan{"look_at_plan", everything, plan | valid, 0, none};
inline constexpr Phase activate_hidden{
    "activate_hidden", parts_of_samples, rows | parameters | kinks, hidden,
    always};  // without a bound of |z1|, before the plan
inline constexpr Phase affine_output{"affine_output", groups, hidden | rest, outputs,
                                     none};
inline constexpr Phase activate_output{
    "activate_output", groups, plan | rows | hidden | rest | outputs,
    outputs | losses | output_series | input_values, always};
inline constexpr Phase find_losses{"find_losses", groups, rows | outputs,
                                   outputs | losses, always};
inline constexpr Phase add_losses{"add_losses", everything, losses, 0, none};
inline constexpr Phase clear_sums{"clear_sums", panels, 0, sums | bias_sums, always};
inline constexpr Phase expand_hidden{"expand_hidden", parts_of_groups,
                                     plan | rest | hidden | outputs | output_series,
                                     hidden_series, between_parts};
inline constexpr Phase add_series{"add_series", parts_of_inputs,
                                  plan | rows | hidden | output_series | hidden_series,
                                  w1 | b1 | sums | bias_sums, always};
inline constexpr Phase add_directly{
    "add_directly", packs, plan | rest | rows | hidden | outputs | input_values,
    w1 | b1 | sums, none};
inline constexpr Phase add_output_biases{"add_output_biases", one_thread,
                                         plan | rest | outputs | input_values,
                                         bias_sums, always};
inline constexpr Phase add_block{"add_block", panels, sums | bias_sums,
                                 sums | bias_sums, none};
inline constexpr Phase finish{"finish", panels, sums | bias_sums, parameters | sums,
                              always};
inline constexpr Phase report{"report", one_thread, parameters | hidden | valid | sums,
                              0, none};
inline constexpr Phase unpack{"unpack", panels, parameters, 0, none};

}  // namespace phases
}  // namespace SECANT_ISA
#endif

}  // namespace secant
