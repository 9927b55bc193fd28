"""The book's modules for scripts that import them: the reader's own if there are any,
else `secant.book`.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

from secant.book import dataset_mnist

Say = Callable[[str], None]

_MODULES = {  # of the book, and what stands in for them; None for a folder
    "common": None,
    "common.functions": "secant.book.common_functions",
    "common.gradient": "secant.book.common_gradient",
    "dataset": None,
    "dataset.mnist": "secant.book.dataset_mnist",
    "two_layer_net": "secant.book.two_layer_net",
    **{f"ch0{chapter}": None for chapter in range(1, 9)},
    "ch04.two_layer_net": "secant.book.two_layer_net",
    "ch05.two_layer_net": "secant.book.two_layer_net_relu",
}


def supply(folder: str, say: Say) -> None:
    """Let imports of the book's modules succeed from now on.

    ``folder``: that of the script.
    """
    sys.meta_path.insert(0, _ReadersMnist(say))
    sys.meta_path.append(_StandIns([folder, os.path.dirname(folder)], say))


class _StandIns:
    """Finds and loads modules that no other finder has found."""

    def __init__(self, folders: list[str], say: Say) -> None:
        # the book's scripts append the latter to sys.path, relative to where they are
        # run
        self._folders = folders
        self._say = say
        in_chapter = _MODULES.get(f"{os.path.basename(folders[0])}.two_layer_net")
        self._sources = _MODULES | ({"two_layer_net": in_chapter} if in_chapter else {})

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> ModuleSpec | None:
        if name in _MODULES:
            readers = (
                None if path is not None else PathFinder.find_spec(name, self._folders)
            )
            is_package = _MODULES[name] is None
            return readers or spec_from_loader(name, self, is_package=is_package)  # type: ignore[arg-type]
        if name.partition(".")[0] in _MODULES:
            self._say(
                f"{name} is not in your folder, and not supplied: take it from the"
                " book's repository"
            )
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        if source := self._sources[module.__name__]:
            self._say(
                f"{module.__name__} is not in your folder: {source} stands in for it"
            )
            names = vars(import_module(source))
            vars(module).update(
                {name: names[name] for name in ("__all__", *names["__all__"])}
            )
        else:
            vars(module)["__getattr__"] = partial(_module_of, module.__name__)


def _module_of(folder: str, name: str) -> ModuleType:
    """A module of the book, of whose folder a script imported only the name."""
    if f"{folder}.{name}" not in _MODULES:
        raise AttributeError(f"module {folder!r} has no attribute {name!r}")
    return import_module(f"{folder}.{name}")


class _ReadersMnist:
    """Finds the reader's own ``dataset.mnist``, whose ``load_mnist`` falls back to ours
    where its download fails.
    """

    def __init__(self, say: Say) -> None:
        self._say = say

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == "dataset.mnist" else None
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                if hasattr(module, "load_mnist"):
                    vars(module)["load_mnist"] = partial(self._load, module.load_mnist)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def _load(self, readers_own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return readers_own(*args, **kwargs)
        except OSError as error:  # of the network, and of damaged archives
            self._say(
                f"load_mnist of your folder failed ({error}): load_mnist is Secant's"
            )
            return dataset_mnist.load_mnist(*args, **kwargs)
