"""Modules of the book that a script imports: the reader's where there are any, else
Secant's.
"""

import os
import subprocess
import sys

import pytest

import secant

FOLDER = os.path.dirname(os.path.dirname(secant.__file__))
OWN = "def sigmoid(x):\n    return 'own'\n"
OWN_MNIST = """
url_base = 'http://yann.lecun.com/exdb/mnist/'
img_size = 784
def load_mnist(normalize=True, flatten=True, one_hot_label=False):
    print('their own', flush=True)
    {}
"""
SIZES = "from dataset.mnist import load_mnist\nprint([a.shape for pair in load_mnist(one_hot_label=True) for a in pair])"
SUBSET = "[(10000, 784), (10000, 10), (2000, 784), (2000, 10)]\n"


@pytest.fixture
def offline(tmp_path):
    """What makes a download impossible."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "pooch.py").write_text(
        "raise ModuleNotFoundError(name='pooch')", encoding="utf-8"
    )
    (tmp_path / "no data").mkdir()
    return {
        "PYTHONPATH": os.pathsep.join([FOLDER, str(tmp_path / "lib")]),
        "SECANT_DATA_HOME": str(tmp_path / "no data"),
    }


@pytest.fixture
def write(tmp_path):
    def write(files):
        for name, text in files.items():
            path = tmp_path / "book" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    return write


@pytest.fixture
def run(tmp_path, offline):
    """The output of a script and the lines that Secant wrote; all that is written must
    be one or the other.
    """

    def run(script, folder="", code=0, command=("-m", "secant", "run")):
        done = subprocess.run(
            [sys.executable, *command, script],
            cwd=tmp_path / "book" / folder,
            env={**os.environ, **offline, "SECANT_BACKEND": "numpy"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, done.stderr
        lines = done.stderr.splitlines()
        assert (
            code
            or "Warning" in done.stderr
            or all(line.startswith("secant: ") for line in lines)
        ), done.stderr
        return done.stdout, lines

    return run


def test_all_that_is_missing_is_supplied_and_said(write, run):
    program = """
import sys, os
sys.path.append(os.pardir)
from common.functions import *
from common.gradient import numerical_gradient, numerical_gradient_2d, _numerical_gradient_1d
from dataset.mnist import load_mnist
from two_layer_net import TwoLayerNet
from ch04.two_layer_net import TwoLayerNet as Same
(x, t), _ = load_mnist(normalize=True, one_hot_label=True)
net = TwoLayerNet(input_size=784, hidden_size=3, output_size=10)
print(np.shape(x), Same is TwoLayerNet, net.output_activation, net.numerical_gradient(x[:5], t[:5])["b1"].shape)
print(sigmoid(np.zeros(2)), "numerical_gradient" in globals(), softmax_loss(np.zeros(2), 1) > 0)
"""
    write({"ch04/train.py": program})
    output, lines = run("train.py", "ch04")
    assert output == "(10000, 784) True identity (3,)\n[0.5 0.5] True True\n"
    names = [
        "common.functions",
        "common.gradient",
        "dataset.mnist",
        "two_layer_net",
        "ch04.two_layer_net",
    ]
    assert [line.split()[1] for line in lines[:5]] == names
    assert all("stands in for it" in line for line in lines[:5])
    assert "the 12,000 digits that come with Secant" in lines[5]
    assert "UserWarning" in lines[5]


def test_a_folder_of_the_book_that_is_imported_by_its_name_has_its_modules(write, run):
    write(
        {
            "use.py": "import common, dataset\nprint(common.functions.sigmoid(0.0), hasattr(dataset, 'other'))"
        }
    )
    output, lines = run("use.py")
    assert output == "0.5 False\n"
    assert [line.split()[1] for line in lines] == ["common.functions"]


@pytest.mark.parametrize(
    ("folder", "script"),
    [("ch04", "use.py"), ("", "ch04/use.py"), ("other", "../ch04/use.py")],
)
def test_the_readers_own_come_first_wherever_the_script_is_run(
    folder, script, write, run
):
    program = (
        "import sys, os; sys.path.append(os.pardir)\n"
        "from common.functions import sigmoid\nfrom two_layer_net import TwoLayerNet\nprint(sigmoid(0), TwoLayerNet)\n"
        "from common.gradient import numerical_gradient"  # which their folder lacks
    )
    write(
        {
            "common/functions.py": OWN,
            "ch04/two_layer_net.py": "TwoLayerNet = 'own net'",
            "ch04/use.py": program,
        }
    )
    write({"other/empty": ""})
    said = "secant: common.gradient is not in your folder: secant.book.common_gradient stands in for it"
    assert run(script, folder) == ("own own net\n", [said])


SHOW_HIDDEN = "print(TwoLayerNet(4, 3, 2).hidden_activation)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "module", "hidden"),
    [
        ("ch05/use.py", "two_layer_net", "relu"),
        ("ch04/use.py", "two_layer_net", "sigmoid"),
        ("ch04/use.py", "ch05.two_layer_net", "relu"),
        ("use.py", "ch04.two_layer_net", "sigmoid"),
    ],
)
def test_each_chapter_has_its_own_network(script, module, hidden, write, run):
    write({script: f"from {module} import TwoLayerNet\n{SHOW_HIDDEN}"})
    output, lines = run(script)
    assert output == f"{hidden}\n"
    source = "two_layer_net_relu" if hidden == "relu" else "two_layer_net"
    assert lines == [
        f"secant: {module} is not in your folder: secant.book.{source} stands in for it"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    ["common.layers", "dataset.cifar", "ch05.layer_naive", "ch08.deep_convnet"],
)
def test_every_other_module_of_the_book_is_said_not_to_be_supplied(module, write, run):
    write({"use.py": f"import {module}", "dataset/__init__.py": ""})
    _, lines = run("use.py", code=1)
    assert (
        f"secant: {module} is not in your folder, and not supplied: take it from the book's repository"
        in lines
    )
    assert lines[-1] == f"ModuleNotFoundError: No module named '{module}'"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist.pkl", "train-images-idx3-ubyte.gz"])
def test_a_folder_with_data_is_the_readers(name, write, run):
    write(
        {
            "dataset/mnist.py": OWN_MNIST.format("return ((img_size,),)"),
            f"dataset/{name}": "",
        }
    )
    write({"use.py": "from dataset.mnist import load_mnist\nprint(load_mnist())"})
    assert run("use.py") == ("their own\n((784,),)\n", [])


def test_ours_is_used_if_the_readers_address_fails(write, run):
    write(
        {
            "dataset/mnist.py": OWN_MNIST.format("raise OSError('no network')"),
            "use.py": SIZES,
        }
    )
    output, lines = run("use.py")
    assert output == f"their own\n{SUBSET}"
    assert (
        lines[0]
        == "secant: load_mnist of your folder failed (no network): load_mnist is Secant's"
    )
    assert (
        "the 12,000 digits that come with Secant, 10,000 to train and 2,000 to test"
        in lines[1]
    )
