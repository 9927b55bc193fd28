"""Runs a reader's script as ``python SCRIPT ARGS`` does, but with its networks
accelerated.

Design: the script is not changed, and sees an interpreter as if newly started for it.
Its classes pass through ``__build_class__``, which Python calls for every ``class``
statement. An error goes on to the interpreter, so that exit codes, signals and
``atexit`` are Python's own; its traceback begins with the frames of ``secant run``.
"""

import builtins
import os
import site
import sys
from types import FunctionType, ModuleType
from typing import Any

from secant.acceleration.recognition.methods import MethodNames, defines, if_meant
from secant.acceleration.script_mode import accelerate_lazily
from secant.book import modules
from secant.book.modules import Say

_MOST_LINES = 3  # reported for one class, whose instances may differ


def run(
    script: str, arguments: list[str], source: bytes, say: Say, names: MethodNames
) -> None:
    """Run the source of a script, whose networks name their methods so.

    ``say`` takes each line for the user.
    """
    path = os.path.join(os.getcwd(), script)
    folder = os.path.dirname(os.path.realpath(path))
    sys.argv[:] = [script, *arguments]
    if not sys.flags.safe_path:
        sys.path[0] = folder
    sys.modules["__main__"] = main = ModuleType("__main__")
    main.__file__ = path
    modules.supply(folder, say)
    _watch_classes(say, names)
    exec(compile(source, path, "exec", dont_inherit=True), vars(main))


def _watch_classes(say: Say, names: MethodNames) -> None:
    """Accelerate each network that the reader defines."""
    build = builtins.__build_class__
    paths = {
        os.path.dirname(os.__file__),
        *site.getsitepackages(),
        site.getusersitepackages(),
    }
    libraries = tuple(os.path.join(os.path.realpath(path), "") for path in paths)
    reported: dict[int, set[str]] = {}

    def report(cls: type, sentence: str) -> None:
        sentences = reported.setdefault(id(cls), set())
        if sentence not in sentences and len(sentences) < _MOST_LINES:
            sentences.add(sentence)
            say(sentence)

    def build_class(
        body: FunctionType, name: str, /, *bases: Any, **keywords: Any
    ) -> Any:
        cls = build(body, name, *bases, **keywords)
        if isinstance(cls, type) and not os.path.realpath(
            body.__code__.co_filename
        ).startswith(libraries):
            accelerate_lazily(cls, report, names)
            named = names.or_usual(cls)
            alike = named.alike(cls, "numerical_gradient", or_gradient=True)
            own = [other for other in alike if other in vars(cls)]
            if (
                own
                and not defines(cls, named.numerical_gradient)
                and _has_a_loss(cls, named)
            ):
                hint = if_meant("numerical_gradient", own)
                say(
                    f"{name} has no {named.numerical_gradient}, and its {own[0]}(x, t)"
                    f" runs itself; {hint}"
                )
        return cls

    vars(builtins)["__build_class__"] = build_class


def _has_a_loss(cls: type, names: MethodNames) -> bool:
    return defines(cls, names.loss, "predict") or bool(names.alike(cls, "loss"))
