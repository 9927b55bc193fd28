"""PyTorch and JAX, as the tests of their doors use them."""

import importlib.util

import pytest
from frameworks import Jax, Torch


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    import secant.torch  # noqa: F401

    torch.manual_seed(0)
    return torch


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    import secant.jax  # noqa: F401

    return jax


@pytest.fixture(params=[Torch, Jax], ids=["torch", "jax"])
def door(request):
    """Each of the two doors in turn, in float64 where nothing else is said."""
    if not importlib.util.find_spec(request.param.__name__.lower()):
        pytest.skip(f"{request.param.__name__} is not installed")
    found = request.param()
    if request.param is Torch:
        yield found
    else:
        with found.door._enable_x64(True):
            yield found
