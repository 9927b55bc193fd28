"""A copy of a network whose losses are computed, for parameters and mini-batches of
Secant's choice.
"""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array
from secant.acceleration.recognition.layouts import Layout, Sizes, duplicate, shapes
from secant.acceleration.recognition.methods import MethodNames, bound
from secant.acceleration.recognition.probes import (
    Form,
    NotANumberError,
    Probe,
    number,
    probes,
)
from secant.errors import UnsupportedError

_SECONDS = 1.8  # after which the reader's code is not called any more
_RESTORED = 1e-12  # parameters of order 1 are off by less after they were shifted back
# calls of one loss, which may change from call to call
_REPEATS, _FEWEST_REPEATS = 60, 2
_REPEAT_SECONDS = 0.4  # after which the fewest must do


class Clock:
    """The time that calls of the reader's code take.

    Secant's own work takes 0.1 s or so.
    """

    # seconds of the last call and of the shortest one
    calls, last, shortest = 0, 0.0, math.inf

    @property
    def spent(self) -> float:
        """The seconds of all calls but the first, each counted as the shortest: some
        also compile, as with Numba.
        """
        return (self.calls - 1) * self.shortest

    def left(self) -> float:
        """The seconds that are left."""
        return _SECONDS - self.spent

    def timed(self, method: Callable[..., Any], x: Array, t: Array) -> Any:
        """Call the reader's code, with copies."""
        start = time.perf_counter()
        try:
            return method(x.copy(), t.copy())
        finally:
            self.calls, self.last = self.calls + 1, time.perf_counter() - start
            self.shortest = min(self.shortest, self.last)


class ProbeLoss(NamedTuple):
    """A probe, and the loss that a network has for it."""

    probe: Probe
    loss: float


class ProbeNet:
    """A deep copy of a network, with arrays of these sizes in place of its
    parameters.
    """

    def __init__(
        self, net: Any, layout: Layout, names: MethodNames, sizes: Sizes, clock: Clock
    ) -> None:
        arrays = layout.arrays(net)
        self.names, self.layout, self.sizes, self.clock = names, layout, sizes, clock
        self.arrays: list[Array] = [np.zeros(shape) for shape in shapes(sizes, arrays)]
        self._copy = duplicate(net, arrays, self.arrays)

    def loss(self, probe: Probe) -> float:
        """Return its loss for the parameters and the mini-batch of a probe.

        Raises an error if no time is left.
        """
        if self.clock.left() < 0:
            seconds = f"{self.clock.shortest:.2g} s a call"
            raise UnsupportedError(
                f"it takes too long, {seconds}: recognition takes at most 2 s"
            )
        name = self.names.loss
        return number(self._called(getattr(self._copy, name), probe, name), name)

    def gradient(self, reader_gradient: Any, probe: Probe) -> Any:
        """Return what the reader's numerical gradient, as it stands in a class, returns
        for a probe.
        """
        return self._called(
            bound(reader_gradient, self._copy), probe, self.names.numerical_gradient
        )

    def _called(self, method: Callable[..., Any], probe: Probe, name: str) -> Any:
        for array, param in zip(self.arrays, probe.params, strict=True):
            array[...] = param.reshape(array.shape)
        returned = self.clock.timed(method, probe.x, probe.t)
        after = zip(self.arrays, probe.params, strict=True)
        if not all(
            np.abs(array.ravel() - param.ravel()).max() <= _RESTORED
            for array, param in after
        ):
            raise UnsupportedError(f"its {name} changes the parameters")
        return returned

    def probe_losses(self) -> tuple[dict[Form, list[ProbeLoss]], str]:
        """The losses for each form of targets that it takes, and the first error of a
        form that it does not take.
        """
        losses: dict[Form, list[ProbeLoss]] = {}
        failed: dict[Form, str] = {}
        for probe in probes(self.sizes):
            if probe.form in failed:
                continue
            try:
                losses.setdefault(probe.form, []).append(
                    ProbeLoss(probe, self.loss(probe))
                )
            except NotANumberError as error:
                failed[probe.form] = str(error)
            except UnsupportedError:
                raise
            except Exception as error:
                # whatever the reader's code raises for targets that it does not take
                failed[probe.form] = (
                    f"{self.names.loss}(x, t), for an array x, raises"
                    f" {type(error).__name__}: {error}"
                )
        return {
            form: some for form, some in losses.items() if form not in failed
        }, next(iter(failed.values()), "")

    def require_repeatable(self, probe: Probe, first: float) -> None:
        """Raise an error unless every call gives the same loss for the same
        mini-batch.
        """
        if not math.isfinite(first):
            raise UnsupportedError(
                f"its loss of random parameters and inputs is {first}"
            )
        for i in range(_REPEATS):
            if i >= _FEWEST_REPEATS and self.clock.spent > _REPEAT_SECONDS:
                break
            if not abs((again := self.loss(probe)) - first) <= 1e-13 * abs(first):
                raise UnsupportedError(
                    "its loss of one mini-batch differs from call to call, as with"
                    f" dropout: {first:.6g} and {again:.6g}. Turn that off, since a"
                    " numerical gradient is a difference of losses"
                )
