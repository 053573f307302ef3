"""A sheet as Markdown, as LaTeX with booktabs, as CSV, and as HTML: the same cells in each."""

import csv
import io
from collections.abc import Callable, Sequence

from lalm_ambig.reporting.writing.escaping import html_escape, latex_escape, markdown_escape
from lalm_ambig.reporting.writing.sheet import Entry, Sheet, SheetLine

NEEDED = r"\usepackage{booktabs,graphicx,amssymb}"
"""For the head of the file."""
NOT_WIDER = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""What is wider than the column is made smaller, and nothing is made larger."""


def markdown(sheet: Sheet) -> str:
    """A pipe table, the best in bold, the second underlined, footnotes and caption below."""
    notes = sheet.footnotes()
    head = [*sheet.name_heads, *(column.label for column in sheet.columns)]
    rows = [
        _line(line, notes, cell=_markdown_cell, escape=markdown_escape, mark="<sup>{}</sup>")
        for line in sheet.lines
    ]
    rule = ["---"] * len(sheet.name_heads) + ["---:"] * len(sheet.columns)
    table = [[markdown_escape(text) for text in head], rule, *rows]
    lines = [f"**{markdown_escape(sheet.title)}**", "", *("| " + " | ".join(row) + " |" for row in table), ""]
    lines += [f"<sup>{number}</sup> {markdown_escape(note)}  " for number, note in enumerate(notes, start=1)]
    return "\n".join([*lines, *(f"{markdown_escape(line)}  " for line in sheet.caption), ""])


def _markdown_cell(text: str, rank: int) -> str:
    return {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(rank, text)


def latex(sheet: Sheet) -> str:
    """A `table` with booktabs rules, ready for `\\input` in a document that loads `NEEDED`."""
    notes = sheet.footnotes()
    head = [latex_escape(text) for text in (*sheet.name_heads, *(column.label for column in sheet.columns))]
    body = []
    for number, line in enumerate(sheet.lines):
        cells = _line(line, notes, cell=_latex_cell, escape=latex_escape, mark=r"\textsuperscript{{{}}}")
        body.append(" & ".join(cells) + r" \\")
        if number in sheet.ends and number + 1 < len(sheet.lines):
            body.append(r"\midrule")
    below = [rf"\textsuperscript{{{n}}} {latex_escape(note)}" for n, note in enumerate(notes, start=1)]
    below += [latex_escape(line) for line in sheet.caption]
    return "\n".join(
        [
            f"% needs {NEEDED}",
            r"\begin{table}[t]",
            r"\centering\small",
            rf"\caption{{{latex_escape(sheet.title)}}}",
            NOT_WIDER,
            rf"\begin{{tabular}}{{{_alignment(sheet)}}}",
            r"\toprule",
            " & ".join(head) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "}",
            *(rf"\par\footnotesize {line}" for line in below),
            r"\end{table}",
            "",
        ]
    )


def _alignment(sheet: Sheet) -> str:
    names = [r"p{.6\linewidth}" if at == sheet.prose else "l" for at in range(len(sheet.name_heads))]
    return "".join(names) + "r" * len(sheet.columns)


def _latex_cell(text: str, rank: int) -> str:
    return {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(rank, text)


def html(sheet: Sheet) -> str:
    """The table with its footnotes and caption, to stand in a page."""
    notes = sheet.footnotes()
    heads = [*sheet.name_heads, *(column.label for column in sheet.columns)]
    names = len(sheet.name_heads)
    body = []
    for number, line in enumerate(sheet.lines):
        cells = _line(line, notes, cell=_html_cell, escape=html_escape, mark="<sup>{}</sup>")
        shown = "".join(f"<th>{c}</th>" if at < names else f"<td>{c}</td>" for at, c in enumerate(cells))
        body.append(f"<tr{' class=end' if number in sheet.ends else ''}>{shown}</tr>")
    head = "".join(f"<th>{html_escape(text)}</th>" for text in heads)
    below = [f"<sup>{n}</sup> {html_escape(note)}" for n, note in enumerate(notes, start=1)]
    below += [html_escape(line) for line in sheet.caption]
    return (
        f"<h3>{html_escape(sheet.title)}</h3>\n<div class=wide><table><thead><tr>{head}</tr></thead>\n<tbody>"
        + "\n".join(body)
        + "</tbody></table></div>\n"
        + f"<p class=caption>{'<br>'.join(below)}</p>"
    )


def _html_cell(text: str, rank: int) -> str:
    return {1: f"<b>{text}</b>", 2: f"<u>{text}</u>"}.get(rank, text)


def _line(
    line: SheetLine,
    notes: Sequence[str],
    *,
    cell: Callable[[str, int], str],
    escape: Callable[[str], str],
    mark: str,
) -> list[str]:
    """The cells of a line with their marks and the numbers of their footnotes."""

    def marks(own: Sequence[str]) -> str:
        return mark.format(",".join(str(notes.index(note) + 1) for note in own)) if own else ""

    names = [escape(name) for name in line.names]
    names[-1] += marks(line.notes)
    return names + [cell(escape(entry.written()), entry.rank) + marks(entry.notes) for entry in line.entries]


def to_csv(sheet: Sheet) -> str:
    """One row a line, numbers unrounded and apart: value, interval, spread, change; a gap is empty."""
    parts: dict[str, Callable[[Entry], float | None]] = {
        "": lambda e: e.value,
        "_low": lambda e: e.low,
        "_high": lambda e: e.high,
        "_sd": lambda e: e.spread,
        "_change": lambda e: e.change,
    }
    entries = [entry for line in sheet.lines for entry in line.entries]
    used = [
        end for end, part in parts.items() if not end or any(part(entry) is not None for entry in entries)
    ]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*sheet.name_heads, *(c.key + end for c in sheet.columns for end in used), "notes"])
    for line in sheet.lines:
        values: list[object] = []
        for entry in line.entries:
            numbers = [parts[end](entry) for end in used]
            values += ["" if number is None else number for number in numbers]
            if entry.text is not None and entry.value is None:
                values[-len(used)] = entry.text
        noted = [*line.notes, *(note for entry in line.entries for note in entry.notes)]
        writer.writerow([*line.names, *values, "; ".join(dict.fromkeys(noted))])
    return file.getvalue()
