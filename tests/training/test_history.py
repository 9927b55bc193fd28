import json
import math
import sys
from dataclasses import asdict, replace

import pytest

from secant.errors import DataError, ValueRangeError
from secant.training.history import History


def example():
    return History(
        [2.3, 2.2, 2.1],
        [0.1, 0.2],
        [0.15, 0.25],
        [0, 2],
        {"n_iterations": 3, "n_threads": None},
    )


def test_a_history_comes_back_bit_for_bit_from_json_for_strict_readers(tmp_path):
    losses = [
        math.nan,
        math.inf,
        -math.inf,
        -0.0,
        5e-324,
        1.7976931348623157e308,
        0.1 + 0.2,
    ]
    settings = {
        "seed": 2**70,
        "n_threads": None,
        "h": 1e-4,
        "loss": "after",
        "ネット": True,
    }
    history = History(losses, [0.5, math.nan], [0.25, 1.0], [0, 6], settings)
    history.save(tmp_path / "h.json")

    def refuse(constant):
        raise AssertionError(constant)

    content = json.loads(
        (tmp_path / "h.json").read_text("ascii"), parse_constant=refuse
    )
    assert content["train_loss_list"][:4] == ["NaN", "Infinity", "-Infinity", -0.0]
    assert content["format"] == "secant history 1"
    assert repr(asdict(History.load(tmp_path / "h.json"))) == repr(asdict(history))


def test_a_history_is_described_in_one_line():
    assert repr(History()) == "<History of 0 iterations>"
    assert (
        repr(example())
        == "<History of 3 iterations, last loss 2.1, train acc 0.2, test acc 0.25>"
    )
    assert (
        repr(History([1.0] * 1000, [0.98765]))
        == "<History of 1,000 iterations, last loss 1, train acc 0.9877>"
    )


def test_a_notebook_shows_a_line_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert example()._repr_html_() is None


def test_a_subclass_loads_itself(tmp_path):
    class Mine(History):
        pass

    example().save(tmp_path / "h.json")
    assert type(Mine.load(tmp_path / "h.json")) is Mine


def test_a_run_that_went_on_is_joined(tmp_path):
    first, second = (
        example(),
        History([2.0, 1.9], [0.3], [0.35], [1], {"n_iterations": 2}),
    )
    both = first + second
    assert both == History(
        [2.3, 2.2, 2.1, 2.0, 1.9],
        [0.1, 0.2, 0.3],
        [0.15, 0.25, 0.35],
        [0, 2, 4],
        {"n_iterations": 2},
    )
    assert (first, second.train_loss_list) == (example(), [2.0, 1.9])
    both.save(tmp_path / "h.json")
    assert History.load(tmp_path / "h.json") == both
    assert first + History() == replace(first, settings={})
    with pytest.raises(
        ValueRangeError,
        match="both histories must have accuracies on a test set, or none",
    ):
        first + History([2.0], [0.3], [], [0])
    with pytest.raises(TypeError, match="unsupported operand"):
        first + 2.0


@pytest.mark.parametrize(
    "settings", [{"rng": object()}, {"h": math.nan}, {"key": {1, 2}}]
)
def test_settings_that_json_cannot_hold(tmp_path, settings):
    path = tmp_path / "h.json"
    path.write_text("kept", encoding="utf-8")
    with pytest.raises(
        DataError,
        match=r"h\.json was not written: JSON cannot hold the history \(.+\)\.",
    ):
        History(settings=settings).save(path)
    assert path.read_text(encoding="utf-8") == "kept"


def changed(**changes):
    content = {
        "format": "secant history 1",
        "train_loss_list": [2.3, 2.2, 2.1],
        "train_acc_list": [0.1, 0.2],
        "test_acc_list": [0.15, 0.25],
        "epoch_iterations": [0, 2],
        "settings": {},
    }
    return json.dumps(
        {
            name: value
            for name, value in (content | changes).items()
            if value is not None
        }
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(changed()[:-5], "Expecting|Unterminated", id="truncated"),
        pytest.param(
            "[]",
            "must be a JSON object with the format 'secant history 1'",
            id="no object",
        ),
        pytest.param(
            changed(format="secant history 2"),
            "with the format 'secant history 1'",
            id="other format",
        ),
        pytest.param(
            changed(train_loss_list=None), "train_loss_list", id="missing key"
        ),
        pytest.param(
            changed(more=1), "unexpected keyword argument 'more'", id="extra key"
        ),
    ],
)
def test_files_that_hold_no_history(tmp_path, text, message):
    path = tmp_path / "h.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(
        DataError,
        match=rf"h\.json does not hold a history that History\.save wrote: .*({message})",
    ):
        History.load(path)
