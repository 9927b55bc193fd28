"""The forms in which x, t and params may be given, and the loss that comes back."""

import numpy as np
import pytest

import layouts
import secant
from sweeps import grid


def changed(array, value, at=-1):
    array = array.copy()
    array.flat[at] = value
    return array


X, LABELS = (
    np.random.default_rng(0).integers(0, 9, (6, 3)) / 8,
    np.array([0, 1, 1, 0, 1, 1]),
)
WEIGHTS = np.eye(2)[LABELS]
FORMS = layouts.FORMS | {
    "half": lambda array: array.astype(array.dtype.str[:2] + "2"),
    "single": lambda array: array.astype(array.dtype.str[:2] + "4"),
}
INTEGERS = ["b", "B", "h", "I", "q", "Q"]
XS = {name: form(X) for name, form in FORMS.items()} | {"long": X.astype(np.longdouble)}
XS |= {
    "broadcast": np.broadcast_to(X[0], X.shape),
    "Fortran, single": np.asfortranarray(X, np.float32),
}
XS |= {kind: np.round(X).astype(kind) for kind in ["?", *INTEGERS]}
TS = {f"labels, {name}": form(LABELS) for name, form in FORMS.items()}
TS |= {f"labels, {kind}": LABELS.astype(kind) for kind in INTEGERS}
TS |= {f"weights, {name}": form(WEIGHTS) for name, form in FORMS.items()}
TS |= {f"weights, {kind}": WEIGHTS.astype(kind) for kind in ["?", *INTEGERS, "g"]}


def network(dtype=np.float64, **settings):
    return secant.TwoLayerNet(3, 5, 2, rng=0, dtype=dtype, **settings)


def results(net, x, t):
    """All that is computed of a mini-batch, as bytes."""
    grads, info = net.numerical_gradient(x, t, return_info=True)
    trained = network(net.params["W1"].dtype, soft_targets=net.soft_targets)
    history = secant.train(
        trained, x, t, n_iterations=4, batch_size=4, rng=0, progress=False
    )
    arrays = [
        net.predict(x),
        *net.gradient(x, t).values(),
        *grads.values(),
        *trained.params.values(),
    ]
    arrays += net.numerical_gradient(x, t, method="direct").values()
    numbers = [
        info.loss,
        net.loss(x, t),
        net.accuracy(x, t),
        *history.train_loss_list,
        *history.train_acc_list,
    ]
    return [*(array.tobytes() for array in arrays), *numbers]


@pytest.mark.parametrize("t", TS.values(), ids=TS)
def test_every_form_of_targets_gives_the_same_bits(backend, t):
    net = network()
    plain = LABELS if np.ndim(t) == 1 else WEIGHTS
    assert results(net, X, t) == results(net, X, plain)


@pytest.mark.parametrize(
    "dtype", [np.float64, np.float32], ids=lambda dtype: dtype.__name__
)
@pytest.mark.parametrize("x", XS.values(), ids=XS)
def test_every_form_of_inputs_gives_the_same_bits(backend, x, dtype):
    """Eighths are exact in all of them."""
    assert results(network(dtype), x, LABELS) == results(
        network(dtype), np.array(x, np.float64), LABELS
    )


# ---- data that another thread changes ------------------------------------------------


def test_what_was_put_right_again_before_it_could_be_named_is_an_error(
    compiled, monkeypatch
):
    """Another thread writes NaN to x, and then a number."""
    monkeypatch.setattr("secant.backends.cpp.faults.first", lambda *_: None)
    with pytest.raises(
        secant.errors.ValueRangeError,
        match=r"^x, t and params must not be written to by another ",
    ):
        network().gradient(changed(X, np.nan), LABELS)


# ---- the loss ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("t", "method"),
    grid(
        lambda t, method: method == "auto",
        ["labels", "weights", "soft"],
        ["auto", "series", "direct"],
    ),
)
@pytest.mark.parametrize(
    "dtype", [np.float64, np.float32], ids=lambda dtype: dtype.__name__
)
def test_the_loss_of_the_mini_batch_comes_with_the_gradient(backend, dtype, t, method):
    rng = np.random.default_rng(1)
    net = secant.TwoLayerNet(3, 5, 2, 1.0, rng=0, dtype=dtype)
    x = rng.uniform(size=(300, 3)).astype(dtype)  # of several blocks
    labels = rng.integers(0, 2, 300)
    targets = {
        "labels": labels,
        "weights": np.eye(2)[labels],
        "soft": rng.dirichlet([1, 1], 300),
    }[t]
    _, info = net.numerical_gradient(
        x, targets, method=method, return_info=True, n_threads=1
    )
    assert info.loss == pytest.approx(
        net.loss(x, targets), rel=8 * float(np.finfo(dtype).eps)
    )
    _, again = net.numerical_gradient(
        x, targets, method=method, return_info=True, n_threads=3
    )
    assert again == info
