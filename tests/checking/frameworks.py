"""PyTorch and JAX behind one face: what both doors promise is tried on both."""

import importlib
from collections.abc import Callable
from typing import Any


class Torch:
    """`secant.torch`."""

    conjugates = True  # in reverse mode it multiplies by the conjugate of a derivative

    def __init__(self) -> None:
        self.np, self.door = (
            importlib.import_module("torch"),
            importlib.import_module("secant.torch"),
        )

    def array(self, values: list, dtype: str = "float64") -> Any:
        return self.np.tensor(values, dtype=getattr(self.np, dtype)).requires_grad_()

    def constant(self, x: Any) -> Any:
        return x.detach()

    def function(
        self, value: Callable, pull: Callable, push: Callable | None = None
    ) -> Callable:
        """A function of one array; ``pull(x, cotangent)`` is its reverse mode,
        ``push(x, tangent)`` its forward one.
        """

        class Function(self.np.autograd.Function):
            @staticmethod
            def forward(x):
                return value(x)

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_backward(*inputs)
                ctx.save_for_forward(*inputs)

            @staticmethod
            def backward(ctx, cotangent):
                return pull(*ctx.saved_tensors, cotangent)

            @staticmethod
            def jvp(ctx, tangent):
                return (push or pull)(*ctx.saved_tensors, tangent)

        return Function.apply

    def check(self, f: Callable, *args: Any, mode: str = "rev") -> Any:
        return self.door.check(f, args, mode=mode)

    def require(
        self, f: Callable, *args: Any, order: int = 1, mode: str = "rev"
    ) -> None:
        """Raise an error if it is not right."""
        forward = mode == "fwd"
        if order == 1:
            self.door.gradcheck(
                f, args, check_forward_ad=forward, check_backward_ad=not forward
            )
        else:
            self.door.gradgradcheck(
                f, args, check_fwd_over_rev=forward, check_rev_over_rev=not forward
            )


class Jax:
    """`secant.jax`."""

    conjugates = False

    def __init__(self) -> None:
        self.jax, self.door = (
            importlib.import_module("jax"),
            importlib.import_module("secant.jax"),
        )
        self.np = self.jax.numpy

    def array(self, values: list, dtype: str = "float64") -> Any:
        return self.np.asarray(values, dtype)

    def constant(self, x: Any) -> Any:
        return self.jax.lax.stop_gradient(x)

    def function(
        self, value: Callable, pull: Callable, push: Callable | None = None
    ) -> Callable:
        if push:
            f = self.jax.custom_jvp(value)
            f.defjvp(lambda x, tangent: (f(*x), push(*x, *tangent)))
        else:
            f = self.jax.custom_vjp(value)
            f.defvjp(lambda x: (f(x), x), lambda x, cotangent: (pull(x, cotangent),))
        return f

    def check(self, f: Callable, *args: Any, mode: str = "rev") -> Any:
        return self.door.check(f, args, mode=mode)

    def require(
        self, f: Callable, *args: Any, order: int = 1, mode: str = "rev"
    ) -> None:
        self.door.check_grads(f, args, order, mode)
