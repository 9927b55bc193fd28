"""The constants of the method: one set in the compiled core, one for the backends in Python."""

import pytest

from secant.backends import bound


@pytest.mark.usefixtures("compiled")
def test_the_core_has_the_constants_of_the_other_backends():
    from secant import _core

    assert _core.constants() == {name: getattr(bound, name) for name in _core.constants()}
    assert {"LOG_OFFSET", "MOST_TERMS_LIMIT", "EXPONENT_LIMIT", "TRUNCATION_LIMIT"} <= _core.constants().keys()


@pytest.mark.parametrize(("terms", "limit"), [("FEW_TERMS", "FEW_TERMS_LIMIT"), ("MOST_TERMS", "MOST_TERMS_LIMIT")])
def test_so_many_terms_err_by_1e_15_up_to_their_limit(terms, limit):
    terms, limit = getattr(bound, terms), getattr(bound, limit)
    assert (2 * limit) ** terms / (terms + 1) <= 1e-15
    assert (2 * 1.03 * limit) ** terms / (terms + 1) > 1e-15  # and it is no smaller than it has to be
