"""Classes that are nearly a network that Secant knows: none may be trusted where it is
not one.

A mutant is refused; or its loss is found to differ, or raises an error, before a number
is returned; or the number is the central difference of its own loss, because what was
changed makes no difference there.
"""

import itertools

import numpy as np
import pytest
import readers

import secant

SOURCE = """
class Mutant:
    def __init__(self):
        rng = np.random.default_rng(3)
        self.calls = 0
        self.params = {
            "W1": rng.normal(size=(5, 4)), "b1": rng.normal(size=4),
            "W2": rng.normal(size=(4, 3)), "b2": rng.normal(size=3),
        }

    def arrays(self):
        return list(self.params.values())

    def loss(self, x, t):
        self.calls += 1
        W1, b1, W2, b2 = self.params.values()
        n = x.shape[0]
        if t.ndim == 1:
            t = np.eye(3)[t]
        a1 = np.dot(x, W1) + b1
        z1 = HIDDEN
        a2 = np.dot(z1, W2) + b2
        z2 = OUTPUT
        e = np.exp(z2 - np.max(z2, axis=1, keepdims=True))
        y = e / np.sum(e, axis=1, keepdims=True)
        loss = -np.sum(t * np.log(y + 1e-7)) / n
        return loss
"""
HIDDEN = "1 / (1 + np.exp(-a1))", "np.maximum(a1, 0)", "np.tanh(a1)", "a1 * 1.0"
OUTPUT = "a2 * 1.0", "1 / (1 + np.exp(-a2))"
BASES = [
    SOURCE.replace("HIDDEN", h).replace("OUTPUT", o)
    for h, o in itertools.product(HIDDEN, OUTPUT)
]

