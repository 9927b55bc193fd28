"""The command ``secant train``: the chapter's training run, without a line of Python.

Design: what can be found wrong before a long run is found before it. What was trained is written also after Ctrl-C, and
if one of the files fails, or standard output.
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import numpy as np
import numpy.ma  # imported in the run, it would let a Ctrl-C get lost
import typer

import secant
from secant._common.files import may_wait, require_writable
from secant._common.interrupts import held_interrupts
from secant._common.validation import Array
from secant._startup import INTERRUPTED, interruptible
from secant.backends import BACKENDS, backend_module
from secant.backends.base import LOG_OFFSET, HiddenActivation, Method, OutputActivation
from secant.cli.console import note, say
from secant.datasets.idx import load_idx
from secant.datasets.npz import Arrays, classes, load_npz
from secant.datasets.pixels import NormalizedPixels
from secant.errors import DataError, DownloadError, SecantError
from secant.networks.two_layer import TwoLayerNet
from secant.plots.canvas import figure_format
from secant.training.arguments import GradientKind
from secant.training.history import History
from secant.training.loop import train as train_network
from secant.training.sampling import Sampling


def _choice(choices: tuple[str, ...], text: str) -> Any:
    """Return an option that takes one of ``choices``; another one is a usage error."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in choices:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(map(repr, choices))}.")
        return value

    return typer.Option(metavar="|".join(choices), callback=check, help=text)


_Paths = dict[str, Path]  # where the results of a run go, by the option

_SAMPLING = "Draw each mini-batch from the whole set, or walk through a shuffled one."
_DATA = (
    "full: all of MNIST. subset: the 12,000 samples that come with Secant. auto: full, or without a network subset. "
    "FOLDER: any data set in four IDX files, such as Fashion-MNIST. FILE.npz: x_train, t_train, x_test and t_test."
)


def train(
    iters: Annotated[int, typer.Option(min=1, help="Iterations, of one mini-batch each.")] = 10_000,
    hidden: Annotated[int, typer.Option(min=1, help="Hidden units.")] = 50,
    batch: Annotated[int, typer.Option(min=1, help="Samples in a mini-batch.")] = 100,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of weights and mini-batches.")] = 0,
    gradient: Annotated[str, _choice(get_args(GradientKind), "Central differences, or backpropagation.")] = "numerical",
    method: Annotated[str, _choice(get_args(Method), "How to compute central differences.")] = "auto",
    h: Annotated[float, typer.Option(help="Step of central differences.")] = 1e-4,
    sampling: Annotated[str, _choice(get_args(Sampling), _SAMPLING)] = "replacement",
    hidden_activation: Annotated[
        str, _choice(get_args(HiddenActivation), "What comes between the two layers.")
    ] = "sigmoid",
    output_activation: Annotated[
        str, _choice(get_args(OutputActivation), "What comes before the softmax.")
    ] = "sigmoid",
    log_offset: Annotated[
        float, typer.Option(min=0, help="Added to a probability before its logarithm is taken.")
    ] = LOG_OFFSET,
    data: Annotated[str, typer.Option(metavar="auto|full|subset|FOLDER|FILE.npz", help=_DATA)] = "auto",
    backend: Annotated[str | None, _choice(BACKENDS, "What computes; by default the fastest one installed.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of threads. By default it is chosen automatically.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the learning curves here: .png, .svg, .pdf.")
    ] = None,
    history: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write losses and accuracies here, as JSON.")
    ] = None,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the network here, as .npz.")] = None,
) -> None:
    """Train the chapter's network with numerical gradients, on MNIST or another data set.

    Ctrl-C ends a run early: what was trained until then is kept.
    """
    if gradient == "backprop" and (method != "auto" or h != 1e-4):
        option = f"--method {method}" if method != "auto" else f"--h {h:g}"
        raise typer.BadParameter(f"{option} is for --gradient numerical, got --gradient backprop.")
    outputs = _checked({"save": save, "history": history, "plot": plot}, data)
    rng = np.random.RandomState(seed)
    arrays = _load(data)
    x_train, t_train, _, t_test = arrays
    sizes = x_train.shape[1], hidden, classes(t_train, t_test)
    net = TwoLayerNet(
        *sizes,
        hidden_activation=cast(HiddenActivation, hidden_activation),
        output_activation=cast(OutputActivation, output_activation),
        log_offset=log_offset,
        rng=rng,
        backend=backend,
    )
    _train(
        net,
        arrays,
        outputs,
        {"seed": seed, "hidden_size": hidden, "data": data},
        iters_num=iters,
        batch_size=batch,
        learning_rate=lr,
        gradient=gradient,
        sampling=sampling,
        method=method,
        h=h,
        rng=rng,
        n_threads=threads,
    )


