"""A backward function in float32 that torch.autograd.gradcheck cannot judge.

It needs PyTorch: pip install torch
python examples/check_torch.py
"""

import torch

import secant.torch


class Silu(torch.autograd.Function):
    """x times its sigmoid. A term of the backward pass is 1 % too small."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return grad * (s + 0.99 * x * s * (1 - s))


torch.manual_seed(0)
x = torch.randn(50, requires_grad=True)
right = torch.nn.functional.silu

# At its defaults torch says that both are wrong; with larger tolerances, that both are
# right.
for options in ({}, {"eps": 1e-3, "atol": 1e-2, "rtol": 1e-2}):
    print(
        "torch:",
        [
            torch.autograd.gradcheck(f, x, raise_exception=False, **options)
            for f in (right, Silu.apply)
        ],
    )

answers = [
    secant.torch.gradcheck(f, x, raise_exception=False) for f in (right, Silu.apply)
]
print("secant:", answers)
assert answers == [True, False]

module = torch.nn.Sequential(
    torch.nn.Linear(20, 10), torch.nn.Tanh(), torch.nn.Linear(10, 3)
)
inputs, targets = torch.randn(8, 20), torch.randint(3, (8,))
print(
    secant.torch.check_module(
        module, inputs, lambda y: torch.nn.functional.cross_entropy(y, targets)
    )
)
