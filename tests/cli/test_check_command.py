"""``secant check``: what it prints, and its exit codes."""

import json
import re
import sys

import pytest
from typer.testing import CliRunner

from secant.cli.app import app

FILE = """
import numpy as np
import beside

X = {"w": np.array([3.0, 4.0]), "b": np.ones(3)}
RIGHT = {"w": 2 * X["w"], "b": np.full(3, 3.0)}
WRONG = {"w": 2 * X["w"], "b": np.full(3, 2.0)}
TEXT = "no gradient"

def f(x):
    return beside.square_sum(x["w"]) + np.sum(x["b"] ** 3)

def gradient(x):
    return {"w": 2 * x["w"], "b": 3 * x["b"] ** 2}

def at_home(_):
    return f(X)

def random(x):
    return np.random.default_rng().uniform()

def rounded(x):
    return float(np.round(f(x)))

def itself(x):
    assert x["w"] is X["w"], "a copy"
    return f(X)

assert __name__ != "__main__"
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    # the command ends its process, and puts nothing back
    for name in ("path", "argv", "meta_path"):
        monkeypatch.setattr(sys, name, [*getattr(sys, name)])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FILE, encoding="utf-8")
    (tmp_path / "beside.py").write_text(
        "def square_sum(x):\n    return (x**2).sum()\n", encoding="utf-8"
    )
    monkeypatch.delitem(sys.modules, "beside", raising=False)

    def run(*names, options=()):
        return CliRunner().invoke(
            app, ["check", *(f"mine.py:{name}" for name in names), *options]
        )

    return run


@pytest.mark.parametrize("gradient", ["gradient", "RIGHT"])
def test_a_right_gradient_is_0(check, gradient):
    result = check("f", gradient, "X")
    assert result.exit_code == 0
    assert result.output.startswith("gradient in 5 entries: right\n")


def test_a_wrong_gradient_is_1(check):
    result = check("f", "WRONG", "X")
    assert result.exit_code == 1
    assert result.output.startswith("gradient in 5 entries: WRONG by 33 %\n")
    assert "b (3,)  wrong in all 3 entries" in result.output
    result = check("f", "WRONG", "X", options=["--json"])
    report = json.loads(result.output)
    assert (result.exit_code, report["passed"]) == (1, False)
    assert {finding["array"] for finding in report["findings"]} == {"b"}


def test_a_function_that_does_not_use_its_argument(check):
    assert check("at_home", "RIGHT", "X").exit_code == 0
    assert check("at_home", "WRONG", "X").exit_code == 1
    assert check("at_home", "RIGHT", "X", options=["--inplace"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ("mine.py:rounded", "mine.py:RIGHT", "mine.py:X"),
            1,
            "gradient in 5 entries: not verified",
        ),
        (
            ("mine.py:itself", "mine.py:RIGHT", "mine.py:X", "--inplace"),
            0,
            "gradient in 5 entries: right",
        ),
        (("mine.py:itself", "mine.py:RIGHT", "mine.py:X"), 1, "AssertionError: a copy"),
    ],
)
def test_the_code_is_0_only_of_what_is_right(check, arguments, code, said):
    result = CliRunner().invoke(app, ["check", *arguments])
    assert result.exit_code == code, result.output
    assert said in result.output


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("nothing", "RIGHT", "X"), "mine.py defines no nothing"),
        (("random", "RIGHT", "X"), "f must be deterministic, got "),
        (("f", "TEXT", "X"), "gradient must have the keys of x, w, b, got str"),
        (
            ("f", "RIGHT", "TEXT"),
            "x must be an array of float64, float32 or float16, or complex, got str",
        ),
        (("X", "RIGHT", "X"), "f must be callable, got dict"),
    ],
)
def test_what_cannot_be_checked_is_1_and_an_error_of_one_line(check, names, message):
    result = check(*names)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert result.output.startswith(f"error: {message}")


def test_a_file_that_does_not_exist(check):
    result = CliRunner().invoke(
        app, ["check", "other.py:f", "other.py:g", "other.py:x"]
    )
    assert (result.exit_code, result.output) == (1, "error: other.py does not exist\n")


@pytest.mark.parametrize(
    "line", ["import sys; sys.exit(0)", "import sys; f = lambda x: sys.exit(0)"]
)
def test_a_file_that_exits_is_1_since_nothing_was_checked(check, tmp_path, line):
    (tmp_path / "exits.py").write_text(line, encoding="utf-8")
    result = CliRunner().invoke(
        app, ["check", "exits.py:f", "mine.py:RIGHT", "mine.py:X"]
    )
    assert result.exit_code == 1
    assert (
        result.output
        == "error: nothing was checked, since your code called sys.exit(0)\n"
    )


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("1 / 0", ["<module>"]),
        ("def (", []),
        ("def f(x):\n    return g(x)\ndef g(x):\n    return x[9]", ["f", "g"]),
    ],
)
def test_an_error_in_a_file_is_shown(check, tmp_path, source, shown):
    (tmp_path / "faulty.py").write_text(source, encoding="utf-8")
    result = CliRunner().invoke(
        app, ["check", "faulty.py:f", "mine.py:RIGHT", "mine.py:X"]
    )
    assert result.exit_code == 1
    assert re.findall(r'faulty.py", line \d+, in (\S+)', result.output) == shown
    assert "faulty.py" in result.output


@pytest.mark.parametrize(
    "arguments",
    [("mine.py", "mine.py:RIGHT", "mine.py:X"), ("mine.py:f", "mine.py:RIGHT")],
)
def test_what_is_no_command_is_2(check, arguments):
    assert CliRunner().invoke(app, ["check", *arguments]).exit_code == 2


NETWORK = """
import numpy as np
from common.functions import cross_entropy_error, sigmoid, softmax

