"""The tables of a study: scores with paired differences, and what training took beside what responses are like."""

from collections.abc import Iterable, Sequence

from lalm_ambig.evaluation.comparison import difference_text, effect_text, is_significant, p_text
from lalm_ambig.evaluation.effort import Effort
from lalm_ambig.evaluation.intervals import NO_INTERVAL, can_mark
from lalm_ambig.evaluation.notes import TWO_GROUPS
from lalm_ambig.evaluation.overlap import marked_name
from lalm_ambig.evaluation.responses import COLUMNS, response_cells, response_columns
from lalm_ambig.evaluation.seeds import SeedRun, mean_and_sd
from lalm_ambig.evaluation.spread import LEVEL
from lalm_ambig.evaluation.stages import data_notes, data_of
from lalm_ambig.evaluation.table import OLDER_INTERVALS, interval_cell, metric_columns, uncertainty
from lalm_ambig.metrics.base import formulas
from lalm_ambig.reporting.effort import in_short
from lalm_ambig.reporting.study.summary import RowSummary, Summary
from lalm_ambig.tabular.model import BEST, Cell, Column, ResultTable, TableRow, ranked

PAIRED = (
    Column("difference", f"difference ({LEVEL:.0%} interval)"),
    Column("effect", "effect"),
    Column("p_holm", "p (Holm)"),
    Column("seeds", "seeds"),
)
"""The last columns of the scores."""
EFFORTS = (
    Column("items", "items"),
    Column("updates", "updates"),
    Column("updates_with_starts", "with start"),
    Column("seconds", "seconds"),
    Column("seconds_with_starts", "with start"),
    Column("chosen", "chosen at"),
)
TOKENS = (Column("tokens_seen", "tokens seen"), Column("tokens_seen_with_starts", "with start"))
"""Further columns, where runs recorded their tokens."""
TOKENS_CAPTION = (
    "Tokens seen: responses that were sampled or trained on, each with its prompt, once per pass."
)
EFFORT_CAPTION = (
    "Items: different items trained on. Seconds: training steps with all that they sample, without validations; a mean "
    "over seeds. With start: the runs that a run starts from are counted, too. "
    "Chosen at: the update of each seed whose weights the validation chose; 0 is the start, with none of the row's own."
)
ONE_P = (
    "In bold: the best of a column, and a difference whose p (Holm) is below 0.05. An interval is of one comparison "
    "alone; p (Holm) allows for the number of rows. After ±: how far seeds differ."
)


def score_table(summary: Summary) -> ResultTable:
    """A row per method with a finished run: metrics as mean ± deviation over seeds, and the paired difference."""
    outline = summary.outline
    scores = metric_columns(outline.metrics)
    validated = _is_validated(summary)
    label = f"val. {scores[0].label}"
    # not ranked: a row may have been validated on all items, and another on a sample
    validation = Column(f"validation_{summary.compared}", label, None)
    columns = (*scores, *((validation,) if validated else ()), *PAIRED)
    gaps = tuple(Cell() for _ in columns[len(scores) :])
    references = [
        TableRow((name,), (*(interval_cell(row.metrics.get(c.key)) for c in scores), *gaps))
        for name, row in summary.references.items()
    ]
    shown = summary.finished
    rows = [*references, *(_score_row(one, summary) for one in shown)]
    among = [
        number
        for number, one in enumerate(shown, start=len(references))
        if _is_complete(one, summary) and not _is_leaky(one) and _can_mark(summary)
    ]
    rows = ranked(rows, columns, among=among, ranking=BEST)
    ends = frozenset({len(references) - 1} if references else ())
    return ResultTable(("method",), columns, tuple(rows), tuple(_caption(summary)), ends, title=outline.title)


def _can_mark(summary: Summary) -> bool:
    return can_mark(summary.first.clusters, summary.first.n_clusters)


def _is_validated(summary: Summary) -> bool:
    return any(one.row.validation(summary.compared) for one in summary.rows)


def _score_row(one: RowSummary, summary: Summary) -> TableRow:
    row, outline = one.row, summary.outline
    found = None if one.difference is None else one.difference.difference
    text = None if found is None else difference_text(found)
    return TableRow(
        (_name(one),),
        (
            *(_mean_cell(row.metric(name)) for name in outline.metrics),
            *([_mean_cell(row.validation(summary.compared))] if _is_validated(summary) else []),
            Cell(
                value=None if found is None else found.value,
                low=None if found is None else found.low,
                high=None if found is None else found.high,
                text=text,
                rank=1
                if is_significant(one.p_holm) and _can_mark(summary) and not _is_alone(one, summary)
                else 0,
            ),
            Cell(
                value=None if found is None else found.effect,
                text=None if found is None else effect_text(found),
            ),
            Cell(value=one.p_holm, text=None if found is None else p_text(one.p_holm)),
            Cell(value=len(row.runs), text=_count(one, summary)),
        ),
    )


