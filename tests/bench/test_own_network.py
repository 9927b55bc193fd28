"""The benchmark of a reader's own network shows no time where the results differ."""

from functools import partial

import numpy as np
import pytest

import own_network
import secant
import verification


def run(loss=2.3, gradient=0.1):
    return own_network.Run(0.5, 2.5, np.array([loss, 2.2]), 0.9, dict.fromkeys(own_network.KEYS, np.full(3, gradient)))


def test_results_that_agree_within_the_rounding_of_the_loop_are_accepted():
    assert own_network.require_agreement(run(), run(loss=2.3 + 5e-10, gradient=0.1 + 1e-11)) == pytest.approx(1e-11)


@pytest.mark.parametrize(("ours", "said"), [({"gradient": 0.1 + 1e-10}, "gradients"), ({"loss": 2.3 + 2e-9}, "losses")])
def test_results_that_differ_are_an_error(ours, said):
    with pytest.raises(ValueError, match=f"the {said} differ by"):
        own_network.require_agreement(run(), run(**ours))


@pytest.mark.nightly
@pytest.mark.parametrize("cls", [verification.Digits, verification.Layers])
def test_the_price_of_verification_is_that_of_equal_trainings(cls, monkeypatch):
    monkeypatch.setattr(secant, "load_mnist", partial(secant.load_mnist, subset=True))
    name, *figures = verification.price(cls, 4)
    assert name == cls.__name__
    assert len([float(figure) for figure in figures]) == 5
