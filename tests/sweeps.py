"""Sweeps of which the default run takes a part, and `pytest -m nightly` the rest:
together they are the whole.
"""

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import pytest


def grid(in_default: Callable[..., bool], *axes: Iterable) -> list[Any]:
    """All combinations of the axes, marked nightly where not
    ``in_default(*combination)``.
    """
    return [
        pytest.param(*case, marks=() if in_default(*case) else pytest.mark.nightly)
        for case in product(*axes)
    ]


def parts(count: int) -> list[Any]:
    """The numbers of the parts of a random sweep, of which the default run takes the
    first.
    """
    return grid(lambda part: part == 0, range(count))
