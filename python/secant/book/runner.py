"""Runs a reader's script as ``python SCRIPT ARGS`` does, but with its networks accelerated.

Design: the script is not changed, and sees an interpreter as if newly started for it. Its classes pass through
``__build_class__``, which Python calls for every ``class`` statement. An error goes on to the interpreter, with
a traceback that begins in the script, so that exit codes, signals and ``atexit`` are Python's own.
"""

import builtins
import os
import re
import site
import sys
from importlib.machinery import SourceFileLoader
from types import FunctionType, ModuleType, TracebackType
from typing import Any

from secant.acceleration import records, script_mode
from secant.acceleration.recognition.methods import Methods, chosen, taking_mini_batch
from secant.acceleration.script_mode import accelerate_lazily, defines
from secant.book import modules
from secant.book.modules import Say

_BETWEEN = __file__, modules.__file__, script_mode.__file__, records.__file__
_ALIKE = re.compile("num(erical)?_?grad(ient)?s?", re.IGNORECASE)  # what readers call numerical_gradient
_MOST_LINES = 3  # reported for one class, whose instances may differ


def run(script: str, arguments: list[str], source: bytes, say: Say, methods: Methods) -> None:
    """Run the source of a script, whose networks have ``methods``. ``say`` is called with each line for the user."""
    path = os.path.join(os.getcwd(), script)
    folder = os.path.dirname(os.path.realpath(path))
    sys.argv[:] = [script, *arguments]
    if not sys.flags.safe_path:
        sys.path[0] = folder
    main = _main_module(path)
    modules.supply(folder, say)
    _watch_classes(say, methods)
    _let_children_run_it(path, methods)
    try:
        exec(compile(source, path, "exec", dont_inherit=True), vars(main))
    except BaseException as error:
        _show_as_the_scripts_own(error)
        raise


def run_again(path: str, methods: Methods, names: dict[str, Any]) -> None:
    """Run a script in a process that it has started, silently, as a module with these names."""
    silent: Say = lambda _: None  # noqa: E731
    modules.supply(os.path.dirname(os.path.realpath(path)), silent)
    _watch_classes(silent, methods)
    _let_children_run_it(path, methods)
    sys.argv[0] = path  # as multiprocessing sets it until the script has run
    names.update(__file__=path, __spec__=None, __loader__=None, __package__="", __cached__=None)
    with open(path, "rb") as file:
        exec(compile(file.read(), path, "exec", dont_inherit=True), names)


def _let_children_run_it(path: str, methods: Methods) -> None:
    """Have processes that are started afresh call `run_again`, with these as their last arguments."""
    from multiprocessing import spawn

    prepare = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        data = prepare(name)
        if data.pop("init_main_from_path", None) is not None:
            data["init_main_from_name"] = "secant.book.child"
            data["sys_argv"] = [*data["sys_argv"], *methods, path]
        return data

    spawn.get_preparation_data = get_preparation_data


def _main_module(path: str) -> ModuleType:
    """Return a new ``__main__`` with what it holds when a script starts, which depends on the version of Python."""
    main = ModuleType("__main__")
    vars(main).update(__file__=path, __loader__=SourceFileLoader("__main__", path), __builtins__=builtins)
    optional: dict[str, Any] = {"__cached__": None, "__annotations__": {}}
    vars(main).update({name: optional[name] for name in optional.keys() & vars(sys.modules["__main__"])})
    sys.modules["__main__"] = main
    return main


def _watch_classes(say: Say, methods: Methods) -> None:
    """Accelerate each network that the reader defines."""
    build = builtins.__build_class__
    paths = {os.path.dirname(os.__file__), *site.getsitepackages(), site.getusersitepackages()}
    libraries = tuple(os.path.join(os.path.realpath(path), "") for path in paths)
    reported: dict[int, set[str]] = {}

    def report(cls: type, sentence: str) -> None:
        sentences = reported.setdefault(id(cls), set())
        if sentence not in sentences and len(sentences) < _MOST_LINES:
            sentences.add(sentence)
            say(sentence)

    def build_class(body: FunctionType, name: str, /, *bases: Any, **keywords: Any) -> Any:
        cls = build(body, name, *bases, **keywords)
        if isinstance(cls, type) and not os.path.realpath(body.__code__.co_filename).startswith(libraries):
            accelerate_lazily(cls, report, methods)
            alike = [name for name in taking_mini_batch(cls) if name in vars(cls) and _ALIKE.fullmatch(name)]
            if alike and not defines(cls, methods.numerical_gradient) and defines(cls, methods.loss, "cost", "predict"):
                other = chosen("numerical_gradient", alike[0])
                say(f"{name} has no {methods.numerical_gradient}, and its {alike[0]}(x, t) runs itself. Write {other}")
        return cls

    # Warnings look past frames of the import system when they count the levels of the stack, so past this one too.
    build_class.__code__ = build_class.__code__.replace(co_filename="<frozen importlib._bootstrap>")
    vars(builtins)["__build_class__"] = build_class


def _show_as_the_scripts_own(error: BaseException) -> None:
    """Let the interpreter show an error without Secant's frames."""
    hook, trace = sys.excepthook, _trimmed(error.__traceback__)

    def show(kind: type[BaseException], value: BaseException, _: TracebackType | None) -> None:
        hook(kind, value.with_traceback(trace), trace)

    sys.excepthook = show


def _trimmed(trace: TracebackType | None) -> TracebackType | None:
    """Leave out the frames of the runner, of methods that call the script's own, and of the import system.

    Python leaves out the latter, too.
    """
    entries = []
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name not in _BETWEEN and not name.startswith("<frozen importlib"):
            entries.append(trace)
        trace = trace.tb_next
    for entry in reversed(entries):
        trace = TracebackType(trace, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return trace
