"""The book's ``dataset.mnist``."""

from collections.abc import Callable
from typing import Any

from secant._common.warn import warn
from secant.datasets import mnist
from secant.datasets.idx import Split
from secant.errors import DownloadError, MissingExtraError

__all__ = ["load_mnist"]


def load_mnist(
    normalize: bool = True, flatten: bool = True, one_hot_label: bool = False, **options: Any
) -> tuple[Split, Split]:
    """Load MNIST as `secant.load_mnist` does, or where it cannot be downloaded, the digits that come with Secant.

    Parameters
    ----------
    normalize, flatten, one_hot_label, **options
        As for `secant.load_mnist`.

    Returns
    -------
    (x_train, t_train), (x_test, t_test) : ndarrays
        60,000 and 10,000 samples. Without a network 10,000 and 2,000, and a UserWarning says so.

    Raises
    ------
    DataError, DTypeError
        As `secant.load_mnist` does.

    Examples
    --------
    >>> (x_train, t_train), (x_test, t_test) = secant.book.load_mnist(flatten=False, subset=True)
    >>> x_train.shape
    (10000, 1, 28, 28)
    """
    options |= {"normalize": normalize, "flatten": flatten, "one_hot_label": one_hot_label}
    return load_or_subset(lambda text: warn(text, UserWarning), options)


def load_or_subset(say: Callable[[str], None], options: dict[str, Any]) -> tuple[Split, Split]:
    """Load MNIST, or say that it could not be downloaded and load the digits that come with Secant."""
    try:
        return mnist.load_mnist(**options)
    except (DownloadError, MissingExtraError):
        say(
            "MNIST could not be downloaded: load_mnist returns the 12,000 digits that come with Secant, "
            "10,000 to train and 2,000 to test. For all 70,000, connect to the internet, or set SECANT_DATA_HOME to a "
            "folder with the four files"
        )
        return mnist.load_mnist(**options | {"subset": True})
