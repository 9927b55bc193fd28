"""Pages in Markdown, taken apart: what the tests of this folder have in common."""

import json
import re
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "README.zh-CN.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINKED = sorted(
    {*PAGES, *ROOT.glob("*.md"), *(ROOT / "docs" / "notebooks").glob("*.ipynb")}
)


class Block(NamedTuple):
    """A block of code: its language ("" where none is said), its text, the line it
    begins at, from 0.
    """

    language: str
    text: str
    line: int


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def tokens(page: Path) -> list[Token]:
    """Of a page, or of the text in a notebook."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join(
            "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
        )
    return MarkdownIt("commonmark").enable("table").parse(text)


def links(page: Path) -> list[str]:
    """Where links lead, and where pictures are."""
    found = [child for token in tokens(page) for child in token.children or ()]
    found = [child for child in found if child.type in ("link_open", "image")]
    return [str(child.attrs.get("href", child.attrs.get("src"))) for child in found]


def anchors(page: Path) -> list[str]:
    """What a link to a heading ends in, after #: on the site as where repositories are
    shown.
    """
    every = tokens(page)
    headings = [
        every[i + 1].content
        for i, token in enumerate(every)
        if token.type == "heading_open"
    ]
    return [
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    ]


def blocks(page: Path) -> list[Block]:
    """All that is set as code, but for directives of the site."""
    found = [token for token in tokens(page) if token.type in ("fence", "code_block")]
    return [
        Block(token.info, token.content, token.map[0])
        for token in found
        if not token.info.startswith("{")
    ]
