"""34 mistakes that students make in backpropagation: each is found, and most are
named.
"""

import numpy as np
import pytest

import secant

SIGMOID = (lambda a: 1 / (1 + np.exp(-a))), (lambda a, z: z * (1 - z))
RELU = (lambda a: np.maximum(a, 0)), (lambda a, z: (a > 0) * 1.0)


class Net:
    """A network of two layers, as a course has it."""

    def __init__(self, activation=SIGMOID, sizes=(5, 4, 4)):
        inputs, hidden, outputs = sizes
        rng = np.random.default_rng(3)
        self.activation = activation
        self.params = {
            "W1": rng.normal(size=(inputs, hidden)),
            "b1": rng.normal(size=hidden),
            "W2": rng.normal(size=(hidden, outputs)),
            "b2": rng.normal(size=outputs),
        }

    def forward(self, x):
        p = self.params
        a1 = x @ p["W1"] + p["b1"]
        z1 = self.activation[0](a1)
        a2 = z1 @ p["W2"] + p["b2"]
        e = np.exp(a2 - a2.max(axis=1, keepdims=True))
        return a1, z1, e / e.sum(axis=1, keepdims=True)

    def predict(self, x):
        return self.forward(x)[2]

    def loss(self, x, t):
        return -float(np.sum(t * np.log(self.predict(x) + 1e-7))) / len(x)

    def backward(self, x, t, *, error2=None, slope=None, back=None, inputs2=None):
        """The gradient, in which a step may be another one."""
        a1, z1, y = self.forward(x)
        error2 = (y - t) / len(x) if error2 is None else error2(y, t, len(x))
        back = self.params["W2"].T if back is None else back(self.params["W2"])
        slope = self.activation[1] if slope is None else slope
        error1 = error2 @ back * slope(a1, z1)
        inputs2 = z1 if inputs2 is None else inputs2(a1, z1)
        return {
            "W1": x.T @ error1,
            "b1": error1.sum(axis=0),
            "W2": inputs2.T @ error2,
            "b2": error2.sum(axis=0),
        }


def step(**changed):
    return lambda net, x, t: net.backward(x, t, **changed)


def after(change, *names):
    """Something is done to some arrays of the right gradient."""

    def gradient(net, x, t):
        right = net.backward(x, t)
        return {
            key: change(array, net, key) if key in (names or right) else array
            for key, array in right.items()
        }

    return gradient


def numerical(up, down):
    def gradient(net, x, t):
        def moved(array, where, by):
            before = array[where]
            array[where] = before + by
            loss = net.loss(x, t)
            array[where] = before
            return loss

        return {
            key: np.array(
                [
                    (moved(array, i, up) - moved(array, i, -down)) / (up + down)
                    for i in np.ndindex(array.shape)
                ]
            ).reshape(array.shape)
            for key, array in net.params.items()
        }

    return gradient


def swapped(one, other):
    def gradient(net, x, t):
        right = net.backward(x, t)
        return right | {one: right[other], other: right[one]}

    return gradient


def weighted(counts):
    return step(error2=lambda y, t, n: (y - t) * counts(n)[:, None] / n)


