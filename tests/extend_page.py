"""The code that docs/extend shows, as modules."""

import importlib
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

PAGES = Path(__file__).parents[1] / "docs" / "extend"
CODE = re.compile(r"^ *```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def module_of(
    page: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, block: int = 0, name: str | None = None
) -> ModuleType:
    """One of a page's blocks as a module.

    Args:
        page: File name of the page.
        folder: Where the module is written.
        monkeypatch: Takes the module back after the test.
        block: Which block, from 0.
        name: Dotted name under which the other blocks import it; None where they do not.
    """
    code = CODE.findall((PAGES / page).read_text(encoding="utf-8"))[block]
    stem = f"shown_{page.removesuffix('.md')}_{block}"
    (folder / f"{stem}.py").write_text(textwrap.dedent(code), encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, stem, raising=False)
    module = importlib.import_module(stem)
    if name is not None:
        monkeypatch.setitem(sys.modules, name, module)
    return module
