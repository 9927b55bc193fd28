"""A network's own `numerical_gradient` that does something else, or more, is refused,
even if it seldom does so.
"""

import numpy as np
import pytest
from readers import SIZES, Book, Keyed, Plural, batch

import secant
from secant.errors import UnsupportedError


def with_gradient(method, base=Keyed):
    """A class whose numerical gradient is ``method(net, gradients)``, given those of
    the plain loop.
    """

    def numerical_gradient(self, x, t):
        return method(self, base.numerical_gradient(self, x, t))

    return type("Net", (base,), {"numerical_gradient": numerical_gradient})


def everywhere(change):
    """Change each gradient, given its parameter."""
    return with_gradient(
        lambda net, grads: {
            key: change(grad, net.params[key]) for key, grad in grads.items()
        }
    )


def of_one(name, change):
    return with_gradient(lambda net, grads: grads | {name: change(grads[name])})


class TenSamples(Keyed):
    def numerical_gradient(self, x, t):
        return super().numerical_gradient(x[:10], t[:10])


OTHERS = {
    "of ten samples": TenSamples,
    "weights that are 0 stay 0": everywhere(lambda grad, param: grad * (param != 0)),
    "no weight becomes negative": everywhere(
        lambda grad, param: np.where((param <= 0) & (grad > 0), 0, grad)
    ),
    "weights above 2 are pulled back": everywhere(
        lambda grad, param: grad + 0.1 * np.maximum(np.abs(param) - 2, 0)
    ),
    "clipped at 5": everywhere(lambda grad, param: np.clip(grad, -5, 5)),
    "clipped at 5, of the first bias": of_one("b1", lambda grad: np.clip(grad, -5, 5)),
    "clipped at 0.6, of the second bias": of_one(
        "b2", lambda grad: np.clip(grad, -0.6, 0.6)
    ),
    "clipped at 0.6, of the second weights": of_one(
        "w2", lambda grad: np.clip(grad, -0.6, 0.6)
    ),
    "clipped by the norm": everywhere(
        lambda grad, param: grad * min(1.0, 100 / np.linalg.norm(grad))
    ),
    "a weight decay": everywhere(lambda grad, param: grad + 1e-6 * param),
    "the sign": everywhere(lambda grad, param: np.sign(grad)),
    "rounded": everywhere(lambda grad, param: grad.round(8)),
    "one is left out": of_one("b2", lambda grad: 0 * grad),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_gradient_that_is_another_one_elsewhere_is_refused(case):
    with pytest.raises(
        UnsupportedError,
        match=r"its numerical_gradient .* the central difference of its loss",
    ):
        secant.accelerate(OTHERS[case](*SIZES))


@pytest.mark.parametrize(
    "returned", [np.zeros(2), np.zeros(30), "text", [[1], [1, 2]], None], ids=repr
)
def test_what_is_no_gradient_of_a_parameter_is_refused(returned):
    with pytest.raises(
        UnsupportedError, match=r"it returns an? .* for a parameter \(6, 5\)"
    ):
        secant.accelerate(of_one("w1", lambda grad: returned)(*SIZES))


def test_a_gradient_that_changes_the_parameters_is_refused():
    def descending(net, grads):
        for key, grad in grads.items():
            net.params[key] -= 0.1 * grad
        return grads

    sentence = secant.recognize(with_gradient(descending)(*SIZES)).sentence
    assert "its numerical_gradient changes the parameters" in sentence


@pytest.mark.parametrize("offset", [0, 1e-7])
def test_backpropagation_is_not_taken_for_a_numerical_gradient(offset):
    """With a tiny step, the two agree within the rounding of the loss."""

    class OnlyBackpropagation(Plural):
        numerical_gradients = None

        def loss(self, x, t):
            return -np.sum(t * np.log(self.predict(x) + offset)) / len(x)

    recognition = secant.recognize(OnlyBackpropagation(*SIZES))
    assert recognition.known, recognition.sentence
    assert recognition.sentence.endswith("it gets a numerical_gradient, at h = 1e-4")


def with_step(h):
    class Net(Book):
        def numerical_gradient(self, x, t):
            return {key: secant.numerical_gradient(lambda _: self.loss(x, t), param, h, inplace=True)
                    for key, param in self.params.items()}  # fmt: skip

    return Net(*SIZES)


@pytest.mark.parametrize("h", [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7])
def test_usual_steps_are_taken_over(h):
    assert secant.recognize(with_step(h)).h == h


@pytest.mark.parametrize("h", [0.1, 3e-4, 1e-8, np.sqrt(np.finfo(float).eps)])
def test_unusual_steps_are_refused_and_the_usual_ones_named(h):
    recognition = secant.recognize(with_step(h))
    assert not recognition.known
    assert recognition.sentence.endswith(
        "it must return exactly the central difference, at an h of 1e-2, 1e-3, 1e-4,"
        " 1e-5, 1e-6 or 1e-7"
    )


def test_gradients_come_in_the_order_of_the_networks_own():
    backwards = with_gradient(
        lambda net, grads: {key: grads[key] for key in sorted(grads, reverse=True)}
    )
    grads = secant.accelerate(backwards(*SIZES)).numerical_gradient(*batch())
    assert list(grads) == sorted(Keyed.KEYS, reverse=True)


def test_shapes_that_stand_in_a_gradient_are_tried_on_a_copy_of_their_size():
    inputs, hidden, outputs = SIZES
    shapes = {
        "w1": (inputs, hidden),
        "b1": hidden,
        "w2": (hidden, outputs),
        "b2": outputs,
    }
    fixed = with_gradient(
        lambda net, grads: {
            key: np.resize(grad, shapes[key]) for key, grad in grads.items()
        }
    )
    assert secant.recognize(fixed(*SIZES)).known


def test_a_numerical_gradient_that_is_an_attribute_would_hide_ours():
    net = Keyed(*SIZES)
    net.numerical_gradient = lambda x, t: {}
    with pytest.raises(UnsupportedError, match="is an attribute"):
        secant.accelerate(net)


def test_an_attribute_that_cannot_be_copied_is_refused(tmp_path):
    net = Keyed(*SIZES)
    refused = pytest.raises(
        UnsupportedError, match=r"it cannot be copied .*TextIOWrapper"
    )
    with open(tmp_path / "log.txt", "w", encoding="utf-8") as net.log, refused:
        secant.accelerate(net)
    del net.log
    secant.accelerate(net).numerical_gradient(*batch())


@pytest.mark.parametrize("lacking", ["loss", "numerical_gradient"])
def test_no_other_method_is_called_to_find_out_which_is_meant(lacking):
    def never(self, x, t):
        raise SystemExit

    names = dict.fromkeys(["clear", "fit", "compute_loss", "num_gradient"], never)
    sentence = secant.recognize(
        type("Net", (Keyed,), {lacking: None, **names})(*SIZES)
    ).sentence
    other = {"loss": "compute_loss", "numerical_gradient": "num_gradient"}[lacking]
    assert f'if {other}(x, t) is meant, write {lacking}="{other}"' in sentence
    assert "fit" not in sentence
