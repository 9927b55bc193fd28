"""Networks that a script defines, under ``secant run``: accelerated where they are
recognized, else left alone.
"""

import os
import re
import subprocess
import sys

import pytest

import secant

FOLDER = os.path.dirname(os.path.dirname(secant.__file__))
BASE = """
import numpy as np

def softmax(a):
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

def gradient_of(f, w):
    result = np.zeros_like(w)
    for i in np.ndindex(w.shape):
        before = w[i]
        w[i] = before + 1e-4
        above = f()
        w[i] = before - 1e-4
        result[i] = (above - f()) / 2e-4
        w[i] = before
    return result

class Base:
    def __init__(self, inputs=5, hidden=4, outputs=3):
        rng = np.random.RandomState(0)
        self.w = {"w1": rng.randn(inputs, hidden), "b1": np.zeros(hidden)}
        self.w.update(w2=rng.randn(hidden, outputs), b2=np.zeros(outputs))

    def activation(self, a):
        return np.maximum(a, 0)

    def predict(self, x):
        w = self.w
        return softmax(self.activation(x @ w["w1"] + w["b1"]) @ w["w2"] + w["b2"])

    def loss(self, x, t):
        return -np.sum(t * np.log(self.predict(x) + 1e-7)) / len(x)

    def all(self, x, t):
        return {key: gradient_of(lambda: self.loss(x, t), w) for key, w in self.w.items()}

rng = np.random.RandomState(1)
x, t = rng.rand(6, 5), np.eye(3)[[0, 1, 2, 0, 1, 2]]
"""
KNOWN = "{}: 5-4-3, {} hidden, identity output"


SHOW = "print(show(Net().numerical_gradient(x, t)))"


def program(body, use=SHOW):
    show = "def show(grads):\n    return {key: np.round(grad + 1e-12, 8).tolist() for key, grad in grads.items()}\n"
    return f"from base import *\n{show}class Net(Base):\n{body}\nnp.random.seed(0)\n{use}\nprint(np.random.rand())\n"


OWN = "    def numerical_gradient(self, x, t):\n        return self.all(x, t)\n"
CASES = {  # a script, and what is said of its network
    "relu": (program(OWN), "4-3, relu hidden"),
    "arguments of its own": (
        program(
            "    def numerical_gradient(self, x, t, h=1):\n        print(h)\n        return self.all(x, t)",
            "print(show(Net().numerical_gradient(x, t, 2)))",
        ),
        ["relu hidden", "is known, but not for a call (TypeError: "],
    ),
    "the method in a base class that has no loss": (
        program(
            "    pass",
            f"class Own:\n{OWN}class Other(Own, Net):\n    pass\n{SHOW.replace('Net', 'Other')}",
        ),
        "Other of w w1, b1, w2, b2: 5-4-3, relu hidden",
    ),
    "classes that are no networks": (
        "from base import *\nclass Meta(type):\n    def __getattr__(cls, name):\n        raise KeyError(name)\n"
        "class Colors(metaclass=Meta):\n    pass\n"
        "class Helper:\n    def num_grad(self, f, x):\n        return f(x)\n"
        "    def numerical_gradient(self, f, x):\n        return f(x)\n"
        "print(Helper().numerical_gradient(abs, -2), Helper().num_grad(abs, -3))",
        "Helper is not known: it has no method loss(x, t). Its own numerical_gradient runs",
    ),
    "dropout": (
        program(
            OWN
            + "    def activation(self, a):\n        return a * (np.random.rand(*a.shape) > 0.5)"
        ),
        "as with dropout",
    ),
    "slots": (
        "from base import *\nclass Net:\n    __slots__ = ('w',)\n    __init__, predict = Base.__init__, Base.predict\n"
        "    activation, loss, all = Base.activation, Base.loss, Base.all\n"
        f"{OWN}print(Net().numerical_gradient(x, t)['b2'].round(8))",
        "its instances have no __dict__",
    ),
    "a gradient that calls its parent's": (
        program(
            OWN + "class Other(Net):\n    def numerical_gradient(self, x, t):\n"
            "        return super().numerical_gradient(x, t)",
            "print(show(Other().numerical_gradient(x, t)))",
        ),
        "Other of w w1, b1, w2, b2: 5-4-3, relu hidden",
    ),
    "what the decorator sees": (
        "import inspect\nfrom base import *\ndef seen(cls):\n    own = cls.numerical_gradient\n"
        "    print(inspect.signature(own), cls.__mro__, own.__qualname__, own.__doc__)\n    return cls\n"
        "@seen\nclass Net(Base):\n    def numerical_gradient(self, images, labels):\n        'Return it.'\n",
        [],
    ),
    "copies and pickles": (
        program(
            OWN,
            "import copy, pickle\nn = Net()\nn.numerical_gradient(x, t)\n"
            "for m in (copy.deepcopy(n), pickle.loads(pickle.dumps(n))):\n"
            "    m.w['w1'] *= 2\n    print(type(m), show(m.numerical_gradient(x, t)))",
        ),
        "relu hidden",
    ),
}


