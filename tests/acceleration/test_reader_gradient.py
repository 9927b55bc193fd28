"""A network's own `numerical_gradient` that does something else, or more, is refused, even if it seldom does so."""

import numpy as np
import pytest
from readers import Book, Keyed, Plural

import secant

SIZES = 6, 5, 4
RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(20, SIZES[0])), np.arange(20) % SIZES[2]
ONE_HOT = np.eye(SIZES[2])[LABELS]


def with_gradient(method, base=Keyed, **attributes):
    """A class whose numerical gradient is ``method(net, gradients, x, t)``, given those of the plain loop."""

    def numerical_gradient(self, x, t):
        return method(self, base.numerical_gradient(self, x, t), x, t)

    return type("Net", (base,), {"numerical_gradient": numerical_gradient, **attributes})


def everywhere(change):
    """Change each gradient, given its parameter."""
    return with_gradient(lambda net, grads, *_: {key: change(grad, net.params[key]) for key, grad in grads.items()})


def of_one(name, change):
    return with_gradient(lambda net, grads, *_: grads | {name: change(grads[name])})


OTHERS = {
    "weights that are 0 stay 0": everywhere(lambda grad, param: grad * (param != 0)),
    "no weight becomes negative": everywhere(lambda grad, param: np.where((param <= 0) & (grad > 0), 0, grad)),
    "weights above 2 are pulled back": everywhere(lambda grad, param: grad + 0.1 * np.maximum(np.abs(param) - 2, 0)),
    "clipped at 5, of the first bias": of_one("b1", lambda grad: np.clip(grad, -5, 5)),
    "clipped at 0.6, of the second bias": of_one("b2", lambda grad: np.clip(grad, -0.6, 0.6)),
    "clipped at 0.6, of the second weights": of_one("w2", lambda grad: np.clip(grad, -0.6, 0.6)),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_gradient_that_is_another_one_elsewhere_is_refused(case):
    sentence = secant.recognize(OTHERS[case](*SIZES)).sentence
    assert "its numerical_gradient" in sentence
    assert "the central difference of its loss" in sentence


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


def descending(net, grads, x, t):
    for key, grad in grads.items():
        net.params[key] -= 0.1 * grad
    return grads


@pytest.mark.parametrize("h", [3e-4, 0.1, 1e-9, np.cbrt(np.finfo(float).eps), np.sqrt(np.finfo(float).eps)])
def test_unusual_steps_are_taken_over(h):
    class Net(Book):
        def numerical_gradient(self, x, t):
            return {key: secant.numerical_gradient(lambda _: self.loss(x, t), param, h, inplace=True)
                    for key, param in self.params.items()}  # fmt: skip

    assert secant.recognize(Net(*SIZES)).h == pytest.approx(h, rel=1e-12)


def test_an_attribute_that_cannot_be_copied_is_refused(tmp_path):
    net = Keyed(*SIZES)
    refused = pytest.raises(secant.errors.UnsupportedError, match=r"it cannot be copied .*TextIOWrapper")
    with open(tmp_path / "log.txt", "w") as net.log, refused:
        secant.accelerate(net)
    del net.log
    called(secant.accelerate(net))


def test_the_arguments_are_x_t_and_n_threads():
    net = secant.accelerate(Keyed(*SIZES))
    right, named = net.numerical_gradient(X, ONE_HOT), net.numerical_gradient(x=X, t=ONE_HOT, n_threads=1)
    assert all(np.array_equal(named[key], right[key]) for key in right)
    with pytest.raises(TypeError, match="h"):
        net.numerical_gradient(X, ONE_HOT, h=1e-3)


def test_a_gradient_that_changes_the_parameters_is_refused():
    sentence = secant.recognize(with_gradient(descending)(*SIZES)).sentence
    assert "its numerical_gradient changes the parameters" in sentence


def called(net):
    return net.numerical_gradient(X, ONE_HOT)


def test_training_uses_the_gradient_of_an_object_that_has_one():
    def clipped(net):
        own = net.numerical_gradient
        net.numerical_gradient = lambda x, t: {key: np.clip(g, -0.01, 0.01) for key, g in own(x, t).items()}
        secant.train(net, X, ONE_HOT, n_iterations=6, batch_size=5, learning_rate=0.5, rng=0, progress=False)
        return net

    plain, fast = Keyed(*SIZES), secant.accelerate(type("Net", (Keyed,), {})(*SIZES))
    for key, array in plain.params.items():
        fast.params[key][...] = array
    for one, other in zip(clipped(plain).params.values(), clipped(fast).params.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def test_gradients_under_other_keys_name_them():
    class Net(Keyed):
        def numerical_gradient(self, x, t):
            return {f"d{key}": grad for key, grad in super().numerical_gradient(x, t).items()}

    with pytest.raises(secant.errors.UnsupportedError, match=r"gradients must have the keys of net\.params .*'dw1'"):
        secant.train(Net(*SIZES), X, ONE_HOT, n_iterations=6, batch_size=5, progress=False)
