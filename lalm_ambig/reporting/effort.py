"""What the training of each line took, and on how many items: the table beside a table of methods."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import mean

from lalm_ambig.evaluation.stages import Past, device_seconds, total_effort
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.lines import Line
from lalm_ambig.reporting.reading.training import data_notes_of, pasts_of, trained_lines
from lalm_ambig.reporting.writing.files import stem_of
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow

READING = (
    "Items: different items that training drew from. Tokens: responses that were sampled or trained on, each with its "
    "prompt, once per pass. Seconds: training steps with all that they sample, without validations. A line of several "
    "runs has their mean; – was not recorded."
)
STARTS = "+ start: with the runs that a run goes on from."
DEVICES = "GPU-s: seconds times devices."


def _updates(past: Past) -> int | None:
    effort = total_effort(past)
    return None if effort is None else effort.updates


def _tokens(past: Past) -> int | None:
    effort = total_effort(past)
    return None if effort is None else effort.tokens


def _seconds(past: Past) -> float | None:
    effort = total_effort(past)
    return None if effort is None else effort.seconds


Value = Callable[[Past], int | float | None]
"""A number of a past, or of its beginning."""
VALUES: tuple[tuple[Column, Value], ...] = (
    (Column("updates", "updates"), _updates),
    (Column("tokens_seen", "tokens"), _tokens),
    (Column("seconds", "seconds"), _seconds),
    (Column("gpu_seconds", "GPU-s"), device_seconds),
)
"""What is counted for the run itself, and once more with its starts."""


def effort_tables(
    name: str, groups: Sequence[Group], *, shown: Callable[[Line], bool] | None = None
) -> list[ResultTable]:
    """Lay out what training took, a table for each corpus and a row for each trained line.

    Args:
        name: Name of the method table that they go with.
        groups: The corpora.
        shown: Whether a line is in the method table; None where all are.

    Returns:
        No table for a corpus without a trained line, or where nothing was recorded of any.
    """
    tables = (
        _table(name, group, [line for line in group.lines if shown is None or shown(line)])
        for group in groups
    )
    return [table for table in tables if table is not None]


def _table(name: str, group: Group, shown: Sequence[Line]) -> ResultTable | None:
    lines = trained_lines(shown)
    columns, cells = _filled([_cells(line) for line in lines])
    if not columns:
        return None
    rows = tuple(
        TableRow((line.label,), tuple(line_cells)) for line, line_cells in zip(lines, cells, strict=True)
    )
    labels = {column.label for column in columns}
    caption = [
        READING,
        *([STARTS] if "+ start" in labels else []),
        *([DEVICES] if "GPU-s" in labels else []),
        *(data_notes_of(lines) or _same(lines)),
        *_devices(lines),
    ]
    title = f"What training took on {group.title}"
    stem = f"{stem_of(name, group.dataset)}_effort"
    return ResultTable(("row",), columns, rows, tuple(caption), stem=stem, title=title)


def _cells(line: Line) -> list[tuple[Column, Cell]]:
    """Every number of a line with its column; of starts, only where a run has one."""
    pasts = pasts_of(line)
    has_start = any(past is not None and len(past) > 1 for past in pasts)
    cells = [(Column("items_trained", "items"), _mean(pasts, lambda past: past[0].items))]
    for column, value in VALUES:
        own = _mean([None if past is None else past[:1] for past in pasts], value)
        whole = replace(column, key=f"{column.key}_with_starts", label="+ start")
        cells += [(column, own), (whole, _mean(pasts, value) if has_start else own)]
    return cells


def _filled(lines: Sequence[Sequence[tuple[Column, Cell]]]) -> tuple[tuple[Column, ...], list[list[Cell]]]:
    """The columns that some line fills; those of starts only where they say something else than the column before."""
    places = range(len(lines[0]) if lines else 0)
    used = [
        place
        for place in places
        if any(line[place][1] != Cell() for line in lines)
        and not (
            lines[0][place][0].label == "+ start"
            and all(line[place][1] == line[place - 1][1] for line in lines)
        )
    ]
    columns = tuple(lines[0][place][0] for place in used)
    return columns, [[line[place][1] for place in used] for line in lines]


def _mean(pasts: Sequence[Past | None], value: Value) -> Cell:
    """The mean of a number over the runs of a line; a gap where one lacks it."""
    values = [value(past) for past in pasts if past]
    numbers = [one for one in values if one is not None]
    if not numbers or len(numbers) < len(pasts):
        return Cell()
    return Cell(mean(numbers), text=in_short(mean(numbers)))


def in_short(number: int | float) -> str:
    """A count in four digits at most: in thousands from 10,000 on, then in millions and billions.

    >>> in_short(1234.4), in_short(25_300), in_short(999_999), in_short(7_126_000)
    ('1234', '25.3 k', '1 M', '7.13 M')
    """
    for least, size, unit in ((999.5e6, 1e9, "G"), (999.5e3, 1e6, "M"), (9999.5, 1e3, "k")):
        if number >= least:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def _same(lines: Sequence[Line]) -> list[str]:
    """That all lines were trained on the same items, where that is known of more than one."""
    pasts = [past for line in lines for past in pasts_of(line)]
    digests = {past[0].digest if past else None for past in pasts}
    if len(lines) < 2 or len(digests) > 1 or None in digests:
        return []
    return [f"All of them were trained on the same items ({digests.pop()})."]


def _devices(lines: Sequence[Line]) -> list[str]:
    """On what the lines were trained."""
    found: dict[str, list[str]] = {}
    for line in lines:
        efforts = [past[0].effort for past in pasts_of(line) if past]
        for effort in efforts:
            if effort is not None and effort.device is not None:
                count = f"{effort.processes} × " if effort.processes > 1 else ""
                found.setdefault(f"{count}{effort.device}", []).append(line.label)
    if len(found) == 1:
        return [f"Trained on: {next(iter(found))}."]
    parts = (f"{device} ({', '.join(dict.fromkeys(names))})" for device, names in found.items())
    return [f"Trained on: {'; '.join(parts)}."] if found else []
