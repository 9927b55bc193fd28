"""The command ``secant``: one file per command."""

import sys


def main() -> None:
    """Run the command line, and exit."""
    if sys.argv[1:2] == ["run"]:
        from secant.cli.run import run_script, split

        options, (script, *arguments) = split(sys.argv[2:])
        if script == "-" or not script.startswith("-"):
            return run_script(script, arguments, **options)
    try:
        from secant.cli import app
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.exit(
            "error: The command line needs typer: pip install typer threadpoolctl pooch"
            " tqdm."
        )
    app.main()
