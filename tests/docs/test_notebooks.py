"""The notebooks and the gallery: they run, and what is stored is what they make."""

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

import gallery
import nbformat
import notebooks

NOTEBOOKS = sorted(notebooks.FOLDER.glob("*.ipynb"))
ENTRIES = gallery.entries(gallery.PAGE.read_text(encoding="utf-8"))


@pytest.mark.nightly
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_without_an_error_or_a_warning(path, monkeypatch, tmp_path):
    # it must need no data but the bundled ones
    monkeypatch.setenv("SECANT_DATA_HOME", str(tmp_path))
    monkeypatch.setenv(
        "PYTHONPATH", str(Path(importlib.util.find_spec("secant").origin).parents[1])
    )
    stored, made = (
        nbformat.read(path, as_version=4),
        notebooks.cleaned(notebooks.executed(path)),
    )
    for before, after in zip(stored.cells, made.cells, strict=True):
        kinds = [
            [sorted(output.get("data", output)) for output in cell.get("outputs", [])]
            for cell in (before, after)
        ]
        assert kinds[0] == kinds[1], before.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_is_small_and_does_not_vary(path):
    notebook = nbformat.read(path, as_version=4)
    assert path.stat().st_size < 250_000
    assert nbformat.writes(notebooks.cleaned(notebook)) + "\n" == path.read_text(
        encoding="utf-8"
    )
    assert all(
        cell.execution_count is None
        for cell in notebook.cells
        if cell.cell_type == "code"
    )
    assert any(
        "image/png" in output.get("data", {})
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


def test_every_picture_of_the_gallery_is_on_its_page():
    pictures = re.findall(
        r"\]\((gallery/[^)]+)\)", gallery.PAGE.read_text(encoding="utf-8")
    )
    assert [picture for picture, _ in ENTRIES] == pictures
    assert {path.name for path in (gallery.PAGE.parent / "gallery").iterdir()} == {
        Path(name).name for name in pictures
    }


def test_every_plot_is_in_the_gallery():
    import secant

    page = gallery.PAGE.read_text(encoding="utf-8")
    assert [
        name for name in secant.plots.__all__ if f"secant.plots.{name}(" not in page
    ] == []


@pytest.mark.nightly
def test_the_gallery_is_what_its_code_draws(tmp_path):
    gallery.main(tmp_path)
    for picture, _ in ENTRIES:
        made, stored = (
            size((folder / picture).read_text(encoding="utf-8"))
            for folder in (tmp_path, gallery.PAGE.parent)
        )
        assert made == stored, picture


def size(svg):
    return re.search(r'<svg [^>]*width="([\d.]+)pt" height="([\d.]+)pt"', svg).groups()


@pytest.mark.parametrize("picture", [picture for picture, _ in ENTRIES])
def test_a_picture_is_read_on_white_and_black_pages_and_on_a_telephone(picture):
    svg = (gallery.PAGE.parent / picture).read_text(encoding="utf-8")
    assert float(size(svg)[0]) <= 72 * gallery.WIDTH
    assert "#3b3b3b" not in svg
    # the page shows through
    assert re.search(r'<g id="patch_1">\s*<path [^>]*style="fill: none"', svg)
