"""Measure everything; write docs/benchmarks.md with its pictures,
docs/records/benchmarks.md, and all samples as JSON.

    python bench/report.py [--quick] [--output FOLDER] [--compare OLD.json] [--again OLD.json]

`secant bench` in a clone of the repository does the same.
"""

import argparse
import contextlib
import io
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import cases
import footprint
import gradient
import growth
import precision
import questions
import readme
import secant
import training
import whole_run
from timing import FULL, LEVEL, QUICK, Effort, launched, ratio

DOCS = Path(__file__).resolve().parent.parent / "docs"
MARGIN = 1.1  # for a neighbor that fills the caches
# the question; what measures it; what to know of the answer
SECTIONS: dict[str, tuple[ModuleType, str]] = {
    "A gradient": (
        gradient,
        """All 39,760 parameters of 784-50-10, a mini-batch of 100, h = 1e-4; the first table is of float64. The NumPy
loop computes every loss as a whole, so zeros in the input do not help it; it has one BLAS thread, with which it is
fastest. Of what evaluates the loss for each parameter, 30 parameters were timed and the rest extrapolated (sampled).
*Times Secant* compares with its central differences, by the series, in the same type; the last table of each input has
others in float32 against Secant in float64.""",
    ),
    "Precision": (
        precision,
        """The largest error in 30 parameters, against 50 digits. A central difference and a derivative differ
by a multiple of h². Backpropagation is the derivative, and numdifftools extrapolates to it; all others
compute the difference at h = 1e-4. In float32, parameters and inputs are what float32 can hold.""",
    ),
    "A training iteration": (
        training,
        """784-50-10, mini-batches of 100 from {samples:,} samples: draw and gather the mini-batch, gradient, update,
loss. The loss is the one after the update, as in the chapter, which takes a second forward pass; or the one before
it, from the first. *Times Secant* compares with training by its numerical gradient, in the same type and with the same
loss; the last table of each input has others in float32 against Secant in float64. All peers use backpropagation. All
hold the training set as they read it fastest: in their type, or as its non-zero pixels (Secant, SciPy); making that is
counted in the whole run, below. All were given the same mini-batches, and their losses and parameters agreed with those
of the plain loop. scikit-learn's network has no second sigmoid and its loop is its own: an epoch of it, not shuffled,
agreed with the plain loop of such a network.""",
    ),
    "The whole run": (
        whole_run,
        """Training with the loss after each update, MNIST, one thread: CPU time from the data as `load_mnist` returns
it to the last loss, with what is converted, prepared or compiled. It is done once, with one run on each core, and
neighbors disturb each other. scikit-learn trains another network, see above, in whole epochs. The memory is the most
that the process took in that time, training set and libraries included.""",
    ),
    "How the cost grows": (
        growth,
        """One gradient, from 784-50-10 and 100 samples, one quantity at a time, input as sparse as MNIST. The exponent
is fitted from there up: above 1 where weights or inputs outgrow a cache. A ratio is that of the size at which the
series is most expensive.""",
    ),
    "What a library costs": (footprint, "The time of an import, and room on the disk."),
}
HEAD = """---
orphan: true
---
# Benchmarks in detail

Everything that was measured for the [benchmarks](../benchmarks.md). Written by `secant bench`.

Single-thread times are CPU time; others are wall time. They are medians of turns of 50 ms.
In each round every contestant has a turn. Each launch is a set of fresh processes, and launches are spread over the
whole run. *Times Secant* is the median ratio within a round, with its {level} % interval over the launches,
where there are three or more; what was faster than Secant beyond the noise is in bold. Answers are checked before
anything is timed. Ratios hold for this machine; absolute times vary.

```text
{machine}
```
"""


