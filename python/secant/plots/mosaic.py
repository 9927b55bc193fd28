"""Many small pictures in one: samples or weights, each with a caption."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from secant._common import validation
from secant._common.validation import Array
from secant.errors import ShapeError
from secant.plots.canvas import INK, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TILE = 1.3  # inches, with its caption
_GAP = 0.12  # between tiles, of their width
_LINE = 0.17  # of a caption, of the height of a tile


def pictures(rows: Array, shape: Any) -> Array:
    """Return flat rows (K, ...) as pictures (K, height, width).

    Raises
    ------
    DTypeError, ValueRangeError
        ``shape`` is not a pair of whole numbers of at least 1.
    ShapeError
        ``shape`` does not fit, or is needed.
    """
    pixels = math.prod(rows.shape[1:])
    if shape is None:
        side = rows.shape[1] if rows.ndim == 3 else math.isqrt(pixels)
        shape = (side, pixels // side)
        if rows.ndim != 3 and side * side != pixels:
            raise ShapeError(f"shape must be given, (height, width), since a sample is not square, got {pixels} pixels")
    elif not (isinstance(shape, tuple | list) and len(shape) == 2):
        raise ShapeError(f"shape must be (height, width), got {shape!r}")
    height, width = (validation.positive_int("shape", side) for side in shape)
    if height * width != pixels:
        raise ShapeError(f"shape must have {pixels} pixels as a sample has, got {height} x {width}")
    return rows.reshape(len(rows), height, width)


def mosaic_size(count: int, *, bar: bool = False) -> tuple[float, float]:
    """Return the width and height in inches of a figure for so many pictures, and perhaps a bar of colors."""
    columns = _columns(count)
    return max(columns * _TILE + bar, 3.6), max(math.ceil(count / columns), 1) * _TILE * 1.1 + 0.5


def draw_mosaic(ax: "Axes", images: Array, captions: Sequence[str], colors: str, limits: tuple[float, float]) -> Any:
    """Draw pictures (K, height, width), row by row, with captions below them."""
    count, height, width = images.shape
    columns = _columns(count)
    lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    across = width * (1 + _GAP)
    down = height * (1 + _GAP + lines * _LINE)
    shown = None
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left, top = i % columns * across, i // columns * down
        extent = (left, left + width, top + height, top)
        shown = ax.imshow(image, cmap=colors, vmin=limits[0], vmax=limits[1], extent=extent, interpolation="nearest")
        ax.text(left + width / 2, top + height * 1.03, caption, ha="center", va="top", fontsize=8, color=INK)
    ax.set_xlim(-width * _GAP / 2, columns * across - width * _GAP / 2)
    ax.set_ylim(max(math.ceil(count / columns), 1) * down, -height * _GAP / 2)
    ax.set_aspect("equal")
    ax.set_facecolor(PAPER)
    ax.set_xticks([])
    ax.set_yticks([])
    return shown


def _columns(count: int) -> int:
    """The rows and columns of a nearly square grid: wider than high, and full if possible."""
    least = max(1, math.ceil(math.sqrt(count)))
    return min(range(least, int(1.6 * least) + 1), key=lambda columns: (-count % columns, columns))
