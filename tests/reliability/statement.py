"""What a report says would have been noticed is: errors planted just above that, in every family."""

import numpy as np
from alarms import SMOOTH, cases, check
from outcome import Outcome

PROMISE = (
    "An error of one entry just above what a report says would have been noticed is. 0.1 % may be missed, as error "
    "bars may be too small."
)
LARGEST, ENOUGH = 1000, 5000
ABOVE, TINY = 1.01, 1e-12  # what is said is 0 where f is constant and 0


def run(trials: int, seed: int) -> Outcome:
    one_missed = 0.001 if trials >= ENOUGH else 2 / trials  # of a slice, one may be
    outcome = Outcome(PROMISE, "errors", allowed={"one entry": one_missed})
    rng = np.random.default_rng([seed, 1])
    for number, name, case in cases(trials, seed, LARGEST, SMOOTH):
        (array,) = check(case, number).arrays
        if array.unverified:  # that says which errors would not be noticed, not which would be
            continue
        one = np.zeros(case.x.size)
        one[rng.integers(one.size)] = (ABOVE * array.sensitivity or TINY) * rng.choice([-1, 1])
        missed = check(case, number, one).verdict != "wrong"
        outcome.add(f"{name}, one entry", missed, None, f"seed {seed}, {number}, {case.x.size} entries")
        outcome.tried += 1
    return outcome
