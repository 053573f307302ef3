"""SHALA-LLM, Tables 5 to 10: the items of each corpus by majority class and by ambiguity, as `describe` counts."""

from collections.abc import Mapping, Sequence
from typing import Any

from lalm_ambig.evaluation.published import PublishedTable, published
from lalm_ambig.reporting.reading.groups import Dataset, title_of
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow

TITLE = "What is in a corpus (SHALA-LLM, Tables 5 to 10)"
PRINTED: Mapping[str, Sequence[PublishedTable]] = {
    "majority": [published(f"shala_table_{number}") for number in (5, 6, 7)],
    "ambiguity_levels": [published("shala_table_8")],
    "active_labels": [published(f"shala_table_{number}") for number in (9, 10)],
}
"""Key of a summary → the paper's tables that count the same kind of items, each for other corpora."""
PAPER: tuple[Dataset, ...] = (
    ("chaosnli", None),
    ("chaosnli", "mnli"),
    ("chaosnli", "snli"),
    ("msp_podcast", None),
    ("goemotions", None),
)
"""SHALA-LLM's corpora, shown even where no run is on them."""
WHOLE = (
    "All items of a corpus, whatever share of them a run used; ties for the majority go to the first class."
)
AS_PRINTED = (
    "SHALA-LLM: as printed there. Its MSP-Podcast and GoEmotions are filtered and drawn in ways that it does not "
    "disclose: for comparison only."
)
LEVELS = "Ambiguity level: normalised entropy of the votes in [0, .33), [.33, .66), [.66, 1]."
ENTROPY = "Entropies are normalised, in [0, 1]."
ITEMS = Column("items", "items")
SHARE = Column("share", "share")
PAPER_ITEMS = Column("items_shala_llm", "items, SHALA-LLM")
ENTROPIES = (Column("mean_entropy", "mean entropy"), Column("mean_entropy_shala_llm", "entropy, SHALA-LLM"))
SIZES: Mapping[str, str] = {
    "items": "items",
    "with_sound": "with sound",
    "with_text": "with text",
    "train": "train",
    "validation": "validation",
    "test": "test",
}


def datasets_of(report: Report) -> Sequence[Dataset]:
    """The paper's corpora, then those of the report's runs, then those whose files are named."""
    shown = dict.fromkeys([*PAPER, *(group.dataset for group in report.groups)])
    named = [name for name in report.roots if all(name != corpus for corpus, _ in shown)]
    return (*shown, *((name, None) for name in named))


def sheets(report: Report) -> Sequence[ResultTable]:
    """Sizes, majority classes, ambiguity levels, and numbers of classes with a vote."""
    datasets = datasets_of(report)
    by_class, by_level = (
        "Majority classes (SHALA-LLM, Tables 5 to 7)",
        "Ambiguity levels (SHALA-LLM, Table 8)",
    )
    shares = (ITEMS, SHARE, PAPER_ITEMS)
    return [
        _sizes(report, datasets),
        _kinds(report, ("majority", "majority class"), title=by_class, columns=shares),
        _kinds(report, ("ambiguity_levels", "ambiguity level"), title=by_level, columns=shares),
        _kinds(
            report,
            ("active_labels", "classes with a vote"),
            title="Classes with a vote (SHALA-LLM, Tables 9 and 10)",
            columns=(*shares, *ENTROPIES),
        ),
    ]


def _sizes(report: Report, datasets: Sequence[Dataset]) -> ResultTable:
    columns = (
        *(Column(key, label) for key, label in SIZES.items()),
        Column("annotators", "annotators, min–median–max"),
        Column("mean_entropy", "mean entropy"),
        Column("disagreement", "disagreement"),
        Column("alpha", "α"),
    )
    rows = [
        TableRow((title_of(dataset),), tuple(Cell() for _ in columns), _why(report, dataset))
        if (summary := _summary(report, dataset)) is None
        else TableRow((title_of(dataset),), _sized(summary))
        for dataset in datasets
    ]
    meaning = (
        "Disagreement: how often two annotators of an item differ, unbiased; α: what is added to each count so that "
        "draws from the counts disagree as often."
    )
    caption = (WHOLE, ENTROPY, meaning)
    title = "Corpora of this report"
    return ResultTable(("corpus",), columns, tuple(rows), caption, stem="corpora", title=title)


def _sized(summary: Mapping[str, Any]) -> tuple[Cell, ...]:
    counts = {**summary, **summary["splits"]}
    floor = summary["noise_floor"] or {}
    annotators = "–".join(f"{value:g}" for value in summary["annotators"].values())
    return (
        *(_count(counts.get(key)) for key in SIZES),
        Cell(text=annotators),
        *(Cell(value) for value in (summary["mean_entropy"], floor.get("disagreement"), floor.get("alpha"))),
    )


def _kinds(report: Report, kind: tuple[str, str], *, title: str, columns: Sequence[Column]) -> ResultTable:
    """A row for each kind of item of each corpus; a kind that only the paper counts has a gap."""
    key, head = kind
    rows: list[TableRow] = []
    ends: list[int] = []
    for dataset in datasets_of(report):
        summary, printed = _summary(report, dataset), _figures(key, dataset)
        if summary is None and not printed:
            gaps = tuple(Cell() for _ in columns)
            rows.append(TableRow((title_of(dataset), "–"), gaps, _why(report, dataset)))
        total = 0 if summary is None else summary["items"]
        for name in printed if summary is None else summary[key]:
            counted = None if summary is None else summary[key][name]
            cells = _cells(counted, total, printed.get(name, {}))
            notes = _why(report, dataset) if summary is None else ()
            rows.append(TableRow((title_of(dataset), name), cells[: len(columns)], notes))
        ends.append(len(rows) - 1)
    sources = f"Printed in {'; '.join(table.source for table in PRINTED[key])}."
    caption = (
        WHOLE,
        AS_PRINTED,
        sources,
        {"ambiguity_levels": LEVELS, "active_labels": ENTROPY}.get(key, ""),
    )
    return ResultTable(
        ("corpus", head),
        tuple(columns),
        tuple(rows),
        tuple(filter(None, caption)),
        frozenset(ends),
        stem=f"corpora_{key}",
        title=title,
    )


def _figures(key: str, dataset: Dataset) -> Mapping[str, Mapping[str, str]]:
    """Row → column → the paper's figure; empty where it does not have the corpus."""
    return next((found for table in PRINTED[key] if (found := table.figures(*dataset))), {})


def _cells(counted: Any, total: int, printed: Mapping[str, str]) -> tuple[Cell, ...]:
    """Items, their share, the paper's items; mean entropy, the paper's mean entropy."""
    items, entropy = counted, None
    if isinstance(counted, Mapping):
        items, entropy = counted["items"], counted["mean_entropy"]
    return (
        _count(items),
        Cell() if items is None else Cell(items / total, text=f"{items / total:.1%}"),
        Cell(text=printed.get("items")),
        Cell(entropy, text=None if entropy is None else f"{entropy:.4f}"),
        Cell(text=printed.get("mean entropy")),
    )


def _count(value: int | None) -> Cell:
    return Cell() if value is None else Cell(value, text=f"{value:,}")


def _summary(report: Report, dataset: Dataset) -> Mapping[str, Any] | None:
    summary = report.corpora.get(dataset)
    return None if summary is None or isinstance(summary, str) else summary


def _why(report: Report, dataset: Dataset) -> tuple[str, ...]:
    summary = report.corpora.get(dataset)
    reason = summary if isinstance(summary, str) else "it was not looked at"
    return (f"{title_of(dataset)} was not counted: {reason}",)
