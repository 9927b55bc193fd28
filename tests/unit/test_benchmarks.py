"""What the benchmarks' figures rest on: turns, ratios, answers that are checked, and what counts as slower."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import cases
import peers
import regressions
import report
import rivals
import tables
import timing
import training
from secant.cli import app

DOCS = Path(__file__).parents[2] / "docs"


def contest(**seconds):
    return {"samples": {name.replace("_", " "): [turns] for name, turns in seconds.items()}, "missing": {}}


def test_a_ratio_is_paired_by_round_so_that_a_slow_machine_does_not_change_it():
    fast = [[1.0, 5.0, 2.0], [1.0, 1.0, 3.0]]
    assert timing.ratio([[2 * t for t in turns] for turns in fast], fast) == (2.0, 2.0, 2.0)


def test_the_interval_of_a_ratio_holds_what_launches_differ_by():
    middle, low, high = timing.ratio([[1.0] * 5, [3.0] * 5], [[1.0] * 5, [1.0] * 5])
    assert (middle, low, high) == (2.0, 1.0, 3.0)


def test_a_turn_is_the_time_of_one_call():
    calls = []
    assert timing.turn(lambda: calls.append(None), 0.01, clock=lambda: 3.0 * len(calls)) == pytest.approx(3.0)


def two_steps():
    return {"whole": rivals.Step(partial(sum, range(100_000))), "half": rivals.Step(partial(sum, range(100_000)), 2)}


def not_installed():
    raise ImportError("No module named 'fast'")


def wrong_answer():
    raise ValueError("the answers differ")


def test_a_race_is_run_in_other_processes_and_lists_what_is_missing():
    result = rivals.race({"ours": two_steps, "Fast": not_installed}, 1, timing.Effort(rounds=2, launches=2))
    assert result["missing"] == {"Fast": "No module named 'fast'"}
    assert {name: np.shape(turns) for name, turns in result["samples"].items()} == {"whole": (2, 2), "half": (2, 2)}
    assert 1 < timing.ratio(result["samples"]["whole"], result["samples"]["half"]).median < 4


def test_a_contestant_that_is_wrong_ends_the_race():
    with pytest.raises(RuntimeError, match="the answers differ"):
        rivals.race({"ours": wrong_answer}, 1, timing.QUICK)


@pytest.fixture
def data():
    _, x, t = cases.mnist(50)
    return cases.Data(x, t.argmax(axis=1), cases.mnist().net.params)


@pytest.mark.parametrize("dtype", training.TOLERANCE)
@pytest.mark.parametrize("after", [True, False])
def test_the_peer_in_numpy_trains_as_the_reference_does(data, dtype, after):
    name = f"NumPy | {dtype} | {training.LOSSES[after]}"
    assert list(training.checked(data, {name: peers.NumPy(data, dtype, after)})) == [name]


@pytest.mark.parametrize("kind", training.KINDS)
def test_secant_trains_as_the_reference_does(data, compiled, kind):
    peer = peers.Secant(data, compiled, training.KINDS[kind], 1)
    assert training.checked(data, {"Secant | float64 | after": peer})


def test_a_peer_that_trains_otherwise_is_not_timed(data, monkeypatch):
    monkeypatch.setattr(peers, "EPSILON", 1e-3)
    with pytest.raises(ValueError, match="losses differ by"):
        training.checked(data, {"NumPy | float64 | after": peers.NumPy(data, "float64", True)})


def test_a_table_says_where_a_peer_wins_and_what_is_missing():
    one = contest(Secant=[2.0, 2.0], peer=[1.0, 1.0]) | {"missing": {"JAX": "not installed"}}
    lines = tables.standings({"1 thread": one}, "Secant", [""], "s", 1)
    assert lines[2:] == [
        "| Secant | 2 | 2; 2–2 | 1.00 [1.00, 1.00] |",
        "| peer | 1 | 1; 1–1 | **0.500 [0.500, 0.500]** |",
        "",
        "Missing: JAX (not installed).",
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ([1.0, 1.1], [1.0, 1.1], []),
        ([2.0, 2.2], [2.0, 2.2], []),
        ([2.0, 2.2], [1.0, 1.1], [True]),
        ([0.5, 0.5], [1.0, 1.1], [False]),
    ],
)
def test_slower_is_what_became_slower_than_its_yardstick(ours, theirs, verdict):
    before = {"training": {"MNIST": contest(Secant=[1.0, 1.1], peer=[1.0, 1.1])}, "machine": {"cores": 2}}
    now = {"training": {"MNIST": contest(Secant=ours, peer=theirs)}, "machine": {"cores": 2}}
    assert [change.slower for change in regressions.changes(before, now)] == verdict


def test_the_page_is_that_of_the_samples():
    measured = json.loads((DOCS / "benchmarks.json").read_text())
    assert report.page(measured) == (DOCS / "benchmarks.md").read_text(encoding="utf-8")


def test_the_pictures_are_drawn(tmp_path):
    measured = json.loads((DOCS / "benchmarks.json").read_text())
    for title, (name, draw) in report.PICTURES.items():
        draw(measured[title], tmp_path / f"{name}.svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gradient.svg", "growth.svg", "training.svg"]


def test_the_command_runs_the_benchmarks_of_a_clone(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "secant"\n')
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "report.py").write_text(
        "import pathlib, sys; pathlib.Path('got').write_text(' '.join(sys.argv[1:])); sys.exit(7)"
    )
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["bench", "--quick", "--compare", "old.json"])
    assert result.exit_code == 7
    assert (tmp_path / "got").read_text() == "--quick --compare old.json"


def test_the_command_says_where_it_can_be_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("secant.benchmarks._PACKAGE", tmp_path / "lib" / "secant")
    result = CliRunner().invoke(app, ["bench"])
    assert result.exit_code == 1
    assert "clone of the repository" in result.stderr
