"""The Chinese pages say what the English ones do: the same headings, code, figures and links, in the same order."""

import re

import pytest
from pages import ROOT, blocks, links, name_of, tokens

PAIRS = {"README.md": "README.zh-CN.md"} | {
    f"docs/{name}.md": f"docs/zh-CN/{name}.md" for name in ("quickstart", "chapter")
}
NUMBER = re.compile(r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?%?")

by_pair = pytest.mark.parametrize("pair", PAIRS.items(), ids=PAIRS)


def both(pair, look):
    return tuple(look(ROOT / page) for page in pair)


def headings(page):
    return [token.tag for token in tokens(page) if token.type == "heading_open"]


def code(page):
    """All blocks, without comments, which are translated."""
    return [(block.language, re.sub(r" +# .*", "", block.text)) for block in blocks(page)]


def named(page):
    """The names in the text, by paragraph."""
    return [
        sorted(child.content for child in token.children if child.type == "code_inline")
        for token in tokens(page)
        if token.type == "inline"
    ]


def figures(page):
    """The numbers of each paragraph, heading and cell of a table: outside of code, and of the names of files."""
    found = []
    for token in tokens(page):
        if token.type == "inline":
            text = " ".join(child.content for child in token.children if child.type == "text")
            found.append(sorted(NUMBER.findall(text)))
    return found


def places(page):
    """Where links lead: the Chinese of a page if there is one, named by the English."""
    translated = {chinese: english for english, chinese in PAIRS.items()}
    inside = [(page.parent / link).resolve().relative_to(ROOT).as_posix() for link in links(page) if ":" not in link]
    return [link for link in links(page) if ":" in link], [translated.get(link, link) for link in inside]


@by_pair
@pytest.mark.parametrize("look", [headings, code, named, figures, places], ids=lambda look: look.__name__)
def test_both_have_the_same(pair, look):
    english, chinese = both(pair, look)
    assert chinese == english


def test_every_chinese_page_is_compared():
    pages = {name_of(page) for page in (ROOT / "docs" / "zh-CN").glob("*.md")} | {"README.zh-CN.md"}
    assert pages == {*PAIRS.values(), "docs/zh-CN/index.md"}


def test_the_readmes_link_to_each_other():
    for page, other in (("README.md", "README.zh-CN.md"), ("README.zh-CN.md", "README.md")):
        assert f"]({other})" in (ROOT / page).read_text("utf-8")
