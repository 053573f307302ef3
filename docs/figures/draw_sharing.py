"""The drawing of docs/internals/sharing.md, from the layout that training uses: `python docs/figures/draw_sharing.py`.

A batch of two prompts with two responses each is a tree. What each token sees is asked of `TreeLayout` itself: with
equal scores, attention to one-hot values is above 0 exactly where a token is seen.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lalm_ambig.policies.attention.tree import AttentionArguments, TreeLayout

FILE = Path(__file__).with_name("sharing.svg")
CELL = 21
LEFT, TOP = 548, 150
"""Corner of the mask."""


@dataclass(frozen=True)
class Part:
    """A segment of the row, and where it is in the tree."""

    name: str
    what: str
    tokens: int
    parent: int | None
    colour: str
    place: tuple[int, int]
    beside: bool = False
    """Whether what it is stands beside its name, where lines pass below."""


PARTS = (
    Part("0", "beginning", 4, None, "#7d8796", (24, 285)),
    Part("A", "prompt A", 3, 0, "#3b6fb6", (176, 190)),
    Part("B", "prompt B", 2, 0, "#b5651d", (176, 430)),
    Part("A1", "response", 4, 1, "#5b9bd5", (300, 130)),
    Part("A2", "response", 2, 1, "#2f8a8a", (300, 230), beside=True),
    Part("a", "the rest of it", 2, 4, "#6cc0b4", (440, 200)),
    Part("b", "closing", 2, 4, "#8a6fc0", (440, 275)),
    Part("B1", "response", 3, 2, "#e09a4a", (300, 390)),
    Part("B2", "response", 3, 2, "#d9b34a", (300, 480)),
)
DESCRIPTION = (
    "Two prompts have a common beginning, and two responses each. One response has a branch. All are one row of "
    "tokens, and a token sees its own path from the root only."
)
STYLE = """
    text { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2430; }
    .title { font-size: 18px; font-weight: 650; }
    .name { font-size: 14px; font-weight: 650; }
    .soft { font-size: 12.5px; fill: #5b6472; }
    .inside { font-size: 11px; fill: #ffffff; text-anchor: middle; font-weight: 600; }
    .number { font-size: 10.5px; fill: #5b6472; text-anchor: middle; }
    .paper { fill: #ffffff; }
    .empty { fill: #eef1f5; }
    .line { fill: none; stroke: #8b95a3; stroke-width: 1.6; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6e9ef; }
      .soft, .number { fill: #a6afbd; }
      .paper { fill: #1b1f27; }
      .empty { fill: #2a303b; }
    }
"""


def main() -> None:
    """Write the drawing."""
    FILE.write_text(drawing(), encoding="utf-8")


def drawing() -> str:
    """The drawing as SVG."""
    layout = TreeLayout([part.tokens for part in PARTS], [part.parent for part in PARTS])
    size = sum(part.tokens for part in PARTS)
    height = TOP + CELL * size + 70
    box = f'viewBox="0 0 1110 {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-labelledby="title desc">',
        '  <title id="title">A batch as a tree, packed into one row</title>',
        f'  <desc id="desc">{DESCRIPTION}</desc>',
        f"  <style>{STYLE}  </style>",
        f'  <rect class="paper" width="1110" height="{height}" rx="12"/>',
        *_tree(),
        *_row(layout),
        *_mask(seen(layout, size)),
        *_words(layout, size),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def seen(layout: TreeLayout, size: int) -> Tensor:
    """Which token (row) sees which (column): true where attention with equal scores has weight."""
    zeros, values = torch.zeros(1, 1, size, size), torch.eye(size)[None, None]
    return layout.attend(0, zeros, zeros, values, AttentionArguments(scaling=1.0))[0, 0] > 0


def _tree() -> list[str]:
    lines = [_text("title", 24, 38, "Tree"), _text("soft", 24, 60, "a child follows its parent directly")]
    for part in PARTS:
        x, y = part.place
        if part.parent is not None:
            above = PARTS[part.parent]
            from_x, from_y = above.place[0] + 12 * above.tokens + 4, above.place[1] + 10
            middle = (from_x + x) / 2
            curve = f"C{middle:g} {from_y} {middle:g} {y + 10} {x - 4} {y + 10}"
            lines.append(f'  <path class="line" d="M{from_x} {from_y}{curve}"/>')
        lines += [_box(x + 12 * n, y, (11, 20), f'fill="{part.colour}"') for n in range(part.tokens)]
        at = (x + 26, y - 6) if part.beside else (x, y + 36)
        lines += [_text("name", x, y - 6, part.name), _text("soft", *at, part.what)]
    return lines


def _row(layout: TreeLayout) -> list[str]:
    lines = [
        _text("title", LEFT, 38, "One packed row, and what each token sees"),
        _text("soft", LEFT, 60, "filled: the token of that line sees the token of that column"),
    ]
    for part, place in zip(PARTS, layout.slices, strict=True):
        start, long = CELL * place.start, CELL * part.tokens - 2
        lines.append(_box(LEFT + start, TOP - 58, (long, 24), f'fill="{part.colour}"'))
        lines.append(_text("inside", LEFT + start + long / 2, TOP - 42, part.name))
        lines.append(_box(LEFT - 14, TOP + start, (8, long), f'fill="{part.colour}"'))
    for n, position in enumerate(layout.positions.tolist()):
        lines.append(_text("number", LEFT + CELL * n + CELL / 2 - 1, TOP - 14, str(position)))
    return lines


def _mask(visible: Tensor) -> list[str]:
    colours = [part.colour for part in PARTS for _ in range(part.tokens)]
    return [
        _box(
            LEFT + CELL * column,
            TOP + CELL * line,
            (CELL - 2, CELL - 2),
            f'fill="{colours[column]}"' if is_seen else 'class="empty"',
        )
        for line, row in enumerate(visible.tolist())
        for column, is_seen in enumerate(row)
    ]


def _words(layout: TreeLayout, size: int) -> list[str]:
    parents = {part.parent for part in PARTS}
    leaves = [n for n in range(len(PARTS)) if n not in parents]
    alone = sum(layout.starts[n] + PARTS[n].tokens for n in leaves)
    bottom = TOP + CELL * size + 28
    left = (
        f"{size} tokens are computed once each;",
        f"{len(leaves)} texts by themselves would be {alone}.",
        "A2 did not reach its answer: the closing (b) that leads there",
        "is a branch of its own, and the rest of A2 (a) does not see it.",
    )
    right = "Numbers: the position of each token on its own path, which is what the model is told."
    lines = [_text("soft", 24, bottom - 60 + 18 * n, words) for n, words in enumerate(left)]
    return [*lines, _text("soft", LEFT, bottom, right)]


def _text(kind: str, x: float, y: float, words: str) -> str:
    return f'  <text class="{kind}" x="{x:g}" y="{y:g}">{words}</text>'


def _box(x: int, y: int, size: tuple[int, int], look: str) -> str:
    return f'  <rect x="{x}" y="{y}" width="{size[0]}" height="{size[1]}" rx="2" {look}/>'


if __name__ == "__main__":
    main()
