"""What a measurement found: how much was tried, what failed, and how close it came to its bound."""

from collections.abc import Iterable
from dataclasses import dataclass, field

MOST_EXAMPLES = 10


@dataclass
class Part:
    """Trials of one kind: how many, how many failed, and the worst share of the bound, or the slowest answer."""

    tried: int = 0
    failed: int = 0
    worst: float | None = None

    def add(self, failed: bool, worst: float | None = None) -> None:
        self.join(Part(1, int(failed), worst))

    def join(self, other: "Part") -> None:
        self.tried += other.tried
        self.failed += other.failed
        self.worst = larger(self.worst, other.worst)


@dataclass
class Outcome:
    """A row of the page."""

    promise: str
    unit: str
    command: str = ""
    tried: int = 0
    details: dict[str, Part] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    skipped: str = ""
    allowed: dict[str, float] = field(default_factory=dict)  # shares that may fail, by how a kind ends

    @property
    def failed(self) -> int:
        return sum(part.failed for part in self.details.values())

    @property
    def kept(self) -> bool:
        """Whether the promise is: no more failed than may, which is none if the promise is no rate."""
        for end, share in (self.allowed or {"": 0.0}).items():
            parts = [part for kind, part in self.details.items() if kind.endswith(end)]
            if sum(part.failed for part in parts) > share * sum(part.tried for part in parts):
                return False
        return True

    def is_kept_by(self, kind: str) -> bool:
        """Whether it is kept by one kind of trials."""
        part = self.details[kind]
        shares = [share for end, share in (self.allowed or {"": 0.0}).items() if kind.endswith(end)]
        return part.failed <= max(shares, default=0.0) * part.tried

    @property
    def worst(self) -> float | None:
        worst = None
        for part in self.details.values():
            worst = larger(worst, part.worst)
        return worst

    def add(self, kind: str, failed: bool, worst: float | None = None, example: str = "") -> None:
        self.details.setdefault(kind, Part()).add(failed, worst)
        if failed and example and len(self.examples) < MOST_EXAMPLES:
            self.examples.append(f"{kind}: {example}")


def larger(a: float | None, b: float | None) -> float | None:
    return max((value for value in (a, b) if value is not None), default=None)


def joined(outcomes: Iterable[Outcome]) -> Outcome:
    """One outcome of the same measurement, made in several processes."""
    first, *others = outcomes
    for other in others:
        first.tried += other.tried
        for kind, part in other.details.items():
            first.details.setdefault(kind, Part()).join(part)
        first.examples = (first.examples + other.examples)[:MOST_EXAMPLES]
        first.skipped = first.skipped or other.skipped
    return first
