"""The book's ``two_layer_net`` of chapter 5."""

from collections.abc import Mapping
from typing import Any

from secant.book import two_layer_net
from secant.book.common_gradient import numerical_gradient

__all__ = ["TwoLayerNet", "numerical_gradient"]


class TwoLayerNet(two_layer_net.TwoLayerNet):
    """The network of chapter 5: as that of chapter 4, with ReLU in place of the
    sigmoid.

    It takes the same arguments. Its ``gradient`` is computed by backpropagation, as in
    the book.
    """

    _defaults: Mapping[str, Any] = {
        **two_layer_net.TwoLayerNet._defaults,
        "hidden_activation": "relu",
    }
