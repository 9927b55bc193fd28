"""Pages in Markdown, taken apart: what the tests of this folder have in common."""

from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.md"))]


class Block(NamedTuple):
    """A block of code: its language ("" where none is said), its text, the line it begins at, from 0."""

    language: str
    text: str
    line: int


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def blocks(page: Path) -> list[Block]:
    """All that is set as code, but for directives of the site."""
    found = [token for token in tokens(page) if token.type in ("fence", "code_block")]
    return [Block(token.info, token.content, token.map[0]) for token in found if not token.info.startswith("{")]
