"""`recognise`: networks of readers' classes are named rightly, or refused with the right reason."""

import pytest
from readers import READERS

import secant

KNOWN = [reader for reader in READERS if not reader.reason]
REFUSED = [reader for reader in READERS if reader.reason]


def name(reader):
    return reader.cls.__name__


def test_there_are_enough_of_them():
    assert len(KNOWN) >= 20
    assert len(REFUSED) >= 20


@pytest.mark.parametrize("reader", KNOWN, ids=name)
def test_a_network_is_recognised(reader):
    found = secant.recognise(reader.cls(30, 15, 7))
    assert found.known, found.sentence
    facts = dict(reader.facts)
    assert found.hidden_activation == facts.pop("hidden")
    assert found.output_activation == facts.pop("output")
    assert found.sizes == (30, 15, 7)
    offset = facts.pop("offset", 1e-7)
    assert found.log_offset == pytest.approx(offset, rel=1e-9, abs=1e-14 if found.output_activation == "sigmoid" else 0)
    assert found.soft_targets == facts.pop("soft", found.soft_targets)
    assert set(found.targets) == facts.pop("targets", set(found.targets))
    assert found.h == facts.pop("h", 1e-4)
    assert (
        facts.pop("sentence", "central difference" if hasattr(reader.cls, "numerical_gradient") else "")
        in found.sentence
    )
    for fact in {"biases", "dtype"} & facts.keys():
        del facts[fact]
    for attribute, value in facts.items():
        assert getattr(found, attribute) == value, attribute


@pytest.mark.parametrize("reader", REFUSED, ids=name)
def test_a_network_is_refused_with_the_reason(reader):
    found = secant.recognise(reader.cls(30, 15, 7))
    assert not found.known, found.sentence
    assert reader.reason in found.sentence
    assert found.sentence.startswith(name(reader))
