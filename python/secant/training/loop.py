"""The chapter's training loop: draw a mini-batch, take its gradient, step against it, note the loss.

Design: the iterations themselves are a function from the indices of some mini-batches to their losses, which
`secant.descent` makes; the loop around it keeps the record and the display and knows no more than that. Ctrl-C is
held back until an iteration is complete; other signals only while an update is incomplete. However training ends, the
parameters are those that the iterations on record lead to.
"""

import inspect
import math
import signal
import time
from collections.abc import Callable, Iterator, MutableMapping
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from secant._common.interrupts import held_interrupts
from secant._common.randomness import RandomSource
from secant._common.validation import finite_number, one_of, positive_int, real_array, step, thread_count
from secant.backends import compilation_noticed
from secant.backends.base import Method
from secant.datasets.pixels import NormalizedPixels, Rows
from secant.errors import DTypeError, ShapeError, UnsupportedError, ValueRangeError
from secant.networks.two_layer import TwoLayerNet
from secant.training.descent import descent
from secant.training.history import History
from secant.training.progress import display
from secant.training.sampling import Indices, Sampling, mini_batches

GradientKind = Literal["numerical", "backprop"]

_GRADIENT_METHODS = {"numerical": "numerical_gradient", "backprop": "gradient"}
_BLOCK_SECONDS = 0.05
_SAMPLES_AT_ONCE = 10_000  # of pixels that become float32
_DEFAULTS = {"h": 1e-4, "method": "auto", "n_threads": None}


class Network(Protocol):
    """What `train` needs: this, and ``numerical_gradient(x, t)`` or ``gradient(x, t)``, which return a dict."""

    @property
    def params(self) -> MutableMapping[str, Any]:
        """Arrays, updated in place."""
        ...

    def loss(self, x: Any, t: Any, /) -> Any:
        """Return the loss of a mini-batch."""
        ...

    def accuracy(self, x: Any, t: Any, /) -> Any:
        """Return the share of right answers, from 0 to 1."""
        ...


class _Data(NamedTuple):
    """The data of a run: samples (N, ...) and their targets (N,) or (N, O)."""

    x_train: NDArray[Any] | Rows
    t_train: NDArray[Any]
    x_test: NDArray[Any] | Rows
    t_test: NDArray[Any]


