"""Lists every address outside the site in `build/docs/external_links.txt`. Nothing is fetched, by a reader either.

A page that would load a script, style, font or picture from elsewhere is an error.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|link)\b[^>]*?\b(?:src|href)="((?:https?:)?//[^"]*)"""
)


def setup(app: Sphinx) -> dict[str, Any]:
    """List when all pages are read, check when all are written."""
    app.connect("env-updated", write)
    app.connect("build-finished", check)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def write(app: Sphinx, env: BuildEnvironment) -> None:
    """Write the list, one address a line, each with the pages that link to it.

    Args:
        app: Sphinx.
        env: What was read.
    """
    pages: dict[str, set[str]] = {}
    for page in env.found_docs:
        for link in env.get_doctree(page).findall(nodes.reference):
            address = link.get("refuri", "")
            if address.startswith(("http://", "https://")):
                pages.setdefault(address, set()).add(page)
    lines = [f"{address}  {' '.join(sorted(named))}\n" for address, named in sorted(pages.items())]
    (Path(app.outdir).parent / "external_links.txt").write_text("".join(lines), encoding="utf-8")


def check(app: Sphinx, error: Exception | None) -> None:
    """Look for what a page would load from elsewhere.

    Args:
        app: Sphinx.
        error: Why the build has failed; then nothing is looked at.

    Raises:
        ExtensionError: There is something.
    """
    for page in sorted(Path(app.outdir).rglob("*.html")) if error is None else ():
        if found := LOADED.search(page.read_text(encoding="utf-8")):
            raise ExtensionError(f"{page.relative_to(app.outdir)} loads {found[1]}")
