"""What the benchmarks' figures rest on: turns, ratios, answers that are checked, and
what counts as slower.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import backpropagation
import cases
import charts
import gradient
import peers
import questions
import readme
import report
import rivals
import tables
import timing
import training
from secant.cli.app import app

DOCS = Path(__file__).parents[2] / "docs"


def contest(**seconds):
    return {
        "samples": {name.replace("_", " "): [turns] for name, turns in seconds.items()},
        "missing": {},
    }


def test_a_ratio_is_paired_by_round_so_that_a_slow_machine_does_not_change_it():
    fast = [[1.0, 5.0, 2.0], [1.0, 1.0, 3.0], [2.0, 3.0, 7.0]]
    assert timing.ratio(
        [[2 * t for t in turns] for turns in fast], fast
    ) == pytest.approx((2.0, 2.0, 2.0))


def test_the_interval_of_a_ratio_is_students_over_the_launches():
    launches = np.exp(np.random.RandomState(0).normal(0, 0.1, (1_000, 4, 1)))
    intervals = [
        timing.ratio(launch.tolist(), np.ones_like(launch).tolist())
        for launch in launches
    ]
    held = [low <= 1 <= high for _, low, high in intervals]
    assert 0.98 <= np.mean(held) < 1
    assert all(low <= middle <= high for middle, low, high in intervals)


@pytest.mark.parametrize("slower", [[[2.0]], [[2.0, 2.1], [1.9, 2.0]]])
def test_one_turn_and_two_launches_have_no_interval(slower):
    ratio = timing.ratio(slower, np.ones_like(slower).tolist())
    assert ratio.low == 0
    assert ratio.high == np.inf
    assert str(ratio) == "2.00"


def one_launch(**seconds):
    """A function that measures a contest, another each time."""
    turns = {name: iter(values) for name, values in seconds.items()}

    def measure(effort):
        return {
            "": {
                "samples": {
                    name: [[next(values)] * effort.rounds]
                    for name, values in turns.items()
                },
                "missing": {},
            }
        }

    return measure


def test_a_contest_is_measured_once_a_launch():
    measured = timing.launched(
        {"a": one_launch(x=[1, 2, 3])}, timing.Effort(rounds=2, launches=3)
    )
    assert measured["a"][""]["samples"] == {"x": [[1, 1], [2, 2], [3, 3]]}


def wrong_answer():
    raise ValueError("the answers differ")


@pytest.mark.slow
def test_a_contestant_that_is_wrong_ends_the_race():
    with pytest.raises(RuntimeError, match="the answers differ"):
        rivals.race({"ours": wrong_answer}, 1, timing.QUICK)


@pytest.fixture
def data():
    _, x, t = cases.mnist(50)
    return cases.Data(x, t.argmax(axis=1), cases.mnist().net.params)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", training.KINDS)
@pytest.mark.parametrize("dtype", training.TOLERANCE)
@pytest.mark.parametrize("after", [True, False])
def test_secant_trains_as_the_reference_does(data, compiled, kind, dtype, after):
    peer = peers.Secant(data, compiled, training.KINDS[kind], 1, dtype, after)
    assert peer.params()["W1"].dtype == dtype
    assert training.checked(
        data, {f"Secant | {dtype} | {training.LOSSES[after]}": peer}
    )


@pytest.fixture
def scikit_learn():
    pytest.importorskip("sklearn")
    _, x, t = cases.mnist(300)
    data = cases.Data(x, t.argmax(axis=1), cases.mnist().net.params)
    return peers.ScikitLearn(data, "float64", shuffle=False), data


@pytest.mark.slow
def test_an_epoch_of_scikit_learn_is_that_of_the_plain_loop(scikit_learn):
    training.require_an_epoch("scikit-learn", *scikit_learn, 1e-9)


def test_an_epoch_that_is_another_is_not_timed(scikit_learn, monkeypatch):
    monkeypatch.setattr(training, "BATCH", 50)
    with pytest.raises(ValueError, match="loss: off by"):
        training.require_an_epoch("scikit-learn", *scikit_learn, 1e-9)


@pytest.mark.parametrize("inputs", cases.INPUTS)
@pytest.mark.parametrize("library", ["NumPy", "SciPy"])
def test_a_gradient_is_timed_in_both_types_if_it_is_right(inputs, library, monkeypatch):
    pytest.importorskip("scipy" if library == "SciPy" else "numpy")
    ways = backpropagation.WAYS[library]
    steps = gradient.backpropagation_steps(inputs, ways)
    assert [name.split(" | ")[1] for name in steps] == ["float64", "float32"]
    monkeypatch.setattr(peers, "EPSILON", 1e-3)
    with pytest.raises(ValueError, match="no timing is worth anything"):
        gradient.backpropagation_steps(inputs, ways)


def test_a_table_says_where_a_peer_wins_and_what_is_missing():
    one = contest(Secant=[2.0, 2.0], peer=[1.0, 1.0]) | {
        "missing": {"JAX": "not installed"}
    }
    lines = tables.standings({"1 thread": one}, lambda _: "Secant", [""], "s", 1)
    assert lines[2:] == [
        "| Secant | 2 | 2; 2–2 | 1.00 [1.00, 1.00] |",
        "| peer | 1 | 1; 1–1 | **0.500 [0.500, 0.500]** |",
        "",
        "Missing: JAX (not installed).",
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ([1.0, 1.1, 1.0], [1.0, 1.1, 1.0], []),
        ([2.0, 2.2, 2.1], [2.0, 2.2, 2.1], []),
        ([2.0, 2.2, 2.1], [1.0, 1.1, 1.05], ["slower"]),
        ([0.5, 0.55, 0.5], [1.0, 1.1, 1.0], ["faster"]),
    ],
)
def test_slower_is_what_became_slower_than_its_yardstick(ours, theirs, verdict):
    before = {
        "training": {"MNIST": contest(Secant=[1.0, 1.1, 1.0], peer=[1.0, 1.1, 1.0])},
        "machine": {"cores": 2},
    }
    now = {
        "training": {"MNIST": contest(Secant=ours, peer=theirs)},
        "machine": {"cores": 2},
    }
    assert [
        change.partition(":")[0] for change in report.changes(before, now)
    ] == verdict


def test_the_pages_are_those_of_the_samples():
    measured = json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8"))
    assert questions.page(measured) == (DOCS / "benchmarks.md").read_text(
        encoding="utf-8"
    )
    assert report.details(measured) == (DOCS / "records" / "benchmarks.md").read_text(
        encoding="utf-8"
    )


def test_the_readmes_have_the_table_of_what_was_measured():
    measured = json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8"))
    for path, text in readme.readmes(measured).items():
        assert path.read_text(encoding="utf-8") == text
    measured["The whole run"]["JAX jit | float64"]["seconds"] = 1234.0
    changed = readme.readmes(measured)
    assert [text.count(" | 1,234 |") for text in changed.values()] == [1, 1]


@pytest.mark.nightly
def test_the_pictures_are_drawn(tmp_path):
    measured = json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8"))
    for question in questions.QUESTIONS:
        question.draw(measured, tmp_path / f"benchmarks-{question.picture}.svg")
    assert {path.name for path in tmp_path.iterdir()} == {
        path.name for path in DOCS.glob("benchmarks-*.svg")
    }


def test_a_picture_needs_neither_a_white_page_nor_a_wide_one():
    for path in DOCS.glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert float(re.search(r'width="([\d.]+)pt"', text)[1]) <= 72 * charts.WIDTH, (
            path
        )
        assert not re.search(r"fill: #fff|#ffffff|#000000|fill: black", text), path


def test_the_command_runs_the_benchmarks_of_the_clone_that_it_is_run_in(
    tmp_path, monkeypatch
):
    script = tmp_path / "bench" / "report.py"
    script.parent.mkdir()
    script.write_text(
        "import pathlib, sys; pathlib.Path('got').write_text(' '.join(sys.argv[1:])); sys.exit(7)",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["bench", "--quick", "--compare", "old.json"])
    assert result.exit_code == 7
    assert (tmp_path / "got").read_text(
        encoding="utf-8"
    ) == "--quick --compare old.json"


def test_elsewhere_the_command_says_where_to_run_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["bench"])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "must be run in a clone of the repository" in result.stderr
