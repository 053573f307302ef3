"""Equations as MathML, written when the site is built: no page needs a script from elsewhere."""

import re
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
SPACE = '<mspace width="0.167em" />'
FUNCTION = re.compile(r"(?<!su[bp]>)(<mi>(?:log|exp)</mi>)(?!<mo|</)")
MENDED = (
    (re.compile("<mi>&#x0007E;</mi>"), "<mo>&#x0223C;</mo>"),  # drawn from: a relation, with space around it
    (re.compile(r"(</m(?:i|n|sub|sup|subsup)>)(?=<mi>(?:log|exp)</mi>)"), rf"\1{SPACE}"),
    (FUNCTION, rf"\1{SPACE}"),
    (re.compile("<mo>&#x23DF;</mo>"), '<mo stretchy="true">&#x23DF;</mo>'),
)
"""What the package writes, and what LaTeX means."""
PARTS = {"mfrac": 2, "msub": 2, "msup": 2, "mover": 2, "munder": 2, "msubsup": 3, "munderover": 3, "mroot": 2}
"""Elements with a number of parts: an equation with a brace too few has fewer."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer under the name `mathml`."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def visit_inline(writer: Any, node: nodes.math) -> None:
    """Write an equation within a line.

    Args:
        writer: Sphinx's HTML writer.
        node: The equation.

    Raises:
        SkipNode: Always: nothing else of the node is written.
    """
    writer.body.append(mathml_of(node, "inline"))
    raise nodes.SkipNode


def visit_block(writer: Any, node: nodes.math_block) -> None:
    """Write an equation with lines of its own.

    Args:
        writer: Sphinx's HTML writer.
        node: The equation.

    Raises:
        SkipNode: Always: nothing else of the node is written.
    """
    writer.body.append(f'<div class="equation">{mathml_of(node, "block")}</div>\n')
    raise nodes.SkipNode


def mathml_of(node: nodes.Element, display: str) -> str:
    """Return an equation as MathML; what cannot be read is a warning, which fails the build.

    Args:
        node: The equation, LaTeX.
        display: `inline` or `block`.

    Returns:
        One element of HTML.
    """
    latex = node.astext().strip()
    try:
        html = convert(latex.replace(r"\arg\max", r"\argmax"), display=display)
        for pattern, meant in MENDED:
            html = pattern.sub(meant, html)
        check(latex, html)
    except Exception as error:  # the package has no class of its own for all of its refusals
        LOGGER.warning("equation that cannot be shown: %s (%r)", latex, error, location=node)
        return ""
    return html


def check(latex: str, html: str) -> None:
    r"""Refuse what the package has read wrongly without a word: an unknown command, braces that do not close.

    Args:
        latex: The equation.
        html: The equation as MathML.

    Raises:
        ValueError: It is not what LaTeX would show. `\begin{aligned}` is among what the package cannot read.
    """
    bare = re.sub(r"\\[{}]", "", latex)
    if bare.count("{") != bare.count("}"):
        raise ValueError("braces do not close")
    for element in ElementTree.fromstring(html).iter():
        name = element.tag.rpartition("}")[2]
        if len(element) != PARTS.get(name, len(element)):
            raise ValueError(f"{name} has {len(element)} parts")
        if name in ("mi", "mo") and re.search(r"\\|&", element.text or ""):
            raise ValueError(f"unknown: {element.text}")