class Base:
    def __init__(self, input_size=6, hidden_size=5, output_size=4, weight_init_std=0.5):
        self.params = {
            "W1": weight_init_std * np.random.randn(input_size, hidden_size), "b1": np.zeros(hidden_size),
            "W2": weight_init_std * np.random.randn(hidden_size, output_size), "b2": np.zeros(output_size),
        }

    def predict(self, x):
        return softmax(sigmoid(x @ self.params["W1"] + self.params["b1"]) @ self.params["W2"] + self.params["b2"])

    def loss(self, x, t):
        return cross_entropy_error(self.predict(x), t)

    def backward(self, x, t, factor=1):
        p = self.params
        z, d = sigmoid(x @ p["W1"] + p["b1"]), self.predict(x)
        d[np.arange(len(d)), t if t.ndim == 1 else t.argmax(axis=1)] -= 1
        d /= len(x)
        d1 = d @ p["W2"].T * z * (1 - z)
        return {"W1": x.T @ d1, "b1": d1.sum(axis=0), "W2": z.T @ d, "b2": factor * d.sum(axis=0)}
"""
RIGHT = NETWORK + "class Net(Base):\n    gradient = Base.backward\n"
WRONG = (
    NETWORK
    + "class Net(Base):\n    def gradient(self, x, t):\n        return self.backward(x, t, 2)\n"
)
BY_LABELS = (
    RIGHT
    + "    def loss(self, x, t):\n        y = self.predict(x)\n        return -np.log(y[range(len(x)), t]).mean()\n"
)


@pytest.fixture
def check_file(tmp_path, check):
    def run(source, *arguments, name=""):
        (tmp_path / "net.py").write_text(source, encoding="utf-8")
        result = CliRunner().invoke(app, ["check", f"net.py{name}", *arguments])
        for module in ("common", "common.functions"):
            sys.modules.pop(module, None)
        return result

    return run


BOOK = "gradient in 59 entries: right for the loss without the 1e-7 (as in the book)"


def test_the_network_in_a_file(check_file):
    result = check_file(RIGHT)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == BOOK
    assert (
        "common.functions is not in your folder: secant.book.common_functions stands in for it\n"
        in result.stderr
    )
    assert (
        "checking Net() of net.py on 20 random samples with one-hot targets\n"
        in result.stderr
    )
    assert check_file(RIGHT, "--json").stdout.startswith("{")


def test_a_wrong_network(check_file):
    result = check_file(WRONG)
    assert result.exit_code == 1
    assert result.stdout.startswith("gradient in 59 entries: WRONG by 100 %\n")
    assert "looks like: b2 is 2 times too large" in result.stdout


@pytest.mark.parametrize(
    ("source", "arguments", "first", "checked"),
    [
        (
            BY_LABELS,
            [],
            "gradient in 59 entries: right",
            "Net() of net.py on 20 random samples with labels",
        ),
        (NETWORK, ["--gradient", "backward"], BOOK, "Base() of net.py"),
        (
            RIGHT.replace("def loss(", "def cost("),
            ["--loss", "cost"],
            BOOK,
            "Net() of net.py",
        ),
        (
            RIGHT + "mine = Net(6, 5, 4)\n",
            [],
            BOOK,
            "mine of net.py on 20 random samples with one-hot targets",
        ),
    ],
    ids=[
        "labels",
        "another name of the gradient",
        "another name of the loss",
        "an object comes before its class",
    ],
)
def test_what_is_taken_of_a_file(check_file, source, arguments, first, checked):
    result = check_file(source, *arguments)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, first)
    assert f"checking {checked}" in result.stderr


def test_which_of_several_networks_is_asked(check_file):
    both = WRONG + "class Other(Base):\n    gradient = Base.backward\n"
    result = check_file(both)
    message = "error: net.py defines 2 networks: give one of them, net.py:Net or net.py:Other\n"
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(message)
    assert check_file(both, name=":Other").exit_code == 0
    assert check_file(both, name=":Net").exit_code == 1


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        (
            NETWORK,
            "",
            r"net.py defines no network: a class or an object with loss(x, t) and gradient(x, t). --loss and",
        ),
        (
            "f = abs",
            ":f",
            r"net.py:f is no network: a class or an object with loss(x, t) and gradient(x, t). --loss",
        ),
        (RIGHT, ":Nothing", "net.py defines no Nothing"),
        (
            RIGHT.replace("input_size=6", "a"),
            "",
            "net.py: Net() raises Base.__init__() missing 1 required positional arg",
        ),
        (
            RIGHT.replace("self.params = {", "self.p = {"),
            "",
            "Net() must have params, a dict of arrays of which",
        ),
    ],
)
def test_a_file_without_a_network_that_can_be_checked(
    check_file, source, name, message
):
    result = check_file(source, name=name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith(f"error: {message}")


ONE_OUTPUT = """
import numpy as np

