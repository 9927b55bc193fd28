"""The reader's own `numerical_gradient`, tried on a copy: which central difference it
is, or what else.

Design: it is called on a small copy at two points, an ordinary one, and one where all
gradients are large, as for clipping. Each has 13 samples, since it may use only the
first 10. At the ordinary one, one entry is compared with differences of the reader's
own loss, which round as the reader's gradient does: this tells its step. At both,
entries are compared with differences of the recognized loss, without calls of the
reader's code. Side effects of the method are not looked for: they do not happen any
more, and the pages say so.
"""

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Floats
from secant.acceleration.recognition.candidates import Candidate
from secant.acceleration.recognition.methods import (
    USUAL,
    if_meant,
    reader_gradient_of,
    takes_a_function,
)
from secant.acceleration.recognition.probe_net import ProbeNet
from secant.acceleration.recognition.probes import (
    Form,
    Params,
    Probe,
    large_probe,
    ordinary_probe,
    short,
)
from secant.backends.base import USUAL_STEP
from secant.errors import ShapeError, UnsupportedError

_EPS = float(np.finfo(float).eps)
# the usual first
_STEPS = (1e-4, 1e-3, 1e-5, 1e-2, 1e-6, 1e-7)
_TELLING = 1e-4  # below, rounding hides which step it is
# of the losses at x + h times these
_DIFFERENCES = {"central": (1, -1), "forward": (1, 0), "backward": (0, -1)}
_MOST = 25  # entries of a parameter that are compared
# of differences of one loss, and of two that round differently
_ROUNDING, _TWO_ROUNDINGS = 8 * _EPS, 64 * _EPS


class ReaderGradient(NamedTuple):
    """The step of the difference, the keys of the gradients of W1, b1, W2 and b2, and
    their order in the dict.
    """

    h: float
    gradient_keys: tuple[Any, ...]
    order: tuple[Any, ...]


NO_GRADIENT = ReaderGradient(USUAL_STEP, (), ()), "its numerical gradient was not tried"


def recognized_gradient(
    net: Any, probe_net: ProbeNet, candidate: Candidate, form: Form
) -> tuple[ReaderGradient, str]:
    """Find out what the reader's own `numerical_gradient` computes, for targets of this
    form; and say it.

    Raises
    ------
    UnsupportedError
        If it does not take (x, t), does not return a dict of the four gradients, or
        returns a gradient that is not a difference of the loss.
    """
    cls, names, layout = type(net), probe_net.names, probe_net.layout
    name = names.numerical_gradient
    own = reader_gradient_of(cls, name)
    if own is None:
        if name != USUAL.numerical_gradient or names.alike(cls, "numerical_gradient"):
            raise UnsupportedError(names.lacks(net, "numerical_gradient"))
        order = tuple(key for key in layout.mapping(net) if key in layout.keys)
        return (
            ReaderGradient(USUAL_STEP, layout.keys, order),
            f"it gets a {name}, at h = {short(USUAL_STEP)}",
        )
    if takes_a_function(own):
        others = names.alike(cls, "numerical_gradient", or_gradient=True)
        meant = (
            if_meant("numerical_gradient", others)
            or "write a method that returns a dict of the gradients"
        )
        raise UnsupportedError(
            f"its {name} takes a function and an array: it must take (x, t); {meant}"
        )
    inputs, hidden, outputs = probe_net.sizes
    # its sizes may stand in its code
    for sizes in ((2, 6, 3), (inputs, 2, outputs), (inputs, hidden, outputs)):
        try:
            return _tried(
                ProbeNet(net, layout, names, sizes, probe_net.clock),
                own,
                candidate,
                form,
            )
        except UnsupportedError:
            raise
        except Exception as error:
            # the reader's code may raise anything on such a network
            failure = f"{type(error).__name__}: {error}"
    raise UnsupportedError(
        f"its {name} cannot be tried on a copy, so what it returns is not known:"
        f" {failure}"
    )


