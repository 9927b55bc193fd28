"""The Chinese pages say what the English ones do: the same headings, code, figures and links, in the same order."""

import re
from urllib.parse import unquote, urldefrag

import pytest
from pages import ROOT, anchors, blocks, links, name_of, tokens

TRANSLATED = "quickstart", "chapter", "checks", "installation", "troubleshooting"
PAIRS = {"README.md": "README.zh-CN.md"} | {f"docs/{name}.md": f"docs/zh-CN/{name}.md" for name in TRANSLATED}
GLOSSARY = "docs/zh-CN/glossary.md"  # of English words in reports: it has no twin
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
    """Where links lead, pages by their English names, and the number of the heading."""
    translated = {chinese: english for english, chinese in PAIRS.items()}
    inside = []
    for link in links(page):
        if ":" not in link:
            to, anchor = urldefrag(unquote(link))
            target = (page.parent / to).resolve() if to else page
            section = anchors(target).index(anchor) if anchor else None
            path = target.relative_to(ROOT).as_posix()
            if path != GLOSSARY:
                inside.append((translated.get(path, path), section))
    return [link for link in links(page) if ":" in link], inside


@by_pair
@pytest.mark.parametrize("look", [headings, code, named, figures, places], ids=lambda look: look.__name__)
def test_both_have_the_same(pair, look):
    english, chinese = both(pair, look)
    assert chinese == english


def test_every_chinese_page_is_compared():
    pages = {name_of(page) for page in (ROOT / "docs" / "zh-CN").glob("*.md")} | {"README.zh-CN.md"}
    assert pages == {*PAIRS.values(), "docs/zh-CN/index.md", GLOSSARY}


def test_the_readmes_link_to_each_other():
    for page, other in (("README.md", "README.zh-CN.md"), ("README.zh-CN.md", "README.md")):
        assert f"]({other})" in (ROOT / page).read_text("utf-8")
