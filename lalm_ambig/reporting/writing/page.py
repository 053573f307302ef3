"""`report.html`: tables and figures in one file, without other files or network."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lalm_ambig.evaluation.table import uncertainty
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.tabular.escaping import html_escape as escape
from lalm_ambig.tabular.model import ResultTable
from lalm_ambig.tabular.writers import html

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2em auto; padding: 0 1em; color: #222 }
h1 { font-size: 1.6em } h2 { margin-top: 2em; border-bottom: 1px solid #ccc } h3 { margin-bottom: .4em }
table { border-collapse: collapse; font-size: .88em; border-top: 2px solid #222; border-bottom: 2px solid #222 }
thead tr { border-bottom: 1px solid #222 } tr.end:not(:last-child) { border-bottom: 1px solid #999 }
th, td { padding: .25em .7em; text-align: right; vertical-align: top } tbody th, thead th:first-child {
text-align: left; font-weight: normal } tbody th { max-width: 42em; min-width: 7em; overflow-wrap: anywhere }
td { min-width: 8em } td:last-child { min-width: 0 }
.wide { overflow-x: auto } .caption { font-size: .82em; color: #555 } img { max-width: 100%; height: auto }
"""


@dataclass(frozen=True)
class DrawnFigure:
    """A figure that has been drawn."""

    title: str
    caption: str
    png: Path


def page(report: Report, sheets: Sequence[ResultTable], figures: Sequence[DrawnFigure]) -> str:
    """The page as HTML, with pictures inside."""
    parts = [f"<h2>What was measured</h2>\n{_statement(report)}"]
    if sheets:
        parts.append("<h2>Tables</h2>\n" + "\n".join(map(html, sheets)))
    if figures:
        parts.append("<h2>Figures</h2>\n" + "\n".join(map(_figure, figures)))
    title = "Results: " + ", ".join(group.title for group in report.groups)
    return (
        f"<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>{escape(title)}</title>\n"
        f"<style>{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _statement(report: Report) -> str:
    """Per corpus: items, readout, intervals, and the policy of each row."""
    parts = [_of_group(group) for group in report.groups]
    if report.left_out:
        parts.append("<p>" + escape("; ".join(report.left_out)) + ".</p>")
    return "\n".join(parts)


def _of_group(group: Group) -> str:
    results = group.results
    caption = "<br>".join(map(escape, group.caption()))
    fingerprints = ", ".join(
        dict.fromkeys(row.results.items_digest for line in group.lines for row in line.rows)
    )
    policies = "".join(
        f"<li>{escape(line.label)}: {escape(line.results.about.policy)}; {escape(line.results.about.readout)} readout, "
        f"{escape(line.results.about.reasoning)} reasoning</li>"
        for line in group.lines
    )
    how = uncertainty(results)
    return (
        f"<h3>{escape(group.title)}</h3>\n<p>{caption}</p>\n<p>Items (fingerprint {fingerprints}); {how}; classes: "
        f"{escape(', '.join(results.categories))}.</p>\n<ul>{policies}</ul>"
    )


def _figure(shown: DrawnFigure) -> str:
    data = base64.b64encode(shown.png.read_bytes()).decode()
    return (
        f'<h3>{escape(shown.title)}</h3>\n<img alt="{escape(shown.title)}" src="data:image/png;base64,{data}">\n'
        f"<p class=caption>{escape(shown.caption)}</p>"
    )
