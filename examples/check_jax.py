"""A custom_vjp that is wrong by half, and that jax.test_util.check_grads passes.

It needs JAX: pip install jax
python examples/check_jax.py
"""

import jax
import jax.numpy as jnp
from jax.test_util import check_grads

import secant.jax


@jax.custom_vjp
def loss(x):
    """The mean of squared sines."""
    return jnp.mean(jnp.sin(x) ** 2)


def backward(x, cotangent):
    """Without its factor 2."""
    return (cotangent * jnp.sin(x) * jnp.cos(x) / x.size,)


loss.defvjp(lambda x: (loss(x), x), backward)
x = jax.random.normal(jax.random.key(0), (40_000,))

check_grads(loss, (x,), order=1, modes=["rev"])
print("jax: right")
try:
    secant.jax.check_grads(loss, (x,), modes=["rev"])
except AssertionError as error:
    print("secant:", error)
else:
    raise SystemExit("it was not noticed")
