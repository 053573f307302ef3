"""Any text as Markdown, LaTeX and HTML print it: no letter of it is markup, and none stops a compiler."""

import html as standard
import unicodedata
from collections.abc import Iterator

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "∞": r"$\infty$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "√": r"$\surd$",
    "²": r"\textsuperscript{2}",
    "✓": r"$\checkmark$",
    "✗": r"$\times$",
    "ß": r"\ss{}",
    "\n": " ",
    "\t": " ",
}
"""Characters that LaTeX reads as commands or that its fonts lack. ✓ needs amssymb."""
LETTERS = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ"
NAMES = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon varphi "
    "chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
GREEK = dict(zip(LETTERS, NAMES.split(), strict=True))
ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0304\u0308\u030a\u030c\u0327", "`'^~=\"rvc", strict=True))
"""Combining mark → LaTeX's command for it."""
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Kinds of characters that show nothing, or nothing certain: a model may write any of them."""


def visible(text: str) -> str:
    """The text with a number, as in [U+0004], for each character that shows nothing; ends of lines and tabs stay."""
    return "".join(_number(c) if unicodedata.category(c) in HIDDEN and c not in "\n\t" else c for c in text)


def latex_escape(text: str) -> str:
    """Text that LaTeX prints as it is, in ASCII; a character that it cannot print is its number, as in [U+4E2D]."""
    return "".join(map(_latex, _clusters(visible(text))))


def _clusters(text: str) -> Iterator[str]:
    """Each letter with the marks on it."""
    letters = unicodedata.normalize("NFD", text)
    start = 0
    for at in range(1, len(letters) + 1):
        if at == len(letters) or not unicodedata.combining(letters[at]):
            if letters:
                yield letters[start:at]
            start = at


def _latex(cluster: str) -> str:
    letter, marks = cluster[0], cluster[1:]
    written = LATEX.get(letter) or (rf"$\{GREEK[letter]}$" if letter in GREEK else letter)
    if not written.isascii():
        written = latex_escape(_number(letter))
    for mark in marks:
        known = ACCENTS.get(mark)
        written = written + latex_escape(_number(mark)) if known is None else rf"\{known}{{{written}}}"
    return written


def _number(character: str) -> str:
    return f"[U+{ord(character):04X}]"


def markdown_escape(text: str) -> str:
    """Text that stays in its cell and is no markup."""
    plain = standard.escape(visible(text), quote=False)
    for letter in ("\\", "|", "*", "_", "`", "~"):
        plain = plain.replace(letter, f"\\{letter}")
    return " ".join(plain.split())


def html_escape(text: str) -> str:
    """Text that is no markup, in an attribute either."""
    return standard.escape(visible(text))
