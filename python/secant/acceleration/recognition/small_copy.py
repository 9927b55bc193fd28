"""A copy of a network with few parameters, on which its own `numerical_gradient` is called; and its side effects."""

import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np

from secant._common.validation import Array, Floats
from secant.acceleration.recognition.candidates import Candidate
from secant.acceleration.recognition.effects import Path, changes, contents, written
from secant.acceleration.recognition.isolation import always_draws_numbers, draws_numbers
from secant.acceleration.recognition.layouts import Layout, Sizes, duplicate, shapes
from secant.acceleration.recognition.methods import Methods
from secant.acceleration.recognition.probes import (
    Probe,
    fill,
    least_seconds,
    number,
)
from secant.backends.base import USUAL_STEP
from secant.errors import UnsupportedError

KINDS = {"central": (1, -1), "forward": (1, 0), "backward": (0, -1)}
LONGEST = 30.0  # seconds for all calls on a copy of full size, where a smaller one does not work
_LOSSES, _FEWER_LOSSES = 120, 12  # that are computed before the first call, and before the others,
_SECONDS = 1.0  # but no longer than this
_MOST = 25  # entries of a parameter that are compared
_ROUNDING = 8 * np.finfo(np.float64).eps


class SmallCopy:
    """A copy with a few parameters, and what its own `numerical_gradient` returned and changed."""

    def __init__(
        self, net: Any, methods: Methods, method: Any, layout: Layout, candidate: Candidate, sizes: Sizes, alone: bool
    ) -> None:
        arrays = layout.arrays(net)
        self.sizes = sizes
        self.arrays = [np.empty(shape) for shape in shapes(sizes, arrays)]
        self._copy = duplicate(net, arrays, self.arrays)
        self.name = f"its {methods.numerical_gradient}"  # in messages
        self._loss = methods.of(self._copy, "loss")
        self._method, self._candidate, self._alone = method, candidate, alone
        self.spent = 0.0  # seconds
        self._by_losses: set[Path] = set()
        self._growing: set[Path] = set()  # what losses add something to
        rng = np.random.default_rng(11)
        self._entries = [rng.permutation(array.size)[:_MOST] for array in self.arrays]

    def call(self, probe: Probe, *, argmax: bool = False) -> None:
        """Call it with the parameters and the mini-batch of a probe."""
        self._probe = probe = probe.first() if self._alone else probe
        before = contents(self._copy, self.arrays)
        self._let_losses_happen()
        fill(self.arrays, probe.params)
        start, loss = time.perf_counter(), self.loss()
        self.seconds = 2 * sum(array.size for array in self.arrays) * least_seconds(self.loss)
        after = contents(self._copy, self.arrays)
        if not self._candidate.agrees(probe, loss, argmax=argmax):
            raise UnsupportedError("its loss is another one there")
        if self.seconds > LONGEST:
            raise UnsupportedError(f"it would take about {self.seconds:.0f} s")
        self._drew = draws_numbers(self._call)
        self.spent += time.perf_counter() - start
        parts = zip(self.arrays, probe.params, strict=True)
        self._changed = max(float(np.abs(a.ravel() - p.ravel()).max()) for a, p in parts)
        fill(self.arrays, probe.params)
        self._by_losses |= changes(before, after)
        self._growing |= {path[:-1] for path in self._by_losses if path not in before}
        done = changes(after, contents(self._copy, self.arrays)) - self._by_losses
        self._done = {path for path in done if path in after or self._growing.isdisjoint(_outer(path))}

    def _call(self) -> None:
        self.returned = bound(self._method, self._copy)(self._probe.x.copy(), self._probe.t.copy())

    def require_no_draws(self) -> None:
        """Raise an error if it draws random numbers."""
        if self._drew and always_draws_numbers(self._call):
            raise UnsupportedError(f"{self.name} draws random numbers: skipping calls would change your random stream")

    def _let_losses_happen(self) -> None:
        """Compute other losses, also of few samples, to learn what a loss sets, also what it sets only now and then."""
        x, t = self._probe.x, self._probe.t
        end = time.perf_counter() + _SECONDS
        for i in range(_FEWER_LOSSES if self.spent else _LOSSES):
            if time.perf_counter() > end:
                break
            fill(self.arrays, [param * (-1) ** i for param in self._probe.params])
            part = slice(1 + i % len(x)) if x.ndim == 2 else slice(None)
            with contextlib.suppress(Exception):  # whatever the reader's code raises for few samples
                self._loss(-x[part], t[part].copy())

    def require_no_effect(self) -> None:
        """Raise an error if it has a side effect that the loss does not have."""
        what = [f"sets {written(self._done)}"] if self._done else []
        what += [f"changes the parameters, by up to {self._changed:.2g}"] if self._changed > 1e-9 else []
        if what:
            raise UnsupportedError(
                f"{self.name} also {' and '.join(what)}, which would not happen any more: it must "
                "only return the gradients"
            )

    def loss(self) -> float:
        """Return the loss."""
        return number(self._loss(self._probe.x.copy(), self._probe.t.copy()))

    def gradient(self, keys: tuple[Any, ...], most: int = _MOST) -> Floats:
        """Return the compared entries of the returned gradient as a vector: at most ``most`` of each array."""
        parts = zip(keys, self.arrays, self._entries, strict=True)
        return np.concatenate([self._part(self.returned[key], array, entries[:most]) for key, array, entries in parts])

    def keys(self, parameters: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the keys of the gradients: those of the parameters, or else those whose values fit."""
        if all(key in self.returned for key in parameters):
            return parameters
        ends = np.cumsum([len(entries) for entries in self._entries])[:-1]
        matching = [
            key
            for right, array, at in zip(np.split(self.usual(), ends), self.arrays, self._entries, strict=True)
            for key, value in self.returned.items()
            if np.shape(value) == array.shape and np.allclose(self._part(value, array, at), right, rtol=1e-2, atol=1e-4)
        ]
        if len(matching) != 4 or len(set(matching)) != 4:
            got = ", ".join(map(str, self.returned)) or "nothing"
            wanted = ", ".join(map(str, parameters))
            raise UnsupportedError(f"{self.name} returns {got}, not a gradient of each of {wanted}")
        return tuple(matching)

    def _part(self, value: Any, array: Floats, entries: Array) -> Floats:
        part = np.asarray(value, np.float64)
        if part.shape != array.shape:
            raise UnsupportedError(f"{self.name} returns an array {part.shape} for a parameter {array.shape}")
        return part.ravel()[entries]

    def differs(self, kind: tuple[str, float], keys: tuple[Any, ...]) -> bool:
        """Whether the gradient is not such a difference."""
        return kind not in self._fits_at(kind[1], keys, _MOST)

    def losses(self, h: float, most: int = _MOST) -> dict[int, Floats]:
        """The losses with one entry changed by h, 0 and -h, for ``most`` entries of each array in turn."""
        up, down = list[float](), list[float]()
        for array, entries in zip(self.arrays, self._entries, strict=True):
            flat = array.reshape(-1)
            for i in entries[:most]:
                before = float(flat[i])
                for step, losses in ((h, up), (-h, down)):
                    flat[i] = before + step
                    losses.append(self.loss())
                flat[i] = before
        return {1: np.array(up), 0: np.full(len(up), self.loss()), -1: np.array(down)}

    def usual(self) -> Floats:
        """Return the central difference at the usual step."""
        return _difference(self.losses(USUAL_STEP), USUAL_STEP, *KINDS["central"])

    def fits(self, keys: tuple[Any, ...], steps: Iterable[float]) -> dict[tuple[str, float], float]:
        """The differences that the gradient may be, within rounding, and how far it is from each."""
        fits: dict[tuple[str, float], float] = {}
        for h in steps:
            if self._fits_at(h, keys, 1):  # few losses tell most steps apart
                fits |= self._fits_at(h, keys, _MOST)
        return fits

    def _fits_at(self, h: float, keys: tuple[Any, ...], most: int) -> dict[tuple[str, float], float]:
        """The same for one step, and ``most`` entries of each array."""
        returned, losses, fits = self.gradient(keys, most), self.losses(h, most), {}
        parts = zip(keys, self._probe.params, strict=True)
        steps = max(float(np.abs(np.ravel(self.returned[key]) * param.ravel()).max()) for key, param in parts)
        rounded = max(1.0, abs(float(losses[0][0])), h * float(np.abs(self._probe.x).max()), steps)
        for name, signs in KINDS.items():
            off = float(np.abs(returned - _difference(losses, h, *signs)).max())
            if off <= _ROUNDING * rounded / h:
                fits[name, h] = off
        return fits


def _outer(path: Path) -> list[Path]:
    """The paths of what contains this one."""
    return [path[:n] for n in range(1, len(path))]


def bound(method: Any, net: Any) -> Callable[..., Any]:
    """Return an attribute of a class as it is bound to an instance."""
    return cast(Callable[..., Any], method.__get__(net, type(net)) if hasattr(method, "__get__") else method)


def _difference(losses: dict[int, Floats], h: float, up: int, down: int) -> Floats:
    return (losses[up] - losses[down]) / ((up - down) * h)
