"""The names of "Deep Learning from Scratch", chapters 3 to 5, with the book's meaning:
``from secant.book import *``.

Some of Secant's own functions have the same names but differ, as the course notes
differ from the book: see `secant.TwoLayerNet`, `secant.gradient_descent` and
`secant.cross_entropy_error`.

Design: a module for each of the book's, with the same name, so that `secant run` can
use it as a stand-in. Where the book's code would return a wrong number, as for labels
of shape (N, 1) or integers that are to be shifted by h, an error says so.

>>> from secant.book import *
>>> x, history = gradient_descent(lambda x: np.sum(x**2), np.array([-3.0, 4.0]), lr=0.1)
>>> history.shape
(100, 2)
"""

from secant.book import common_functions, common_gradient
from secant.book.common_functions import *  # noqa: F403 - as users have them
from secant.book.common_gradient import *  # noqa: F403
from secant.book.dataset_mnist import load_mnist
from secant.book.labels import to_labels
from secant.book.two_layer_net import TwoLayerNet

__all__ = ["TwoLayerNet", "load_mnist", "to_labels"]
__all__ += common_functions.__all__
__all__ += common_gradient.__all__
