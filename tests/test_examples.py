"""The examples in docstrings run, and every public function and method has one."""

import doctest
import importlib.util
import inspect

import numpy as np
import pytest

import secant

NEEDS = {"History.plot": "matplotlib", "numerical_jacobian": "scipy"}
NEEDS |= {f"plots.{name}": "matplotlib" for name in secant.plots.__all__}
RAISE_NOTHING = {"GradientReport.to_json"}


def documented():
    """The module, and all that is public in it, by name: functions, classes, their
    methods, and plots.
    """
    yield "secant", secant
    for name in secant.__all__:
        value = getattr(secant, name)
        yield name, value
        if inspect.isclass(value) and not issubclass(value, Exception):
            for own, member in vars(value).items():
                if (
                    not own.startswith("_")
                    and callable(getattr(value, own))
                    and (inspect.getdoc(member) or "")
                ):
                    yield f"{name}.{own}", getattr(value, own)
    for name in secant.plots.__all__:
        yield f"plots.{name}", getattr(secant.plots, name)


DOCUMENTED = dict(documented())


def examples(name):
    """The examples of one docstring, without those of what is in it."""
    names = {"secant": secant, "np": np}
    return doctest.DocTestParser().get_doctest(
        inspect.getdoc(DOCUMENTED[name]), names, name, None, None
    )


@pytest.mark.parametrize(
    "name", [name for name in DOCUMENTED if examples(name).examples]
)
def test_the_examples_give_what_they_say(name, tmp_path, monkeypatch):
    if (extra := NEEDS.get(name)) and not importlib.util.find_spec(extra):
        pytest.skip(f"{extra} is not installed")
    monkeypatch.chdir(tmp_path)
    output = []
    failed, _ = doctest.DocTestRunner().run(examples(name), out=output.append)
    assert not failed, "".join(output)


@pytest.mark.parametrize(
    "name", [name for name, value in DOCUMENTED.items() if inspect.isroutine(value)]
)
def test_every_function_has_an_example_and_says_what_it_raises(name):
    assert examples(name).examples
    assert ("Raises\n------\n" in inspect.getdoc(DOCUMENTED[name])) != (
        name in RAISE_NOTHING
    )


@pytest.mark.parametrize(
    "name", [name for name, value in DOCUMENTED.items() if inspect.isroutine(value)]
)
def test_help_shows_the_names_of_types(name):
    """Spelled out, `ArrayLike` fills a screen: annotations are to be kept as they are
    written.
    """
    assert "Union[" not in str(inspect.signature(DOCUMENTED[name]))