@interruptible()
def _train(net: TwoLayerNet, data: Arrays, outputs: _Paths, settings: dict[str, Any], **hyperparameters: Any) -> None:
    """Train, keep the results and sum them up, also if Ctrl-C ended it early."""
    record, interrupted, start = History(), False, time.perf_counter()
    try:
        train_network(net, *data, **hyperparameters, history=record, normalize=_is_pixels(data[0]))
    except KeyboardInterrupt:
        if not record.train_loss_list:
            raise
        interrupted = True
    seconds = time.perf_counter() - start
    record.settings |= settings | {"backend": backend_module(net.backend).name}
    if interrupted:
        note(f"interrupted after {len(record.train_loss_list)} of {record.settings['iters_num']} iterations")
    _keep(net, record, outputs)
    _summarise(net, data, len(record.train_loss_list), seconds)
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _summarise(net: TwoLayerNet, data: Arrays, iterations: int, seconds: float) -> None:
    x_train, t_train, x_test, t_test = data
    say(f"iterations: {iterations}")
    say(f"time: {seconds:.1f} s ({iterations / seconds:.4g} iterations per second)")
    for name, x, t in ("train", x_train, t_train), ("test", x_test, t_test):
        say(f"{name} accuracy: {net.accuracy(NormalizedPixels(x) if _is_pixels(x) else x, t):.4f}")


def _is_pixels(x: Array) -> bool:
    return bool(x.dtype == np.uint8)


def _checked(options: dict[str, Path | None], data: str) -> _Paths:
    """Return the files that are asked for, if each of them can be written and no two are the same, nor one the data."""
    outputs = {option: path for option, path in options.items() if path is not None}
    for path in outputs.values():
        require_writable(path)
    names = {os.path.realpath(path) for path in outputs.values()}
    if len(names) < len(outputs) or (os.path.exists(data) and os.path.realpath(data) in names):
        raise typer.BadParameter("--data, --save, --history and --plot need different files.")
    if "plot" in outputs:
        figure_format(outputs["plot"])
    return outputs


def _keep(net: TwoLayerNet, record: History, outputs: _Paths) -> None:
    """Write the files that were asked for, each of them even if another fails, and hold Ctrl-C back meanwhile.

    What waits for the reader of a pipe can be interrupted.
    """
    writers: dict[str, Callable[[Path], object]] = {"save": net.save, "history": record.save, "plot": record.plot}
    failures, interrupted = [], False
    for option, path in outputs.items():
        try:
            with nullcontext() if may_wait(path) else held_interrupts():
                writers[option](path)
                say(f"wrote {path}")
        except SecantError as error:
            failures.append(str(error))
        except KeyboardInterrupt:
            interrupted = True
    if failures:
        raise DataError(" ".join(failures))
    if interrupted:
        raise KeyboardInterrupt


def _load(name: str) -> Arrays:
    """Load the data that ``--data`` names."""
    if name not in ("auto", "full", "subset"):
        return _own(name)
    try:
        return _mnist(subset=name == "subset")
    except DownloadError:
        if name != "auto":
            raise
    note(
        "note: MNIST could not be downloaded: training on the 12,000 samples that come with Secant. For all 70,000, "
        "connect to a network, or give a folder with the four files: --data FOLDER."
    )
    return _mnist(subset=True)


def _mnist(subset: bool) -> Arrays:
    train_set, test_set = secant.load_mnist(normalize=False, subset=subset, progress=sys.stderr.isatty())
    return *train_set, *test_set


def _own(path: str) -> Arrays:
    """Load what is not vouched for."""
    if os.path.isdir(path):
        train_set, test_set = load_idx(path, normalize=False)
        return *train_set, *test_set
    if path.endswith(".npz"):
        return load_npz(path)
    raise DataError(f"--data must be auto, full, subset, a folder of four IDX files or an .npz file, got {path!r}.")