def train(
    net: Network,
    x_train: ArrayLike,
    t_train: ArrayLike,
    x_test: ArrayLike,
    t_test: ArrayLike,
    *,
    iters_num: int = 10_000,
    batch_size: int = 100,
    learning_rate: float = 0.1,
    gradient: GradientKind = "numerical",
    sampling: Sampling = "replacement",
    method: Method = "auto",
    h: float = 1e-4,
    rng: RandomSource = None,
    progress: bool = True,
    n_threads: int | None = None,
    history: History | None = None,
    normalize: bool = False,
) -> History:
    """Train a network by stochastic gradient descent.

    Parameters
    ----------
    net : TwoLayerNet, or a network of your own
        Its ``params`` are updated in place. It needs ``loss``, ``accuracy`` and the method that computes the gradient.
    x_train, x_test : array_like, (N, ...) and (M, ...)
        Samples along the first axis. They are not modified. A `TwoLayerNet` takes C-contiguous uint8, float32 and
        float64 where they lie, and makes a float64 copy of others.
    t_train, t_test : array_like, (N,) or (N, O) and (M,) or (M, O)
        Labels, or one-hot or soft targets: what ``net`` takes.
    iters_num : int
        The number of iterations, each of one mini-batch.
    batch_size : int
        The number of samples in a mini-batch.
    learning_rate : float
        What the gradient is multiplied by before it is subtracted.
    gradient : {"numerical", "backprop"}
        ``net.numerical_gradient``, central differences, or ``net.gradient``, backpropagation.
    sampling : {"replacement", "epoch"}
        Draw each mini-batch from the whole set, as the chapter does, or walk through a shuffled one.
    method : {"auto", "series", "direct"}
        How to compute numerical gradients: see `TwoLayerNet.numerical_gradient`.
    h : float
        The shift of a parameter, for numerical gradients.
    rng : numpy.random.Generator, numpy.random.RandomState or int, optional
        Where the mini-batches come from; by default NumPy's legacy global state, as in the chapter, so that
        ``np.random.seed`` gives the same ones. An int seeds a stream of its own.
    progress : bool
        Print the accuracies each epoch and, on a terminal, draw a progress bar.
    n_threads : int, optional
        The number of threads for the gradient; by default the network's choice.
    history : History, optional
        An empty one to fill, for whoever wants to keep what is there when training is interrupted.
    normalize : bool
        Take x as uint8 pixels and train on x / 255 in float32, as `load_mnist` returns them with its ``normalize``:
        the same run, in a quarter of the memory.

    Returns
    -------
    History
        ``history``, or a new one: the loss of each iteration, and the accuracies on both sets after iteration 0
        and then once an epoch.

    Raises
    ------
    DTypeError, ShapeError, ValueRangeError
        An argument is not what it must be. Nothing was trained then.
    UnsupportedError
        ``net`` lacks a method, or its method does not take ``h``, ``method`` or ``n_threads``; backpropagation takes
        neither ``h`` nor ``method``.
    KeyboardInterrupt
        Ctrl-C was pressed, and the iteration was completed. A second Ctrl-C gives that iteration up.
    SecantError
        Whatever ``net`` raises. A ValueRangeError that names the learning rate and the iteration, if training diverged:
        the parameters and the record are then those of the last iteration whose loss and parameters are finite.

    Notes
    -----
    An epoch is ``ceil(N / batch_size)`` iterations: the chapter's N / batch_size where that is a whole number, and
    all batches of a shuffled set, the short one included, where it is not.

    Examples
    --------
    >>> history = train(net, x_train, t_train, x_test, t_test, iters_num=600)
    >>> history.plot("curves.png")
    """
    data = _checked_data(x_train, t_train, x_test, t_test)
    if normalize:
        data = data._replace(x_train=_pixels("x_train", data.x_train), x_test=_pixels("x_test", data.x_test))
    settings: dict[str, Any] = {
        "iters_num": positive_int("iters_num", iters_num),
        "batch_size": positive_int("batch_size", batch_size),
        "learning_rate": finite_number("learning_rate", learning_rate, above=0),
        "gradient": one_of("gradient", gradient, get_args(GradientKind)),
        "sampling": one_of("sampling", sampling, get_args(Sampling)),
        "train_size": len(data.x_train),
        "test_size": len(data.x_test),
    }
    draw = mini_batches(sampling, len(data.x_train), batch_size, rng)
    take_gradient = _gradient_of(net, gradient, _checked_options(method, h, n_threads))
    record = _empty(history)
    record.settings = settings | take_gradient.keywords
    descend = descent(net, data.x_train, data.t_train, take_gradient, settings["learning_rate"])
    if descend.ahead and type(net).accuracy is TwoLayerNet.accuracy:
        data = data._replace(x_train=descend.x, x_test=_prepared(cast(TwoLayerNet, net), data))
    iters_per_epoch = math.ceil(len(data.x_train) / batch_size)
    with (
        display(iters_num, progress) as shown,
        compilation_noticed(shown.compiling),
        held_interrupts(signal.SIGINT) as deliver,
    ):
        for block in _blocks(draw, iters_num, iters_per_epoch, descend.ahead):
            descend.run(block, record.train_loss_list)
            last = len(record.train_loss_list) - 1
            shown.iteration(last + 1, record.train_loss_list[last])
            if last % iters_per_epoch == 0:
                shown.epoch(*_evaluate(net, data, record, last))
            deliver()
    return record


def _blocks(draw: Callable[[int], Indices], iters_num: int, iters_per_epoch: int, ahead: bool) -> Iterator[Indices]:
    """Yield mini-batches: one, or ``ahead`` as many as take about as long as the display and Ctrl-C may wait.

    A block ends where accuracies are due, with the first iteration of an epoch. What is computed does not depend on
    the blocks.
    """
    done, most = 0, 1
    while done < iters_num:
        block = draw(min(most, -done % iters_per_epoch + 1, iters_num - done))
        start = time.monotonic()
        yield block
        done += len(block)
        pace = len(block) / max(time.monotonic() - start, 1e-6)
        most = max(1, min(2 * most, int(_BLOCK_SECONDS * pace))) if ahead else 1


def _pixels(name: str, x: Any) -> NormalizedPixels:
    if x.dtype != np.uint8:
        raise DTypeError(f"{name} must hold uint8 pixels to be normalized, got {x.dtype}")
    return NormalizedPixels(x)


