"""The documentation site: ``nox -s docs``.

It is built without a network, and its pages load nothing from elsewhere.

Design: formulas become MathML by docutils, on which Sphinx stands: browsers show it by
themselves, without the MathJax that Sphinx would load from a server. References to
other projects' types are plain text, so that no index is fetched.
"""

import re
import tomllib
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

ROOT = Path(__file__).parent.parent

project = "Secant"
author = project_copyright = "The Secant developers"
release = version = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)["project"]["version"]

extensions = ["myst_nb", "numpydoc", "sphinx_copybutton"]
extensions += [f"sphinx.ext.{name}" for name in ("autodoc", "autosummary", "viewcode")]
exclude_patterns = ["**.ipynb_checkpoints"]
templates_path = ["_templates"]
nitpicky = True
highlight_language = "none"  # of blocks that do not say what they are

nb_execution_mode = "off"  # notebooks are run by the tests
myst_enable_extensions = ["attrs_block", "dollarmath"]
myst_heading_anchors = 3

default_role = "py:obj"
autodoc_typehints = "none"  # shapes and types stand in the docstrings
autodoc_mock_imports = ["jax", "torch"]
autosummary_generate = True
numpydoc_show_class_members = False  # the template of a class lists them
# Not in this site: types of other projects, and names that a docstring only mentions.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(numpy|np|torch|jax|scipy|sklearn|joblib|concurrent|unittest|collections)\..*",
    )
]

html_theme = "pydata_sphinx_theme"
html_title = f"Secant {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["names.js"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
}
# Of a session, what is copied is what one types: no prompts, no outputs.
copybutton_prompt_text = r">>> |\.\.\. ?|\$ "
copybutton_prompt_is_regexp = True
copybutton_copy_empty_lines = False


def formula(translator, node):
    """Write a formula as MathML."""
    translator.body.append(
        tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block))
    )
    raise nodes.SkipNode


def language_of_page(app, pagename, templatename, context, doctree):
    """Say in what language a page is: a browser chooses the font of Chinese by that."""
    if found := re.match(r"(zh-CN)/", pagename):
        context["language"] = found[1]


def hide_records_from_search(app, env):
    """Leave what programs wrote out of the search: it is found from the page that says
    what it means.
    """
    for page in env.found_docs:
        if page.startswith("records/"):
            env.metadata[page]["nosearch"] = True


def setup(app):
    """Register what is written above."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(formula, None), block_renderers=(formula, None)
    )
    app.connect("html-page-context", language_of_page)
    app.connect("env-check-consistency", hide_records_from_search)
