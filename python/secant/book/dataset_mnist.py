"""The book's ``dataset.mnist``."""

from typing import Any

from secant._common.warn import warn
from secant.datasets import mnist
from secant.datasets.idx import Split

__all__ = ["load_mnist"]


def load_mnist(
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
    **options: Any,
) -> tuple[Split, Split]:
    """Load MNIST as `secant.load_mnist` does, or where it cannot be downloaded, the
    digits that come with Secant.

    Parameters
    ----------
    normalize, flatten, one_hot_label, **options
        As for `secant.load_mnist`.

    Returns
    -------
    (x_train, t_train), (x_test, t_test) : ndarrays
        60,000 and 10,000 samples. Without a network 10,000 and 2,000, and a UserWarning
        says so.

    Raises
    ------
    DataError
        As `secant.load_mnist` does.

    Examples
    --------
    >>> (x_train, t_train), (x_test, t_test) = secant.book.load_mnist(
    ...     flatten=False, subset=True
    ... )
    >>> x_train.shape
    (10000, 1, 28, 28)
    """
    options |= {
        "normalize": normalize,
        "flatten": flatten,
        "one_hot_label": one_hot_label,
    }
    return mnist.load_or_subset(lambda text: warn(text, UserWarning), options)
