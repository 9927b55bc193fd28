"""``python -m secant`` is the command ``secant``."""

from secant.cli import main

if __name__ == "__main__":
    main()
