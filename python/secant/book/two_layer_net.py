"""The book's ``two_layer_net`` of chapter 4."""

from collections.abc import Mapping
from typing import Any

from secant.book import common_functions
from secant.book.common_functions import *  # noqa: F403 - as in the book
from secant.book.common_gradient import numerical_gradient
from secant.networks import two_layer

__all__ = ["TwoLayerNet", "numerical_gradient"]
__all__ += common_functions.__all__


class TwoLayerNet(two_layer.TwoLayerNet):
    """The book's network: affine, sigmoid, affine, softmax.

    There is no second sigmoid.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        The numbers I, H and O of units.
    weight_init_std : float
        The standard deviation of the initial weights, drawn from NumPy's legacy global
        state. Biases start at 0.
    **options
        Those of `secant.TwoLayerNet`.

    Raises
    ------
    DTypeError, ValueRangeError
        As `secant.TwoLayerNet` does.

    Notes
    -----
    Targets of the shape (N, O) stand for the class of their largest element.

    Examples
    --------
    >>> net = secant.book.TwoLayerNet(input_size=784, hidden_size=50, output_size=10)
    >>> (x, t), _ = secant.load_mnist(subset=True, one_hot_label=True)
    >>> grads = net.numerical_gradient(x[:100], t[:100])
    """

    _defaults: Mapping[str, Any] = {
        "output_activation": "identity",
        "soft_targets": "argmax",
    }

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        weight_init_std: float = 0.01,
        **options: Any,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            output_size,
            weight_init_std,
            **{**self._defaults, **options},
        )
