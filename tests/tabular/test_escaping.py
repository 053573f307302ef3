"""Whatever a name, a note or a model's response holds, it is printed as it is and stops no compiler."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lalm_ambig.tabular.escaping import html_escape, latex_escape, markdown_escape, visible
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow
from lalm_ambig.tabular.writers import NOT_WIDER, latex

PRINTED = """
    textbackslash textasciitilde textasciicircum textless textgreater textbar textsuperscript ldots ss uparrow downarrow
    rightarrow pm times cdot leq geq neq infty surd checkmark alpha beta gamma delta varepsilon zeta eta theta iota
    kappa lambda mu nu xi pi rho sigma tau upsilon varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi
    Omega r v c
"""
COMMANDS = set(PRINTED.split())
"""Every command that an escaped text may hold: LaTeX, with amssymb, has them all (compiled once by hand)."""
FRAME = """
    begin end centering small caption resizebox ifdim width linewidth else fi toprule midrule bottomrule par
    footnotesize textbf underline
"""
LAYOUT = set(FRAME.split())


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("\\^~", r"\textbackslash{}\textasciicircum{}\textasciitilde{}"),
        ("a_b & 5% #1 {x} $y$", r"a\_b \& 5\% \#1 \{x\} \$y\$"),
        ("± − → ² √ ≥ ✓", r"$\pm$ $-$ $\rightarrow$ \textsuperscript{2} $\surd$ $\geq$ $\checkmark$"),
        ("ε αΣ", r"$\varepsilon$ $\alpha$$\Sigma$"),
        ("Ĥ é ç p̂", r"\^{H} \'{e} \c{c} \^{p}"),
        ("中\x04", "{[}U+4E2D{]}{[}U+0004{]}"),
        ("“a’s”—b…", r"``a's''---b\ldots{}"),
        ("", ""),
    ],
)
def test_latex_of_known_characters_by_hand(text: str, written: str) -> None:
    assert latex_escape(text) == written


def unescaped(text: str) -> set[str]:
    """What LaTeX would still read as a command in an escaped text, and commands that it may not know."""
    commands = set(re.findall(r"\\([A-Za-z]+)", text))
    rest = re.sub(r"\\[A-Za-z]+(\{\})?|\\[\\&%$#_{}`'^~=\".]", "", text)
    return (commands - COMMANDS) | (set(rest) & set("\\&%#_^~"))


@given(st.text(max_size=40))
@settings(max_examples=60)
def test_any_text_is_ascii_and_balanced_and_holds_no_command_of_its_own(text: str) -> None:
    written = latex_escape(text)
    assert written.isascii() and written.isprintable()
    assert unescaped(written) == set()
    bare = re.sub(r"\\[{}$]", "", written)
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0


def test_a_whole_table_holds_only_what_its_packages_know() -> None:
    names = "".join(
        map(chr, [*range(0x20, 0x180), *range(0x370, 0x3D0), *range(0x2010, 0x2030), 0x1F600, 0x202E])
    )
    lines = (
        TableRow((names, names), (Cell(0.1, 0.0, 0.2, rank=1, change=-0.5), Cell(text=names)), (names,)),
        TableRow((names, "[b]"), (Cell(0.2, rank=2, notes=("n",)), Cell())),
    )
    columns = (Column("a", "R² (item) ↑"), Column("b", names))
    text = latex(ResultTable((names, "x"), columns, lines, (names,), frozenset({0}), "s", names, prose=1))
    head, _, body = text.partition("\n")
    assert head == r"% needs \usepackage{booktabs,graphicx,amssymb}"
    assert body.isascii() and re.sub(r"\s", "", body).isprintable()
    assert set(re.findall(r"\\([A-Za-z]+)", body)) <= COMMANDS | LAYOUT
    assert unescaped(body.replace(NOT_WIDER, "")) & set("%#_^~") == set()
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 3 and all(len(re.findall(r"(?<!\\)&", row)) == 3 for row in rows)


def test_markup_and_hidden_characters_are_shown_as_they_are() -> None:
    assert markdown_escape("a|b_*`~<i>\x1b\u202e\n c") == r"a\|b\_\*\`\~&lt;i&gt;[U+001B][U+202E] c"
    assert html_escape('<a b="c">\x00') == "&lt;a b=&quot;c&quot;&gt;[U+0000]"
    assert visible("plain é 中\n\t") == "plain é 中\n\t"
