"""Derivatives of the loss in a few parameters of 784-50-10, by libraries that evaluate
it for each.

gradient.py times them, precision.py compares them with the truth. Each differentiates
the same loss of the whole mini-batch in the parameters `CHOSEN`: what a parameter costs
does not depend on which it is, so the whole gradient is extrapolated from some.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import cases
from secant.backends.base import Parameters
from secant.backends.numpy.forward import cross_entropy, logits, softmax

H = 1e-4
CHOSEN: dict[str, Any] = {
    "W1": np.s_[406, :10],
    "b1": np.s_[:5],
    "W2": np.s_[7],
    "b2": np.s_[:5],
}
Derivatives = Callable[[], NDArray[np.float64]]


def chosen(arrays: Any) -> NDArray[np.float64]:
    """The elements of `CHOSEN`, of parameters or gradients, (30,)."""
    return np.concatenate(
        [np.asarray(arrays[key])[index] for key, index in CHOSEN.items()]
    )


def whole(
    gradient: Callable[..., Any], case: cases.Case, **options: Any
) -> NDArray[np.float64]:
    """The chosen elements of a gradient that is computed as a whole."""
    return chosen(gradient(case.x, case.t, **options))


def share() -> float:
    """How many times as many parameters the whole network has."""
    case = cases.mnist()
    return sum(param.size for param in case.net.params.values()) / len(
        chosen(case.net.params)
    )


def numpy_loop(case: cases.Case) -> Derivatives:
    """The chapter's loop, on one BLAS thread, with which it is fastest."""
    params, loss = numpy_loss(case)
    views = [params[key][index] for key, index in CHOSEN.items()]

    def derivatives() -> NDArray[np.float64]:
        with threadpool_limits(1, user_api="blas"):
            return np.concatenate([central_difference(loss, view) for view in views])

    return derivatives


def central_difference(
    loss: Callable[[], float], param: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The chapter's loop over the entries of an array that the loss reads."""
    gradient = np.zeros(param.shape)
    for index in np.ndindex(param.shape):
        value = param[index]
        param[index] = value + H
        above = loss()
        param[index] = value - H
        below = loss()
        param[index] = value
        gradient[index] = (above - below) / (2 * H)
    return gradient


def scipy_three_point(case: cases.Case) -> Derivatives:
    """`scipy.optimize.approx_fprime`'s engine, at the same h."""
    from scipy.optimize._numdiff import approx_derivative

    start, loss = loss_of_chosen(case)
    return lambda: approx_derivative(loss, start, method="3-point", abs_step=H)


def numdifftools_gradient(case: cases.Case) -> Derivatives:
    """Steps of its own choice, extrapolated to the derivative."""
    from numdifftools import Gradient

    start, loss = loss_of_chosen(case)
    return lambda: Gradient(loss)(start)


def gradcheck(case: cases.Case) -> Derivatives:
    """What `torch.autograd.gradcheck` holds autograd against, at the same h."""
    import torch
    from torch.autograd.gradcheck import _get_numerical_jacobian

    x, t = (
        torch.from_numpy(np.asarray(case.x, float)),
        torch.from_numpy(case.t.argmax(axis=1))[:, None],
    )
    p = {key: torch.from_numpy(param.copy()) for key, param in case.net.params.items()}
    views = tuple(p[key][index].requires_grad_() for key, index in CHOSEN.items())

    def loss(*_: Any) -> Any:  # the views share the parameters' memory
        z2 = torch.addmm(
            p["b2"], torch.addmm(p["b1"], x, p["W1"]).sigmoid(), p["W2"]
        ).sigmoid()
        return -(z2.softmax(1).gather(1, t) + 1e-7).log().mean()

    return lambda: torch.cat(
        [
            jacobian.ravel()
            for (jacobian,) in _get_numerical_jacobian(loss, views, eps=H)
        ]
    ).numpy()


def numpy_loss(
    case: cases.Case,
) -> tuple[dict[str, NDArray[np.float64]], Callable[[], float]]:
    """Copies of the parameters, and the loss as a function of what is in them."""
    params = {key: param.copy() for key, param in case.net.params.items()}
    w1, b1, w2, b2 = params.values()
    net = Parameters(w1, b1, w2, b2)
    x = case.x.astype(np.float64)
    return params, lambda: cross_entropy(
        softmax(logits(net, x)), case.t, net.log_offset
    )


def loss_of_chosen(
    case: cases.Case,
) -> tuple[NDArray[np.float64], Callable[[NDArray[np.float64]], float]]:
    """The chosen parameters as one array, and the loss as a function of such an
    array.
    """
    params, loss = numpy_loss(case)
    views = [params[key][index] for key, index in CHOSEN.items()]
    ends = np.cumsum([view.size for view in views])[:-1]

    def of(theta: NDArray[np.float64]) -> float:
        for view, values in zip(views, np.split(theta, ends), strict=True):
            view[...] = values
        return loss()

    return chosen(params), of


LIBRARIES = {
    "SciPy approx_derivative, 3-point": scipy_three_point,
    "numdifftools Gradient": numdifftools_gradient,
    "PyTorch gradcheck": gradcheck,
}
