"""What a process that a script starts by "spawn" or "forkserver" runs first: the script again, as `secant run` does."""

import sys

from secant.book import runner

if __name__ == "__mp_main__":  # multiprocessing takes this module for the script
    runner.run_again(sys.argv.pop(), globals())
