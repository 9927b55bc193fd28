// The phases of a gradient, block by block, in their order.
#pragma once

#include "secant/platform/phases.hpp"

namespace secant::phases {

// What threads share.
enum Array : unsigned {
    w1 = 1u << 0,
    rest = 1u << 1,           // the other parameters, and what is derived of them
    stopped = 1u << 2,        // whether an interrupt ended the work
    valid = 1u << 3,          // whether samples and targets are
    kinks = 1u << 4,          // what rounding does to a1 of the units
    rows = 1u << 5,           // inputs, and the mass of their targets
    plan = 1u << 6,
    hidden = 1u << 7,         // a1, z1, its state, and which units are near kinks
    outputs = 1u << 8,        // a2, z2, zc2, y, target lists
    losses = 1u << 9,
    output_series = 1u << 10,
    input_values = 1u << 11,  // of Direct
    hidden_series = 1u << 12,
    sums = 1u << 13,          // of W1, b1 and W2; those of W1 and b1 may be added in place
    bias_sums = 1u << 14,     // of b2
};

using enum Sharing;
using enum Barrier;

// Its name, what its tasks are, what these read and write, and the barrier after it.
constexpr Phase pack_rows{"pack_rows", rows_of_weights, 0, w1, none};
constexpr Phase pack_rest{"pack_rest", panels, 0, rest, always};
constexpr Phase begin_block{"begin_block", one_thread, w1 | rest | hidden | valid, stopped, none};
constexpr Phase measure_kinks{"measure_kinks", panels, w1 | rest, kinks, none};
constexpr Phase gather{"gather", samples, 0, rows, always};
constexpr Phase look_whether_stopped{"look_whether_stopped", everything, stopped, 0, none};
constexpr Phase make_plan{"make_plan", one_thread, rows | hidden | rest, plan | valid, always};
constexpr Phase look_whether_valid{"look_whether_valid", everything, valid, 0, none};
constexpr Phase activate_hidden{"activate_hidden", parts_of_samples, rows | w1 | rest | kinks,
                    hidden, always};  // without a bound of |z1|, before the plan
constexpr Phase affine_output{"affine_output", groups, hidden | rest, outputs, none};
constexpr Phase activate_output{"activate_output", groups, plan | outputs, outputs | losses, none};
constexpr Phase find_losses{"find_losses", groups, outputs, outputs | losses, always};
constexpr Phase expand_output{"expand_output", groups, plan | rows | hidden | rest | outputs, output_series | input_values, always};
constexpr Phase add_losses{"add_losses", everything, losses, 0, none};
constexpr Phase clear_sums{"clear_sums", panels, 0, sums | bias_sums, always};
constexpr Phase expand_hidden{"expand_hidden", parts_of_groups, plan | rest | hidden | outputs | output_series,
                    hidden_series, between_parts};
constexpr Phase add_series{"add_series", parts_of_inputs, plan | rows | hidden | output_series | hidden_series,
                    w1 | sums | bias_sums, always};
constexpr Phase add_directly{"add_directly", packs, plan | rest | rows | hidden | outputs | input_values, w1 | sums, none};
constexpr Phase add_output_biases{"add_output_biases", one_thread, plan | rest | outputs | input_values, bias_sums, always};
constexpr Phase finish{"finish", panels, sums | bias_sums, w1 | rest | sums, always};
constexpr Phase report{"report", one_thread, w1 | rest | hidden | valid | sums, 0, none};
constexpr Phase unpack{"unpack", panels, w1 | rest, 0, none};

}  // namespace secant::phases
