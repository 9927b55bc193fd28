"""The chapter's training loop.

It draws a mini-batch, takes its gradient, steps against it, and notes the loss.

Design: the iterations themselves are run by `secant.training.iterations`, which takes
the indices of some mini-batches and appends their losses; the loop around it only keeps
the record and the display. Ctrl-C is held back until an iteration is complete: the
parameters are then those after the recorded iterations. Accuracies that were not
complete are left out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

from numpy.typing import ArrayLike

from secant._common.interrupts import held_interrupts
from secant._common.randomness import RandomSource
from secant._common.validation import (
    Array,
    finite_number,
    length,
    one_of,
    positive_int,
    thread_count,
)
from secant.acceleration.accelerate import Accelerated
from secant.acceleration.recognition.equivalent import rows
from secant.backends import backend_module, use_backend
from secant.backends.base import Method
from secant.backends.configuration import get_backend
from secant.backends.inputs import NormalizedPixels, Rows
from secant.errors import DTypeError
from secant.networks.batch import step
from secant.networks.two_layer import TwoLayerNet, foreign_structure
from secant.training.arguments import (
    Data,
    GradientKind,
    LossTime,
    Network,
    checked_data,
    empty,
    gradient_of,
)
from secant.training.display import display
from secant.training.history import History
from secant.training.iterations import checked_whole, iterations_of
from secant.training.sampling import Indices, Sampling, mini_batches

AccuracyAfter = Literal["first", "last"]
Accuracy = Callable[[Any, Any], Any]

_BLOCK_SECONDS = 0.05
_LONG_SECONDS = 1.0  # of one iteration
_SLOW = "training is slow: {} computes its own gradient; try secant.accelerate(net)"


def train(
    net: Network,
    x_train: ArrayLike,
    t_train: ArrayLike,
    x_test: ArrayLike | None = None,
    t_test: ArrayLike | None = None,
    *,
    n_iterations: int = 10_000,
    batch_size: int = 100,
    learning_rate: float = 0.1,
    gradient: GradientKind = "numerical",
    sampling: Sampling = "replacement",
    method: Method = "auto",
    h: float = 1e-4,
    loss: LossTime = "after",
    rng: RandomSource = None,
    progress: bool = True,
    n_threads: int | None = None,
    history: History | None = None,
    callback: Callable[[Any, History], object] | None = None,
    normalize: bool = False,
    accuracy_after: AccuracyAfter = "first",
) -> History:
    """Train a network by stochastic gradient descent.

    Parameters
    ----------
    net : TwoLayerNet, SimpleNet, or a network of your own
        Its ``params`` are updated in place. It needs ``loss``, ``accuracy`` and the
        method that computes the gradient. A network that is recognized may do without
        ``accuracy``.
    x_train, x_test : array_like, (N, ...) and (M, ...)
        Samples along the first axis. They are not modified. A `TwoLayerNet` takes
        C-contiguous uint8, float32 and float64 where they lie, and makes a float64 copy
        of others; with float32 parameters, a float32 copy of others than uint8 and
        float32.
    t_train, t_test : array_like, (N,) or (N, O) and (M,) or (M, O)
        Labels, or one-hot or soft targets: what ``net`` takes. Without x_test and
        t_test no test accuracy is taken.
    n_iterations : int
        The number of iterations, each of one mini-batch.
    batch_size : int
        The number of samples in a mini-batch.
    learning_rate : float
        The factor of the gradient that is subtracted.
    gradient : {"numerical", "backprop"}
        ``net.numerical_gradient``, central differences, or ``net.gradient``,
        backpropagation.
    sampling : {"replacement", "epoch", "ordered"}
        Draw each mini-batch from the whole set, as the chapter does; walk through the
        shuffled set; or walk through it in the given order.
    method : {"auto", "series", "direct"}
        How to compute numerical gradients: see `TwoLayerNet.numerical_gradient`.
    h : float
        The shift of a parameter, for numerical gradients.
    loss : {"after", "before"}
        Record the loss of each mini-batch after its update, as the chapter does, or
        before it, which needs no forward pass of its own. The parameters are the same.
    rng : numpy.random.Generator, numpy.random.RandomState or int, optional
        Where the mini-batches come from; by default NumPy's legacy global state, as in
        the chapter, so that ``np.random.seed`` gives the same ones. An int seeds a
        stream of its own.
    progress : bool
        Print the accuracies once per epoch, but not more than twice a second. In a
        terminal or a notebook draw a progress bar, if tqdm is installed. Output that
        fails does not end the training.
    n_threads : int, optional
        The number of threads for the gradient; by default the network's choice.
    history : History, optional
        An empty `History` to fill. It keeps the results if training is interrupted.
    callback : callable, optional
        Called as ``callback(net, history)`` whenever accuracies have been taken, once
        per epoch. Training ends if it returns something true. It may write into the
        arrays of the parameters, but not replace them. It must not write to the data,
        parts of which are copied at the start.
    normalize : bool
        Take x as uint8 pixels and train on x / 255 in float32, as `load_mnist` returns
        them with its ``normalize``: the same run, in a quarter of the memory. Other
        data must be scaled before, to numbers from 0 to 1.
    accuracy_after : {"first", "last"}
        Which iteration of an epoch the accuracies are taken after: the first, as in the
        chapter, or the last.

    Returns
    -------
    History
        ``history``, or a new one: the loss of each iteration, and the accuracies on
        both sets once per epoch. Shorter than ``n_iterations`` if ``callback`` ended
        it.

    Raises
    ------
    DTypeError, ShapeError, ValueRangeError
        An argument is not valid. A `TwoLayerNet` is unchanged then.
    UnsupportedError
        ``net`` lacks a method, or its method does not take ``h``, ``method`` or
        ``n_threads``; backpropagation takes neither ``h`` nor ``method``.
    KeyboardInterrupt
        Ctrl-C was pressed, and the iteration was completed. A second Ctrl-C stops at
        once.
    SecantError
        Whatever ``net`` or ``callback`` raises. A ValueRangeError that names the
        learning rate and the iteration, if training diverged: the parameters and the
        record are then those of the last iteration whose loss and parameters are
        finite.

    Notes
    -----
    A network that was given to `accelerate` is trained as fast as a `TwoLayerNet`, if
    its loss is the mean over the samples with nothing added. At the start, once per
    epoch and at the end, its own loss is compared with the one that is minimized. If
    they differ, an UnsupportedError is raised, and the parameters and the record go
    back to the last comparison that agreed.

    An epoch is ``ceil(N / batch_size)`` iterations: the chapter's N / batch_size where
    that is a whole number, and all batches of a shuffled set, the short one included,
    where it is not.

    Examples
    --------
    >>> (x_train, t_train), (x_test, t_test) = secant.load_mnist(subset=True)
    >>> net = secant.TwoLayerNet(784, 50, 10, rng=0)
    >>> history = secant.train(
    ...     net, x_train, t_train, x_test, t_test, n_iterations=50, rng=0
    ... )
    train acc, test acc | 0.0978, 0.0970

    Stop when it is good enough, and say nothing:

    >>> def good(net, history):
    ...     return history.train_acc_list[-1] > 0.2
    >>> net = secant.TwoLayerNet(784, 50, 10, output_activation="identity", rng=0)
    >>> history = secant.train(
    ...     net, x_train, t_train, callback=good, rng=0, progress=False
    ... )
    >>> len(history.train_loss_list) < 1000
    True
    """
    data = checked_data(x_train, t_train, x_test, t_test, normalize)
    if not (callback is None or callable(callback)):
        raise DTypeError(f"callback must be callable, got {callback!r}")
    one_of("accuracy_after", accuracy_after, get_args(AccuracyAfter))
    n_iterations = positive_int("n_iterations", n_iterations)
    batch_size = length("batch_size", batch_size)
    settings: dict[str, Any] = {
        "n_iterations": n_iterations,
        "batch_size": batch_size,
        "learning_rate": finite_number("learning_rate", learning_rate, above=0),
        "gradient": one_of("gradient", gradient, get_args(GradientKind)),
        "sampling": one_of("sampling", sampling, get_args(Sampling)),
        "loss": one_of("loss", loss, get_args(LossTime)),
        "train_size": len(data.x_train),
        "test_size": 0 if data.x_test is None else len(data.x_test),
    }
    if isinstance(net, TwoLayerNet):
        settings |= {
            name: getattr(net, name)
            for name in ("hidden_activation", "output_activation", "soft_targets")
        }
        settings["log_offset"] = finite_number("log_offset", net.log_offset, least=0)
    draw = mini_batches(sampling, len(data.x_train), batch_size, rng)
    options = {
        "method": one_of("method", method, get_args(Method)),
        "h": step(h, getattr(net, "params", None)),
        "n_threads": thread_count(n_threads) or None,
    }
    take_gradient, accelerated = gradient_of(net, gradient, options)
    record = empty(history)
    record.settings = settings | take_gradient.keywords
    backend = getattr(net, "backend", None)
    iterations = iterations_of(
        net,
        data.x_train,
        data.t_train,
        take_gradient,
        settings["learning_rate"],
        loss == "before",
        accelerated,
    )
    if (
        isinstance(net, TwoLayerNet)
        and not foreign_structure(net)
        and _has_our_accuracy(net)
    ):
        x_test = _prepared(net, data)
        if iterations.ahead:
            data = data._replace(x_train=iterations.x, x_test=x_test)
    accuracy = _accuracy_of(net, accelerated)
    iters_per_epoch = math.ceil(len(data.x_train) / batch_size)
    evaluated = 0 if accuracy_after == "first" else iters_per_epoch - 1
    with (
        display(n_iterations, progress) as shown,
        use_backend(backend or get_backend()),
    ):
        for block in _blocks(
            draw, n_iterations, iters_per_epoch, evaluated, iterations.ahead
        ):
            start = time.monotonic()
            with held_interrupts():
                iterations.run(block, record.train_loss_list)
            last = len(record.train_loss_list) - 1
            slow = last == 0 and time.monotonic() - start > _LONG_SECONDS
            if (
                slow
                and not accelerated
                and not isinstance(net, TwoLayerNet)
                and gradient == "numerical"
            ):
                shown.note(_SLOW.format(type(net).__name__))
            shown.iteration(last + 1, record.train_loss_list[last])
            if last % iters_per_epoch == evaluated or last + 1 == n_iterations:
                iterations.compare(block[-1], record.train_loss_list)
            if last % iters_per_epoch == evaluated:
                shown.epoch(*_evaluate(accuracy, data, record, last))
                if callback is not None and callback(net, record):
                    break
    return record


def _blocks(
    draw: Callable[[int], Indices],
    n_iterations: int,
    iters_per_epoch: int,
    evaluated: int,
    ahead: bool,
) -> Iterator[Indices]:
    """Yield mini-batches, one at a time or several with ``ahead``.

    Several are as many as keep the display and Ctrl-C waiting only for a moment.

    A block ends where accuracies are due, with the iteration ``evaluated`` of an epoch.
    What is computed does not depend on the blocks.
    """
    done, most = 0, 1
    while done < n_iterations:
        block = draw(
            min(most, (evaluated - done) % iters_per_epoch + 1, n_iterations - done)
        )
        start = time.monotonic()
        yield block
        done += len(block)
        pace = len(block) / max(time.monotonic() - start, 1e-6)
        most = max(1, min(2 * most, int(_BLOCK_SECONDS * pace))) if ahead else 1


def _has_our_accuracy(net: TwoLayerNet) -> bool:
    return type(net).accuracy is TwoLayerNet.accuracy and "accuracy" not in vars(net)


def _prepared(net: TwoLayerNet, data: Data) -> Array | Rows | None:
    """Check the test set once, and return its inputs in the backend's fastest form."""
    if data.x_test is None or data.t_test is None:
        return None
    backend = backend_module(net.backend)
    return backend.prepare(
        checked_whole("test", net, data.x_test, data.t_test, backend).x
    )


def _accuracy_of(net: Network, accelerated: Accelerated | None) -> Accuracy:
    """Return what measures the accuracy: that of Secant for a recognized network
    without such a method.
    """
    if accelerated and not hasattr(net, "accuracy"):
        return lambda x, t: accelerated.equivalent(x, t).accuracy(rows(x), t)
    return lambda x, t: net.accuracy(x, t)  # a callback may set another one


def _evaluate(
    accuracy: Accuracy, data: Data, record: History, iteration: int
) -> tuple[float, float | None]:
    """Record and return the accuracies on the training and on the test set."""
    train_acc = _measured(accuracy, data.x_train, data.t_train)
    test_acc = (
        None if data.x_test is None else _measured(accuracy, data.x_test, data.t_test)
    )
    with held_interrupts():
        record.epoch_iterations.append(iteration)
        record.train_acc_list.append(train_acc)
        if test_acc is not None:
            record.test_acc_list.append(test_acc)
    return train_acc, test_acc


def _measured(accuracy: Accuracy, x: Array | Rows, t: Any) -> float:
    return float(accuracy(x[:] if isinstance(x, NormalizedPixels) else x, t))
