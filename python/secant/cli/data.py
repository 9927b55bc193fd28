"""The option ``--data`` of commands: which data set, and how it is loaded."""

import os
import sys
from typing import Any

import numpy as np

from secant._common.validation import Array, Floats
from secant.backends.inputs import NormalizedPixels
from secant.cli.console import note
from secant.datasets.idx import load_idx
from secant.datasets.mnist import load_mnist, load_or_subset
from secant.datasets.npz_data import Arrays, load_npz
from secant.errors import DataError, ValueRangeError
from secant.networks.batch import accuracy
from secant.networks.two_layer import TwoLayerNet

METAVAR = "auto|full|subset|FOLDER|FILE.npz"
HELP = (
    "full: all of MNIST. subset: the 12,000 samples that come with Secant. auto: full,"
    " or subset where MNIST cannot be downloaded. FOLDER: any data set in four IDX"
    " files, such as Fashion-MNIST. FILE.npz: x_train, t_train, x_test and t_test;"
    " uint8 is divided by 255."
)


def load(name: str) -> Arrays:
    """Load the data that ``--data`` names."""
    if name not in ("auto", "full", "subset"):
        return _own(name)
    options: dict[str, Any] = {
        "normalize": False,
        "subset": name == "subset",
        "progress": sys.stderr.isatty(),
    }
    train_set, test_set = (
        load_or_subset(lambda text: note(f"note: {text}."), options)
        if name == "auto"
        else load_mnist(**options)
    )
    return *train_set, *test_set


def measured(net: TwoLayerNet, x: Array, t: Array) -> tuple[Floats, str, str]:
    """Return the predictions of a data set, and their accuracy and mean loss in
    words.
    """
    y = net.predict(NormalizedPixels(x) if x.dtype == np.uint8 else x)
    try:
        loss = f"{net._loss_of(y, t):.4f}"
    except ValueRangeError:  # a probability has underflowed to 0, and log_offset is 0
        loss = "infinite"
    return y, f"{accuracy(y, t):.4f}", loss


def _own(path: str) -> Arrays:
    """Load untrusted data of the user."""
    if os.path.isdir(path):
        train_set, test_set = load_idx(path, normalize=False)
        return *train_set, *test_set
    if path.endswith(".npz"):
        return load_npz(path)
    raise DataError(
        "--data must be auto, full, subset, a folder of four IDX files or an .npz"
        f" file, got {path!r}."
    )
