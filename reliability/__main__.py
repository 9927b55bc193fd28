"""Measure how reliable Secant is, and write docs/records/reliability.md, and its
summary in docs/contract.md.

    python reliability [--quick] [--only NAME]

A quick look takes minutes, and prints the page. Rows that are not measured are kept,
from the JSON beside the page.
"""

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from launching import HERE, measured
from outcome import Outcome, from_json, joined
from page import DOCS, PAGE, RECORD, SUMMARY, machine, page, with_summary
from rows import ROWS
from writers import is_sanitized

AT_A_TIME = 2
PARTS = 4  # of a row, for each that runs at a time
LONGEST = 7200  # seconds of a part


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few minutes; prints, and writes nothing"
    )
    parser.add_argument(
        "--only", choices=ROWS, metavar="NAME", help=f"one row: {', '.join(ROWS)}"
    )
    options = parser.parse_args()
    done: dict[str, Any] = {}
    if options.only and ROWS[options.only].sanitized and not is_sanitized():
        parser.error(
            f"{options.only} is for a core that was built with the address sanitizer: see HACKING.md"
        )
    for name in (
        [options.only]
        if options.only
        else [name for name in ROWS if not ROWS[name].sanitized]
    ):
        done[name] = row(name, options.quick)
        if not options.quick:
            write(done)
    if options.quick:
        print(page(done))
    sys.exit(not all(from_json(row["outcome"]).kept for row in done.values()))


def row(name: str, quick: bool) -> dict[str, Any]:
    """Measure a promise, and say when, where and of what."""
    start, outcome = time.monotonic(), measure(name, quick)
    outcome.command = f"python reliability --only {name}"
    seconds = time.monotonic() - start
    print(
        f"{name}: {outcome.tried:,} {outcome.unit}, {outcome.failed} failed, {seconds:.0f} s",
        file=sys.stderr,
    )
    date = time.strftime("%Y-%m-%d")
    return {
        "date": date,
        "commit": commit(),
        "machine": machine(),
        "seconds": seconds,
        "outcome": asdict(outcome),
    }


def measure(name: str, quick: bool) -> Outcome:
    """All trials of a row, in parts, each of which has a process and a seed of its
    own.
    """
    trials, together = (
        ROWS[name].quick if quick else ROWS[name].full,
        ROWS[name].together,
    )
    count = min(trials, AT_A_TIME * PARTS) if together else 1
    shares = [trials // count + (i < trials % count) for i in range(count)]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        parts = pool.map(
            lambda seed: measured(name, shares[seed], seed, timeout=LONGEST),
            range(count),
        )
        return joined(parts)


def write(done: dict[str, Any]) -> None:
    """The page, and all that was measured beside it; of rows that were not, what was
    there.
    """
    before = json.loads(RECORD.read_text(encoding="utf-8"))
    rows = {name: (before | done)[name] for name in ROWS if name in before | done}
    RECORD.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(rows), encoding="utf-8")
    SUMMARY.write_text(
        with_summary(SUMMARY.read_text(encoding="utf-8"), rows), encoding="utf-8"
    )


def commit() -> str:
    """The commit that is measured, and whether files are changed that it does not
    write.
    """
    written = [
        f":(top,exclude)docs/{path.relative_to(DOCS)}"
        for path in (RECORD, PAGE, SUMMARY)
    ]
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", *written)
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (
        "-dirty" if changed else ""
    )


def git(*arguments: str) -> str:
    found = subprocess.run(
        ["git", "-C", str(HERE), *arguments], capture_output=True, text=True
    )
    return found.stdout.strip()


if __name__ == "__main__":
    main()