FACTORS = (
    "0.5",
    "2",
    "1.1",
    "(1 + 1e-3)",
    "(1 + 1e-6)",
    "(1 + 1e-9)",
    "(1 + 1e-13)",
    "-1",
    "1 / n",
    "n",
    "W1[0, 0]",
)
TERMS = (
    "0.01 * np.sum(W1**2)", "1e-4 * np.sum(W2**2)", "1e-8 * np.sum(W1)", "np.mean(a1)", "1e-3 * np.max(np.abs(W2))",
    "0.1 * b1[0]", "0.1 * W2[-1, -1]", "1e-6 * np.mean(y**2)", "1e-3 * np.mean(z1)", "0.1", "np.sum(x) * 1e-3",
    "0.1 * np.sum(y * np.log(y + 1e-7))", "1e-5 * np.sum(a2**2)", "1e-12 * np.sum(W1)", "W1[0, 0] - W1[0, 0]",
)  # fmt: skip
CONDITIONS = (
    *(f"np.abs(x).max() > {c}" for c in (1e-6, 0.1, 1, 3, 10, 100, 254, 1e3, 3e4, 1e5, 1e7)),
    *(f"x.max() < {c}" for c in (1e-9, 0.1, 1, 10)), *(f"x.min() < -{c}" for c in (0.0, 1, 100, 1e5)),
    *(f"n == {c}" for c in (1, 2, 7, 10, 11, 100, 101)), *(f"n > {c}" for c in (1, 9, 32, 64, 99, 1000)), "n % 2",
    *(f"t[0, {c}] == 1" for c in range(3)), *(f"(t.argmax(axis=1) == {c}).any()" for c in range(3)),
    *(f"t[:, {c}].sum() > n / 3" for c in range(3)), "(t.max(axis=1) < 1).any()", "t.sum() < n - 0.5",
    *(f"self.calls > {c}" for c in (0, 1, 2, 5, 20, 60, 1000)), *(f"self.calls % {c} == 0" for c in (2, 3, 7, 50)),
    *(f"np.abs(W1).max() > {c}" for c in (0.1, 2, 3, 5, 100)), *(f"np.abs(b1).max() > {c}" for c in (1, 10)),
    *(f"np.abs(a1).max() > {c}" for c in (3, 30, 300)), *(f"np.abs(a2).max() > {c}" for c in (3, 30)),
    *(f"loss > {c}" for c in (0.1, 1, 2, 10)), *(f"loss < {c}" for c in (0.5, 1.5)), "y.max() > 0.99", "y.min() < 1e-4",
    "x[0, 0] > 0.5", "x[-1, -1] < 0", "(x == 0).all()", "(x == 0).any()", "x.dtype == np.float32",
    "x.dtype == np.uint8",
)  # fmt: skip
EFFECTS = (
    "loss * 1.1",
    "loss * (1 + 1e-6)",
    "loss + 0.01 * np.sum(W1)",
    "loss + 0.1 * b2[0]",
    "-np.mean(np.log(y))",
)
INSTEAD = (
    ("/ n\n", "/ (n + 1)\n"), ("/ n\n", "/ max(n - 1, 1)\n"), ("/ n\n", "/ 10\n"), ("/ n\n", "\n"),
    ("/ n\n", "/ t.size\n"),
    ("t * np.log(y + 1e-7)", "t[1:] * np.log(y[1:] + 1e-7)"), ("t * np.log(y", "t[:, 1:] * np.log(y[:, 1:]"),
    ("t * np.log(y", "np.roll(t, 1, axis=1) * np.log(y"), ("t * np.log(y", "np.roll(t, 1, axis=0) * np.log(y"),
    ("t * np.log(y", "t * (1 - y) * np.log(y"), ("t * np.log(y", "(0.9 * t + 0.1 / 3) * np.log(y"),
    ("np.dot(x, W1)", "np.dot(x[:, 1:], W1[1:])"), ("np.dot(x, W1)", "np.dot(x, W1 * (np.abs(W1) > 1e-3))"),
    ("np.dot(x, W1)", "np.dot(np.clip(x, -100, 100), W1)"), ("np.dot(x, W1)", "np.dot(np.round(x, 9), W1)"),
    ("np.dot(x, W1)", "np.dot(x - x.mean(axis=0), W1)"), ("np.dot(x, W1)", "np.dot(np.minimum(x, 1e5), W1)"),
    ("np.dot(x, W1)", "np.dot(x.astype(np.float32), W1)"), ("np.dot(x, W1)", "np.dot(x, W1.astype(np.float32))"),
    ("np.dot(z1, W2)", "np.dot(z1[:, :-1], W2[:-1])"), ("np.dot(z1, W2)", "np.dot(np.minimum(z1, 6), W2)"),
    ("+ b1", ""), ("+ b2", ""), ("+ b1", "+ b1[::-1]"), ("+ b2", "+ b2[0]"), ("+ b2", "+ b2 * 1.0001"),
    ("+ b1", "- b1"),
    *((" + 1e-7", f" + {c}") for c in (0, 1e-8, 1e-6, 1e-3, 1.1e-7, 1e-30)), ("y + 1e-7", "np.maximum(y, 1e-7)"),
    ("y + 1e-7", "np.clip(y, 1e-12, 1)"), ("y + 1e-7", "y * (1 - 1e-7) + 1e-7"), ("log(", "log2("), ("log(", "log1p("),
    ("np.exp(z2 - ", "np.exp(1.001 * z2 - 1.001 * "), ("np.exp(z2 - ", "np.exp2(z2 - "),
    ("axis=1, keepdims=True", "keepdims=True"),
    ("np.max(z2, axis=1, keepdims=True)", "np.max(z2)"), ("np.sum(e, axis=1", "np.sum(e, axis=0"),
    ("np.sum(e, axis=1, keepdims=True)", "(np.sum(e, axis=1, keepdims=True) + 1e-8)"),
    ("np.exp(-a1)", "np.exp(-np.clip(a1, -20, 20))"), ("np.exp(-a1)", "np.exp(-1.0000001 * a1)"),
    ("np.maximum(a1, 0)", "np.maximum(a1, 1e-3 * a1)"), ("np.maximum(a1, 0)", "np.maximum(a1, 1e-9)"),
    ("np.maximum(a1, 0)", "np.where(a1 > 0.01, a1, 0)"), ("np.maximum(a1, 0)", "np.where(a1 >= 0, a1, 0)"),
    ("np.maximum(a1, 0)", "np.log1p(np.exp(50 * a1)) / 50"), ("np.maximum(a1, 0)", "np.clip(a1, 0, 1e3)"),
    ("np.tanh(a1)", "np.tanh(a1) * 1.7159"), ("np.tanh(a1)", "np.clip(a1, -1, 1)"), ("np.tanh(a1)", "np.arctan(a1)"),
    ("np.eye(3)[t]", "np.eye(3)[(t + 1) % 3]"), ("np.eye(3)[t]", "np.eye(3)[t] * 0.99"),
    ("np.eye(3)[t]", "np.eye(3)[-t]"),
)  # fmt: skip
END = "return loss"


