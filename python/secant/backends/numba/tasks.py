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

from secant.backends.numba.compilation import SOURCES, inlined, kernel
from secant.backends.numba.direct import Scratch, add_directly, make_scratch, terms_needed
from secant.backends.numba.forward import TURN, Network, Rows, Y, aligned, forward, loss_row
from secant.backends.numba.jets import LENGTH
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

AUTO, DIRECT, DERIVATIVE = -1, 0, 1
"""The order of every sample's series, but for AUTO: the smallest that is proven."""

_SAMPLES_A_TASK = 4

_fill_discs = inlined(bound.fill_discs)
_largest_shift = inlined(bound.largest_shift)
_remainder = inlined(bound.remainder)


class Step(NamedTuple):
    """What is to be done with each mini-batch."""

    order: int
    h: float
    mass: float  # the largest sum over k of t_k; 0: that of the mini-batch
    rate: float  # what the sums are multiplied by and added to the parameters; 0: neither
    strips: int  # of hidden units


class State(NamedTuple):
    """What belongs to the mini-batch as a whole. The sums are zero before."""

    w2t: Floats  # (O, H'), w2 transposed, without its bias
    w1_sums: Floats  # (I+1, H')
    w2t_sums: Floats  # (O, H')
    discs: Floats  # (3, 16), see bound.fill_discs
    largest: Floats  # largest[order], the largest input for which it is proven; largest[0] is max |W2|
    report: Floats  # report[order], how many samples had it; the last is the truncation bound
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
        aligned(*w2t), aligned(*net.w1.shape), aligned(*w2t), np.empty((3, bound.DISCS)), np.empty(LENGTH),
        np.empty(LENGTH + 1), np.empty(iterations),
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
    """Take the gradient of each mini-batch, len(s.orders) rows of ``rows`` and t after the other."""
    size = len(s.orders)
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
        if phase > 0 and iteration > 0 and not math.isfinite(state.losses[iteration - 1]):
            number = finish(counters)
            continue
        first = iteration * size
        begin, end = task * _SAMPLES_A_TASK, min(size, (task + 1) * _SAMPLES_A_TASK)
        if phase == 0:
            if iteration > 0:
                _conclude(iteration - 1, rows, first - size, s, state, step)
            if iteration < len(state.losses):
                _prepare(net, t, first, size, state, step)
        elif phase == 1:
            for n in range(begin, end):
                _expand_sample(net, rows, t, first + n, s, n, state, step, scratch)
        elif phase == 2:
            _evaluate_strip(net, rows, t, first, s, state, step, task, scratch)
        elif phase == 3 and task < turns:
            contract_inputs(rows, first, s, task, step.h, state.w1_sums)
            _update_inputs(net, state, step, task)
        elif phase == 3:
            contract_units(s, task - turns, step.h, state.w2t_sums)
            _update_units(net, state, step, task - turns)
        else:
            for n in range(begin, end):
                o = n * OUTPUT_ROWS
                forward(net, rows, first + n, s.hidden, n * HIDDEN_ROWS, s.output, o)
                s.losses[n] = loss_row(s.output, o + Y, t, first + n)
        number = finish(counters)
    wait(counters, tasks)


@inlined
def _prepare(net: Network, t: Floats, first: int, size: int, state: State, step: Step) -> None:
    """Transpose w2, and find up to which input each order is proven."""
    largest_weight = 0.0
    for j in range(len(net.w2) - 1):
        for k in range(net.outputs):
            state.w2t[k, j] = net.w2[j, k]
            largest_weight = max(largest_weight, abs(net.w2[j, k]))
    state.largest[0] = largest_weight
    mass = max(1.0, step.mass)
    if step.mass == 0.0:
        for n in range(first, first + size):
            own = 0.0
            for k in range(net.outputs):
                own += t[n, k]
            mass = max(mass, own)
    if step.order == AUTO:
        _fill_discs(state.discs, net.sigmoid_output, largest_weight, mass)
        rho, hidden, output = state.discs[0], state.discs[1], state.discs[2]
        for order in bound.ORDERS:
            proven = _largest_shift(rho, output, order) >= step.h
            state.largest[order] = _largest_shift(rho, hidden, order) / step.h if proven else 0.0


@inlined
def _expand_sample(
    net: Network, rows: Rows, t: Floats, sample: int, s: Samples, n: int, state: State, step: Step, scratch: Scratch
) -> None:
    h, o = n * HIDDEN_ROWS, n * OUTPUT_ROWS
    forward(net, rows, sample, s.hidden, h, s.output, o)
    order = step.order
    if order == AUTO:
        order = 0
        for proven in bound.ORDERS:
            if order == 0 and rows.largest[sample] <= state.largest[proven]:
                order = proven
    s.orders[n] = order
    if order == 0:
        grow(net, s.output, o, terms_needed(step.h, rows.largest[sample], state.largest[0]), scratch.memory)
        return
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
    for n in range(len(s.orders)):
        if s.orders[n] == 0 and begin < end:
            terms = terms_needed(step.h, rows.largest[first + n], state.largest[0])
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


@inlined
def _conclude(iteration: int, rows: Rows, first: int, s: Samples, state: State, step: Step) -> None:
    """After an iteration: its loss, or how its samples were expanded."""
    if step.rate:
        total = 0.0 if iteration == 0 else 0.0 * state.losses[iteration - 1]  # once NaN, always NaN
        for n in range(len(s.losses)):
            total += s.losses[n]
        state.losses[iteration] = total / len(s.losses)
        return
    state.report[:] = 0.0
    for n in range(len(s.orders)):
        state.report[s.orders[n]] += 1
    if step.order == AUTO:
        for order in bound.ORDERS:
            largest = 0.0
            for n in range(len(s.orders)):
                if s.orders[n] == order:
                    largest = max(largest, rows.largest[first + n])
            if largest:
                rho, hidden, output = state.discs[0], state.discs[1], state.discs[2]
                cut = _remainder(rho, hidden, order, step.h * largest, step.h)
                state.report[-1] = max(state.report[-1], cut, _remainder(rho, output, order, step.h, step.h))
