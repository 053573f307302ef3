"""Every format of a table, with the same cells in each: Markdown, LaTeX with booktabs, CSV, HTML, a terminal."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape as rich_escape
from rich.table import Table
from rich.text import Text

from lalm_ambig.tabular.escaping import html_escape, latex_escape, markdown_escape
from lalm_ambig.tabular.model import Cell, ResultTable, TableRow

WIDEST = 1000
"""Characters of a line in which a table is measured."""
NARROW = 3
"""Columns of a wide table that stand beside the names in a narrow console; the others follow below."""
FOLDED = 20
"""Characters of a line of a long name in a table that is too wide."""
NEEDED = r"\usepackage{booktabs,graphicx,amssymb}"
"""LaTeX packages that a table needs; the line belongs into the preamble."""
NOT_WIDER = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""LaTeX that makes a table smaller if it is wider than the column, and never larger."""


def terminal(table: ResultTable, *, narrow: bool = False, dense: bool = False) -> Table:
    """The table for a terminal, the best in bold, with lines between groups of rows.

    Args:
        table: Footnotes, title and second places are not shown.
        narrow: Put what is in brackets on a second line. Five numbers with their intervals then fit in 80 columns.
        dense: One space between columns instead of two. Five numbers with their intervals then fit in 110 columns.
    """
    shown = Table(
        padding=0 if dense else (0, 1),
        caption=rich_escape("\n".join(table.caption)),
        caption_justify="left",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    for head in table.name_heads:
        shown.add_column(rich_escape(head), overflow="fold")  # a long name takes two lines
    for column in table.columns:
        shown.add_column(rich_escape(column.label.replace(" (", "\n(")), justify="right", no_wrap=True)
    for number, row in enumerate(table.rows):
        cells = (_terminal_cell(cell, narrow=narrow) for cell in row.cells)
        shown.add_row(*map(rich_escape, row.names), *cells, end_section=number in table.ends)
    return shown


def laid_out(console: Console, table: ResultTable) -> list[Table | Text]:
    """A run's table in the width of a console: intervals beside their values if they fit there, else below them.

    Args:
        console: Where it is printed. If it is too narrow even so, the table comes in parts.
        table: The table. Its caption comes last, in the whole width.
    """
    bare, caption = replace(table, caption=()), Text("\n".join(table.caption), style="table.caption")
    for dense in (False, True):
        if _width(console, bare, dense=dense) <= console.width:
            return [terminal(bare, dense=dense), caption]
    return [*fitting(console, bare, NARROW, narrow=True), caption]


def narrow_parts(table: ResultTable, columns: int) -> tuple[ResultTable, ResultTable]:
    """A table for a terminal: its first columns, then the others with the caption.

    Args:
        table: The table.
        columns: How many columns the first part has.
    """
    first, second = (
        replace(
            table,
            columns=table.columns[part],
            rows=tuple(replace(row, cells=row.cells[part]) for row in table.rows),
        )
        for part in (slice(columns), slice(columns, None))
    )
    return replace(first, caption=()), second


def fitting(console: Console, table: ResultTable, columns: int, *, narrow: bool = False) -> Sequence[Table]:
    """The table in one piece if the console is wide enough, else in parts of which no number is cut.

    Args:
        console: Where it is printed.
        table: The table.
        columns: Columns that stand together, if they can; a part ends after them.
        narrow: As for `terminal`.
    """
    if _width(console, table, narrow=narrow) <= console.width:
        return [terminal(table, narrow=narrow)]
    parts = []
    for half in narrow_parts(_with_short_names(table), columns):
        rest = half
        while rest.columns:
            counts = range(len(rest.columns), 1, -1)
            count = next(
                (
                    n
                    for n in counts
                    if _width(console, narrow_parts(rest, n)[0], narrow=narrow) <= console.width
                ),
                1,
            )
            first, rest = narrow_parts(rest, count)
            parts.append(replace(first, rows=_named_as(first.rows, table.rows)))
    parts[-1] = replace(parts[-1], caption=table.caption)
    return [terminal(part, narrow=narrow) for part in parts]


def _width(console: Console, table: ResultTable, *, narrow: bool = False, dense: bool = False) -> int:
    """Characters that the widest line of a table takes in which nothing is broken or cut."""
    unbounded = console.options.update(max_width=WIDEST)
    shown = terminal(replace(table, caption=()), narrow=narrow, dense=dense)
    return console.measure(shown, options=unbounded).maximum


def _with_short_names(table: ResultTable) -> ResultTable:
    """The table with the beginnings of its names, as wide as they are where they take several lines."""
    rows = (replace(row, names=tuple(name[:FOLDED] for name in row.names)) for row in table.rows)
    return replace(table, rows=tuple(rows))


def _named_as(rows: Sequence[TableRow], whole: Sequence[TableRow]) -> tuple[TableRow, ...]:
    return tuple(replace(row, names=one.names) for row, one in zip(rows, whole, strict=True))


def _terminal_cell(cell: Cell, *, narrow: bool) -> str:
    text = rich_escape(cell.written())
    if narrow:
        text = text.replace(" (", "\n").removesuffix(")")
    return f"[bold]{text}[/bold]" if cell.rank == 1 else text


def plain_markdown(table: ResultTable) -> str:
    """The table as `results.md` has it: rows with the best in bold, and the caption, both unescaped but for bars.

    `from_markdown.tables_of` reads it. Title and footnotes are left out.
    """
    rows = [[*row.names, *map(_plain_cell, row.cells)] for row in table.rows]
    lines = [_pipes(text.replace("|", "\\|") for text in row) for row in (table.head, _rule(table), *rows)]
    return "\n".join([*lines, "", *(table.caption or ("",)), ""])


def _plain_cell(cell: Cell) -> str:
    return f"**{cell.written()}**" if cell.rank == 1 else cell.written()


def markdown(table: ResultTable) -> str:
    """The table as a report has it: title, rows with the best in bold and the second underlined, footnotes, caption."""
    notes = table.footnotes()
    rows = [
        _row(row, notes, cell=_markdown_cell, escape=markdown_escape, mark="<sup>{}</sup>")
        for row in table.rows
    ]
    grid = [[markdown_escape(text) for text in table.head], _rule(table), *rows]
    lines = [f"**{markdown_escape(table.title)}**", "", *map(_pipes, grid), ""]
    lines += [f"<sup>{number}</sup> {markdown_escape(note)}  " for number, note in enumerate(notes, start=1)]
    return "\n".join([*lines, *(f"{markdown_escape(line)}  " for line in table.caption), ""])


def _markdown_cell(text: str, rank: int) -> str:
    return {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(rank, text)


def _rule(table: ResultTable) -> list[str]:
    return ["---"] * len(table.name_heads) + ["---:"] * len(table.columns)


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def latex(table: ResultTable) -> str:
    r"""A `table` with booktabs rules, ready for `\input` in a document that loads `NEEDED`."""
    notes = table.footnotes()
    body = []
    for number, row in enumerate(table.rows):
        cells = _row(row, notes, cell=_latex_cell, escape=latex_escape, mark=r"\textsuperscript{{{}}}")
        body.append(" & ".join(cells) + r" \\")
        if number in table.ends and number + 1 < len(table.rows):
            body.append(r"\midrule")
    below = [rf"\textsuperscript{{{n}}} {latex_escape(note)}" for n, note in enumerate(notes, start=1)]
    below += [latex_escape(line) for line in table.caption]
    return "\n".join(
        [
            f"% needs {NEEDED}",
            r"\begin{table}[t]",
            r"\centering\small",
            rf"\caption{{{latex_escape(table.title)}}}",
            NOT_WIDER,
            rf"\begin{{tabular}}{{{_alignment(table)}}}",
            r"\toprule",
            " & ".join(map(latex_escape, table.head)) + r" \\",
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


def _alignment(table: ResultTable) -> str:
    names = [r"p{.6\linewidth}" if at == table.prose else "l" for at in range(len(table.name_heads))]
    return "".join(names) + "r" * len(table.columns)


def _latex_cell(text: str, rank: int) -> str:
    return {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(rank, text)


def html(table: ResultTable) -> str:
    """The table with its footnotes and caption, as a part of a page."""
    notes = table.footnotes()
    names = len(table.name_heads)
    body = []
    for number, row in enumerate(table.rows):
        cells = _row(row, notes, cell=_html_cell, escape=html_escape, mark="<sup>{}</sup>")
        shown = "".join(f"<th>{c}</th>" if at < names else f"<td>{c}</td>" for at, c in enumerate(cells))
        body.append(f"<tr{' class=end' if number in table.ends else ''}>{shown}</tr>")
    head = "".join(f"<th>{html_escape(text)}</th>" for text in table.head)
    below = [f"<sup>{n}</sup> {html_escape(note)}" for n, note in enumerate(notes, start=1)]
    below += [html_escape(line) for line in table.caption]
    return (
        f"<h3>{html_escape(table.title)}</h3>\n<div class=wide><table><thead><tr>{head}</tr></thead>\n<tbody>"
        + "\n".join(body)
        + "</tbody></table></div>\n"
        + f"<p class=caption>{'<br>'.join(below)}</p>"
    )


def _html_cell(text: str, rank: int) -> str:
    return {1: f"<b>{text}</b>", 2: f"<u>{text}</u>"}.get(rank, text)


def _row(
    row: TableRow,
    footnotes: Sequence[str],
    *,
    cell: Callable[[str, int], str],
    escape: Callable[[str], str],
    mark: str,
) -> list[str]:
    """The cells of a row with their marks and the numbers of their footnotes."""

    def marks(notes: Sequence[str]) -> str:
        return mark.format(",".join(str(footnotes.index(note) + 1) for note in notes)) if notes else ""

    names = [escape(name) for name in row.names]
    names[-1] += marks(row.notes)
    return names + [cell(escape(one.written()), one.rank) + marks(one.notes) for one in row.cells]


def to_csv(table: ResultTable) -> str:
    """A line per row, with unrounded numbers in columns of their own: value, interval, spread, change.

    A gap is empty. Columns that no cell fills are left out, but for the values.
    """
    parts: dict[str, Callable[[Cell], float | None]] = {
        "": lambda cell: cell.value,
        "_low": lambda cell: cell.low,
        "_high": lambda cell: cell.high,
        "_sd": lambda cell: cell.spread,
        "_change": lambda cell: cell.change,
    }
    cells = [cell for row in table.rows for cell in row.cells]
    used = [end for end, part in parts.items() if not end or any(part(cell) is not None for cell in cells)]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*table.name_heads, *(c.key + end for c in table.columns for end in used), "notes"])
    for row in table.rows:
        values: list[object] = []
        for cell in row.cells:
            numbers = [parts[end](cell) for end in used]
            values += ["" if number is None else number for number in numbers]
            if cell.text is not None and cell.value is None:
                values[-len(used)] = cell.text
        notes = [*row.notes, *(note for cell in row.cells for note in cell.notes)]
        writer.writerow([*row.names, *values, "; ".join(dict.fromkeys(notes))])
    return file.getvalue()
