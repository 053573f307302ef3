"""Lists every address outside the site in `build/docs/external_links.txt`. Nothing is fetched."""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def setup(app: Sphinx) -> dict[str, Any]:
    """Collect on reading, write at the end."""
    app.connect("env-updated", write)
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
