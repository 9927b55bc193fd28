"""The book's ``dataset.mnist``."""

from secant.datasets.mnist import load_mnist

__all__ = ["load_mnist"]
