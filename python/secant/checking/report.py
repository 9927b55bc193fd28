"""What a check found: immutable, to be printed, kept as JSON, or raised."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from secant._common.validation import Floats
from secant.checking.structure import EPS
from secant.errors import GradientMismatchError, UnsupportedError

SMALL = 1e-6
"""Relative errors that a constant or a tolerance may explain."""
SOLVER = 0.01
"""Relative errors that a solver's tolerance may explain: up to 0.7 % at SciPy's default
for `solve_ivp`, 1e-3.
"""
LARGE = 1000
"""Entries of an array that is kept, and written out in JSON and in programs, at most:
some 20 kB.
"""
FINDINGS = 20
"""Wrong entries of an array that are named, at most."""
_ROWS = 12  # of arrays and entries that are printed


@dataclass(frozen=True)
class Finding:
    """An entry of a gradient that is wrong.

    Attributes
    ----------
    array : str
        The path of its array.
    index : tuple of int
    gradient, numerical : float
        What the gradient that is checked says, and the slope of f.
    error_bar : float
        How far the slope may be off.
    label : str
        The name of the entry, if the check was given one.
    """

    array: str
    index: tuple[int, ...]
    gradient: float
    numerical: float
    error_bar: float
    label: str = ""

    @property
    def name(self) -> str:
        """What the caller calls it; or its place, such as ``W1[318, 0]``."""
        if self.label:
            return self.label
        return (
            f"{self.array}[{', '.join(map(str, self.index))}]"
            if self.index
            else self.array
        )


@dataclass(frozen=True)
class ArrayReport:
    """What is known of one array.

    Attributes
    ----------
    name : str
    shape : tuple of int
    passed : bool
        Whether no error was noticed in it, and one would have been.
    sensitivity : float
        The least error of one entry that would have been noticed.
    largest : float
        The largest entry of the gradient that is checked, in absolute value, of both
        parts of a complex array; NaN if only derivatives along directions are known, as
        in forward mode.
    norm : float
        The root of the sum of squares of the same entries; NaN likewise.
    unverified : str
        Why nothing is known of it: a gradient without this array might pass. Empty
        where it is right or wrong.
    relative_error : float
        If it is wrong, about the norm of its error over the norm of what was measured:
        a random sample of entries where most are wrong, else the wrong entries that
        were found. NaN if that is not known.
    norm_sensitivity : float
        About the least norm of errors of all entries together that would have been
        noticed, as a share of the norm.
    """

    name: str
    shape: tuple[int, ...]
    passed: bool
    sensitivity: float
    largest: float = math.nan
    norm: float = math.nan
    unverified: str = ""
    relative_error: float = math.nan
    norm_sensitivity: float = math.nan


@dataclass(frozen=True, repr=False)
class GradientReport:
    """The result of `check_gradient`.

    Attributes
    ----------
    passed : bool
        Whether it is right: no error was noticed, and in each array one would have
        been. See `not_verified` and, for errors that are too small to be noticed,
        `sensitivity`. It is True as well where `check_network` found the gradient right
        for another loss than f, which ``compared_with`` names.
    findings : tuple of Finding
        Entries that are wrong, the worst first: some of them, where there are many.
    arrays : tuple of ArrayReport
    diagnosis : str or None
        What the error looks like; None where nothing fits, or nothing is wrong.
    evaluations : int
        How often f was evaluated.
    noise : float
        The noise of f, relative to f(x).
    seconds : float
    compared_with : str
        What the gradient was compared with, if that is not f: see `check_network`.
        Otherwise it is empty.
    note : str
        What else is to be known of the verdict, in a sentence.
    seed : int
        The ``rng`` of the check.
    resolution : float
        The relative rounding of x, or of the gradient if that is coarser: 2.2e-16 in
        float64.
    mode : str
        What was checked of a function with several values: "reverse mode", "forward
        mode", or "elementwise", the derivative of an elementwise function; else empty.
    cotangent
        Of a function with several values: the random numbers that these were multiplied
        by before they were summed, as arrays in the structure of f(x), or a list of
        them. In reverse mode it is the incoming gradient. It is not in the JSON.
    x : dict of str to ndarray or None
        Where it was checked: the entries of each array; None, in the JSON null, if it
        has more than 1,000 entries.
    versions : dict of str to str
        Those of Python, NumPy, the framework, and the packages of f and of the
        gradient, if they have one.
    names : dict of str to ndarray
        The names of the entries of each array, where the check was given some. In the
        JSON they are null if there are more than 1,000.
    elsewhere : tuple of two int, or None
        At how many other x near this one a wrong gradient is wrong, too, and at how
        many it was checked. None if the gradient was not given as a function, or could
        not be checked there.
    program : str
        What `reproducer` returns; empty if no entry was found to be wrong. It is not in
        the JSON.
    """

    passed: bool
    findings: tuple[Finding, ...]
    arrays: tuple[ArrayReport, ...]
    diagnosis: str | None
    evaluations: int
    noise: float
    seconds: float
    compared_with: str = ""
    note: str = ""
    seed: int = 0
    resolution: float = EPS
    mode: str = ""
    cotangent: Any = field(default=None, compare=False)
    x: Mapping[str, Floats | None] = field(default_factory=dict, compare=False)
    versions: Mapping[str, str] = field(default_factory=dict, compare=False)
    names: Mapping[str, Any] = field(default_factory=dict, compare=False)
    elsewhere: tuple[int, int] | None = None
    program: str = field(default="", compare=False)

    @property
    def sensitivity(self) -> dict[str, float]:
        """For each array, the least error of one entry that would have been noticed."""
        return {array.name: array.sensitivity for array in self.arrays}

    @property
    def not_verified(self) -> tuple[str, ...]:
        """The arrays of which nothing is known: neither that they are right nor that
        they are wrong.
        """
        return tuple(array.name for array in self.arrays if array.unverified)

    @property
    def verdict(self) -> Literal["right", "not verified", "wrong"]:
        """What is said of the whole gradient."""
        if self.passed:
            return "right"
        return (
            "not verified"
            if all(array.passed or array.unverified for array in self.arrays)
            else "wrong"
        )

    def __bool__(self) -> bool:
        """Whether it is right, as `passed`."""
        return self.passed

    def raise_if_failed(self) -> None:
        """Raise an error with this report as its message, if the gradient is wrong or
        not verified.

        Raises
        ------
        GradientMismatchError
            An AssertionError.

        Examples
        --------
        >>> x = np.array([3.0, 4.0])
        >>> secant.check_gradient(lambda x: np.sum(x**2), x, 2 * x).raise_if_failed()
        """
        __tracebackhide__ = True  # pytest shows the caller
        if not self.passed:
            raise GradientMismatchError(str(self), self)

    def reproducer(self) -> str:
        """Return a short program without Secant that prints the worst entry of the
        gradient and its slope.

        To be pasted into an issue. It imports f by its name, and calls it with arrays
        and numbers; where f has no name, as a lambda, or takes dicts, lists or modules,
        there is a placeholder that says so.
        Arrays of more than 1,000 entries are loaded from files, which the first lines
        name.

        Raises
        ------
        UnsupportedError
            If no single entry was found to be wrong.

        Examples
        --------
        >>> from scipy.optimize import rosen
        >>> report = secant.check_gradient(rosen, np.ones(2), np.array([0.0, 0.5]))
        >>> print(report.reproducer())  # doctest: +ELLIPSIS
        # Python ...
        import numpy as np
        from scipy.optimize import rosen
        <BLANKLINE>
        x = np.array([1.0, 1.0])
        <BLANKLINE>
        <BLANKLINE>
        def value(x):
            return rosen(x)
        <BLANKLINE>
        <BLANKLINE>
        step = np.zeros_like(x)
        step[1] = 1e-05
        difference = value(x + step) - value(x - step)
        print("gradient: ", 0.5)  # x[1]
        print("numerical:", float(difference) / 2e-05)
        <BLANKLINE>
        """
        if not self.program:
            raise UnsupportedError(
                "no single entry was found to be wrong, so there is nothing to"
                " reproduce"
            )
        return self.program

    def to_json(self) -> str:
        """Return the report as JSON, in which NaN and infinities are null.

        Examples
        --------
        >>> import json
        >>> x = np.array([3.0, 4.0])
        >>> json.loads(
        ...     secant.check_gradient(lambda x: np.sum(x**2), x, 2 * x).to_json()
        ... )["passed"]
        True
        """
        values = asdict(
            replace(self, cotangent=None, x={}, names={}, program=""),
            dict_factory=_without_nan,
        )
        del values["cotangent"], values["program"]
        for entry, finding in zip(values["findings"], self.findings, strict=True):
            entry["name"] = finding.name
        for attribute, arrays in (("x", self.x), ("names", self.names)):
            values[attribute] = {
                name: None if array is None or array.size > LARGE else array.tolist()
                for name, array in arrays.items()
            }
        return json.dumps({"verdict": self.verdict, **values})

    def __repr__(self) -> str:
        """Return a page for a terminal, which is what is printed, too."""
        return "\n  ".join(self._lines())

    def _lines(self) -> Iterator[str]:
        count = sum(math.prod(array.shape) for array in self.arrays)
        mode = f" ({self.mode})" if self.mode else ""
        yield f"gradient{mode} in {count:,} {_entries(count)}: {self._headline}"
        if self.compared_with and not self.passed:
            yield f"compared here with {self.compared_with}"
        if self.note:
            yield self.note
        yield from self._rows()
        if self.cotangent is not None and self.verdict == "wrong":
            yield self._what_is_differentiated()
        yield (
            f"{self.evaluations:,} evaluations of f in {self.seconds:.2g} s; noise of f"
            f" {self.noise:.1e}"
        )
        if self.elsewhere and self.verdict == "wrong":
            yield self._said_of_others(*self.elsewhere)
        if self.diagnosis:
            yield f"looks like: {self.diagnosis}"
        elif not self.passed:
            yield f"next: {self._next_step()}"

    def _what_is_differentiated(self) -> str:
        """Say of which sum a function with several values is the gradient."""
        is_reverse = self.mode.startswith("reverse")
        c = "the incoming gradient c" if is_reverse else "c"
        return (
            f"it is the gradient of sum(c * f(x)); {c} is report.cotangent: random, the"
            f" same for rng={self.seed}"
        )

    def _said_of_others(self, wrong: int, checked: int) -> str:
        if not wrong:
            return (
                f"right at {checked} other x near this one: is a branch wrong, or a"
                " special case?"
            )
        return f"also wrong at {wrong} of {checked} other x"

    def _next_step(self) -> str:
        """What to do where no diagnosis fits."""
        if self.verdict == "not verified":
            if self.resolution > EPS:
                return (
                    "compute in float64, which tells a mistake from rounding and from"
                    " kinks nearby"
                )
            return "check at another x"
        if not self.findings:
            return "compare with secant.numerical_gradient(f, x), entry by entry"
        by_hand = self._by_hand(self.findings[0].name)
        if self._may_be_a_solvers():
            return (
                "if f calls a solver, give its tolerance in f as noise=; else"
                f" {by_hand}"
            )
        return by_hand

    def _by_hand(self, entry: str) -> str:
        """Say how to compute an entry."""
        f = "f" if self.cotangent is None else "sum(c * f)"
        by_hand = (
            f"compute {entry} by hand: move it by a small h, and divide {f}(x + h) -"
            f" {f}(x - h) by 2 h"
        )
        return (
            f"{by_hand}, as the program of report.reproducer() does"
            if self.program
            else by_hand
        )

    def _may_be_a_solvers(self) -> bool:
        """Whether all errors are as small as those of a solver in f, and nothing else
        explains them.
        """
        takes_noise = not (self.mode or self.compared_with or self.note)
        wrong = {
            array.name: array
            for array in self.arrays
            if not (array.passed or array.unverified)
        }
        has_small_norms = all(array.relative_error < SOLVER for array in wrong.values())
        has_small_entries = all(
            abs(each.gradient - each.numerical) <= SOLVER * wrong[each.array].largest
            for each in self.findings
        )
        return takes_noise and has_small_norms and has_small_entries

    def _rows(self) -> Iterator[str]:
        """Arrays, those that are wrong or not verified first if there are many; and the
        worst entries.
        """
        most = max(_ROWS // 2, _ROWS - len(self.findings))
        arrays = list(self.arrays)
        if len(arrays) > most:
            arrays.sort(key=lambda array: (array.passed, bool(array.unverified)))
        listed = arrays[:most]
        left_out = arrays[most:]
        width = max(len(_title(array)) for array in listed)
        for array in listed:
            yield f"{_title(array):{width}}  {self._of_array(array)}"
        if left_out:
            failed = sum(not array.passed for array in left_out)
            yield (
                f"... and {len(left_out)} more arrays, {failed or 'none'} of them wrong"
                " or not verified"
            )
        yield from self._entry_rows(_ROWS - len(listed))

    def _of_array(self, array: ArrayReport) -> str:
        """What is said of an array."""
        if array.unverified:
            return f"not verified: {array.unverified}"
        if array.passed:
            return (
                f"right: an error of one entry above {array.sensitivity:.1e} would have"
                " been noticed"
            )

        # It is wrong: in how many entries, and by how much. A search ends when it has
        # found some of many.
        count = sum(finding.array == array.name for finding in self.findings)
        size = math.prod(array.shape)
        is_all = count == size
        text = "wrong"
        if count and size > 1:
            text += f" in {'all' if is_all else 'at least'} {count} {_entries(count)}"
        if math.isfinite(array.relative_error):
            text += (
                f", off by {'' if is_all else 'about '}{percent(array.relative_error)}"
                " of its norm"
            )
        return text

    def _entry_rows(self, most: int) -> Iterator[str]:
        if not self.findings:
            return
        listed = self.findings[:most]
        width = max(5, *(len(finding.name) for finding in listed))
        digits = _digits_that_differ(listed)
        column = digits + 7
        yield (
            f"{'entry':{width}}  {'gradient':>{column}}  {'numerical':>{column}} "
            " error bar"
        )
        for entry in listed:
            values = (
                f"{entry.gradient:{column}.{digits}e} "
                f" {entry.numerical:{column}.{digits}e}"
            )
            yield f"{entry.name:{width}}  {values}  {entry.error_bar:.0e}"
        if more := len(self.findings) - len(listed):
            yield f"... and {more} more"

    @property
    def _headline(self) -> str:
        """The verdict and, at a glance, how wrong it is: the largest error of an array,
        as a share of its norm.
        """
        if self.passed and self.compared_with:
            return f"{self.verdict} for {self.compared_with}"
        if self.verdict != "wrong":
            return self.verdict
        errors = [
            array.relative_error
            for array in self.arrays
            if math.isfinite(array.relative_error)
        ]
        if not errors:
            return "WRONG"
        if max(errors) < SMALL:
            asked = "a rounding constant? a solver's tolerance? the step h?"
            return f"WRONG: differs by {max(errors):.0e} of its norm ({asked})"
        return f"WRONG by {percent(max(errors))}"


def percent(ratio: float) -> str:
    """A share, as people write it."""
    share = 100 * ratio
    return f"{share:.0f} %" if 10 <= share < 1e4 else f"{share:.2g} %"


def _digits_that_differ(findings: Sequence[Finding]) -> int:
    """So many digits that the two numbers of each entry are seen to differ."""
    for digits in (5, 11):
        if all(
            f"{each.gradient:.{digits}e}" != f"{each.numerical:.{digits}e}"
            for each in findings
        ):
            return digits
    return 15


def _entries(count: int) -> str:
    return "entry" if count == 1 else "entries"


def _title(array: ArrayReport) -> str:
    return f"{array.name} {array.shape}" if array.shape else array.name


def _without_nan(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in pairs
    }