def _prepared(net: TwoLayerNet, data: _Data) -> NDArray[Any] | Rows:
    """Check the test set once, and return its inputs in the form that they are read in."""
    backend = net._backend_in_use()
    _, x, _ = net._checked(backend, data.x_test, data.t_test)
    return backend.prepare(x)


def _evaluate(net: Network, data: _Data, record: History, iteration: int) -> tuple[float, float]:
    """Record and return the accuracies on the training and on the test set."""
    train_acc, test_acc = _accuracy(net, data.x_train, data.t_train), _accuracy(net, data.x_test, data.t_test)
    with held_interrupts():
        record.epoch_iterations.append(iteration)
        record.train_acc_list.append(train_acc)
        record.test_acc_list.append(test_acc)
    return train_acc, test_acc


def _accuracy(net: Network, x: NDArray[Any] | Rows, t: NDArray[Any]) -> float:
    if not isinstance(x, NormalizedPixels):
        return float(net.accuracy(x, t))
    slices = [slice(first, first + _SAMPLES_AT_ONCE) for first in range(0, len(x), _SAMPLES_AT_ONCE)]
    return sum(float(net.accuracy(x[some], t[some])) * len(t[some]) for some in slices) / len(x)


def _gradient_of(net: Network, kind: str, options: dict[str, Any]) -> partial[Any]:
    """Return the method that computes the gradient, with those of the options that it takes.

    The chapter's own network takes none. That is an error only for an option that was asked for.
    """
    name = _GRADIENT_METHODS[kind]
    for needed in ("params", "loss", "accuracy", name):
        if not hasattr(net, needed):
            raise UnsupportedError(f"net must have {needed} to be trained with gradient={kind!r}, got {net!r}")
    if not hasattr(net.params, "__setitem__"):
        raise UnsupportedError(f"net.params must be a dict of arrays to be trained, got {net.params!r}")
    method = getattr(net, name)
    if kind == "backprop":
        for option in ("method", "h"):
            if options[option] != _DEFAULTS[option]:
                raise UnsupportedError(f"gradient={kind!r} does not take {option}, got {option}={options[option]!r}")
        options = {"n_threads": options["n_threads"]}
    taken = {option: value for option, value in options.items() if _takes(method, option)}
    for option, value in options.items():
        if option not in taken and value != _DEFAULTS[option]:
            raise UnsupportedError(f"net.{name} does not take {option}, got {option}={value!r}")
    return partial(method, **taken)


def _takes(method: Callable[..., Any], option: str) -> bool:
    try:
        parameters = inspect.signature(method).parameters
    except ValueError:  # compiled, and without a signature
        return False
    return option in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _checked_data(*arrays: ArrayLike) -> _Data:
    """Return the four arrays, none empty, if those that belong together have the same length."""
    data = _Data(*(real_array(name, array) for name, array in zip(_Data._fields, arrays, strict=True)))
    for name, array in data._asdict().items():
        if array.ndim == 0 or len(array) == 0:
            raise ShapeError(f"{name} must hold at least one sample, got shape {array.shape}")
    for part, x, t in (("train", data.x_train, data.t_train), ("test", data.x_test, data.t_test)):
        if len(x) != len(t):
            raise ShapeError(f"t_{part} must have {len(x)} rows like x_{part}, got {len(t)}")
    if data.x_train.shape[1:] != data.x_test.shape[1:]:
        expected, got = data.x_train.shape[1:], data.x_test.shape[1:]
        raise ShapeError(f"x_test must have samples of shape {expected} like x_train, got {got}")
    return data


def _checked_options(method: str, h: float, n_threads: int | None) -> dict[str, Any]:
    """Return what the gradient may be asked for."""
    return {
        "method": one_of("method", method, get_args(Method)),
        "h": step(h),
        "n_threads": thread_count(n_threads) or None,
    }


def _empty(history: History | None) -> History:
    """Return ``history``, if it can be filled, or a new one."""
    if not isinstance(history, History | None):
        raise DTypeError(f"history must be a History, got {history!r}")
    if history is not None and history.train_loss_list:
        raise ValueRangeError(f"history must be empty, got one of {len(history.train_loss_list)} iterations")
    return History() if history is None else history
