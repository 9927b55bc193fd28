"""A copy of a network whose losses are computed, for parameters and mini-batches of Secant's choice."""

import copy
import itertools
import math
import time
from typing import Any, cast

import numpy as np

from secant._common.interrupts import held_interrupts
from secant.acceleration.recognition.candidates import Candidate
from secant.acceleration.recognition.explanations import Trial
from secant.acceleration.recognition.isolation import always_draws_numbers
from secant.acceleration.recognition.layouts import Layout, Sizes, duplicate, require_apart, require_no_views
from secant.acceleration.recognition.methods import Methods
from secant.acceleration.recognition.probes import Form, NotANumberError, Probe, fill, number, probes
from secant.errors import UnsupportedError

_REPEATS, _SECONDS = 60, 1.0  # calls of one loss, which may change from call to call; fewer if it is slow


class Subject:
    """A copy of a network, to be filled with parameters."""

    def __init__(self, net: Any, layout: Layout, methods: Methods) -> None:
        self.methods = methods
        arrays = layout.arrays(net)
        if wrong := {array.dtype for array in arrays} - {np.dtype(np.float64), np.dtype(np.float32)}:
            raise UnsupportedError(f"its parameters are {wrong.pop()}, not float64 or float32")
        require_apart(layout.keys, arrays)
        require_no_views(net, arrays)
        self.sizes: Sizes = (len(arrays[0]), arrays[1].size, arrays[3].size)
        self.layout = layout
        self._arrays = [np.zeros(array.shape) for array in arrays]
        self._copy = duplicate(net, arrays, self._arrays)

    def loss(self, probe: Probe) -> float:
        """Return its loss for the parameters and the mini-batch of a probe."""
        fill(self._arrays, probe.params)
        name = self.methods.loss
        loss = number(getattr(self._copy, name)(probe.x.copy(), probe.t.copy()), name)
        if not all(np.array_equal(a.ravel(), p.ravel()) for a, p in zip(self._arrays, probe.params, strict=True)):
            raise UnsupportedError("its loss changes the parameters")
        return loss

    def trials(self, *, alone: bool) -> tuple[dict[Form, list[Trial]], str]:
        """The losses for each form of targets that it takes, and the first error for another form.

        ``alone``: with one sample at a time.
        """
        tried: dict[Form, list[Trial]] = {}
        failed: dict[Form, str] = {}
        for several in probes(self.sizes):
            probe = several.first() if alone else several
            if probe.form in failed:
                continue
            try:
                tried.setdefault(probe.form, []).append(Trial(probe, self.loss(probe)))
            except UnsupportedError:
                raise
            except Exception as error:  # whatever the reader's code raises for targets that it does not take
                named = isinstance(error, NotANumberError)
                failed[probe.form] = (
                    str(error) if named else f"{self.methods.loss}(x, t) raises {type(error).__name__}: {error}"
                )
                tried.pop(probe.form, None)
        return tried, next(iter(failed.values()), "")

    def require_repeatable(self, probe: Probe, first: float) -> None:
        """Raise an error unless every call gives the same loss for the same mini-batch."""
        if not math.isfinite(first):
            raise UnsupportedError(f"its loss of random parameters and inputs is {first}")
        end = time.perf_counter() + _SECONDS
        for i in range(_REPEATS):
            if i and time.perf_counter() > end:
                break
            if not abs((again := self.loss(probe)) - first) <= 1e-13 * abs(first):
                raise UnsupportedError(
                    f"its loss of one mini-batch differs from call to call, as with dropout: {first:.6g} and "
                    f"{again:.6g}. Turn that off, since a numerical gradient is a difference of losses"
                )
        if always_draws_numbers(lambda: self.loss(probe)):
            raise UnsupportedError("its loss draws random numbers: skipping calls would change your random stream")

    def require_constant(self, net: Any, candidate: Candidate, probe: Probe) -> None:
        """Raise an error if what ``candidate`` adds to the loss is no constant of the network itself.

        A term that reads the arrays past the object, as in a closure or through a vector of which they are views, is
        constant in a copy. The network has other parameters for one loss.
        """
        arrays, shown = self.layout.arrays(net), copy.copy(net)  # what it sets is set in that
        before = [array.copy() for array in arrays]
        try:
            fill(arrays, probe.params)
            sizes = [param.shape for param in probe.params]
            there: Any = tuple(np.array(a, np.float64).reshape(size) for a, size in zip(arrays, sizes, strict=True))
            loss = number(self.methods.of(shown, "loss")(probe.x.copy(), probe.t.copy()), self.methods.loss)
        except Exception as error:  # whatever the reader's code raises
            raise UnsupportedError(f"it cannot be tried out itself: {type(error).__name__}: {error}") from error
        finally:
            with held_interrupts():
                for array, old in zip(arrays, before, strict=True):
                    if array.flags.writeable:
                        array[...] = old
        rounded = probe._replace(params=there)
        is_single = any(array.dtype == np.float32 for array in arrays)
        if not (
            candidate.agrees(rounded, loss) or (is_single and math.isclose(loss, candidate.loss(rounded), rel_tol=1e-4))
        ):
            raise UnsupportedError(
                "what its loss adds depends on the parameters, though not in a copy, as where a closure, a global or a "
                "vector of which they are views keeps the arrays: Secant knows no such term"
            )

    def unread(self, trials: list[Trial]) -> list[str]:
        """The parameters that the loss does not read: replaced by those of the next trial, they change no loss."""
        unread = []
        for i, name in enumerate(self.layout.names()):
            pairs = list(itertools.pairwise(trials))
            if pairs and all(self.loss(_exchanged(probe, i, other)) == loss for (probe, loss), (other, _) in pairs):
                unread.append(name)
        return unread


def _exchanged(probe: Probe, i: int, other: Probe) -> Probe:
    """A probe with parameter i of another."""
    params: list[Any] = [*probe.params]
    params[i] = other.params[i]
    return probe._replace(params=cast(Any, tuple(params)))