def _tried(
    small: ProbeNet, own: Any, candidate: Candidate, form: Form
) -> tuple[ReaderGradient, str]:
    """Call a numerical gradient on a copy at two points, and say which difference of
    the candidate's loss it is.
    """
    name, sizes = f"its {small.names.numerical_gradient}", small.sizes
    ordinary, large = (
        _Point(candidate, ordinary_probe(sizes, form)),
        _Point(candidate, large_probe(sizes, form)),
    )
    loss, first_seconds = small.loss(ordinary.probe), small.clock.last
    if not candidate.agrees(ordinary.probe, loss):
        raise ValueError("its loss is another one there")  # then a larger copy is tried
    small.loss(ordinary.probe)  # the first may be slower
    # two losses of each entry, at two points
    calls = 4 * sum(array.size for array in small.arrays)
    seconds = calls * min(first_seconds, small.clock.last)
    if seconds > small.clock.left():
        copy = f"a copy of {'-'.join(map(str, sizes))}, the smallest that it takes"
        raise UnsupportedError(
            f"{name} takes too long to be tried: about {seconds:.2g} s on {copy}"
        )
    returned = small.gradient(own, ordinary.probe)
    if type(returned) not in (dict, OrderedDict):
        got = type(returned).__name__
        raise UnsupportedError(
            f"{name} returns a {got}, not a dict with a gradient of each parameter"
        )
    keys = _keys(returned, small.layout.keys, ordinary.probe.params, name)
    gradient = ordinary.entries(returned, keys)
    fits = [
        fit
        for fit in _fits(small, ordinary, gradient, loss)
        if ordinary.agrees(gradient, *fit)
    ]
    if not fits:
        raise UnsupportedError(f"{name} {ordinary.mistake(gradient)}")
    at_large = large.entries(small.gradient(own, large.probe), keys)
    kind, h = next((fit for fit in fits if large.agrees(at_large, *fit)), ("", 0.0))
    if not kind:
        where = "where gradients are large or probabilities tiny, and might be clipped"
        raise UnsupportedError(f"{where}, {name} {large.mistake(at_large)}")
    instead = "" if kind == "central" else ", in place of which comes the central one"
    return (
        ReaderGradient(h, keys, tuple(returned)),
        f"{name} is a {kind} difference at h = {short(h)}{instead}",
    )


class _Point:
    """A probe at which some entries of a gradient are compared with differences of the
    candidate's loss.
    """

    def __init__(self, candidate: Candidate, probe: Probe) -> None:
        rng = np.random.default_rng(11)
        self.candidate, self.probe = candidate, probe
        self.places = [
            (i, at)
            for i, param in enumerate(probe.params)
            for at in rng.permutation(param.size)[:_MOST]
        ]

    def shifted(self, place: tuple[int, int], step: float) -> Probe:
        """The probe with another value at a place: the number of the parameter, and the
        entry in it.
        """
        i, at = place
        param = self.probe.params[i].copy()
        param.flat[at] += step
        return self.probe.with_param(i, param)

    def entries(self, returned: Any, keys: tuple[Any, ...]) -> Floats:
        """The compared entries of a gradient that was returned."""
        for key, param in zip(keys, self.probe.params, strict=True):
            got = returned[key]
            if not isinstance(got, np.ndarray) or got.shape not in (
                param.shape,
                (1, *param.shape),
            ):
                what = (
                    f"an array {got.shape}"
                    if isinstance(got, np.ndarray)
                    else f"a {type(got).__name__}"
                )
                # a larger copy may do
                raise ShapeError(f"it returns {what} for a parameter {param.shape}")
        return np.array(
            [np.ravel(returned[keys[i]])[at] for i, at in self.places], np.float64
        )

    def difference(
        self, kind: str = "central", h: float = USUAL_STEP
    ) -> tuple[Floats, float]:
        """A difference of the candidate's loss in each place, and the largest of these
        losses.
        """
        first, second = _DIFFERENCES[kind]
        losses = np.array(
            [
                [
                    self.candidate.loss(self.shifted(place, k * h))
                    for k in (first, second)
                ]
                for place in self.places
            ]
        )
        return (losses[:, 0] - losses[:, 1]) / ((first - second) * h), float(
            np.abs(losses).max()
        )

    def agrees(self, gradient: Floats, kind: str, h: float) -> bool:
        """Whether a gradient is such a difference, but for rounding: of losses, and of
        the shifted entries.
        """
        right, largest = self.difference(kind, h)
        largest = max(1.0, largest, h * float(np.abs(self.probe.x).max()))
        of_entries = np.abs(
            [self.probe.params[i].flat[at] for i, at in self.places] * gradient
        ).max()
        return bool(
            np.abs(gradient - right).max()
            <= (_TWO_ROUNDINGS * largest + _ROUNDING * of_entries) / h
        )

    def mistake(self, gradient: Floats) -> str:
        """Say what a gradient is that is no difference of the loss."""
        exactly = (
            "it must return exactly the central difference, at an h of 1e-2, 1e-3,"
            " 1e-4, 1e-5, 1e-6 or 1e-7"
        )
        if not gradient.any():
            return (
                "is all zero. Its f does not look at what is shifted, and must compute"
                " the loss anew in each call; or its step is so small that x + h is x,"
                " as with 1e-30"
            )
        right, _ = self.difference()
        largest, factor = np.abs(right).max(), gradient @ right / (right @ right)
        if np.allclose(
            gradient, factor * right, rtol=1e-3, atol=1e-3 * abs(factor) * largest
        ):
            if any(np.isclose(factor, h * h, rtol=1e-2) for h in _STEPS):
                return (
                    "is h**2 times the central difference of its loss: `/ 2 * h`"
                    f" multiplies by h, write `/ (2 * h)`; {exactly}"
                )
            if abs(factor - 1) > 1e-2:
                return (
                    f"is {factor:.3g} times the central difference of its loss:"
                    f" {exactly}"
                )
        off = np.abs(gradient - right).max()
        return (
            f"differs from the central difference of its loss, up to {largest:.2g}, by"
            f" up to {off:.2g}: {exactly}"
        )