def effort_table(summary: Summary) -> ResultTable:
    """A row per method: what its training took, and class mass, form and length of its responses."""
    columns = response_columns(one.responses for one in summary.rows)
    tokens = TOKENS if any(_tokens(one, with_starts=False) for one in summary.finished) else ()
    rows = tuple(
        TableRow(
            (_name(one),),
            (
                *_effort_cells(one),
                *(_token_cells(one) if tokens else ()),
                *response_cells(one.responses, columns),
            ),
        )
        for one in summary.finished
    )
    caption = [EFFORT_CAPTION, *([TOKENS_CAPTION] if tokens else [])]
    caption += [*(COLUMNS[column.key][1] for column in columns), *_other_items(summary)]
    title = f"{summary.outline.title}: what training took, and what responses are like"
    return ResultTable(("method",), (*EFFORTS, *tokens, *columns), rows, tuple(caption), title=title)


def _other_items(summary: Summary) -> list[str]:
    """That rows were trained on different items: by their fingerprints, or where these are not known by number."""
    pasts = {one.row.label: [run.results.about.training for run in one.row.runs] for one in summary.finished}
    if all(data_of(past) is not None for of_row in pasts.values() for past in of_row):
        return data_notes(pasts)
    counts = {effort.items for one in summary.rows for effort in one.row.efforts(with_starts=False)}
    return (
        ["THE METHODS WERE TRAINED ON DIFFERENT NUMBERS OF ITEMS: see the column."] if len(counts) > 1 else []
    )


def _tokens(one: RowSummary, *, with_starts: bool) -> list[float]:
    """Tokens of each seed; none where a seed lacks them."""
    tokens = [effort.tokens for effort in one.row.efforts(with_starts=with_starts)]
    numbers = [float(count) for count in tokens if count is not None]
    return numbers if len(numbers) == len(one.row.runs) else []


def _token_cells(one: RowSummary) -> tuple[Cell, ...]:
    averages = (mean_and_sd(_tokens(one, with_starts=added))[0] for added in (False, True))
    return tuple(Cell() if value is None else Cell(value, text=in_short(value)) for value in averages)


def _effort_cells(one: RowSummary) -> tuple[Cell, ...]:
    own, whole = (one.row.efforts(with_starts=added) for added in (False, True))
    numbers: tuple[tuple[Sequence[Effort], str], ...] = (
        (own, "items"),
        (own, "updates"),
        (whole, "updates"),
        (own, "seconds"),
        (whole, "seconds"),
    )
    counts = (_count_cell([float(getattr(effort, name)) for effort in efforts]) for efforts, name in numbers)
    chosen = [str(run.chosen) for run in one.row.runs if run.chosen is not None]
    return (*counts, Cell(text=", ".join(chosen)) if chosen else Cell())


def _count_cell(values: Sequence[float]) -> Cell:
    average, _ = mean_and_sd(values)
    return Cell() if average is None else Cell(average, text=f"{average:.0f}")


def _mean_cell(values: Sequence[float]) -> Cell:
    average, deviation = mean_and_sd(values)
    return Cell(average, spread=deviation)


def _name(one: RowSummary) -> str:
    """The label, with a mark if the row is no test."""
    overlaps = [run.results.about.trained_items for run in one.row.runs]
    leaky = [overlap for overlap in overlaps if overlap is not None and overlap.is_leaky]
    return marked_name(one.row.label, leaky[0] if leaky else None)


def _is_leaky(one: RowSummary) -> bool:
    return _name(one) != one.row.label


def _is_complete(one: RowSummary, summary: Summary) -> bool:
    return set(summary.outline.seeds) <= {run.seed for run in one.row.runs}


def _count(one: RowSummary, summary: Summary) -> str:
    """The number of seeds, out of those that there should be where some are missing."""
    count, wanted = len(one.row.runs), len(summary.outline.seeds)
    return str(count) if _is_complete(one, summary) else f"{count} of {wanted}"


def _caption(summary: Summary) -> list[str]:
    first = summary.first
    lines = [
        f"{first.about.corpus_and_part}, {first.about.part_of_corpus}, the same {first.items} items for every row "
        f"({first.items_digest}); mean ± standard deviation over seeds {', '.join(map(str, _seeds(summary)))}.",
        f"{_convention(summary)} Answers: {_readings(summary)}.",
        *_intervals_caption(summary),
    ]
    if _is_validated(summary):
        lines.append(
            "Validation: the items that chose each run's checkpoint, all of the split or a sample of it. "
            "It compares checkpoints of a row, not rows."
        )
    if summary.references:
        lines.append(
            f"{', '.join(summary.references)}: no methods of the study; of one run, with its own intervals."
        )
    if older := [name for name, row in summary.references.items() if row.intervals != "jackknife"]:
        lines.append(f"{', '.join(older)}: {OLDER_INTERVALS}.")
    lines += [f"{', '.join(names)}: {note}." for note, names in _notes(summary).items()]
    missing = [one.row.label for one in summary.rows if not one.row.runs]
    return [*lines, f"Without a finished run: {'; '.join(missing)}."] if missing else lines


