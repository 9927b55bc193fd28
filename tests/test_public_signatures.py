"""What users may call, with its arguments and their defaults, is what
tests/public_signatures.txt says.

CONTRIBUTING.md says what is public, and what a change of it needs. Write the file
again, in an environment with all extras, PyTorch and JAX, so that the change shows:

    python tests/test_public_signatures.py
"""

import importlib
import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).with_name("public_signatures.txt")
COMMAND = "secant, the command"
NEEDS = {  # the sections of the file, and what they cannot be written without
    "secant": (),
    "secant.errors": (),
    "secant.book": (),
    "secant.training": (),
    "secant.plots": (),
    "secant.testing": (),
    "secant.sklearn": ("sklearn",),
    "secant.torch": ("torch",),
    "secant.jax": ("jax",),
    COMMAND: ("typer",),
}


def arguments(call: object) -> str:
    """Names, kinds and defaults.

    Annotations are left out: each version of Python prints them in its own way.
    """
    try:
        signature = inspect.signature(call)
    except ValueError:  # an exception, or another class that is not written in Python
        return "(...)"
    parameters = []
    for each in signature.parameters.values():
        default = each.default
        if default is not each.empty and (
            callable(default) or isinstance(default, Enum)
        ):
            default = Shown(getattr(default, "__name__", str(default)))
        parameters.append(
            each.replace(annotation=inspect.Parameter.empty, default=default)
        )
    return str(
        signature.replace(
            parameters=parameters, return_annotation=inspect.Signature.empty
        )
    )


class Shown(str):
    """A text without quotes."""

    __repr__ = str.__str__


def members(name: str, cls: type) -> Iterator[str]:
    """The methods and attributes of a class that are ours, inherited ones too."""
    for member in sorted(dir(cls)):
        ours = any(
            member in vars(base) and base.__module__.startswith("secant")
            for base in cls.__mro__
        )
        if member.startswith("_") or not ours:
            continue
        value = inspect.getattr_static(cls, member)
        if isinstance(value, classmethod | staticmethod) or inspect.isfunction(value):
            yield f"{name}.{member}{arguments(getattr(cls, member))}"
        else:
            yield f"{name}.{member}"
    written = {field for base in cls.__mro__ for field in inspect.get_annotations(base)}
    yield from (
        f"{name}.{field}"
        for field in sorted(written - set(dir(cls)))
        if not field.startswith("_")
    )


def of_module(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    own = [
        key
        for key, value in vars(module).items()
        if getattr(value, "__module__", "") == name
    ]
    for key in sorted(getattr(module, "__all__", own)):
        value = getattr(module, key)
        full = f"{name}.{key}"
        if key.startswith("_") or isinstance(value, ModuleType):
            continue
        if inspect.isclass(value):
            yield f"{full}{arguments(value)}"
            yield from members(full, value)
        elif callable(value):
            yield f"{full}{arguments(value)}"
        else:
            yield full


def of_the_command() -> Iterator[str]:
    import typer

    from secant.cli.app import app

    for name, command in sorted(typer.main.get_command(app).commands.items()):
        for parameter in command.params:
            is_option = parameter.param_type_name == "option"
            if is_option and parameter.hidden:
                continue
            names = (
                ", ".join([*parameter.opts, *parameter.secondary_opts])
                if is_option
                else parameter.name.upper()
            )
            yield f"secant {name} {names}"


def section(name: str) -> list[str]:
    return sorted(of_the_command() if name == COMMAND else of_module(name))


def written() -> dict[str, list[str]]:
    blocks = FILE.read_text(encoding="utf-8").strip().split("\n\n")
    return {
        block.splitlines()[0].strip("[]"): block.splitlines()[1:] for block in blocks
    }


@pytest.mark.parametrize("name", NEEDS)
def test_a_change_of_what_is_public_shows_in_the_file(name):
    for module in NEEDS[name]:
        pytest.importorskip(module, reason=f"{module} is not installed")
    assert section(name) == written()[name], (
        f"see CONTRIBUTING.md; then run python tests/{Path(__file__).name}"
    )


def test_the_file_has_the_sections_of_all_that_is_public():
    assert list(written()) == list(NEEDS)


if __name__ == "__main__":
    blocks = ["\n".join([f"[{name}]", *section(name)]) for name in NEEDS]
    FILE.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
