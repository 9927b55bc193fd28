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

from secant.backends.numba.compilation import SOURCES, inlined, kernel
from secant.backends.numba.direct import Scratch, add_directly, make_scratch, terms_needed
from secant.backends.numba.forward import TURN, Network, Rows, Y, aligned, forward, loss_row
from secant.backends.numba.packs import LANES
from secant.backends.numba.parallel import Counters, claim, finish, wait
from secant.backends.numba.series import (
    HIDDEN_ROWS,
    OUTPUT_ROWS,
    Samples,
    contract_inputs,
    contract_units,
    expand_hidden,
    expand_hidden_to_3,
    expand_outputs,
    grow,
)
from secant.backends.numpy import bound
from secant.validation import Floats

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
    rate: float  # what the sums are multiplied by and added to the parameters; 0: neither
    strips: int  # of hidden units


class State(NamedTuple):
    """What belongs to the mini-batch as a whole. The sums and the plan are zero before."""

    w2t: Floats  # (O, H'), w2 transposed, without its bias
    w1_sums: Floats  # (I+1, H')
    w2t_sums: Floats  # (O, H')
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
        np.empty(size, np.int64),
        np.empty(size),
    )


def make_state(net: Network, iterations: int) -> State:
    """For so many mini-batches, the sums zero."""
    w2t = (net.outputs, net.w1.shape[1])
    state = State(
        aligned(*w2t), aligned(*net.w1.shape), aligned(*w2t), np.zeros(4, np.int64), np.empty((3, bound.DISCS)),
        np.full(2, -1.0), np.empty(iterations),
    )  # fmt: skip
    for sums in (state.w2t, state.w1_sums, state.w2t_sums):
        sums[...] = 0
    return state


def scratch_for(net: Network) -> Callable[[], tuple[Scratch]]:
    """What makes the memory of a thread."""
    return lambda: (make_scratch(len(net.w1) - 1, net.outputs),)


@kernel
def descend(
    net: Network, rows: Rows, t: Floats, s: Samples, state: State, step: Step, scratch: Scratch, counters: Counters,
    sources: int = SOURCES,
) -> None:  # fmt: skip
    """Take the gradient of each mini-batch, len(s.directly) rows of ``rows`` and t after the other."""
    size = len(s.directly)
    turns = rows.starts.shape[1] - 1
    forward_tasks = -(-size // _SAMPLES_A_TASK)
    phases = (1, forward_tasks, step.strips, turns + net.outputs, forward_tasks if step.rate else 0)
    tasks_an_iteration = phases[0] + phases[1] + phases[2] + phases[3] + phases[4]
    tasks = tasks_an_iteration * len(state.losses) + 1
    number = claim(counters)
    while number < tasks:
        iteration = number // tasks_an_iteration
        task = number - iteration * tasks_an_iteration
        phase = 0
        while task >= phases[phase]:
            task -= phases[phase]
            phase += 1
        wait(counters, number - task)
        first = iteration * size
        begin, end = task * _SAMPLES_A_TASK, min(size, (task + 1) * _SAMPLES_A_TASK)
        if state.plan[STOPPED]:
            pass
        elif phase == 0:
            if iteration > 0 and step.rate:
                _conclude(iteration, s, state)
            if iteration < len(state.losses) and not state.plan[STOPPED]:
                _prepare(net, rows, t, first, s, state, step)
        elif phase == 1:
            for n in range(begin, end):
                _expand_sample(net, rows, t, first + n, s, n, state, step, scratch)
        elif phase == 2:
            _evaluate_strip(net, rows, t, first, s, state, step, task, scratch)
        elif phase == 3 and task < turns:
            contract_inputs(rows, first, s, state.plan[ORDER], task, step.h, state.w1_sums)
            _update_inputs(net, state, step, task)
        elif phase == 3:
            contract_units(s, state.plan[ORDER], task - turns, step.h, state.w2t_sums)
            _update_units(net, state, step, task - turns)
        else:
            for n in range(begin, end):
                o = n * OUTPUT_ROWS
                forward(net, rows, first + n, s.hidden, n * HIDDEN_ROWS, s.output, o)
                s.losses[n] = loss_row(s.output, o + Y, t, first + n)
        number = finish(counters)
    wait(counters, tasks)


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
    forward(net, rows, sample, s.hidden, h, s.output, o)
    if s.directly[n]:
        grow(net, s.output, o, terms_needed(step.h, rows.largest[sample], state.bounds[0]), scratch.memory)
        return
    order = state.plan[ORDER]
    grow(net, s.output, o, max(order, 3), scratch.memory)
    expand_outputs(t, sample, s.output, o, order, scratch.memory)
    if order <= 3:
        expand_hidden_to_3(state.w2t, t, sample, s.hidden, h, s.output, o, order)
    else:
        expand_hidden(state.w2t, t, sample, s.hidden, h, s.output, o, order, scratch.memory)


@inlined
def _evaluate_strip(
    net: Network, rows: Rows, t: Floats, first: int, s: Samples, state: State, step: Step, strip: int, scratch: Scratch
) -> None:
    packs = state.w2t.shape[1] // LANES
    begin, end = packs * strip // step.strips * LANES, packs * (strip + 1) // step.strips * LANES
    for n in range(len(s.directly)):
        if s.directly[n] and begin < end:
            terms = terms_needed(step.h, rows.largest[first + n], state.bounds[0])
            add_directly(
                net, state.w2t, rows, first + n, t, s, n, step.h, terms, begin, end, scratch,
                state.w1_sums, state.w2t_sums,
            )  # fmt: skip


@inlined
def _update_inputs(net: Network, state: State, step: Step, turn: int) -> None:
    if step.rate:
        for i in range(turn * TURN, min(len(net.w1), (turn + 1) * TURN)):
            for j in range(net.w1.shape[1]):
                net.w1[i, j] += step.rate * state.w1_sums[i, j]
                state.w1_sums[i, j] = 0.0


@inlined
def _update_units(net: Network, state: State, step: Step, k: int) -> None:
    if step.rate:
        for j in range(len(net.w2)):
            net.w2[j, k] += step.rate * state.w2t_sums[k, j]
        state.w2t_sums[k] = 0.0
