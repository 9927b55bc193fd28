"""The roads from home, and that the reference pages list what there is."""

import re

import pytest
from pages import ROOT

ROADS = "quickstart", "checks", "functions", "estimator"


def test_the_home_page_leads_to_each_road():
    home = (ROOT / "docs/index.md").read_text("utf-8")
    assert re.findall(r"^- \[.*?\]\((\w+)\.md\)", home, re.MULTILINE) == [*ROADS]


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_first_screen_of_the_readme_leads_to_each_road(page):
    first = (ROOT / page).read_text("utf-8").split("\n## ")[0]
    for road in ROADS:
        assert f"{road}.md)" in first


def test_the_page_of_the_command_line_has_every_command_and_option():
    pytest.importorskip("typer", reason="typer is not installed")
    from typer.main import get_command

    from secant.cli.app import app

    page = (ROOT / "docs/command_line.md").read_text("utf-8")
    for name, command in get_command(app).commands.items():
        assert f"`secant {name}" in page
        rows = "".join(re.findall(rf"^\| `{name}`.*\| (.*) \|$", page, re.MULTILINE))
        listed = re.findall(r"`(--[\w-]+)`", rows)
        options = [
            p.opts[0]
            for p in command.params
            if p.param_type_name == "option" and p.opts[0] != "--help"
        ]
        assert sorted(listed) == sorted(options), name


def test_the_page_of_the_environment_has_every_variable_of_ours():
    page = (ROOT / "docs/command_line.md").read_text("utf-8")
    sources = [*(ROOT / "python").rglob("*.py"), *(ROOT / "cpp").rglob("*.?pp")]
    read = {
        name
        for path in sources
        for name in re.findall(r'"(SECANT_[A-Z_]+)"', path.read_text("utf-8"))
    }
    assert read <= set(re.findall(r"`(SECANT_\w+)`", page))
