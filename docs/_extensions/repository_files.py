"""Links from a page to a file of the repository lead to a page that shows the file, as it was when the site was built.

So a link works on a forge and on the site, and the site is complete without a network. A folder's page lists its files.
"""

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
FOLDER = "source"
"""Where these pages are on the site."""
Page = tuple[str, dict[str, Any], str]


def setup(app: Sphinx) -> dict[str, Any]:
    """Find the links when a page has been read, before Sphinx copies their targets as downloads."""
    app.connect("doctree-read", point_links, priority=400)
    app.connect("html-collect-pages", pages)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}


def point_links(app: Sphinx, doctree: nodes.document) -> None:
    """Turn each link to a file or folder outside of docs/ into one to its page.

    Args:
        app: Sphinx.
        doctree: A page that was read.
    """
    page = app.env.docname
    links = [*doctree.findall(addnodes.download_reference), *doctree.findall(addnodes.pending_xref)]
    for link in links:
        target = link.get("reftarget", "").partition("#")[0]
        name = file_name(page, target, markdown=link.get("refdomain") == "doc")
        if name is not None:
            wanted(app).add(name)
            address = relative_uri(app.builder.get_target_uri(page), address_of(app, name))
            link.replace_self(nodes.reference("", "", *link.children, refuri=address, internal=True))


def file_name(page: str, target: str, *, markdown: bool) -> str | None:
    """Return the path from the repository's root of what a link points at; None for a page, or if it is not there.

    Args:
        page: The page with the link.
        target: What the link says.
        markdown: Whether the target is Markdown, of which the ending has been taken off.

    Returns:
        Such as `lalm_ambig/fit.py`.
    """
    path = ((DOCS / page).parent / (f"{target}.md" if markdown else target)).resolve()
    outside = path.is_relative_to(ROOT) and not path.is_relative_to(DOCS)
    return path.relative_to(ROOT).as_posix() if outside and path.exists() else None


def wanted(app: Sphinx) -> set[str]:
    """Return the files that pages link to; it grows while pages are read."""
    if not hasattr(app.env, "repository_files"):
        app.env.repository_files = set()  # type: ignore[attr-defined]
    return app.env.repository_files  # type: ignore[attr-defined, no-any-return]


def address_of(app: Sphinx, name: str) -> str:
    """Return where the page of a file is, from the root of the site."""
    return app.builder.get_target_uri(page_of(name))


def page_of(name: str) -> str:
    """Return the name of a file's page; servers leave out what begins with a dot."""
    return f"{FOLDER}/" + re.sub(r"(^|/)\.", r"\1", name)


def pages(app: Sphinx) -> Iterator[Page]:
    """Yield the page of each file and folder.

    Args:
        app: Sphinx.

    Yields:
        Name, content and template.
    """
    names = wanted(app)
    for folder in [name for name in names if (ROOT / name).is_dir()]:
        names |= {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).iterdir() if is_text(path)}
    for name in sorted(names):
        body = listing(app, name) if (ROOT / name).is_dir() else highlighted(app, name)
        yield page_of(name), {"title": name, "body": f"<h1>{escape(name)}</h1>{body}"}, "page.html"


def is_text(path: Path) -> bool:
    """Return whether a file can be shown: UTF-8 of at most 300 kB."""
    try:
        return path.is_file() and path.stat().st_size < 300_000 and bool(path.read_text("utf-8"))
    except UnicodeDecodeError:
        return False


def listing(app: Sphinx, folder: str) -> str:
    """Return a folder's files as links, and what else is in it as words."""
    lines = []
    for path in sorted((ROOT / folder).iterdir()):
        name = path.relative_to(ROOT).as_posix()
        here = address_of(app, folder)
        shown = f'<a href="{relative_uri(here, address_of(app, name))}">{escape(path.name)}</a>'
        lines.append(shown if is_text(path) else escape(path.name + "/" * path.is_dir()))
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines if not line.startswith('__'))}</ul>"


def highlighted(app: Sphinx, name: str) -> str:
    """Return a file's text as HTML, or a note that it is no text."""
    if not is_text(ROOT / name):
        return "<p>This file is not a text.</p>"
    try:
        language = get_lexer_for_filename(name).aliases[0]
    except ClassNotFound:
        language = "text"
    highlighter: Any = app.builder.highlighter  # type: ignore[attr-defined]
    return str(highlighter.highlight_block((ROOT / name).read_text("utf-8"), language, force=True))
