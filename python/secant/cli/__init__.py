"""The command ``secant``: one file per command."""

import sys


def main() -> None:
    """Run the command line, and exit."""
    match sys.argv[1:]:
        case ["run", script, *arguments] if script == "-" or not script.startswith("-"):
            from secant.cli.run import run_script

            return run_script(script, arguments)
    try:
        from secant.cli import app
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.exit("error: The command line needs typer: pip install 'secant[cli]'.")
    app.main()