def templates():
    """Sources with a factor, a term, an off-by-one, another constant or a branch."""
    for base in BASES:
        for factor in FACTORS:
            yield base.replace(END, f"return loss * {factor}")
        for term in TERMS:
            yield base.replace(END, f"return loss + {term}")
        for old, new in INSTEAD:
            if old in base:
                yield base.replace(old, new)
        for condition, effect in itertools.product(CONDITIONS, EFFECTS):
            yield base.replace(END, f"return {effect} if {condition} else loss")


def mutants(number):
    """Return some of them, always the same."""
    return list(np.random.default_rng(0).permutation([*templates()])[:number])


def batches():
    """Mini-batches as they come in a training, and some that do not, of the same shape
    too.
    """
    rng = np.random.default_rng(1)
    labels = np.arange(10) % 3
    for t in (labels, np.eye(3)[labels]):
        yield rng.normal(size=(10, 5)), t
        yield rng.normal(size=(10, 5)) * 0.1, t[::-1].copy()
        yield np.maximum(rng.normal(size=(10, 5)), 0), np.roll(t, 1, axis=0)
        yield rng.normal(size=(10, 5)) * 1e5, t
    yield rng.normal(size=(10, 5)) * 30, rng.permutation(labels)
    yield np.zeros((10, 5)), labels
    yield rng.random((100, 5)).astype(np.float32), np.arange(100) % 3
    yield rng.integers(0, 255, (7, 5)).astype(np.uint8), np.eye(3)[np.arange(7) % 3]
    yield rng.normal(size=(1, 5)), np.array([2])


def judge(source):
    """Return what becomes of a mutant: "refused", "found" to differ, or "harmless";
    "WRONG" must not occur.
    """
    names = {"np": np}
    exec(source, names)
    net = names["Mutant"]()
    try:
        secant.accelerate(net)
    except secant.errors.UnsupportedError:
        return "refused"
    verdict = "harmless"
    for x, t in batches():
        try:
            found = net.numerical_gradient(x, t)
        except Exception as error:
            # then what its own loss raises
            if not isinstance(error, secant.SecantError):
                with pytest.raises(type(error)):
                    net.loss(x, t)
            verdict = "found"
            continue
        rounding = (
            1e-10 * max(1.0, abs(net.loss(x, t))) * max(1.0, float(np.abs(x).max()))
        )
        for own, (key, grad) in zip(
            readers.central_difference(net, x, t), found.items(), strict=True
        ):
            if not np.all(np.abs(grad - own) <= rounding):
                return f"WRONG by {np.abs(grad - own).max()} for {key}, x up to {np.abs(x).max()}, t {t.shape}"
        for key, grad in found.items():
            net.params[key] -= 0.01 * grad
    return verdict


def judged(sources):
    with secant.use_backend("numpy"), np.errstate(all="ignore"):
        verdicts = [judge(source) for source in sources]
    wrong = [
        (source, verdict)
        for source, verdict in zip(sources, verdicts, strict=True)
        if "WRONG" in verdict
    ]
    assert not wrong, (
        f"{len(wrong)} of {len(sources)}, such as\n{wrong[0][0]}\n{wrong[0][1]}"
    )
    return verdicts


def test_what_is_not_changed_is_accelerated():
    assert judged(BASES) == ["harmless"] * len(BASES)


def test_inputs_that_are_rounded_are_refused():
    """In training, what this changes in a loss is less than what the comparison of
    losses allows.
    """
    rounding = [
        base.replace("np.dot(x, W1)", "np.dot(np.round(x, 9), W1)")
        for base in BASES[:2]
    ]
    assert judged(rounding) == ["refused"] * 2


@pytest.mark.slow
def test_no_mutant_is_trusted():
    verdicts = judged(mutants(15))
    assert verdicts.count("refused") > 5


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(4))
def test_no_mutant_of_2000_is_trusted(part):
    sources = mutants(2000)
    assert len(sources) == 2000
    verdicts = judged(sources[part::4])
    print({verdict: verdicts.count(verdict) for verdict in set(verdicts)})
    assert verdicts.count("found") > 2
