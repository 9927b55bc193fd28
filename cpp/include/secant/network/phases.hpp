// The phases of a gradient, block by block, in their order.
#pragma once

#include "secant/platform/phases.hpp"

namespace secant::SECANT_ISA::phases {

// What threads share.
enum Array : unsigned {
    w1 = 1u << 0,
    b1 = 1u << 1,
    rest = 1u << 2,           // W2, b2, and what is derived of the parameters
    parameters = w1 | b1 | rest,
    stopped = 1u << 3,        // whether an interrupt ended the work
    valid = 1u << 4,          // whether samples and targets are
    kinks = 1u << 5,          // what rounding does to a1 of the units
    rows = 1u << 6,           // inputs, and the mass of their targets
    plan = 1u << 7,
    hidden = 1u << 8,         // a1, z1, its state, which units are near kinks, and whether all that it read is finite
    outputs = 1u << 9,        // a2, z2, zc2, y, target lists
    losses = 1u << 10,
    output_series = 1u << 11,
    input_values = 1u << 12,  // of Direct
    hidden_series = 1u << 13,
    sums = 1u << 14,          // of W1, b1 and W2; those of W1 and b1 may be added in place
    bias_sums = 1u << 15,     // of b2
};

using enum Sharing;
using enum Barrier;

// Its name, what its tasks are, what these read and write, and the barrier after it.
inline constexpr Phase pack_rows{"pack_rows", rows_of_weights, 0, w1, none};
inline constexpr Phase pack_rest{"pack_rest", panels, 0, b1 | rest, always};
inline constexpr Phase begin_block{"begin_block", one_thread, parameters | hidden | valid, stopped, none};
inline constexpr Phase measure_kinks{"measure_kinks", panels, parameters, kinks, none};
inline constexpr Phase gather{"gather", samples, 0, rows, always};
inline constexpr Phase look_whether_stopped{"look_whether_stopped", everything, stopped, 0, none};
inline constexpr Phase make_plan{"make_plan", one_thread, rows | hidden | rest, plan | valid, always};
inline constexpr Phase look_at_plan{"look_at_plan", everything, plan | valid, 0, none};
inline constexpr Phase activate_hidden{"activate_hidden", parts_of_samples, rows | parameters | kinks,
    hidden, always};  // without a bound of |z1|, before the plan
inline constexpr Phase affine_output{"affine_output", groups, hidden | rest, outputs, none};
inline constexpr Phase activate_output{"activate_output", groups, plan | outputs, outputs | losses, none};
inline constexpr Phase find_losses{"find_losses", groups, outputs, outputs | losses, always};
inline constexpr Phase expand_output{"expand_output", groups, plan | rows | hidden | rest | outputs, output_series | input_values, always};
inline constexpr Phase add_losses{"add_losses", everything, losses, 0, none};
inline constexpr Phase clear_sums{"clear_sums", panels, 0, sums | bias_sums, always};
inline constexpr Phase expand_hidden{"expand_hidden", parts_of_groups, plan | rest | hidden | outputs | output_series,
    hidden_series, between_parts};
inline constexpr Phase add_series{"add_series", parts_of_inputs, plan | rows | hidden | output_series | hidden_series,
    w1 | b1 | sums | bias_sums, always};
inline constexpr Phase add_directly{"add_directly", packs, plan | rest | rows | hidden | outputs | input_values, w1 | b1 | sums, none};
inline constexpr Phase add_output_biases{"add_output_biases", one_thread, plan | rest | outputs | input_values, bias_sums, always};
inline constexpr Phase finish{"finish", panels, sums | bias_sums, parameters | sums, always};
inline constexpr Phase report{"report", one_thread, parameters | hidden | valid | sums, 0, none};
inline constexpr Phase unpack{"unpack", panels, parameters, 0, none};

}  // namespace secant::SECANT_ISA::phases
