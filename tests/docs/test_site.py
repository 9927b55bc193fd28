"""The site: what its pages list, and, where `nox -s docs` has built it, its HTML."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urldefrag

import pytest
from pages import PAGES, ROOT, name_of, tokens

import secant

API = ROOT / "docs" / "api"
SITE = ROOT / "build" / "docs"
REPOSITORY = "https://github.com/secant-developers/secant/blob/main/"
# In modules that cannot be imported everywhere.
NEED_MORE = [
    "secant.torch.gradcheck",
    "secant.torch.gradgradcheck",
    "secant.torch.check_module",
    "secant.jax.check_grads",
    "secant.sklearn.TwoLayerNetClassifier",
]


def public(module):
    """The full names of what is public in a module, and in those that are public in it."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    for name in getattr(module, "__all__", own):
        value = getattr(module, name)
        if isinstance(value, ModuleType):
            yield from public(value) if value.__name__.startswith("secant") else ()
        elif not name.startswith("_"):
            yield f"{module.__name__}.{name}"


def test_the_api_lists_every_public_name_once():
    listed = Counter()
    for page in API.glob("*.md"):
        for module, names in re.findall(r"currentmodule:: (\S+)\n.*?\n\n((?: {3}\w+\n)+)", page.read_text(), re.DOTALL):
            listed.update(f"{module}.{name}" for name in names.split())
    assert listed == Counter([*public(secant), *NEED_MORE])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page):
    links = [
        child.attrs for token in tokens(page) for child in token.children or () if child.type in ("link_open", "image")
    ]
    for link in (str(attributes.get("href", attributes.get("src"))) for attributes in links):
        if link.startswith(REPOSITORY):
            assert (ROOT / urldefrag(link[len(REPOSITORY) :]).url).exists(), link
        elif not link.startswith("https://"):
            assert (page.parent / urldefrag(link).url).exists(), link


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
    return {path: Page(path) for path in SITE.rglob("*.html") if "_static" not in path.parts}


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site):
    assert not [(path, link) for path, page in site.items() for link in page.loaded if "//" in link]
    for path in SITE.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", path.read_text(encoding="utf-8")), path


@pytest.mark.slow
def test_links_lead_to_places(site):
    for path, page in site.items():
        for link in page.links:
            if not re.match(r"https?:", link):
                to, anchor = urldefrag(unquote(link))
                target = (path.parent / to).resolve() if to else path
                assert target.exists(), (path, link)
                assert not anchor or target.suffix != ".html" or anchor in site[target].ids, (path, link)


@pytest.mark.slow
def test_pages_show_what_they_should(site):
    for path, page in site.items():
        assert page.language == ("zh-CN" if "zh-CN" in path.parts else "en"), path
    train = re.sub("<[^>]*>", "", (SITE / "api" / "generated" / "secant.train.html").read_text(encoding="utf-8"))
    assert re.search(r"secant\.train\(\s*net,\s*x_train,\s*t_train", train)
    for heading in ("Parameters", "Returns", "Raises", "Examples"):
        assert heading in train
    assert "<math" in (SITE / "method.html").read_text(encoding="utf-8")
