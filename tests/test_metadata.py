"""What a release is made of: metadata, what an sdist has, and the workflows that build
and publish it.
"""

import json
import os
import re
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
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "SECANT_REPOSITORY_URL"
    }
    environment |= {"SECANT_REPOSITORY_URL": address} if address else {}
    command = [sys.executable, "-c", HOOK, hook, str(folder)]
    done = subprocess.run(
        command,
        cwd=sources,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    made = folder / done.stdout.splitlines()[-1]
    if hook == "build_sdist":
        with tarfile.open(made) as archive:
            archive.extractall(folder, filter="data")
        made = folder / made.name.removesuffix(".tar.gz")
    name = "PKG-INFO" if hook == "build_sdist" else "METADATA"
    return Parser(policy=default).parsestr(
        (made / name).read_text(encoding="utf-8")
    ), made


def links(text):
    found = [
        child
        for token in MarkdownIt("commonmark").parse(text)
        for child in token.children or ()
    ]
    return [
        child.attrs.get("href", child.attrs.get("src"))
        for child in found
        if child.type in ("link_open", "image")
    ]


@pytest.fixture(scope="module")
def backend():
    pytest.importorskip(
        "scikit_build_core", reason="scikit-build-core is not installed"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("backend")
def test_without_an_address_the_readme_stays_as_it_is(tmp_path):
    metadata, _ = built("prepare_metadata_for_build_wheel", tmp_path, None)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert metadata.get_payload().strip() == readme.strip()
    assert metadata["Description-Content-Type"].startswith("text/markdown")
    assert metadata.get_all("Project-URL") is None


@pytest.mark.slow
@pytest.mark.usefixtures("backend")
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
@pytest.mark.usefixtures("backend")
def test_an_sdist_says_what_its_wheels_may_change_and_builds_them_with_another_address(
    tmp_path,
):
    metadata, sources = built("build_sdist", tmp_path, ADDRESS)
    assert {"Description", "Project-URL"} <= set(metadata.get_all("Dynamic"))
    assert (sources / "README.md").read_bytes() == (ROOT / "README.md").read_bytes()
    other = "https://example.org/another/secant"
    metadata, _ = built("prepare_metadata_for_build_wheel", tmp_path, other, sources)
    assert f"Homepage, {other}" in metadata.get_all("Project-URL")
    assert ADDRESS not in metadata.get_payload()


@pytest.mark.slow
@pytest.mark.usefixtures("backend")
def test_an_sdist_has_every_file_of_the_repository(tmp_path):
    """Its tests are run in it, and so are the scripts of a release."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no repository")
    _, sources = built("build_sdist", tmp_path, None)
    tracked = subprocess.check_output(
        ["git", "ls-files"], cwd=ROOT, text=True
    ).splitlines()
    lacking = [path for path in tracked if not (sources / path).exists()]
    assert lacking == [".git-blame-ignore-revs", ".gitignore"]


@pytest.mark.slow
@pytest.mark.usefixtures("backend")
def test_a_wheel_has_the_licenses_of_the_libraries_that_are_put_into_it(tmp_path):
    _, made = built("prepare_metadata_for_build_wheel", tmp_path, None)
    licenses = {
        path.relative_to(made / "licenses").as_posix()
        for path in (made / "licenses").rglob("*.txt")
    }
    overview = (ROOT / "licenses" / "OpenMP.txt").read_text(encoding="utf-8")
    named = re.findall(r"[\w.-]+\.txt", overview)
    assert sorted(licenses) == sorted(
        ["licenses/OpenMP.txt", *(f"licenses/{name}" for name in named)]
    )


def settings():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def named_pythons():
    classifiers = settings()["project"]["classifiers"]
    return [
        line.rpartition(" ")[2] for line in classifiers if ":: Python :: 3." in line
    ]


def test_there_are_wheels_for_each_python_that_is_named():
    wanted = {f"cp{version.replace('.', '')}-*" for version in named_pythons()}
    assert wanted == {
        build
        for build in settings()["tool"]["cibuildwheel"]["build"]
        if "t-" not in build
    }


def workflows():
    return {
        path.name: path.read_text(encoding="utf-8")
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
    }


def test_each_python_that_is_named_is_tested_and_not_that_of_pipx():
    (versions,) = re.findall(r"python: \[(.*)\]", workflows()["tests.yml"])
    assert re.findall(r'"([\d.]+)"', versions) == named_pythons()
    assert 'nox --force-python "$PYTHON"' in workflows()["tests.yml"]


def test_actions_are_pinned_by_their_commit():
    used = [
        line.split("uses:")[1].strip()
        for text in workflows().values()
        for line in text.splitlines()
        if "uses:" in line
    ]
    assert len(used) > 10
    pinned = re.compile(
        r"(\./\.github/workflows/\w+\.yml|[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)"
    )
    assert [each for each in used if not pinned.fullmatch(each)] == []


def test_each_job_has_a_limit_of_time():
    for name, text in workflows().items():
        assert text.count("\n    runs-on: ") == text.count("\n    timeout-minutes: "), (
            name
        )


def notes(version):
    command = [sys.executable, "-X", "utf8", ROOT / ".ci" / "changelog", version]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=60
    )


def test_the_notes_of_a_release_are_its_section_of_the_changelog():
    done = notes(settings()["project"]["version"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert not re.search("^## ", done.stdout, re.MULTILINE)
    assert "the version is" in notes("0.0.1").stderr


def test_the_oldest_packages_are_those_of_every_extra_for_users():
    command = [sys.executable, "-X", "utf8", ROOT / ".ci" / "oldest"]
    pinned = subprocess.check_output(
        command, text=True, encoding="utf-8", timeout=60
    ).split()
    project = settings()["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"]]
    for name in extras.keys() - {"bench", "dev", "docs", "test"}:
        wanted += [each for each in extras[name] if not each.startswith("secant")]
    assert sorted(pinned) == sorted(each.replace(">=", "==") for each in wanted)


@pytest.mark.parametrize(
    ("outcomes", "limit", "expected"),
    [
        (
            [
                {"passed": ["a.py::x"], "skipped": {"a.py::y": "no y"}},
                {"passed": ["a.py::y"], "skipped": {}},
            ],
            0,
            0,
        ),
        ([{"passed": ["a.py::x"], "skipped": {"a.py::y": "no y"}}], 0, 1),
        ([{"passed": ["a.py::x"], "skipped": {"a.py::y": "no y"}}], 1, 0),
        ([{"passed": ["a.py::x"], "skipped": {"b.py": "no b"}}], 0, 1),
        ([{"passed": ["b.py::x"], "skipped": {"b.py": "no b"}}], 0, 0),
        ([{"passed": [], "skipped": {}}], 9, 1),
        ([], 9, 1),
    ],
)
def test_the_gate_fails_where_too_much_was_skipped_in_every_run(
    tmp_path, outcomes, limit, expected
):
    for number, each in enumerate(outcomes):
        (tmp_path / f"{number}.json").write_text(json.dumps(each), encoding="utf-8")
    command = [
        sys.executable,
        "-X",
        "utf8",
        ROOT / ".ci" / "untested",
        tmp_path,
        str(limit),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=60
    )
    assert done.returncode == expected, done.stdout + done.stderr


def test_what_was_skipped_in_every_run_can_be_given_to_pytest(tmp_path):
    skipped = {
        "tests/a.py::y": "no y",
        "tests/b.py": "no b",
        "a step of the gate": "no network",
    }
    outcomes = {"passed": ["tests/a.py::x"], "skipped": skipped}
    (tmp_path / "1.json").write_text(json.dumps(outcomes), encoding="utf-8")
    printed = subprocess.check_output(
        [sys.executable, ROOT / ".ci" / "untested", tmp_path], text=True, timeout=60
    )
    assert printed.splitlines() == ["tests/a.py::y", "tests/b.py"]
