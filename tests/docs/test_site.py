"""The site: what its pages list, and, where `nox -s docs` has built it, its HTML."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from pages import LINKED, ROOT, anchors, links, name_of

import secant

DOCS = ROOT / "docs"
API = DOCS / "api"
SITE = ROOT / "build" / "docs"
# In modules that cannot be imported everywhere, or are not imported by users.
NEED_MORE = [
    "secant.acceleration.Recognition",
    "secant.checking.report.ArrayReport",
    "secant.checking.report.Finding",
    "secant.testing.assert_gradient",
    "secant.torch.check",
    "secant.torch.gradcheck",
    "secant.torch.gradgradcheck",
    "secant.torch.check_module",
    "secant.jax.check",
    "secant.jax.check_grads",
    "secant.sklearn.TwoLayerNetClassifier",
]


def public(module):
    """The full names of what is public in a module, and in those that are public in
    it.
    """
    own = [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__
    ]
    for name in getattr(module, "__all__", own):
        value = getattr(module, name)
        if isinstance(value, ModuleType):
            yield from public(value) if value.__name__.startswith("secant") else ()
        elif not name.startswith("_"):
            yield f"{module.__name__}.{name}"


def test_the_api_lists_every_public_name_once():
    listed = Counter()
    for page in API.glob("*.md"):
        for module, names in re.findall(
            r"currentmodule:: (\S+)\n.*?\n\n((?: {3}\w+\n)+)",
            page.read_text(encoding="utf-8"),
            re.DOTALL,
        ):
            listed.update(f"{module}.{name}" for name in names.split())
    assert listed == Counter([*public(secant), *NEED_MORE])


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_links_lead_to_places(page):
    for link in links(page):
        if not link.startswith("https://"):
            to, anchor = urldefrag(unquote(link))
            target = (page.parent / to).resolve() if to else page
            assert target.is_file(), link
            assert not anchor or anchor in anchors(target), link
            # The site has the pages of its own folder, and a copy of what else its
            # pages link to.
            assert (
                target.suffix != ".md"
                or not page.is_relative_to(DOCS)
                or target.is_relative_to(DOCS)
            ), link


class Page(HTMLParser):
    """What a page of HTML loads, links to, and can be linked to by."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded, self.links, self.ids, self.language = [], [], set(), None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.add(found.get("id"))
        if tag == "html":
            self.language = found["lang"]
        elif tag == "a":
            self.links.append(found.get("href", ""))
        elif tag == "link":
            self.loaded.append(found["href"])
        else:
            self.loaded += [found["src"]] if "src" in found else []


@pytest.fixture(scope="module")
def site():
    if not SITE.exists():
        pytest.skip("the site is not built: nox -s docs")
    return {
        path: Page(path) for path in SITE.rglob("*.html") if "_static" not in path.parts
    }


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site):
    for path, page in site.items():
        for link in page.loaded:
            assert (path.parent / unquote(urlsplit(link).path)).exists(), (path, link)
            assert "//" not in link, (path, link)
    for path in SITE.rglob("*.css"):
        assert not re.search(
            r"(url\(|@import )[\"']?(https?:)?//", path.read_text(encoding="utf-8")
        ), path


@pytest.mark.slow
def test_links_of_the_site_lead_to_places(site):
    for path, page in site.items():
        # the source code's links back are Sphinx's
        for link in page.links if "_modules" not in path.parts else ():
            if not re.match(r"https?:", link):
                to, anchor = urldefrag(unquote(link))
                target = (path.parent / to).resolve() if to else path
                assert target.exists(), (path, link)
                assert (
                    not anchor or target.suffix != ".html" or anchor in site[target].ids
                ), (path, link)


@pytest.mark.slow
def test_pages_show_what_they_should(site):
    for path, page in site.items():
        assert page.language == ("zh-CN" if "zh-CN" in path.parts else "en"), path
    train = re.sub(
        "<[^>]*>",
        "",
        (SITE / "api" / "generated" / "secant.train.html").read_text(encoding="utf-8"),
    )
    assert re.search(r"secant\.train\(\s*net,\s*x_train,\s*t_train", train)
    for heading in ("Parameters", "Returns", "Raises", "Examples"):
        assert heading in train
    assert "<math" in (SITE / "derivation.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_records_are_not_in_the_search(site):
    index = (SITE / "searchindex.js").read_text(encoding="utf-8")
    assert "How a gradient check works" in index
    for record in (DOCS / "records").glob("*.md"):
        title = re.search(
            r"^# (.+)$", record.read_text(encoding="utf-8"), re.MULTILINE
        )[1]
        assert title not in index, title
