"""The command ``secant``.

An error that Secant raises on purpose is one line, not a traceback.
"""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from secant.acceleration.recognition.methods import USUAL
from secant.backends.configuration import show_config
from secant.cli.bench import bench
from secant.cli.check import check
from secant.cli.console import INTERRUPTED, note, say, steady
from secant.cli.run import run_script
from secant.cli.show import show
from secant.cli.train import train
from secant.errors import SecantError


class _Commands(TyperGroup):
    """The commands, whose errors are reported and turned into exit codes here."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (SecantError, ImportError, MemoryError) as error:
            # ImportError: a backend that does not work
            note(f"error: {str(error) or 'there is not enough memory'}")
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            note("interrupted")
            raise typer.Exit(INTERRUPTED) from error


# Without rich: at 60 columns it cuts the names of options.
app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line, and exit."""
    output, code = steady("stdout"), None
    steady("stderr")
    try:
        app(prog_name="secant")
    except SystemExit as end:
        code = end.code
    output.flush()
    if output.failure is not None:
        note(f"error: standard output could not be written: {output.failure}.")
        code = code or 1
    sys.exit(code)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # takes a while to import

        say(f"secant {version('secant')}")
        raise typer.Exit


@app.callback()
def _secant(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Numerical gradients of a two-layer network, from a compiled core."""


def run(
    script: Annotated[str, typer.Argument(metavar="SCRIPT", help="A Python script.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGS", help="What the script is given."),
    ] = None,
    loss: Annotated[
        str, typer.Option(metavar="NAME", help="What its networks call their loss.")
    ] = USUAL.loss,
    numerical_gradient: Annotated[
        str,
        typer.Option(metavar="NAME", help="What they call their numerical gradient."),
    ] = USUAL.numerical_gradient,
) -> None:
    """Run a script of yours, unchanged, with numerical gradients from Secant.

    Networks that it defines are recognized and accelerated. Modules of "Deep Learning
    from Scratch" that it imports and that are not in its folder are supplied. Lines on
    standard error say what was done. Options stand before SCRIPT.
    """
    # After "--" or unknown options; otherwise `secant.cli.main` does it, before
    # anything is parsed.
    run_script(script, arguments or [], loss, numerical_gradient)


app.command(short_help="Train the chapter's network on MNIST.")(train)
app.command(
    no_args_is_help=True, short_help="Run your script with Secant's gradients."
)(run)
app.command(short_help="Check a gradient in a file of yours.")(check)
app.command(no_args_is_help=True, short_help="Draw a network that was saved.")(show)
app.command(
    short_help="Measure Secant against its peers.",
    context_settings={"ignore_unknown_options": True},
)(bench)
app.command(
    "config", help="Show versions, the compiler, the instruction set and the threads."
)(show_config)