MISTAKES = {  # what a report says of it, or a part of that
    "mean forgotten": (step(error2=lambda y, t, n: y - t), "7 times too large"),
    "mean taken twice": (
        step(error2=lambda y, t, n: (y - t) / n**2),
        "7 times too small",
    ),
    "factor of two": (after(lambda grad, *_: 2 * grad), "2 times too large"),
    "half": (after(lambda grad, *_: grad / 2), "2 times too small"),
    "sign": (step(error2=lambda y, t, n: (t - y) / n), "wrong sign"),
    "sign of a layer": (
        after(lambda grad, *_: -grad, "W1", "b1"),
        "W1 and b1 are of the wrong sign",
    ),
    "mean of b1": (after(lambda grad, *_: grad / 7, "b1"), "b1 is 7 times too small"),
    "mean of b2": (after(lambda grad, *_: grad / 7, "b2"), "b2 is 7 times too small"),
    "b1 forgotten": (after(lambda grad, *_: 0 * grad, "b1"), "b1 is 0 everywhere"),
    "b2 forgotten": (after(lambda grad, *_: 0 * grad, "b2"), "b2 is 0 everywhere"),
    "W1 forgotten": (after(lambda grad, *_: 0 * grad, "W1"), "W1 is 0 everywhere"),
    "decay": (
        after(lambda grad, net, key: grad + 0.01 * net.params[key]),
        "weight decay that f does not have",
    ),
    "decay of W": (
        after(lambda grad, net, key: grad + 0.1 * net.params[key], "W1", "W2"),
        "weight decay",
    ),
    "W2 transposed": (after(lambda grad, *_: grad.T.copy(), "W2"), "W2 is transposed"),
    "one entry": (
        after(lambda grad, *_: grad + (np.arange(4) == 2), "b1"),
        "one entry, b1[2]",
    ),
    "NaN": (after(lambda grad, *_: grad * np.nan, "b2"), "NaN"),
    "one row 0": (
        after(lambda grad, *_: grad * (np.arange(4) != 1)[:, None], "W2"),
        "some entries of W2 are 0",
    ),
    "b1 times n": (after(lambda grad, *_: 7 * grad, "b1"), "b1 is 7 times too large"),
    "slope left out": (
        step(slope=lambda a, z: 1.0),
        "derivative of the hidden activation is left out",
    ),
    "slope of z": (
        step(slope=lambda a, z: SIGMOID[0](z) * (1 - SIGMOID[0](z))),
        "taken at its output",
    ),
    "formula of a": (
        step(slope=lambda a, z: a * (1 - a)),
        "by the formula of its output",
    ),
    "slope z": (step(slope=lambda a, z: z), "replaced by its output"),
    "slope 1 - z": (step(slope=lambda a, z: 1 - z), "lacks a factor"),
    "slope of tanh": (step(slope=lambda a, z: 1 - z**2), "is that of tanh"),
    "W2 not transposed": (
        step(back=lambda w: w),
        "matrix of the second layer is not transposed",
    ),
    "b1 and b2 exchanged": (swapped("b1", "b2"), "b1 and b2 are exchanged"),
    "a1 for z1": (
        step(inputs2=lambda a, z: a),
        "takes the input of the hidden activation",
    ),
    "no target": (step(error2=lambda y, t, n: y / n), "the target is not subtracted"),
    "extra y (1 - y)": (
        step(error2=lambda y, t, n: (y - t) * y * (1 - y) / n),
        "multiplied by y (1 - y)",
    ),
    "first sample": (
        weighted(lambda n: np.arange(n) == 0),
        "gradient of the first sample alone",
    ),
    "last sample left out": (
        weighted(lambda n: np.arange(n) < n - 1),
        "the last sample is left out",
    ),
    "targets of others": (
        step(error2=lambda y, t, n: (y - t[::-1]) / n),
        "targets are in reverse order",
    ),
    "clipped": (
        after(lambda grad, *_: np.clip(grad, -0.05, 0.05)),
        "the gradient is clipped at 0.05",
    ),
    "coarse difference": (
        numerical(0.01, 0.0),
        "one-sided differences with the step 0.01",
    ),
}


class Summed(Net):
    def loss(self, x, t):
        return len(x) * super().loss(x, t)


def batch():
    rng = np.random.default_rng(5)
    return rng.normal(size=(7, 5)), np.eye(4)[rng.integers(4, size=7)]


def test_there_are_as_many_as_were_tried():
    assert len(MISTAKES) == 34


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_and_named(mistake):
    gradient, said = MISTAKES[mistake]
    net = Net()
    report = secant.check_network(net, *batch(), gradient(net, *batch()))
    assert report.verdict == "wrong"
    assert said in str(report.diagnosis)


OF_RELU = {
    "slope left out": (
        step(slope=lambda a, z: 1.0),
        "derivative of the hidden activation is left out",
    ),
    "slope of the other side": (
        step(slope=lambda a, z: a <= 0),
        "1 minus the right one",
    ),
    "slope z": (step(slope=lambda a, z: z), "replaced by its output"),
    "slope of a sigmoid": (step(slope=lambda a, z: z * (1 - z)), "that of the sigmoid"),
}


@pytest.mark.parametrize("mistake", OF_RELU)
def test_mistakes_with_relu(mistake):
    gradient, said = OF_RELU[mistake]
    net = Net(RELU)
    report = secant.check_network(net, *batch(), gradient(net, *batch()))
    assert report.verdict == "wrong"
    assert said in str(report.diagnosis)


def test_labels_sums_and_float32():
    gradient, said = MISTAKES["slope of tanh"]
    net = Net()
    x, t = batch()
    own = gradient(net, x, t)
    low = {key: array.astype(np.float32) for key, array in own.items()}
    assert said in str(secant.check_network(net, x, t, low).diagnosis)
    summed = {key: 7 * array for key, array in own.items()}
    assert said in str(secant.check_network(Summed(), x, t, summed).diagnosis)


def test_a_right_gradient_and_another_error_have_no_such_name():
    net = Net()
    assert secant.check_network(net, *batch(), net.backward(*batch())).passed
    rng = np.random.default_rng(0)
    wrong = {
        key: array * rng.uniform(0.5, 1.5, array.shape)
        for key, array in net.backward(*batch()).items()
    }
    assert secant.check_network(net, *batch(), wrong).diagnosis is None


def moved_net(net, rng, by):
    other = type(net)(net.activation)
    other.params = {
        key: array + by * rng.normal(size=array.shape)
        for key, array in net.params.items()
    }
    return other


