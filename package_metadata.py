"""Metadata that depends on where the repository is:
SECANT_REPOSITORY_URL=https://HOST/OWNER/NAME says so to a build.

With it, the package has URLs, and links and pictures of README.md become absolute: on
the pages of a package index, relative ones lead nowhere. Without it, README.md stays as
it is. The addresses are formed as on GitHub and GitLab.
"""

import os
import re
from pathlib import Path
from typing import Any

RELATIVE_LINK = re.compile(r"(!?)(\[[^]]+\])\((?!https?:|#)([^)]+)\)")


def dynamic_metadata(
    settings: dict[str, Any], project: dict[str, Any]
) -> dict[str, Any]:
    """What the build backend asks for: the fields that pyproject.toml calls dynamic."""
    repository = os.environ.get("SECANT_REPOSITORY_URL", "").rstrip("/")
    text = Path("README.md").read_text(encoding="utf-8")
    return {
        "readme": {
            "text": absolute(text, repository) if repository else text,
            "content-type": "text/markdown",
        },
        "urls": urls(repository) if repository else {},
    }


def dynamic_wheel(settings: dict[str, Any]) -> dict[str, bool]:
    """The fields that may differ between an sdist and a wheel that is built from it."""
    return {"readme": True, "urls": True}


def absolute(text: str, repository: str) -> str:
    """Markdown whose links to files of the repository are addresses; that of a picture
    leads to the picture itself.
    """

    def address(link: re.Match[str]) -> str:
        picture, words, path = link.groups()
        return (
            f"{picture}{words}({repository}/{'raw' if picture else 'blob'}/HEAD/{path})"
        )

    return RELATIVE_LINK.sub(address, text)


def urls(repository: str) -> dict[str, str]:
    """Where the project is."""
    files = f"{repository}/blob/HEAD"
    return {
        "Homepage": repository,
        "Documentation": f"{files}/docs/index.md",
        "Issues": f"{repository}/issues",
        "Security": f"{repository}/security/advisories/new",
        "Changelog": f"{files}/CHANGELOG.md",
    }