def main() -> None:
    """Measure everything and write it down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few minutes; prints, if there is no --output",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where to write (default: docs/)"
    )
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="OLD.json",
        help="say what became slower since; fail if it did",
    )
    parser.add_argument(
        "--again",
        type=Path,
        metavar="OLD.json",
        help="write the page of an earlier run, unmeasured",
    )
    options = parser.parse_args()
    before = (
        json.loads(options.compare.read_text(encoding="utf-8"))
        if options.compare
        else None
    )
    measured = (
        json.loads(options.again.read_text(encoding="utf-8"))
        if options.again
        else measure(QUICK if options.quick else FULL)
    )
    folder = options.output or (None if options.quick else DOCS)
    if folder is None:
        print(details(measured))
    else:
        write(measured, folder)
        if folder.resolve() == DOCS:
            for path, text in readme.readmes(measured).items():
                path.write_text(text, encoding="utf-8")
    if before is not None:
        changed = changes(before, measured)
        print("\n".join(changed) or "Nothing changed beyond the noise.")
        sys.exit(any(change.startswith("slower") for change in changed))


def measure(effort: Effort) -> dict[str, Any]:
    """What each question measured, and the machine."""
    facts = machine()
    questions = {title: question.measure for title, (question, _) in SECTIONS.items()}
    measured = launched(
        questions, effort, lambda text: print(text, file=sys.stderr, flush=True)
    )
    facts["launches"] = len(
        measured["A gradient"]["MNIST, 1 thread"]["samples"][gradient.LOOP]
    )
    return rounded({"machine": facts} | measured)  # type: ignore[no-any-return]


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What of Secant became slower or faster, relative to the first other library of
    each contest that both runs have.

    Its interval lies wholly on one side of the earlier one, by more than the margin.
    """
    found = []
    for title in before.keys() & now.keys() - {"machine"}:
        for contest in before[title].keys() & now[title].keys():
            old, new = (run[title][contest].get("samples", {}) for run in (before, now))
            names = [name for name in new if name in old]
            yardstick = next(
                (name for name in names if not name.startswith("Secant")), None
            )
            for name in names:
                if yardstick is not None and name.startswith("Secant"):
                    earlier, later = (
                        ratio(samples[name], samples[yardstick])
                        for samples in (old, new)
                    )
                    slower, faster = (
                        later.low > MARGIN * earlier.high,
                        MARGIN * later.high < earlier.low,
                    )
                    if slower or faster:
                        what = f"{'slower' if slower else 'faster'}: {name} ({title}, {contest})"
                        found.append(
                            f"{what}: {later} of the time of {yardstick}, before {earlier}"
                        )
    return sorted(found)


def write(measured: dict[str, Any], folder: Path) -> None:
    """The pages, the pictures and the samples."""
    folder.mkdir(parents=True, exist_ok=True)
    for question in questions.QUESTIONS:
        question.draw(measured, folder / f"benchmarks-{question.picture}.svg")
    (folder / "benchmarks.md").write_text(questions.page(measured), encoding="utf-8")
    (folder / "records").mkdir(exist_ok=True)
    (folder / "records" / "benchmarks.md").write_text(
        details(measured), encoding="utf-8"
    )
    (folder / "benchmarks.json").write_text(
        json.dumps(measured) + "\n", encoding="utf-8"
    )


def details(measured: dict[str, Any]) -> str:
    """All tables, as Markdown."""
    facts = "\n".join(f"{key:16} {value}" for key, value in measured["machine"].items())
    lines = [HEAD.format(machine=facts, level=LEVEL)]
    for title, (question, text) in SECTIONS.items():
        lines += [
            f"## {title}",
            "",
            text.format(samples=measured["machine"]["training set"]),
            "",
        ]
        lines += [*question.table(measured[title]), ""]
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def rounded(value: Any) -> Any:
    """Four digits of every number."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def machine() -> dict[str, Any]:
    """What the figures hold for."""
    config = io.StringIO()
    with contextlib.redirect_stdout(config):
        secant.show_config()
    facts: dict[str, Any] = {
        line[:16].strip(): line[17:] for line in config.getvalue().splitlines()
    }
    versions = {}
    for _, distribution in footprint.LIBRARIES.values():
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[distribution] = metadata.version(distribution)
    peers = {name: version for name, version in versions.items() if name not in facts}
    processor = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load before": round(os.getloadavg()[0], 1),
    }
    return (
        facts | peers | processor | {"training set": len(cases.mnist_or_subset()[0][0])}
    )


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
