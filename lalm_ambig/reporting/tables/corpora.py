"""Paper B, Tables 5 to 10: what is in each corpus, by majority class and by ambiguity, as `describe` counts it."""

from collections.abc import Mapping, Sequence
from typing import Any

from lalm_ambig.reporting.published import figures
from lalm_ambig.reporting.reading.groups import Dataset, title_of
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.sheet import Column, Entry, Sheet, SheetLine

TITLE = "What is in a corpus (paper B, Tables 5 to 10)"
PRINTED = figures("shala_tables_5_to_10")
PAPER: tuple[Dataset, ...] = (
    ("chaosnli", None),
    ("chaosnli", "mnli"),
    ("chaosnli", "snli"),
    ("msp_podcast", None),
    ("goemotions", None),
)
"""Paper B's corpora, shown even where no run is on them."""
WHOLE = (
    "All items of a corpus, whatever share of them a run used; ties for the majority go to the first class."
)
AS_PRINTED = (
    "Paper B: as printed there. Its MSP-Podcast and GoEmotions are filtered and drawn in ways that it does not "
    "disclose: for comparison only."
)
LEVELS = "Ambiguity level: normalised entropy of the votes in [0, .33), [.33, .66), [.66, 1]."
ENTROPY = "Entropies are normalised, in [0, 1]."
ITEMS = Column("items", "items")
SHARE = Column("share", "share")
PAPER_ITEMS = Column("items_paper_b", "items, paper B")
ENTROPIES = (Column("mean_entropy", "mean entropy"), Column("mean_entropy_paper_b", "entropy, paper B"))
SIZES: Mapping[str, str] = {
    "items": "items",
    "with_sound": "with sound",
    "with_text": "with text",
    "train": "train",
    "validation": "validation",
    "test": "test",
}


def datasets_of(report: Report) -> Sequence[Dataset]:
    """The paper's corpora, and those of the report behind them."""
    return tuple(dict.fromkeys([*PAPER, *(group.dataset for group in report.groups)]))


def sheets(report: Report) -> Sequence[Sheet]:
    """Sizes, majority classes, ambiguity levels, and numbers of classes with a vote."""
    datasets = datasets_of(report)
    by_class, by_level = ("Majority classes (paper B, Tables 5 to 7)", "Ambiguity levels (paper B, Table 8)")
    shares = (ITEMS, SHARE, PAPER_ITEMS)
    return [
        _sizes(report, datasets),
        _kinds(report, ("majority", "majority class"), title=by_class, columns=shares),
        _kinds(report, ("ambiguity_levels", "ambiguity level"), title=by_level, columns=shares),
        _kinds(
            report,
            ("active_labels", "classes with a vote"),
            title="Classes with a vote (paper B, Tables 9 and 10)",
            columns=(*shares, *ENTROPIES),
        ),
    ]


def _sizes(report: Report, datasets: Sequence[Dataset]) -> Sheet:
    columns = (
        *(Column(key, label) for key, label in SIZES.items()),
        Column("annotators", "annotators, min–median–max"),
        Column("mean_entropy", "mean entropy"),
        Column("disagreement", "disagreement"),
        Column("alpha", "α"),
    )
    lines = [
        SheetLine((title_of(dataset),), tuple(Entry() for _ in columns), _why(report, dataset))
        if (summary := _summary(report, dataset)) is None
        else SheetLine((title_of(dataset),), _sized(summary))
        for dataset in datasets
    ]
    meaning = (
        "Disagreement: how often two annotators of an item differ, unbiased; α: what is added to each count so that "
        "draws from the counts disagree as often."
    )
    return Sheet(
        "corpora", "Corpora of this report", ("corpus",), columns, tuple(lines), (WHOLE, ENTROPY, meaning)
    )


def _sized(summary: Mapping[str, Any]) -> tuple[Entry, ...]:
    counts = {**summary, **summary["splits"]}
    floor = summary["noise_floor"] or {}
    annotators = "–".join(f"{value:g}" for value in summary["annotators"].values())
    return (
        *(_count(counts.get(key)) for key in SIZES),
        Entry(text=annotators),
        *(Entry(value) for value in (summary["mean_entropy"], floor.get("disagreement"), floor.get("alpha"))),
    )


def _kinds(report: Report, kind: tuple[str, str], *, title: str, columns: Sequence[Column]) -> Sheet:
    """A line for each kind of item of each corpus; kinds that only the paper counts stand beside a gap."""
    key, head = kind
    lines: list[SheetLine] = []
    ends: list[int] = []
    for dataset in datasets_of(report):
        summary, printed = _summary(report, dataset), PRINTED[key].get(_key(dataset), {})
        if summary is None and not printed:
            lines.append(
                SheetLine((title_of(dataset), "–"), tuple(Entry() for _ in columns), _why(report, dataset))
            )
        total = 0 if summary is None else summary["items"]
        for name in printed if summary is None else summary[key]:
            counted = None if summary is None else summary[key][name]
            entries = _shares(counted, total, printed.get(name)) + _entropies(counted, dataset, name)
            notes = _why(report, dataset) if summary is None else ()
            lines.append(SheetLine((title_of(dataset), name), entries[: len(columns)], notes))
        ends.append(len(lines) - 1)
    caption = (WHOLE, AS_PRINTED, {"ambiguity_levels": LEVELS, "active_labels": ENTROPY}.get(key, ""))
    stem = f"corpora_{key}"
    return Sheet(
        stem,
        title,
        ("corpus", head),
        tuple(columns),
        tuple(lines),
        tuple(filter(None, caption)),
        frozenset(ends),
    )


def _shares(counted: Any, total: int, printed: str | None) -> tuple[Entry, ...]:
    items = counted["items"] if isinstance(counted, Mapping) else counted
    share = Entry() if items is None else Entry(items / total, text=f"{items / total:.1%}")
    return _count(items), share, Entry(text=printed)


def _entropies(counted: Any, dataset: Dataset, name: str) -> tuple[Entry, ...]:
    value = counted["mean_entropy"] if isinstance(counted, Mapping) else None
    written = None if value is None else f"{value:.4f}"
    return Entry(value, text=written), Entry(text=PRINTED["mean_entropy"].get(_key(dataset), {}).get(name))


def _count(value: int | None) -> Entry:
    return Entry() if value is None else Entry(value, text=f"{value:,}")


def _summary(report: Report, dataset: Dataset) -> Mapping[str, Any] | None:
    found = report.corpora.get(dataset)
    return None if found is None or isinstance(found, str) else found


def _why(report: Report, dataset: Dataset) -> tuple[str, ...]:
    found = report.corpora.get(dataset)
    reason = found if isinstance(found, str) else "it was not looked at"
    return (f"{title_of(dataset)} was not counted: {reason}",)


def _key(dataset: Dataset) -> str:
    return " ".join(filter(None, dataset))
