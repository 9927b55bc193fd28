"""What a contributor runs: `nox` for tests and linters, `nox -s docs` for the site,
`nox -s bench` for the figures.
"""

from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"


@nox.session
def tests(session: nox.Session) -> None:
    """Install the package and run the tests, the slow ones too."""
    session.install(".[docs,test]")
    session.run("python", "-m", "pytest", "-m", "not nightly", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, and the stub of the extension."""
    session.install(".[dev]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    sources = [*Path("cpp").rglob("*.?pp"), *Path("tests/cpp").rglob("*.?pp")]
    session.run("clang-format", "--dry-run", "--Werror", *map(str, sources))
    session.run("mypy")
    session.run("stubtest", "secant._core", "--allowlist", "tests/stubtest.txt")


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the documentation in build/docs.

    It needs no compiler; a warning is an error.
    """
    session.install(".[docs]", env={"SECANT_PURE": "1"})
    session.run(
        "sphinx-build",
        "-W",
        "--keep-going",
        "-n",
        "-q",
        "docs",
        "build/docs",
        *session.posargs,
    )


@nox.session(default=False)
def notebooks(session: nox.Session) -> None:
    """Run the notebooks and the gallery again, and keep their outputs and pictures."""
    session.install(".[docs]")
    session.run("python", "docs/notebooks.py", *session.posargs)
    session.run("python", "docs/gallery.py")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure, and write docs/benchmarks.md."""
    session.install(".[bench]")
    session.run("secant", "bench", *session.posargs)
