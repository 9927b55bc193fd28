"""The tasks that mini-batches are cut into, and the compiled function that threads take them from.

A mini-batch goes through phases, and within one its tasks may be done in any order: prepare what all samples need; take
samples forward, and expand their series; evaluate the samples without one, for strips of hidden units; sum over
samples, for some inputs or outputs at a time. In training the parameters are then updated, and the samples taken
forward once more.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Floats
from secant.backends.numba.compilation import inlined, kernel
from secant.backends.numba.direct import Scratch, add_directly, make_scratch, terms_needed
from secant.backends.numba.layers import HIDDEN_ROWS, OUTPUT_ROWS, Network, Y, forward, loss_row
from secant.backends.numba.packs import LANES, aligned
from secant.backends.numba.parallel import Team, finish, join, leave, wait
from secant.backends.numba.rows import TURN, Rows
from secant.backends.numba.series import (
    Samples,
    contract_inputs,
    contract_units,
    expand_hidden,
    expand_hidden_to_3,
    expand_outputs,
    grow,
)
from secant.backends.numpy import bound

AUTO, SERIES, DIRECT, DERIVATIVE = -2, -1, 0, 1
"""The order of the series; AUTO and SERIES take what is proven, and SERIES refuses samples where nothing is."""

ORDER, DIRECTLY, STOPPED, DONE = range(4)
"""What `State.plan` says: the order of the series, how many samples are evaluated directly, whether nothing more is to
be done, and how many iterations were completed."""

_SAMPLES_A_TASK = 4

_fill_discs = inlined(bound.fill_discs)
_proven_order = inlined(bound.proven_order)


class Step(NamedTuple):
    """What is to be done with each mini-batch."""

    order: int
    h: float
    scale: float  # what sums over samples are multiplied by
    training: bool  # whether they are then added to the parameters, and the loss is taken
    again: bool  # whether they are added to `State.w1_out` and `State.w2_out`, else written there
    strips: int  # of hidden units


class State(NamedTuple):
    """What belongs to the mini-batch as a whole. w2t and the plan are zero before."""

    w2t: Floats  # (O, H'), w2 transposed, without its bias
    w1_sums: Floats  # (I+1, H'), of samples that are evaluated directly
    w2t_sums: Floats  # (O, H')
    w1_out: Floats  # (I+1, H), the gradient; a bias is the last row
    w2_out: Floats  # (H+1, O)
    plan: NDArray[np.int64]
    discs: Floats  # (3, 16), see bound.fill_discs
    bounds: Floats  # max |W2|, and the truncation bound
    losses: Floats  # (iterations,)


def make_samples(net: Network, size: int) -> Samples:
    """Room for a mini-batch."""
    hidden, outputs = net.w1.shape[1], net.w2.shape[1]
    return Samples(
        aligned(size * HIDDEN_ROWS, hidden),
        aligned(size * OUTPUT_ROWS, outputs),
        np.empty(size, np.bool_),
        np.empty(size),
    )


def make_state(net: Network, iterations: int, out: tuple[Floats, Floats]) -> State:
    """For so many mini-batches; ``out`` becomes w1_out and w2_out."""
    w2t = (net.outputs, net.w1.shape[1])
    state = State(
        aligned(*w2t), aligned(*net.w1.shape), aligned(*w2t), *out, np.zeros(4, np.int64), np.empty((3, bound.DISCS)),
        np.full(2, -1.0), np.empty(iterations),
    )  # fmt: skip
    state.w2t[...] = 0
    return state


def descent(net: Network, rows: Rows, t: Floats, samples: Samples, state: State, step: Step) -> Callable[[Team], None]:
    """The call that takes the gradients of mini-batches, the next len(samples.directly) rows of ``rows`` and t each."""

    def call(team: Team) -> None:
        scratch = make_scratch(len(net.w1) - 1, net.w1.shape[1], net.outputs, len(samples.directly))
        _descend(net, rows, t, samples, state, step, scratch, team)

    return call


@kernel
def _descend(
    net: Network,
    rows: Rows,
    t: Floats,
    s: Samples,
    state: State,
    step: Step,
    scratch: Scratch,
    team: Team,
) -> None:
    size = len(s.directly)
    turns = rows.starts.shape[1] - 1
    forward_tasks = -(-size // _SAMPLES_A_TASK)
    phases = (1, forward_tasks, step.strips, turns + net.outputs, forward_tasks if step.training else 0)
    tasks_an_iteration = phases[0] + phases[1] + phases[2] + phases[3] + phases[4]
    tasks = tasks_an_iteration * len(state.losses) + 1
    number = join(team)
    while number < tasks:
        iteration = number // tasks_an_iteration
        task = number - iteration * tasks_an_iteration
        phase = 0
        while task >= phases[phase]:
            task -= phases[phase]
            phase += 1
        wait(team, number - task)
        first = iteration * size
        begin, end = task * _SAMPLES_A_TASK, min(size, (task + 1) * _SAMPLES_A_TASK)
        if state.plan[STOPPED]:
            pass
        elif phase == 0:
            if iteration > 0 and step.training:
                _conclude(iteration, s, state)
            if iteration < len(state.losses) and not state.plan[STOPPED]:
                _prepare(net, rows, t, first, s, state, step)
        elif phase == 1:
            forward(net, rows, first + begin, first + end, s.hidden, s.output, begin)
            for n in range(begin, end):
                _expand_sample(net, rows, t, first + n, s, n, state, step, scratch)
        elif phase == 2:
            _evaluate_strip(net, rows, t, first, s, state, step, task, scratch)
        elif phase == 3 and task < turns:
            _sum_inputs(net, rows, first, s, state, step, task, scratch.sums, scratch.cubes)
        elif phase == 3:
            _sum_units(net, s, state, step, task - turns, scratch.sums)
        else:
            forward(net, rows, first + begin, first + end, s.hidden, s.output, begin)
            for n in range(begin, end):
                s.losses[n] = loss_row(s.output, n * OUTPUT_ROWS + Y, t, first + n)
        number = finish(team)
    leave(team, tasks)


@inlined
def _conclude(iteration: int, s: Samples, state: State) -> None:
    """After so many iterations: the loss of the last."""
    total = 0.0
    for n in range(len(s.losses)):
        total += s.losses[n]
    state.losses[iteration - 1] = total / len(s.losses)
    state.plan[DONE] = iteration
    state.plan[STOPPED] = not math.isfinite(total)


@inlined
def _prepare(net: Network, rows: Rows, t: Floats, first: int, s: Samples, state: State, step: Step) -> None:
    """Transpose w2, and decide how each sample is computed."""
    largest_weight = 0.0
    for j in range(len(net.w2) - 1):
        for k in range(net.outputs):
            state.w2t[k, j] = net.w2[j, k]
            largest_weight = max(largest_weight, abs(net.w2[j, k]))
    if step.order < 0 and largest_weight != state.bounds[0]:
        _fill_discs(state.discs, net.sigmoid_output, largest_weight)
    state.bounds[0] = largest_weight
    size = len(s.directly)
    largest, mass = 0.0, 0.0
    for n in range(size):
        largest = max(largest, rows.largest[first + n])
        own = 0.0
        for k in range(net.outputs):
            own += t[first + n, k]
        mass = max(mass, own)
    order, cut = step.order, 0.0
    if order < 0:
        order, cut = _proven_order(state.discs, step.h, largest, mass)
    directly = 0
    for n in range(size):
        s.directly[n] = order == 0
        directly += order == 0
    if order == 0 and step.order < 0:  # not for all of them
        largest = 0.0
        for n in range(size):
            own_order, _ = _proven_order(state.discs, step.h, rows.largest[first + n], mass)
            if own_order:
                s.directly[n] = False
                directly -= 1
                largest = max(largest, rows.largest[first + n])
        if directly < size:
            order, cut = _proven_order(state.discs, step.h, largest, mass)
    state.plan[ORDER] = order
    state.plan[DIRECTLY] = directly
    state.plan[STOPPED] = step.order == SERIES and directly > 0
    state.bounds[1] = cut


@inlined
def _expand_sample(
    net: Network, rows: Rows, t: Floats, sample: int, s: Samples, n: int, state: State, step: Step, scratch: Scratch
) -> None:
    h, o = n * HIDDEN_ROWS, n * OUTPUT_ROWS
    if s.directly[n]:
        grow(net, s.output, o, terms_needed(step.h, rows.largest[sample], state.bounds[0]), scratch.memory)
        return
    order = state.plan[ORDER]
    grow(net, s.output, o, order, scratch.memory)
    expand_outputs(t, sample, s.output, o, order, scratch.memory)
    if order <= 3:
        expand_hidden_to_3(state.w2t, t, sample, s.hidden, h, s.output, o, order)
    else:
        expand_hidden(state.w2t, t, sample, s.hidden, h, s.output, o, order, scratch.memory)


@inlined
def _evaluate_strip(
    net: Network, rows: Rows, t: Floats, first: int, s: Samples, state: State, step: Step, strip: int, scratch: Scratch
) -> None:
    if state.plan[DIRECTLY] == 0:
        return
    packs = state.w2t.shape[1] // LANES
    begin, end = packs * strip // step.strips * LANES, packs * (strip + 1) // step.strips * LANES
    state.w1_sums[:, begin:end] = 0.0
    state.w2t_sums[:, begin:end] = 0.0
    for n in range(len(s.directly)):
        if s.directly[n] and begin < end:
            terms = terms_needed(step.h, rows.largest[first + n], state.bounds[0])
            add_directly(
                net, state.w2t, rows, first + n, t, s, n, step.h, terms, begin, end, scratch,
                state.w1_sums, state.w2t_sums,
            )  # fmt: skip


@inlined
def _sum_inputs(
    net: Network, rows: Rows, first: int, s: Samples, state: State, step: Step, turn: int, sums: Floats, cubes: Floats
) -> None:
    """The gradient of the weights from the inputs of a turn."""
    inputs = range(turn * TURN, min(len(net.w1), (turn + 1) * TURN))
    for i in inputs:
        for j in range(sums.shape[1]):
            sums[i - inputs.start, j] = state.w1_sums[i, j] if state.plan[DIRECTLY] else 0.0
    contract_inputs(rows, first, s, state.plan[ORDER], turn, len(inputs), step.h, sums, cubes)
    for i in inputs:
        if step.training:
            for j in range(sums.shape[1]):
                net.w1[i, j] += step.scale * sums[i - inputs.start, j]
        else:
            for j in range(state.w1_out.shape[1]):
                before = state.w1_out[i, j] if step.again else 0.0
                state.w1_out[i, j] = before + step.scale * sums[i - inputs.start, j]


@inlined
def _sum_units(net: Network, s: Samples, state: State, step: Step, k: int, sums: Floats) -> None:
    """The gradient of the weights into output k."""
    for j in range(sums.shape[1]):
        sums[0, j] = state.w2t_sums[k, j] if state.plan[DIRECTLY] else 0.0
    contract_units(s, state.plan[ORDER], k, step.h, sums)
    for j in range(len(net.w2)):
        if step.training:
            net.w2[j, k] += step.scale * sums[0, j]
        else:
            before = state.w2_out[j, k] if step.again else 0.0
            state.w2_out[j, k] = before + step.scale * sums[0, j]
