"""The table of the READMEs, from what was measured: python bench/readme.py writes it
again, and so does `secant bench`.

Checks are those of docs/records/check_comparison.md, in float64; training runs those of
docs/benchmarks.json.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from tables import DOCS, markdown, replaced, significant

CHECKS = DOCS / "records" / "check_comparison.md"
COLUMNS = {
    "README.md": ["", "evaluations of a check", "faults found", "training run, s"],
    "README.zh-CN.md": ["", "一次检查计算 f 的次数", "找出的错误", "一次训练，秒"],
}
BY_HAND = {"README.md": "NumPy by hand", "README.zh-CN.md": "NumPy 手写反向传播"}


class Row(NamedTuple):
    """Who; which rows of the checks, with what stands in brackets last; which training
    run.
    """

    who: str
    checks: tuple[str, ...]
    run: str


ROWS = (
    Row("Secant", ("Secant",), "Secant, numerical"),
    Row(
        "PyTorch: `gradcheck` (`fast_mode`)",
        ("PyTorch gradcheck", "PyTorch gradcheck, fast_mode"),
        "PyTorch by hand",
    ),
    Row("JAX: `check_grads`", ("JAX check_grads",), "JAX jit"),
    Row("NumPy", (), "NumPy by hand"),
    Row("scikit-learn", (), "scikit-learn MLPClassifier"),
)


def checks() -> dict[str, list[str]]:
    """The rows of the first table of the record: calls, seconds, faults, false
    alarms.
    """
    table = CHECKS.read_text(encoding="utf-8").split("| in float32 |")[0]
    rows = [
        line.strip("| ").split(" | ")
        for line in re.findall(r"^\| .*\|$", table, re.MULTILINE)
    ]
    return {name: cells for name, *cells in rows}


def joined(cells: list[str]) -> str:
    """The first cell, and a second one in brackets; a dash for none."""
    if not cells:
        return "–"
    first, *others = cells
    return first + "".join(f" ({other})" for other in others)


def table(measured: dict[str, Any], readme: str) -> list[str]:
    """The table of one README."""
    checked = checks()
    rows = []
    for row in ROWS:
        who = BY_HAND[readme] if row.who == "NumPy" else row.who
        calls = joined([checked[name][0] for name in row.checks])
        faults = joined([checked[name][2] for name in row.checks])
        seconds = significant(
            measured["The whole run"][f"{row.run} | float64"]["seconds"]
        )
        rows.append([who, calls, faults, seconds])
    return markdown(COLUMNS[readme], rows)


def readmes(measured: dict[str, Any]) -> dict[Path, str]:
    """The READMEs with their tables."""
    texts = {}
    for name in COLUMNS:
        path = DOCS.parent / name
        text = path.read_text(encoding="utf-8")
        texts[path] = replaced(text, Path(__file__).name, table(measured, name))
    return texts


if __name__ == "__main__":
    for path, text in readmes(
        json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8"))
    ).items():
        path.write_text(text, encoding="utf-8")
        print(path)
