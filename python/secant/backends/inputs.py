"""Inputs that are not plain arrays: pixels to normalize, and prepared inputs."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secant._common.validation import Array


def normalized(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return x / 255 in float32, as the chapter does."""
    return np.divide(pixels, 255, dtype=np.float32)


NORMALIZED_VALUES = normalized(np.arange(256, dtype=np.uint8)).astype(np.float64)
"""What each of the 256 pixels becomes."""


class Rows(ABC):
    """Samples (N, ...) in another form than an array.

    They were made from a finite array.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """That of the array."""

    @abstractmethod
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the array."""

    def __len__(self) -> int:
        """Return N."""
        return self.shape[0]


class NormalizedPixels(Rows):
    """Pixels (N, ...) in uint8 that become float32 when they are read."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = np.ascontiguousarray(pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the pixels."""
        return self.pixels.shape

    def __getitem__(self, samples: Any) -> NDArray[np.float32]:
        """Return the samples that an index or a slice names."""
        return normalized(self.pixels[samples])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return them all."""
        return self[:] if dtype is None else self[:].astype(dtype)
