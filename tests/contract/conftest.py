import pytest

import secant


@pytest.fixture
def compiled():
    """Compute with the compiled core; skip where it was not built."""
    pytest.importorskip("secant._core", reason="the compiled core was not built")
    with secant.use_backend("cpp"):
        yield
