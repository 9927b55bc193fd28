"""What a run shows: lines in a log, a bar in a terminal and in a notebook; and what it
survives.
"""

import re
import sys
import threading
import types

import numpy as np
import pytest

from secant.training import display
from secant.training.loop import train

LINE = "train acc, test acc | 0.5000, 0.5000\n"


def run(n_iterations=5, **options):
    """Epochs of five iterations, of a network of one parameter."""
    net = types.SimpleNamespace(
        params={"w": np.zeros(1)}, loss=lambda x, t: 1.0, accuracy=lambda x, t: 0.5
    )
    net.numerical_gradient = lambda x, t: {"w": np.ones(1)}
    x, t = np.zeros((50, 2)), np.zeros(50, int)
    return train(
        net, x, t, x, t, n_iterations=n_iterations, batch_size=10, rng=2, **options
    )


@pytest.fixture
def tqdm():
    return pytest.importorskip("tqdm", reason="tqdm is not installed")


@pytest.fixture
def clock(tqdm, monkeypatch):
    """The time, in seconds, of the display and of tqdm, and of nobody else."""
    now = [1000.0]
    monkeypatch.setattr(
        display, "time", types.SimpleNamespace(monotonic=lambda: now[0])
    )
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    return now


# ---- lines ---------------------------------------------------------------------------


def test_a_log_gets_the_chapters_lines_only(capsys):
    run(6)
    assert capsys.readouterr().out == LINE * 2


def test_nothing_is_printed_without_progress(capsys):
    run(progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.02, [0, 25, 50, 75, 99]), (1.0, [*range(100)])],
    ids=["short", "long"],
)
def test_epochs_have_a_line_twice_a_second_at_most_but_for_the_first_and_the_last_one(
    capsys, clock, seconds, shown
):
    with display.display(100, True) as shows:
        for epoch in range(100):
            clock[0] = 1000 + epoch * seconds
            shows.epoch(epoch / 100, None)
    assert capsys.readouterr().out == "".join(
        f"train acc | {epoch / 100:.4f}\n" for epoch in shown
    )


def test_without_tqdm_a_terminal_gets_lines(open_terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    terminal = open_terminal()
    run(6)
    assert terminal.getvalue() == LINE * 2


# ---- the bar -------------------------------------------------------------------------


def screen(terminal):
    """What was on the line of the bar, one after the other, without the spaces that
    cover the rest of a longer one.
    """
    return [
        part.rstrip()
        for part in re.split(r"[\r\n]", terminal.getvalue())
        if part.strip()
    ]


@pytest.mark.usefixtures("tqdm")
def test_a_terminal_gets_a_bar_below_the_lines(open_terminal):
    terminal = open_terminal()
    threads = threading.active_count()
    run(6)
    assert terminal.getvalue().count(LINE) == 2
    assert re.fullmatch(r"█+ 6/6 00:00 +[\d.]+it/s, loss 1\.0000", screen(terminal)[-1])
    assert threading.active_count() == threads


def test_a_notebook_gets_a_bar_and_no_warning(tqdm, monkeypatch, capsys):
    """Without ipywidgets tqdm warns as it is imported, and draws by characters."""
    monkeypatch.setitem(
        sys.modules, "ipykernel.zmqshell", types.ModuleType("ipykernel.zmqshell")
    )
    shell = types.SimpleNamespace(get_ipython=lambda: None)
    monkeypatch.setitem(sys.modules, "IPython", shell)
    for name in [
        name
        for name in sys.modules
        if re.match(r"tqdm\.(auto|autonotebook|notebook)$|ipywidgets", name)
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    run(6)
    output = capsys.readouterr()
    assert output.out.count(LINE) == 2
    assert "6/6 00:00" in output.out
    assert output.err == ""


# ---- output that fails ---------------------------------------------------------------


def test_a_program_without_standard_output_trains(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert len(run().train_loss_list) == 5


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_output_that_fails_does_not_end_a_run(open_terminal, monkeypatch, terminal):
    def fail(text):
        raise BrokenPipeError(32, "Broken pipe")

    output = open_terminal()
    monkeypatch.setattr(output, "write", fail)
    monkeypatch.setattr(output, "isatty", lambda: terminal)
    assert len(run(30).train_loss_list) == 30
