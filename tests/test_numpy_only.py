"""What works with NumPy and the standard library alone, in an interpreter that can
import nothing else.
"""

import pytest

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in {*sys.stdlib_module_names, "numpy", "secant", "sitecustomize", "usercustomize"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""

PROGRAM = """
import os
os.environ["SECANT_BACKEND"] = BACKEND
import numpy as np
import secant

os.chdir(FOLDER)
net = secant.TwoLayerNet(6, 4, 3, rng=0)
x, t = np.random.RandomState(1).uniform(size=(20, 6)), np.arange(20) % 3
grads = net.numerical_gradient(x, t)
loop = {key: secant.numerical_gradient(lambda _: net.loss(x, t), net.params[key]) for key in net.params}
assert all(np.allclose(grads[key], loop[key], rtol=0, atol=1e-9) for key in loop)
assert np.allclose(secant.numerical_gradient(lambda v: (v**2).sum(), np.array([3.0, 4.0])), [6, 8])
history = secant.train(net, x, t, x, t, n_iterations=3, batch_size=5, rng=2)
history.save("h.json")
assert secant.History.load("h.json").train_loss_list == history.train_loss_list
net.save("net.npz")
assert np.array_equal(secant.TwoLayerNet.load("net.npz").predict(x), net.predict(x))
assert secant.load_mnist(subset=True)[0][0].shape == (10_000, 784)
plot = lambda: secant.plots.weights(np.ones((4, 2)))
calls = {secant.load_mnist: "pooch tqdm", history.plot: "matplotlib", plot: "matplotlib"}
for call, packages in calls.items():
    try:
        call()
    except secant.errors.MissingExtraError as error:
        assert f"pip install {packages}" in str(error) and str(error).count(". ") == 0, error
    else:
        raise AssertionError(f"{packages} is not missing")
assert not {name.split(".")[0] for name in sys.modules} & {"numba", "matplotlib", "pooch", "tqdm", "typer", "rich"}
from secant.cli import main
main()
"""


@pytest.mark.parametrize("backend", ["cpp", "numpy"])
def test_numpy_alone_computes_trains_saves_and_names_what_is_missing(
    backend, run_python, tmp_path
):
    if backend == "cpp":
        pytest.importorskip("secant._core", reason="the core is not built")
    done = run_python(
        f"{BLOCK}BACKEND, FOLDER = {backend!r}, {str(tmp_path)!r}{PROGRAM}"
    )
    assert (
        done.stderr
        == "error: The command line needs typer: pip install typer threadpoolctl pooch tqdm.\n"
    )
    assert (done.returncode, done.stdout[:22]) == (1, "train acc, test acc | ")


def test_where_scikit_learn_is_missing_the_error_names_it(run_python):
    done = run_python(f"{BLOCK}import secant.sklearn")
    wanted = "secant.errors.MissingExtraError: secant.sklearn needs scikit-learn: pip install scikit-learn"
    assert done.stderr.splitlines()[-1] == wanted


def test_what_takes_long_to_import_is_imported_when_used(run_python):
    """Then ``import secant`` takes at most 1.2 times as long as ``import numpy``."""
    heavy = {
        "hashlib",
        "importlib.metadata",
        "importlib.resources",
        "llvmlite",
        "numba",
        "numpy.random",
        "tempfile",
    }
    program = "import sys, numpy; before = {*sys.modules}; import secant; print({*sys.modules} - before & HEAVY)"
    assert run_python(program.replace("HEAVY", str(heavy))).stdout == "set()\n"


def test_numpy_alone_runs_a_script(run_python, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys; from secant.book import *; print(sys.argv[1:], relu(-1), np.pi)",
        encoding="utf-8",
    )
    arguments = ["run", str(script), "--lr"]
    main = f"sys.argv[1:] = {arguments}; from secant.cli import main; main()"
    done = run_python(BLOCK + main, SECANT_BACKEND="numpy")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "['--lr'] 0 3.141592653589793\n",
        "",
    )