def of_each(change):
    """Something is done to each array, or to those of a random choice."""

    def gradient(net, x, t, rng):
        right = net.backward(x, t)
        chosen = rng.random(4) < 0.6
        chosen[rng.integers(4)] = True
        return {
            key: change(array, rng) if wrong else array
            for (key, array), wrong in zip(right.items(), chosen, strict=True)
        }

    return gradient


OTHER_FAULTS = {  # none of which is a mistake of the table
    "noise in all": of_each(lambda grad, rng: grad * rng.uniform(0.5, 1.5, grad.shape)),
    "small noise": of_each(
        lambda grad, rng: grad * rng.uniform(0.999, 1.001, grad.shape)
    ),
    "noise is added": of_each(
        lambda grad, rng: grad + 0.01 * rng.normal(size=grad.shape)
    ),
    "noise in half": of_each(
        lambda grad, rng: (
            grad
            * np.where(
                rng.random(grad.shape) < 0.5, rng.uniform(0.5, 1.5, grad.shape), 1
            )
        )
    ),
    "permuted": of_each(
        lambda grad, rng: rng.permuted(grad.ravel()).reshape(grad.shape)
    ),
    "sorted": of_each(lambda grad, rng: np.sort(grad.ravel()).reshape(grad.shape)),
    "squashed": of_each(lambda grad, rng: np.tanh(5 * grad) / 5),
    "squared": of_each(lambda grad, rng: grad * np.abs(grad)),
    "rounded": of_each(lambda grad, rng: np.round(grad, 3)),
    "float16": of_each(lambda grad, rng: grad.astype(np.float16).astype(float)),
    "two factors": of_each(lambda grad, rng: grad * rng.choice([2.0, 3.0], grad.shape)),
    "random signs": of_each(
        lambda grad, rng: grad * rng.choice([-1.0, 1.0], grad.shape)
    ),
    "other parameters": lambda net, x, t, rng: moved_net(net, rng, 0.1).backward(x, t),
    "other data": lambda net, x, t, rng: net.backward(
        x + 0.1 * rng.normal(size=x.shape), t
    ),
    "other targets": lambda net, x, t, rng: net.backward(
        x, np.eye(4)[rng.integers(4, size=len(x))]
    ),
    "smooth targets": lambda net, x, t, rng: net.backward(x, 0.9 * t + 0.025),
    "penalty": lambda net, x, t, rng: {
        key: array + 0.01 * np.sign(net.params[key])
        for key, array in net.backward(x, t).items()
    },
    "momentum": lambda net, x, t, rng: {
        key: 0.9 * array + 0.1 * rng.normal(size=array.shape)
        for key, array in net.backward(x, t).items()
    },
    "temperature": lambda net, x, t, rng: net.backward(
        x,
        t,
        error2=lambda y, t, n: (y**0.9 / (y**0.9).sum(axis=1, keepdims=True) - t) / n,
    ),
    "leaky slope": lambda net, x, t, rng: net.backward(
        x, t, slope=lambda a, z: 0.1 + z * (1 - z)
    ),
}


def wrong_names(count, seed):
    """Plant faults: return those that got a name other than one wrong entry, and how
    many were found to be wrong.
    """
    rng = np.random.default_rng(seed)
    named, wrong = [], 0
    for number in range(count):
        kind = list(OTHER_FAULTS)[number % len(OTHER_FAULTS)]
        net = moved_net(Net([SIGMOID, RELU][number % 2]), rng, 1.0)
        x, t = rng.normal(size=(7, 5)), np.eye(4)[rng.integers(4, size=7)]
        gradient = OTHER_FAULTS[kind](net, x, t, rng)
        if number % 10:
            f = lambda params, net=net, x=x, t=t: loss_at(net, params, x, t)  # noqa: E731
            report = secant.check_gradient(f, net.params, gradient, rng=number)
        else:
            report = secant.check_network(net, x, t, gradient, rng=number)
        wrong += report.verdict == "wrong"
        if (
            report.verdict == "wrong"
            and report.diagnosis
            and not report.diagnosis.startswith("one entry")
        ):
            named.append(f"{kind}: {report.diagnosis}")
    return named, wrong


def loss_at(net, params, x, t):
    other = type(net).__new__(type(net))
    other.activation, other.params = net.activation, params
    return other.loss(x, t)


def test_faults_of_other_kinds_have_no_wrong_name():
    named, wrong = wrong_names(200, seed=0)
    assert wrong > 180
    assert len(named) <= 0.02 * wrong, named


if __name__ == "__main__":
    named, wrong = wrong_names(5000, seed=1)
    print(
        f"{len(named)} names in {wrong} wrong gradients that are of none of these kinds"
    )
    print("\n".join(named))
