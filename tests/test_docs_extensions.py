"""How the site reads what is written: equations as MathML or refused, docstrings as reStructuredText."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "_extensions"))
docstrings = pytest.importorskip("docstrings", reason="the extra docs is not installed")
mathml = pytest.importorskip("mathml", reason="the extra docs is not installed")
from docutils import nodes  # noqa: E402


def shown(latex: str, display: str = "inline") -> str:
    return str(mathml.mathml_of(nodes.math(latex, latex), display))


@pytest.mark.parametrize(
    "latex",
    [
        r"\mathrm{KL}\big(p_n \,\|\, \hat p_\theta(\cdot \mid x_n)\big)",
        r"\underbrace{\sum_z \pi(z)}_{\text{what is written}}",
        r"y^* = \arg\max_c p_c",
        r"\frac12 \log_2 x",
        r"p < q \{a\}",
        r"\begin{cases}a & b\\ c & d\end{cases}",
        r"\sqrt{\frac1C \sum_c \operatorname{Var}_n(\hat p_{n,c})}",
    ],
)
def test_an_equation_is_one_element_without_a_command_left(latex: str) -> None:
    for display in ("inline", "block"):
        root = ElementTree.fromstring(shown(latex, display))
        assert root.tag.endswith("math") and root.get("display") == display
        assert "\\" not in "".join(root.itertext())


@pytest.mark.parametrize(
    ("latex", "why"),
    [
        (r"\frac{a", "braces do not close"),
        (r"\foo{x}", r"unknown: \\\\foo"),
        (r"\begin{aligned}a &= b\end{aligned}", "not well-formed"),
        (r"a & b", "not well-formed"),
        (r"\left( x", "ExtraLeftOrMissingRightError"),
        (r"x^", "."),
    ],
)
def test_an_equation_that_would_be_wrong_is_a_warning(
    latex: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert shown(latex) == ""
    assert "cannot be shown" in caplog.text
    assert re.search(why, caplog.text)


def test_relations_and_functions_have_their_space() -> None:
    assert "<mo>&#x0223C;</mo>" in shown(r"z \sim \pi")
    assert shown(r"p_c \log q").count("mspace") == 2
    assert shown(r"\log(q)").count("mspace") == 0
    assert shown(r"\log_2 q").count("mspace") == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the `code` of it", "the ``code`` of it"),
        ("twice ``code``", "twice ``code``"),
        ("$p_n | x$ and |x|", r":math:`p_n | x` and \|x\|"),
        ("a*b, a*(b), 2 * 3, *so*, **very**", r"a\*b, a\*(b), 2 \* 3, *so*, **very**"),
        ("costs $5", "costs $5"),
        ("see `docs/guides/memory.md` (docs/faq.md)", "see :doc:`/guides/memory` (:doc:`/faq`)"),
        ("$$a\n+ b$$", "\n.. math::\n\n    a + b\n"),
    ],
)
def test_a_docstring_is_read_as_it_is_written(text: str, expected: str) -> None:
    assert docstrings.as_rst(text) == expected


def test_a_colon_is_no_type_and_bare_arguments_are_arguments() -> None:
    lines = ["What it is.", "", "Returns:", "    Level: 0 is low."]
    docstrings.rewrite(None, "function", "f", None, None, lines)
    assert lines[-1] == f"    Level{docstrings.COLON} 0 is low."
    lines = ["Bits: in [0, 1]."]
    docstrings.rewrite(None, "property", "f", None, None, lines)
    assert ":" not in lines[0]
    lines = ["Args:", "weight: Factor.", "    More.", "", "Raises:", "    InputError: No."]
    docstrings.rewrite(None, "method", "f", None, None, lines)
    assert lines[:3] == ["Args:", "    weight: Factor.", "        More."]
