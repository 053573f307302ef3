"""How Sphinx builds the site: `make docs` writes it into build/docs/html."""

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "lalm_ambig"
author = "the authors of lalm_ambig"
release = metadata.version("lalm_ambig")
language = "en"
smartquotes = False  # "--run" is an option, not a dash

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mathml",
    "docstrings",
    "repository_files",
    "external_links",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_extensions", "_static"]
nitpick_ignore_regex = [("py:.*", ".*")]  # types of torch and others have no pages here

myst_enable_extensions = ["alert", "dollarmath"]
myst_heading_anchors = 4  # as GitHub makes them
myst_dmath_double_inline = True
myst_dmath_allow_space = False  # "$5 and $6" is money
myst_dmath_allow_digits = False

autodoc_typehints_format = "short"
autodoc_class_signature = "separated"  # fields and Args: say how one is made
autoclass_content = "both"
autodoc_default_options = {"exclude-members": "__init__, __new__"}
autodoc_inherit_docstrings = False  # those of torch are not ours
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
add_module_names = False

html_theme = "pydata_sphinx_theme"
html_title = "lalm_ambig"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
WITHOUT_SECTION = ("index", "getting_started", "questions", "troubleshooting", "faq", "glossary", "source/**")
html_sidebars = {page: [] for page in WITHOUT_SECTION}  # nothing would be in it
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "navbar_end": ["theme-switcher"],
    "show_prev_next": False,
    "footer_start": [],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}


def setup(app: Sphinx) -> None:
    """Give the tables that `study` writes a title: their first line, which is bold."""
    app.connect("source-read", title_of_table)


def title_of_table(*event: Any) -> None:
    """Make the first line of a table's page its title, in place.

    Args:
        event: What Sphinx says of a page; its text is in the last.
    """
    content: list[str] = event[-1]
    content[0] = re.sub(r"\A\*\*(.+)\*\*$", r"# \1", content[0], flags=re.MULTILINE)
