"""Checks of released packages, by package: see found.py."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

FLAW = "an error: see docs/found.md"
SOLVER = "as accurate as the solver's tolerance"


class Check(NamedTuple):
    """A gradient to check.

    Attributes
    ----------
    what : str
    run : callable
        Checks it: it raises an error where the gradient is not right, or returns a
        report.
    remark : str
        Why it is not right.
    """

    what: str
    run: Callable[[], object]
    remark: str = ""


Checks = Callable[[], Iterator[Check]]
PACKAGES: dict[str, tuple[str, Checks]] = {}
"""By name on the package index: the version, and what to check of it."""


def package(requirement: str) -> Callable[[Checks], Checks]:
    """Register the checks of a package, such as ``"entmax==1.3"``."""
    name, version = requirement.split("==")

    def register(checks: Checks) -> Checks:
        PACKAGES[name] = (version, checks)
        return checks

    return register


def normal(*shape: int) -> Any:
    """Random numbers, the same ones for the same shape."""
    return np.random.default_rng(shape).standard_normal(shape)


def symmetric(function: Any) -> Any:
    """The function of the symmetric part: what is said of symmetric matrices only holds
    for shifts that are.
    """
    return lambda a, *rest: function((a + a.mT) / 2, *rest)