def _intervals_caption(summary: Summary) -> list[str]:
    """How intervals were computed, or why there are none."""
    first = summary.first
    if any(note.startswith(NO_INTERVAL) for note in first.notes):
        return [f"{uncertainty(first).capitalize()}.", ONE_P]
    return [
        f"Differences from {summary.reference.row.label!r} are paired {_pairing(summary)}; {LEVEL:.0%} intervals and "
        f"two-sided p over {first.n_clusters} {first.clusters}, each with all its seeds.",
        *([] if _can_mark(summary) else [f"{TWO_GROUPS.format(unit=first.clusters)}."]),
        *_seeds_caption(summary),
        *_shares_of_seeds(summary),
        ONE_P,
    ]


def _pairing(summary: Summary) -> str:
    """How differences are paired, and whether they allow for other seeds."""
    if len(_seeds(summary)) == 1:
        return "by item, of one seed: nothing is said of other seeds"
    return "by item and seed, averaged over seeds, and allow for other seeds"


def _seeds_caption(summary: Summary) -> list[str]:
    """Which differences are over other seeds than the table's, since a row or the reference lacks one."""
    shared = tuple(run.seed for run in summary.reference.row.runs)
    lines = []
    if set(shared) != set(_seeds(summary)):
        lines.append(
            f"{summary.reference.row.label!r} has only {_numbered(shared)}: differences are over no other."
        )
    labels: dict[tuple[int, ...], list[str]] = {}
    for one in summary.finished:
        if one.difference is not None and set(one.difference.seeds) != set(shared):
            labels.setdefault(one.difference.seeds, []).append(one.row.label)
    return lines + [
        f"The difference of {', '.join(names)} is over {_numbered(seeds)} alone"
        + (": it says nothing of other seeds." if len(seeds) == 1 else ".")
        for seeds, names in labels.items()
    ]


def _shares_of_seeds(summary: Summary) -> list[str]:
    """What of the variance of each difference is from seeds."""
    shares = [
        f"{one.difference.difference.share_of_seeds:.0%} ({one.row.label})"
        for one in summary.finished
        if one.difference is not None and one.difference.difference.share_of_seeds is not None
    ]
    unit = summary.first.clusters
    effect = f"Effect: the difference over its standard deviation between {unit}."
    if not shares:
        return [effect]
    return [
        effect,
        f"Of the variance of each difference, seeds make {', '.join(shares)}; the rest is between {unit}.",
    ]


def _numbered(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _is_alone(one: RowSummary, summary: Summary) -> bool:
    """Whether a row's difference is of one seed, though the table has several."""
    return one.difference is not None and len(one.difference.seeds) == 1 and len(_seeds(summary)) > 1


def _seeds(summary: Summary) -> list[int]:
    return sorted({run.seed for run in _runs(summary)})


def _runs(summary: Summary) -> Iterable[SeedRun]:
    return (run for one in summary.rows for run in one.row.runs)


def _convention(summary: Summary) -> str:
    metric = next(m for m in formulas(2) if m.name == summary.compared)
    direction = {True: "higher", False: "lower", None: "neither higher nor lower"}[metric.higher_is_better]
    return f"Compared by {metric.name}, {direction} is better."


def _readings(summary: Summary) -> str:
    """How the answers of the rows were read, with the rows' labels if they differ in it."""
    kinds: dict[str, list[str]] = {}
    for one in summary.rows:
        abouts = [run.results.about for run in one.row.runs]
        for kind in dict.fromkeys(
            f"{about.readout} readout, {about.reasoning} reasoning" for about in abouts
        ):
            kinds.setdefault(kind, []).append(one.row.label)
    if len(kinds) == 1:
        return next(iter(kinds))
    return "; ".join(f"{kind} ({', '.join(labels)})" for kind, labels in kinds.items())


def _notes(summary: Summary) -> dict[str, list[str]]:
    """Each note of a result that is about a whole row → labels of the rows, with seeds where others lack it."""
    hidden = {metric.name for metric in formulas(2)} - set(summary.outline.metrics)
    found: dict[str, list[str]] = {}
    for one in summary.rows:
        seeds: dict[str, list[int]] = {}
        for run in one.row.runs:
            for note in run.results.notes:
                seeds.setdefault(note, []).append(run.seed)
        for note, of in seeds.items():
            if not note.startswith(NO_INTERVAL) and note.split()[0] not in hidden:
                whole = len(of) == len(one.row.runs)
                found.setdefault(note, []).append(one.row.label + ("" if whole else f", {_numbered(of)}"))
    return found
