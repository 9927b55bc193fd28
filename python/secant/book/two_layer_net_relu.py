"""The book's ``two_layer_net`` of chapter 5."""

from typing import Any

from secant.book import two_layer_net
from secant.book.common_gradient import numerical_gradient

__all__ = ["TwoLayerNet", "numerical_gradient"]


class TwoLayerNet(two_layer_net.TwoLayerNet):
    """The network of chapter 5: as that of chapter 4, with ReLU in place of the sigmoid.

    Its ``gradient`` is computed by backpropagation, as in the book.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        The numbers I, H and O of units.
    weight_init_std : float
        The standard deviation of the initial weights, drawn from NumPy's legacy global state. Biases start at 0.
    **options
        Those of `secant.TwoLayerNet`.

    Raises
    ------
    DTypeError, ValueRangeError
        As `secant.TwoLayerNet` does.
    """

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, weight_init_std: float = 0.01, **options: Any
    ) -> None:
        options = {"hidden_activation": "relu"} | options
        super().__init__(input_size, hidden_size, output_size, weight_init_std, **options)