@pytest.fixture
def run(tmp_path):
    def run(script, *command, arguments=()):
        done = subprocess.run(
            [sys.executable, *command, script, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": FOLDER, "SECANT_BACKEND": "numpy"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout, done.stderr.splitlines()

    (tmp_path / "base.py").write_text(BASE, encoding="utf-8")
    return run


@pytest.fixture
def run_both(run, tmp_path):
    """What a script prints to standard error under ``secant run``, where all else is as
    in Python, without an error.
    """

    def run_both(source, *options, arguments=()):
        (tmp_path / "script.py").write_text(source, encoding="utf-8")
        expected = run("script.py", arguments=arguments)
        code, output, lines = run(
            "script.py", "-m", "secant", "run", *options, arguments=arguments
        )
        assert (code, output) == expected[:2]
        assert code == 0
        return lines

    return run_both


@pytest.mark.nightly
@pytest.mark.parametrize("name", CASES)
def test_a_script_prints_what_it_prints_in_python_and_one_line_says_why(name, run_both):
    source, said = CASES[name]
    lines = run_both(source)
    expected = [said] if isinstance(said, str) else said
    assert len(lines) == len(expected), lines
    assert all(
        line.startswith("secant: ") and word in line
        for word, line in zip(expected, lines, strict=True)
    )


SLOPES = "n = Net()\nprint(show(n.slopes(x, t)), n.numerical_gradient(lambda: 1.0, n.w['b2']))"
NAMES = ("--loss", "cost", "--numerical-gradient=slopes")
OTHER_NAMES = (
    "    cost, loss = Base.loss, None\n    def numerical_gradient(self, f, w):\n        return gradient_of(f, w)\n"
    "    def slopes(self, x, t):\n"
    "        return {key: self.numerical_gradient(lambda: self.cost(x, t), w) for key, w in self.w.items()}\n"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (NAMES, "5-4-3, relu hidden"),
        (NAMES[:2], "if slopes(x, t) is meant, write"),
        (
            NAMES[2:],
            'if cost(x, t) is meant, write loss="cost" (secant run: --loss cost). Its own slopes runs',
        ),
        (
            ("--loss=price", *NAMES[2:]),
            'it has no method price(x, t); if cost(x, t) is meant, write loss="cost"',
        ),
    ],
)
def test_methods_may_have_other_names(options, said, run_both):
    source = program(OTHER_NAMES, f"import sys\nprint(sys.argv)\n{SLOPES}")
    lines = run_both(source, *options, arguments=["--loss"])
    assert len(lines) <= 2  # one may say which method is meant
    assert said in lines[-1]


@pytest.mark.slow
def test_a_class_of_an_imported_module_is_accelerated_too(run, tmp_path):
    (tmp_path / "network.py").write_text(CASES["relu"][0], encoding="utf-8")
    (tmp_path / "script.py").write_text("import network", encoding="utf-8")
    _, _, lines = run("script.py", "-m", "secant", "run")
    assert len(lines) == 1
    assert "relu hidden" in lines[0]


def test_a_training_is_the_one_of_python(run_both):
    use = """
n, x = Net(40, 30, 3), rng.rand(6, 40)
for i in range(3):
    for key, grad in n.numerical_gradient(x, t).items():
        n.w[key] -= 0.1 * grad
    print(round(n.loss(x, t), 8))
"""
    (line,) = run_both(program(OWN, use))
    assert "40-30-3, relu hidden" in line


COST = (
    "    loss, cost = None, Base.loss\n    def numerical_gradient(self, x, t):\n"
    "        return {key: gradient_of(lambda: self.cost(x, t), w) for key, w in self.w.items()}\n"
)


@pytest.mark.slow
def test_a_chosen_name_is_for_the_classes_that_have_it(run_both):
    use = f"{SHOW}\n{SHOW.replace('Net', 'Other')}"
    lines = run_both(program(f"{OWN}class Other(Net):\n{COST}", use), "--loss", "cost")
    assert [line.partition(" of ")[0] for line in lines] == [
        "secant: Net",
        "secant: Other",
    ]


# inputs that Secant takes otherwise than NumPy, or not at all

LABELS = """
    def loss(self, x, t):
        y = self.predict(x)
        if y.ndim == 1:
            y, t = y.reshape(1, -1), np.reshape(t, (1, -1))
        if np.size(t) == y.size:
            t = np.argmax(t, axis=1)
        return -np.sum(np.log(y[np.arange(len(y)), t] + 1e-7)) / len(y)

    def activation(self, a):
        return np.tanh(a)

    def predict(self, x):
        w = self.w
        a = np.dot(self.activation(np.dot(x, w["w1"]) + w["b1"]), w["w2"]) + w["b2"]
        e = np.exp(a - np.max(a, axis=-1, keepdims=True))
        return e / np.sum(e, axis=-1, keepdims=True)
"""
INPUTS = {
    "labels below 0": "x, np.array([-1, -2, -3, 0, 1, 2])",
    "labels that are too large": "x, np.array([0, 1, 2, 3, 4, 5])",
    "labels as a column": "x, np.array([[0], [1], [2], [0], [1], [2]])",
    "labels in a list": "x, [0, 1, 2, 0, 1, 2]",
    "too few labels": "x, np.array([0, 1, 2])",
    "negative weights": "x, -t",
    "integers": "np.arange(30).reshape(6, 5) % 4, t",
    "complex numbers": "x + 0j, t",
    "None": "None, None",
    "an empty batch": "x[:0], t[:0]",
    "one sample": "x[0], t[0]",
    "another width": "x[:, :4], t",
    "not finite": "np.where(x > 0.5, np.nan, x), t",
    "huge": "x * 1e300, t",
    "a masked array": "np.ma.masked_less(x, 0.1), t",
    "half precision": "x.astype(np.float16), t",
    "strided": "np.hstack([x, x])[:, ::2], t[::-1]",
}
CALL = """
n = Net()
n.numerical_gradient(x, t)  # known from here on
try:
    print({key: [round(float(g), 7) + 0.0 for g in grad.ravel()] for key, grad in n.numerical_gradient(CASE).items()})
except Exception as error:
    print(type(error), error)
print({key: v.sum() for key, v in n.w.items()}, flush=True)
"""


@pytest.mark.slow
def test_many_inputs_give_what_they_give_in_python_and_a_line_says_why_its_own_loop_runs(
    run_both,
):
    """One script for all of them: tried one by one, most take long."""
    calls = (
        f"print({name!r})\n{CALL.replace('CASE', given)}"
        for name, given in INPUTS.items()
    )
    lines = run_both(program(OWN + LABELS, "".join(calls)))
    said = next(line for line in lines if "Net is known, but not for a call" in line)
    assert "ValueRangeError: t must hold class labels from 0 to 2, got -1" in said
    assert said.endswith(". Its own numerical_gradient runs")


@pytest.mark.slow
def test_a_script_sees_its_own_classes_and_objects(run, tmp_path):
    use = """
n = Net()
n.numerical_gradient(x, t)
print(n.w is vars(n)['w'], [*vars(n)], type(n) is Net, Net.numerical_gradient)
import inspect
import doctest
print(doctest.testmod(), inspect.isfunction(vars(Net)["numerical_gradient"]), Net.numerical_gradient.__doc__)
print(inspect.getsource(Net.numerical_gradient), inspect.signature(n.numerical_gradient), n.numerical_gradient.__name__)
"""
    example = OWN.replace(
        "\n", '\n        """\n        >>> 1 + 1\n        2\n        """\n', 1
    )
    (tmp_path / "script.py").write_text(program(example, use), encoding="utf-8")
    plain, got = run("script.py"), run("script.py", "-m", "secant", "run")
    assert "attempted=1" in got[1]
    address = re.compile("0x[0-9a-f]+")
    assert address.sub("", got[1]) == address.sub("", plain[1])
    assert got[0] == 0