def _fits(
    small: ProbeNet, point: _Point, gradient: Floats, middle: float
) -> list[tuple[str, float]]:
    """The differences that a gradient may be in the entry where it depends most on the
    step, the nearest first.

    They are differences of the reader's own loss, which is ``middle`` at the point.
    """
    most = int(np.abs(point.difference(h=0.01)[0] - point.difference()[0]).argmax())
    (i, at), value = point.places[most], float(gradient[most])
    rounding = _ROUNDING * max(
        1.0, abs(middle), abs(point.probe.params[i].flat[at] * value)
    )
    fits: dict[tuple[str, float], float] = {}
    for h in _STEPS:
        shifted = {sign: point.shifted((i, at), sign * h) for sign in (1, 0, -1)}
        losses = {
            sign: small.loss(probe) if sign else middle
            for sign, probe in shifted.items()
        }
        offs = {}
        for kind, (first, second) in _DIFFERENCES.items():
            taken = (
                shifted[first].params[i].flat[at] - shifted[second].params[i].flat[at]
            )
            # as meant, or as rounded in x + h: readers divide by one
            steps = np.array([(first - second) * h, taken])
            quotients = (losses[first] - losses[second]) / steps
            offs[kind, h] = float(np.abs(value - quotients).min())
        fits |= {fit: off for fit, off in offs.items() if off <= rounding / h}
        if h >= _TELLING and min(offs.values()) <= 4 * _EPS * abs(value):
            break
    return sorted(fits, key=lambda fit: fits[fit])


def _keys(
    returned: dict[Any, Any], parameters: tuple[Any, ...], params: Params, name: str
) -> tuple[Any, ...]:
    """The keys of the gradients: those of the parameters, or else those of arrays of
    their shapes.
    """
    keys = parameters
    if not all(key in returned for key in parameters):
        fitting = [(param.shape, (1, *param.shape)) for param in params]
        keys = tuple(
            key
            for fits in fitting
            for key, value in returned.items()
            if np.shape(value) in fits
        )
    if not len(keys) == len(set(keys)) == len(returned) == 4:
        got, wanted = (
            ", ".join(map(str, some)) or "nothing" for some in (returned, parameters)
        )
        raise UnsupportedError(
            f"{name} returns {got}, not one gradient of each of {wanted}"
        )
    return keys
