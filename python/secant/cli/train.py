"""The command ``secant train``: the chapter's training run, without a line of Python.

Design: errors that can be found before a long run are found before it. The results are
written also after Ctrl-C, and if another file or standard output fails.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.ma  # an import during the run could lose a Ctrl-C
import typer

from secant._common.files import require_writable
from secant._common.interrupts import held_interrupts
from secant.backends import BackendName, backend_module
from secant.backends.base import (
    LOG_OFFSET,
    USUAL_STEP,
    HiddenActivation,
    Method,
    OutputActivation,
)
from secant.cli.console import INTERRUPTED, note, say, table
from secant.cli.data import HELP, METAVAR, measured
from secant.cli.data import load as load_data
from secant.datasets.npz_data import Arrays, classes
from secant.errors import DataError, SecantError
from secant.networks.two_layer import TwoLayerNet
from secant.plots.canvas import figure_format
from secant.training.arguments import GradientKind
from secant.training.history import History
from secant.training.loop import train as train_network
from secant.training.sampling import Sampling

_SAMPLING = (
    "Draw each mini-batch from the whole set, or walk through a shuffled one, or"
    " through it as it is."
)


def train(
    context: typer.Context,
    iters: Annotated[
        int, typer.Option(min=1, help="Iterations, of one mini-batch each.")
    ] = 10_000,
    hidden: Annotated[int, typer.Option(min=1, help="Hidden units.")] = 50,
    batch: Annotated[int, typer.Option(min=1, help="Samples in a mini-batch.")] = 100,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 0.1,
    seed: Annotated[
        int,
        typer.Option(min=0, max=2**32 - 1, help="Seed of weights and mini-batches."),
    ] = 0,
    gradient: Annotated[
        GradientKind, typer.Option(help="Central differences, or backpropagation.")
    ] = "numerical",
    method: Annotated[
        Method, typer.Option(help="How to compute central differences.")
    ] = "auto",
    h: Annotated[float, typer.Option(help="Step of central differences.")] = USUAL_STEP,
    sampling: Annotated[Sampling, typer.Option(help=_SAMPLING)] = "replacement",
    hidden_activation: Annotated[
        HiddenActivation, typer.Option(help="What comes between the two layers.")
    ] = "sigmoid",
    output_activation: Annotated[
        OutputActivation,
        typer.Option(
            help=(
                "What comes before the softmax: sigmoid in the course notes, identity"
                " in the book."
            )
        ),
    ] = "sigmoid",
    log_offset: Annotated[
        float,
        typer.Option(
            min=0, help="Added to a probability before its logarithm is taken."
        ),
    ] = LOG_OFFSET,
    dtype: Annotated[
        Literal["float64", "float32"],
        typer.Option(help="The type of the parameters, and of what is computed."),
    ] = "float64",
    load: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Go on with a network that --save wrote."),
    ] = None,
    data: Annotated[str, typer.Option(metavar=METAVAR, help=HELP)] = "auto",
    backend: Annotated[
        BackendName | None,
        typer.Option(help="What computes; by default the fastest one installed."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of threads. By default it is chosen automatically."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Draw the learning curves here: .png, .svg, .pdf."
        ),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write losses and accuracies here, as JSON."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the network here, as .npz."),
    ] = None,
) -> None:
    """Train the chapter's network with numerical gradients, on MNIST or another data
    set.

    Ctrl-C ends a run early: --save, --history and --plot get what was trained until
    then.
    """
    if load is not None:
        _require_untouched(
            context,
            "hidden",
            "hidden_activation",
            "output_activation",
            "log_offset",
            "dtype",
        )
    outputs = _checked({"save": save, "history": history, "plot": plot}, data)
    rng = np.random.RandomState(seed)
    arrays = x_train, t_train, _, t_test = load_data(data)
    if load is not None:
        net = TwoLayerNet.load(load)
        net.backend = backend
    else:
        net = TwoLayerNet(
            x_train.shape[1],
            hidden,
            classes(t_train, t_test),
            hidden_activation=hidden_activation,
            output_activation=output_activation,
            log_offset=log_offset,
            rng=rng,
            dtype=dtype,
            backend=backend,
        )
    record = History()
    interrupted = False
    start = time.perf_counter()
    try:
        train_network(
            net,
            *arrays,
            n_iterations=iters,
            batch_size=batch,
            learning_rate=lr,
            gradient=gradient,
            sampling=sampling,
            method=method,
            h=h,
            rng=rng,
            n_threads=threads,
            history=record,
            normalize=x_train.dtype == np.uint8,
        )
    except KeyboardInterrupt:
        if not record.train_loss_list:
            raise
        interrupted = True
        note(f"interrupted after {len(record.train_loss_list)} of {iters} iterations")
    seconds = time.perf_counter() - start
    record.settings |= {
        "seed": seed,
        "hidden_size": len(net.params["b1"]),
        "data": data,
    }
    record.settings["backend"] = backend_module(net.backend).name
    failures = _keep(net, record, outputs)
    _summarize(net, arrays, record, seconds)
    if failures:
        raise DataError(" ".join(failures))
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _require_untouched(context: typer.Context, *options: str) -> None:
    """Refuse the options of a new network if one is loaded."""
    for option in options:
        source = context.get_parameter_source(option)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                f"--{option.replace('_', '-')} is for a new network: that of --load has"
                " its own."
            )


def _summarize(net: TwoLayerNet, data: Arrays, record: History, seconds: float) -> None:
    x_train, t_train, x_test, t_test = data
    sets = [measured(net, x, t) for x, t in ((x_train, t_train), (x_test, t_test))]
    settings, iterations = record.settings, len(record.train_loss_list)
    gradient = "backpropagation"
    if settings["gradient"] == "numerical":
        gradient = (
            f"central differences, method {settings['method']}, h {settings['h']:g}"
        )
    table(
        ("", "training", "test"),
        ("accuracy", *(right for _, right, _ in sets)),
        ("loss", *(loss for _, _, loss in sets)),
        ("samples", *(f"{len(y):,}" for y, _, _ in sets)),
        (
            "time",
            (
                f"{seconds:.1f} s for {iterations:,} iterations,"
                f" {iterations / seconds:,.4g} per second"
            ),
        ),
        ("gradient", gradient),
        ("backend", settings["backend"]),
    )


def _checked(options: dict[str, Path | None], data: str) -> dict[str, Path]:
    """Return the requested files, if each can be written, and none is the data."""
    outputs = {option: path for option, path in options.items() if path is not None}
    for path in outputs.values():
        require_writable(path)
    files = [Path(data).resolve(), *map(Path.resolve, outputs.values())]
    if len({*files}) < len(files):
        raise typer.BadParameter(
            "--data, --save, --history and --plot need different files."
        )
    if "plot" in outputs:
        figure_format(outputs["plot"])
    return outputs


def _keep(net: TwoLayerNet, record: History, outputs: dict[str, Path]) -> list[str]:
    """Write the requested files, each even if another fails, and return what failed.

    Ctrl-C is held back meanwhile; a second one is not.
    """
    writers: dict[str, Callable[[Path], object]] = {
        "save": net.save,
        "history": record.save,
        "plot": record.plot,
    }
    failures: list[str] = []
    with held_interrupts():
        for option, path in outputs.items():
            try:
                writers[option](path)
                say(f"wrote {path}")
            except SecantError as error:
                failures.append(str(error))
    return failures