class Logistic:
    def __init__(self, input_size=6, hidden_size=5, output_size=1):
        self.params = {"W1": np.random.randn(input_size, hidden_size), "W2": np.random.randn(hidden_size, output_size)}

    def predict(self, x):
        z = np.tanh(x @ self.params["W1"])
        return z, 1 / (1 + np.exp(-z @ self.params["W2"]))

    def loss(self, x, t):
        y = self.predict(x)[1]
        return -np.mean(t * np.log(y) + (1 - t) * np.log(1 - y))

    def gradient(self, x, t):
        z, y = self.predict(x)
        d = (y * np.minimum(1, 2 * t) - t) / len(x)  # wrong where t is 0
        return {"W1": x.T @ (d @ self.params["W2"].T * (1 - z * z)), "W2": z.T @ d}
"""


def test_targets_of_one_output_are_both_0_and_1(check_file):
    result = check_file(ONE_OUTPUT)
    assert result.exit_code == 1
    assert "of net.py on 20 random samples with targets of 0 and 1\n" in result.stderr
    assert "gradient in 35 entries: WRONG" in result.stdout


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        (
            f"from baseline import baseline\n{WRONG}",
            1,
            "net.py defines 2 networks: give one of them, net.py:",
        ),
        (
            f"from baseline import Baseline\n{WRONG}",
            1,
            "net.py defines 2 networks: give one of them, net.py:",
        ),
        ("from baseline import Baseline", 0, "checking Baseline() of net.py"),
        ("import baseline", 1, "defines no network"),
    ],
)
def test_an_imported_network_is_checked_where_the_file_has_no_other(
    check_file, tmp_path, source, code, said
):
    module = "class Baseline(Net):\n    pass\nbaseline, loss, gradient = Net(6, 5, 4), print, print\ndel Base, Net\n"
    (tmp_path / "baseline.py").write_text(RIGHT + module, encoding="utf-8")
    sys.modules.pop("baseline", None)
    result = check_file(source)
    sys.modules.pop("baseline", None)
    assert result.exit_code == code
    assert said in result.stderr


def test_arguments_and_prints_of_the_file(check_file):
    source = "import sys\nprint(sys.argv)\n" + RIGHT
    result = check_file(source, "--json")
    assert json.loads(result.stdout)["passed"]
    assert "['net.py']\n" in result.stderr
    assert "['net.py']\n" in check_file(source).stdout


def test_an_import_inside_of_a_loss_finds_what_lies_beside_the_file_and_fails_with_its_line(
    check_file, tmp_path
):
    (tmp_path / "later.py").write_text("VALUE = 1.0\n", encoding="utf-8")
    loss = "    def loss(self, x, t):\n        import {}\n        return super().loss(x, t)\n"
    assert check_file(RIGHT + loss.format("later")).exit_code == 0
    sys.modules.pop("later", None)
    result = check_file(RIGHT + loss.format("nothing_of_that_name"))
    assert result.exit_code == 1
    assert "import nothing_of_that_name" in result.stderr


def test_random_numbers_of_the_file_are_the_same_each_time(check_file):
    shown = [
        check_file(
            "import numpy as np\nprint(np.random.uniform())\n" + RIGHT
        ).stdout.split()[0]
        for _ in "ab"
    ]
    assert shown[0] == shown[1]
