"""The programs in examples/ run."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDS = {
    "check_network": (),
    "check_torch": ("torch",),
    "check_jax": ("jax",),
    "functions_in_c": (),
    "functions_in_numba": ("numba", "scipy"),
    "functions_vectorized": (),
    "functions_on_dask": ("distributed",),
    "descent_contour": ("matplotlib",),
    "learning_rates": ("matplotlib",),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDS)
def test_an_example(name, tmp_path):
    for module in NEEDS[name]:
        if not importlib.util.find_spec(module):
            pytest.skip(f"{module} is not installed")
    if name == "functions_in_c" and not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    if name == "learning_rates":
        assert "RuntimeWarning: gradient descent loses h: after step" in done.stderr
    assert len(list(tmp_path.glob("*.png"))) == (
        name in ("descent_contour", "learning_rates")
    )
