"""Several results side by side, as a rich table and as Markdown; only results that may be compared."""

import math
from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table

from lalm_ambig.errors import InputError
from lalm_ambig.evaluation.bootstrap import LEVEL, Interval
from lalm_ambig.evaluation.breakdowns import MAIN_METRICS
from lalm_ambig.evaluation.results import Results
from lalm_ambig.metrics.base import DistributionMetric, all_metrics


def rich_table(results: Mapping[str, Results]) -> Table:
    """Row name → results as a table with the best value of each column in bold, and a caption that says what
    was measured. InputError if the results are not on the same items."""
    table = Table(
        caption=caption(results),
        caption_justify="left",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("method", overflow="fold")  # a long name takes two lines, as the numbers do
    for metric in _columns(results):
        table.add_column(metric.label, justify="right", no_wrap=True)
    for name, cells in _rows(results).items():
        narrow = [
            (text.replace(" (", "\n").removesuffix(")"), best) for text, best in cells
        ]  # five columns in 80 characters
        table.add_row(name, *(f"[bold]{text}[/bold]" if best else text for text, best in narrow))
    return table


def markdown_table(results: Mapping[str, Results]) -> str:
    """The same table and caption as Markdown, ending in a newline."""
    head = ["method", *(metric.label for metric in _columns(results))]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for name, cells in _rows(results).items():
        lines.append([name.replace("|", "\\|"), *(f"**{text}**" if best else text for text, best in cells)])
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{rows}\n\n{caption(results)}\n"


def check_comparable(results: Mapping[str, Results]) -> None:
    """InputError that names the first difference in corpus, split, readout, classes, items or votes, or that
    there is no result. A baseline has no readout and stands beside any; reasoning modes may differ, the
    caption says how.
    """
    if not results:
        raise InputError("there is no result to show", where="table")
    first_name, first = next(iter(results.items()))
    for name, other in results.items():
        for what, here, there in _identity(first, other):
            if here != there:
                raise _incomparable((first_name, name), what, (here, there))
    readouts = [(name, row.about.readout) for name, row in results.items() if row.about.readout != "none"]
    for name, readout in readouts:
        if readout != readouts[0][1]:
            raise _incomparable((readouts[0][0], name), "readout", (readouts[0][1], readout))


def _incomparable(names: tuple[str, str], what: str, values: tuple[object, object]) -> InputError:
    return InputError(
        f"{names[0]!r} and {names[1]!r} differ in {what}: {values[0]} and {values[1]}.",
        where="table",
        remedy="Only results of one readout on the same items can stand in one table.",
    )


def caption(results: Mapping[str, Results]) -> str:
    """Corpus, split, number of items, what was read after what, what was resampled, and each note with the rows
    that it is about."""
    check_comparable(results)
    first = next(iter(results.values()))
    about = first.about
    lines = [
        f"{about.corpus}, {about.split} split, {first.items} items; {_readings(results)}; "
        f"{LEVEL:.0%} intervals from {first.resamples} bootstrap resamples of "
        f"{first.resampled_count} {first.resampled}."
    ]
    concerned: dict[str, list[str]] = {}
    for name, row in results.items():
        for note in filter(_is_shown, row.notes):
            concerned.setdefault(note, []).append(name)
    lines += [f"{', '.join(names)}: {note}." for note, names in concerned.items()]
    return "\n".join(lines)


def _identity(one: Results, other: Results) -> list[tuple[str, object, object]]:
    return [
        ("corpus", one.about.corpus, other.about.corpus),
        ("split", one.about.split, other.about.split),
        ("classes", ", ".join(one.categories), ", ".join(other.categories)),
        ("number of items", one.items, other.items),
        ("items or their votes (fingerprint)", one.items_digest, other.items_digest),
        ("what was resampled", one.resampled, other.resampled),
        ("resamples", one.resamples, other.resamples),
    ]


def _readings(results: Mapping[str, Results]) -> str:
    kinds: dict[str, list[str]] = {}
    for name, row in results.items():
        if row.about.readout != "none":
            kind = f"{row.about.readout} readout, {row.about.reasoning} reasoning"
            kinds.setdefault(kind, []).append(name)
    if len(kinds) <= 1:
        return next(iter(kinds), "no readout")
    return "; ".join(f"{kind} ({', '.join(names)})" for kind, names in kinds.items())


def _is_shown(note: str) -> bool:
    """Whether a note is about something that the table shows: not about a metric that is no column of it."""
    about = note.split()[0]
    return about in MAIN_METRICS or about not in {metric.name for metric in all_metrics(2)}


def _columns(results: Mapping[str, Results]) -> list[DistributionMetric]:
    check_comparable(results)
    found = {metric.name: metric for metric in all_metrics(len(next(iter(results.values())).categories))}
    return [found[name] for name in MAIN_METRICS]


def _rows(results: Mapping[str, Results]) -> dict[str, list[tuple[str, bool]]]:
    rows: dict[str, list[tuple[str, bool]]] = {name: [] for name in results}
    for metric in _columns(results):
        column = {name: row.metrics[metric.name] for name, row in results.items()}
        best = _best(column, higher_is_better=bool(metric.higher_is_better))
        for name, interval in column.items():
            rows[name].append((_text(interval), len(results) > 1 and interval.value == best))
    return rows


def _best(column: Mapping[str, Interval], *, higher_is_better: bool) -> float | None:
    values = [interval.value for interval in column.values() if math.isfinite(interval.value)]
    if not values:
        return None
    return max(values) if higher_is_better else min(values)


def _text(interval: Interval) -> str:
    if not math.isfinite(interval.value):
        return "–"
    if interval.low is None or interval.high is None:
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} ({interval.low:.3f}–{interval.high:.3f})"
