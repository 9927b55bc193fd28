"""PyTorch, as the tests of its checks use it."""

import pytest


@pytest.fixture
def torch():
    import torch

    import secant.torch  # noqa: F401

    torch.manual_seed(0)
    return torch
