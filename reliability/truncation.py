"""The bound of what a series leaves out is never below what it leaves out: the cases of
the contract's test.
"""

import numpy as np
from test_truncation import accepted, networks

import secant
from outcome import Outcome
from random_networks import HIDDEN

BACKENDS = ("cpp", "numba")  # whose direct method is not the loop


def run(outcome: Outcome, trials: int, seed: int) -> None:
    for backend in BACKENDS:
        for hidden in HIDDEN:
            with secant.use_backend(backend):
                for case in accepted(
                    np.random.RandomState(seed), networks(hidden), trials
                ):
                    what = f"{backend}, {hidden}, order {case.info.order}"
                    outcome.add(what, not case.share <= 1, case.share, str(case))
                    outcome.tried += 1
