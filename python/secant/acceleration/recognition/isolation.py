"""Run the reader's code while it is tried out: its output and warnings are hidden, its
random draws are put back.

The draws are those from `random` and `np.random`. All of these belong to the whole
process, so what other threads print, warn of or draw meanwhile is affected too.
"""

import contextlib
import io
import random
import threading
import warnings
from collections.abc import Iterator

import numpy as np

from secant._common.trial import being_tried
from secant.errors import UnsupportedError

# else one thread might put back what another one has replaced
_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Run the reader's code in a ``with`` block.

    Raises
    ------
    UnsupportedError
        If it ends the program.
    """
    with _ONE_AT_A_TIME:
        states, token = (
            (random.getstate(), np.random.get_state()),
            being_tried.set(True),
        )
        try:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
                warnings.catch_warnings(),
                np.errstate(all="ignore"),
            ):
                warnings.simplefilter("ignore")
                yield
        except SystemExit as error:
            raise UnsupportedError(
                f"it ends the program, by SystemExit({error.code!r}), in a trial"
            ) from error
        finally:
            being_tried.reset(token)
            random.setstate(states[0])
            np.random.set_state(states[1])
