"""The drawing of docs/internals/sharing.md is that of the code's own layout."""

import sys
from pathlib import Path

import pytest

FIGURES = Path(__file__).parents[1] / "docs" / "figures"


def test_the_drawing_is_as_the_layout_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FIGURES))
    monkeypatch.delitem(sys.modules, "draw_sharing", raising=False)
    import draw_sharing

    assert draw_sharing.FILE.read_text("utf-8") == draw_sharing.drawing(), "run docs/figures/draw_sharing.py"
