"""What a process that a script starts by "spawn" or "forkserver" runs first: the script again, as `secant run` does."""

import sys

from secant.acceleration.recognition.methods import Methods
from secant.book import runner

if __name__ == "__mp_main__":  # multiprocessing takes this module for the script
    *sys.argv[:], loss, numerical_gradient, script = sys.argv
    runner.run_again(script, Methods(loss, numerical_gradient), globals())
