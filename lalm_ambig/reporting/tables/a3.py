"""Ambiguity-aware LALM, Table 3: with and without reasoning, on the corpus that was trained on and on another."""

from collections.abc import Iterator, Mapping, Sequence

from lalm_ambig.evaluation.published import published
from lalm_ambig.evaluation.responses import response_meanings
from lalm_ambig.reporting.effort import effort_tables
from lalm_ambig.reporting.layout import READING, columns_of, gap, row_of
from lalm_ambig.reporting.reading.groups import Dataset, Group, lines_by_method, title_of
from lalm_ambig.reporting.reading.lines import Line
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.tabular.model import Column, ResultTable, TableRow, ranked

TITLE = "SFT with and without curated reasoning, in-domain and cross-domain (ambiguity-aware LALM, Table 3)"
METRICS = ("js_div_bits", "bc", "r2_pearson_item", "brier_mean")
ROWS = {"sft": ("✓", "✓"), "sft_kl_only": ("✗", "✓"), "sft_ce_only": ("✓", "✗")}
"""Method → whether it has CoT and KL; the last is not in the paper, and is shown only where it is given."""
PAPER = ("sft", "sft_kl_only")
Section = tuple[str, Dataset, str | None]
"""Title, corpus of the test, and corpus of the training where that is another."""
PAPER_SECTIONS: tuple[Section, ...] = (
    ("in-domain, CREMA-D", ("crema_d", None), None),
    ("cross-domain, CREMA-D → IEMOCAP", ("iemocap", None), "crema_d"),
)


def sheets(report: Report) -> Sequence[ResultTable]:
    """The table, what training took, and the paper's figures as a table of their own."""
    shown = [line for group in report.groups for line in group.lines if line.method in ROWS]
    columns = columns_of(METRICS, shown)
    rows: list[TableRow] = []
    ends: list[int] = []
    caption: list[str] = []
    for section in dict.fromkeys([*PAPER_SECTIONS, *_others(report)]):
        title, dataset, source = section
        group = report.group(dataset)
        gaps = PAPER if section in PAPER_SECTIONS else ()
        rows += _section(title, lines_by_method(group, trained_on=source), columns, gaps=gaps)
        ends.append(len(rows) - 1)
        caption += group.caption() if group is not None else []
    below = (*dict.fromkeys(caption), *response_meanings(columns), READING, *report.left_out)
    heads = ("setting", "CoT", "KL")
    table = ResultTable(heads, columns, tuple(rows), below, frozenset(ends), stem="a3", title=TITLE)
    efforts = effort_tables("a3", report.groups, shown=lambda line: line.method in ROWS)
    return [table, *efforts, published("lalm_table_3").table()]


def _others(report: Report) -> Iterator[Section]:
    """Settings that the paper does not have: a cross-domain result, and the same method where it was trained."""
    for group in report.groups:
        for source in dict.fromkeys(line.first.trained_on for line in group.lines):
            section = _named(group, source)
            is_in_paper = any(section[1:] == paper[1:] for paper in PAPER_SECTIONS)
            if not is_in_paper and set(lines_by_method(group, trained_on=source)) & set(ROWS):
                yield section


def _named(group: Group, source: str | None) -> Section:
    if source is None:
        return f"in-domain, {group.title}", group.dataset, None
    return f"cross-domain, {_source_title(source)} → {group.title}", group.dataset, source


def _source_title(source: str) -> str:
    """`corpus`, or with a part as `Row.trained_on` and as evaluate name it: `corpus, part` and `corpus (part)`."""
    corpus, _, part = source.removesuffix(")").replace(" (", ", ").partition(", ")
    return title_of((corpus, None if part in ("", "all parts") else part))


def _section(
    title: str, by_method: Mapping[str, Sequence[Line]], columns: Sequence[Column], *, gaps: Sequence[str]
) -> list[TableRow]:
    missing = [method for method in gaps if not by_method.get(method)]
    note = f"not given {title}: {', '.join('CoT {} KL {}'.format(*ROWS[method]) for method in missing)}"
    rows: list[TableRow] = []
    tests: list[int] = []
    for method, marks in ROWS.items():
        if method in missing:
            rows.append(gap((title, *marks), columns, note))
        several = by_method.get(method, ())
        for line in several:
            name = title if len(several) == 1 else f"{title} ({line.label})"
            tests += [len(rows)] if line.can_be_best else []
            rows.append(row_of(line, columns, (name, *marks)))
    return ranked(rows, columns, among=tests)
