"""What a measurement found: how much was tried, what failed, and how close it came to
its bound.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MOST_EXAMPLES = 10


@dataclass
class Part:
    """Trials of one kind: how many, how many failed, and the worst share of the bound,
    or the slowest answer.
    """

    tried: int = 0
    failed: int = 0
    worst: float | None = None

    def join(self, other: "Part") -> None:
        self.tried += other.tried
        self.failed += other.failed
        self.worst = max(
            (worst for worst in (self.worst, other.worst) if worst is not None),
            default=None,
        )


@dataclass
class Outcome:
    """A row of the page."""

    promise: str
    unit: str
    command: str = ""
    tried: int = 0
    details: dict[str, Part] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    # shares that may fail, by how a kind ends; else none may
    allowed: dict[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        return sum(part.failed for part in self.details.values())

    @property
    def kept(self) -> bool:
        """Whether no more failed than may."""
        totals: dict[str, Part] = {}
        for kind, part in self.details.items():
            totals.setdefault(self.end_of(kind), Part()).join(part)
        return all(
            total.failed <= self.allowed.get(end, 0.0) * total.tried
            for end, total in totals.items()
        )

    def is_kept_by(self, kind: str) -> bool:
        part = self.details[kind]
        return part.failed <= self.allowed.get(self.end_of(kind), 0.0) * part.tried

    def end_of(self, kind: str) -> str:
        """The longest end in ``allowed`` that it has."""
        return max(
            (end for end in self.allowed if kind.endswith(end)), key=len, default=""
        )

    def add(
        self, kind: str, failed: bool, worst: float | None = None, example: str = ""
    ) -> None:
        self.details.setdefault(kind, Part()).join(Part(1, int(failed), worst))
        if failed and example and len(self.examples) < MOST_EXAMPLES:
            self.examples.append(f"{kind}: {example}")


def joined(outcomes: Iterable[Outcome]) -> Outcome:
    """One outcome of the same measurement, made in several processes."""
    first, *others = outcomes
    for other in others:
        first.tried += other.tried
        for kind, part in other.details.items():
            first.details.setdefault(kind, Part()).join(part)
        first.examples = (first.examples + other.examples)[:MOST_EXAMPLES]
    return first


def from_json(content: dict[str, Any]) -> Outcome:
    details = {kind: Part(**part) for kind, part in content["details"].items()}
    return Outcome(**content | {"details": details})
