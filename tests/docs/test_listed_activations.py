"""The pages list the activations that are registered."""

import inspect
import re
from fractions import Fraction

import numpy as np
from pages import ROOT

import secant
from secant.backends.activations import ACTIVATIONS, IN_WORDS
from secant.backends.numpy.forward import activated

A = np.concatenate([np.linspace(-10, 10, 20_001), [-50, 50]])


def words_of(page):
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


def test_what_is_known():
    *others, nothing = [activation.in_words for activation in ACTIVATIONS.values()]
    assert nothing == "nothing"
    assert f"one hidden layer with {IN_WORDS}, a softmax" in words_of("README.md")
    assert f"激活函数为 {'、'.join(others)} 或没有激活函数" in words_of(
        "README.zh-CN.md"
    )
    assert f"| between the layers | {', '.join(others)}, nothing |" in words_of(
        "docs/own_networks.md"
    )
    listed = ", ".join(f'"{name}"' for name in ACTIVATIONS)
    assert f"hidden_activation : {{{listed}}}" in (
        inspect.getdoc(secant.TwoLayerNet) or ""
    )


def test_the_table_of_the_method():
    page = (ROOT / "docs" / "derivation.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \| `(.*)` \| (.*) \| .* \| (.*) \|$", page, re.MULTILINE
    )
    assert [row[0] for row in rows] == list(ACTIVATIONS)
    for name, formula, steepest, coefficients in rows:
        activation = ACTIVATIONS[name]
        assert (formula, float(steepest)) == (activation.formula, activation.steepest)
        largest = np.abs(activated(activation, A).series(3)).max(axis=1)
        for said, true in zip(
            map(Fraction, coefficients.split(", ")), largest[1:], strict=True
        ):
            # bounds, and no larger than they have to be
            assert 0.95 * said <= true <= said * (1 + 1e-15)
