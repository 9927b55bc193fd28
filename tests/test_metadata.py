"""What a package index shows: README.md, its links absolute where the address of the repository is given."""

import os
import subprocess
import sys
import tarfile
import tomllib
from email.parser import Parser
from email.policy import default
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent
ADDRESS = "https://example.org/owner/secant"
HOOK = "import sys; from scikit_build_core import build; print(getattr(build, sys.argv[1])(sys.argv[2]))"


def built(hook, folder, address, sources=ROOT):
    """The metadata that a hook of the build backend writes in a folder."""
    environment = {name: value for name, value in os.environ.items() if name != "SECANT_REPOSITORY_URL"}
    environment |= {"SECANT_REPOSITORY_URL": address} if address else {}
    command = [sys.executable, "-c", HOOK, hook, str(folder)]
    done = subprocess.run(command, cwd=sources, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    made = folder / done.stdout.splitlines()[-1]
    if hook == "build_sdist":
        with tarfile.open(made) as archive:
            archive.extractall(folder, filter="data")
        made = folder / made.name.removesuffix(".tar.gz")
    name = "PKG-INFO" if hook == "build_sdist" else "METADATA"
    return Parser(policy=default).parsestr((made / name).read_text(encoding="utf-8")), made


def links(text):
    found = [child for token in MarkdownIt("commonmark").parse(text) for child in token.children or ()]
    return [child.attrs.get("href", child.attrs.get("src")) for child in found if child.type in ("link_open", "image")]


@pytest.fixture(scope="module", autouse=True)
def backend():
    pytest.importorskip("scikit_build_core", reason="scikit-build-core is not installed")


@pytest.mark.slow
def test_without_an_address_the_readme_stays_as_it_is(tmp_path):
    metadata, _ = built("prepare_metadata_for_build_wheel", tmp_path, None)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert metadata.get_payload().strip() == readme.strip()
    assert metadata["Description-Content-Type"].startswith("text/markdown")
    assert metadata.get_all("Project-URL") is None


@pytest.mark.slow
@pytest.mark.parametrize("address", [ADDRESS, ADDRESS + "/"])
def test_with_an_address_links_are_absolute(tmp_path, address):
    metadata, _ = built("prepare_metadata_for_build_wheel", tmp_path, address)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    relative, absolute = links(readme), links(metadata.get_payload())
    assert len(relative) > 10
    for before, after in zip(relative, absolute, strict=True):
        kind = "raw" if before.endswith(".png") else "blob"
        assert after == f"{ADDRESS}/{kind}/HEAD/{before}"
    assert f"Homepage, {ADDRESS}" in metadata.get_all("Project-URL")
    text = metadata.get_payload()
    for before, after in zip(relative, absolute, strict=True):
        text = text.replace(f"]({after})", f"]({before})")
    assert text.strip() == readme.strip()  # nothing else has changed, code included


@pytest.mark.slow
def test_an_sdist_says_what_its_wheels_may_change_and_builds_them_with_another_address(tmp_path):
    metadata, sources = built("build_sdist", tmp_path, ADDRESS)
    assert {"Description", "Project-URL"} <= set(metadata.get_all("Dynamic"))
    assert (sources / "README.md").read_bytes() == (ROOT / "README.md").read_bytes()
    other = "https://example.org/another/secant"
    metadata, _ = built("prepare_metadata_for_build_wheel", tmp_path, other, sources)
    assert f"Homepage, {other}" in metadata.get_all("Project-URL")
    assert ADDRESS not in metadata.get_payload()


def test_there_are_wheels_for_each_python_that_is_named():
    with open(ROOT / "pyproject.toml", "rb") as file:
        settings = tomllib.load(file)
    named = [line.rpartition(" ")[2] for line in settings["project"]["classifiers"] if ":: Python :: 3." in line]
    wanted = {f"cp{version.replace('.', '')}-*" for version in named}
    assert wanted == {build for build in settings["tool"]["cibuildwheel"]["build"] if "t-" not in build}
