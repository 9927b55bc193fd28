"""The option ``--data`` of commands: which data set, and how it is loaded."""

import os
import sys

import numpy as np

from secant._common.validation import Array
from secant.cli.console import note
from secant.datasets.idx import load_idx
from secant.datasets.mnist import load_mnist
from secant.datasets.npz_data import Arrays, load_npz
from secant.errors import DataError, DownloadError

METAVAR = "auto|full|subset|FOLDER|FILE.npz"
HELP = (
    "full: all of MNIST. subset: the 12,000 samples that come with Secant. auto: full, or subset where MNIST cannot be "
    "downloaded. FOLDER: any data set in four IDX files, such as Fashion-MNIST. FILE.npz: x_train, t_train, x_test and "
    "t_test; uint8 is divided by 255."
)


def load(name: str) -> Arrays:
    """Load the data that ``--data`` names."""
    if name not in ("auto", "full", "subset"):
        return _own(name)
    try:
        return _mnist(subset=name == "subset")
    except DownloadError:
        if name != "auto":
            raise
    note(
        "note: MNIST could not be downloaded: using the 12,000 samples that come with Secant. For all 70,000, "
        "connect to the internet, or give a folder with the four files: --data FOLDER."
    )
    return _mnist(subset=True)


def is_pixels(x: Array) -> bool:
    """Whether samples are pixels, which are divided by 255."""
    return bool(x.dtype == np.uint8)


def _mnist(subset: bool) -> Arrays:
    train_set, test_set = load_mnist(normalize=False, subset=subset, progress=sys.stderr.isatty())
    return *train_set, *test_set


def _own(path: str) -> Arrays:
    """Load untrusted data of the user."""
    if os.path.isdir(path):
        train_set, test_set = load_idx(path, normalize=False)
        return *train_set, *test_set
    if path.endswith(".npz"):
        return load_npz(path)
    raise DataError(f"--data must be auto, full, subset, a folder of four IDX files or an .npz file, got {path!r}.")
