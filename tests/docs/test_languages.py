"""A Chinese page follows its English one, or tells its readers that it does not: a
change needs no Chinese.
"""

import re

import pytest
import twins
from pages import ROOT, blocks, name_of, tokens
from twins import NOTE, TWINS

GLOSSARY = "docs/zh-CN/glossary.md"  # of English words in reports: it has no twin


@pytest.mark.parametrize("page", TWINS)
def test_a_twin_that_is_behind_says_so(page):
    twin = TWINS[page]
    if twins.is_behind(page):
        assert NOTE in twins.text_of(twin), (
            f"{twin} is behind {page}: translate the change, then run python tests/docs/twins.py --follows {page}; "
            "or, if you do not write Chinese, python tests/docs/twins.py --behind"
        )
    else:
        assert NOTE not in twins.text_of(twin)


def headings(page):
    return [token.tag for token in tokens(ROOT / page) if token.type == "heading_open"]


def code(page):
    """All blocks, without comments, which are translated."""
    return [
        (block.language, re.sub(r" +# .*", "", block.text))
        for block in blocks(ROOT / page)
    ]


@pytest.mark.parametrize("page", TWINS)
def test_a_twin_that_follows_has_the_same_headings_and_code(page):
    if twins.is_behind(page):
        return
    assert headings(TWINS[page]) == headings(page)
    assert code(TWINS[page]) == code(page)


def test_a_change_of_an_english_page_needs_no_chinese(tmp_path, monkeypatch):
    page, twin = "README.md", "README.zh-CN.md"
    for name in (page, twin):
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(twins, "ROOT", tmp_path)
    twins.mark_as_following(page)
    assert not twins.is_behind(page)
    (tmp_path / page).write_text("# Another text\n", "utf-8")
    assert twins.is_behind(page)
    for _ in range(2):
        twins.mark_as_behind(page)
        assert twins.text_of(twin).count(NOTE) == 1
    twins.mark_as_following(page)
    assert not twins.is_behind(page)
    assert NOTE not in twins.text_of(twin)


def test_every_chinese_page_is_a_twin():
    pages = {name_of(page) for page in (ROOT / "docs" / "zh-CN").glob("*.md")} | {
        "README.zh-CN.md"
    }
    assert pages == {*TWINS.values(), "docs/zh-CN/index.md", GLOSSARY}


def test_the_readmes_link_to_each_other():
    for page, other in (
        ("README.md", "README.zh-CN.md"),
        ("README.zh-CN.md", "README.md"),
    ):
        assert f"]({other})" in (ROOT / page).read_text("utf-8")
