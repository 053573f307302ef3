"""Complete the rows of a report: part, fold and configuration from other rows, baselines once, labels unique."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lalm_ambig.evaluation.overlap import marked_name
from lalm_ambig.reporting.reading.inputs import ReportRows, ResultRow
from lalm_ambig.reporting.reading.recipe import method_of

DECIMALS = 9
"""Baselines whose metrics agree to so many decimals are the same."""
REPEATABLE = ("baseline", "bound", "zero_shot", "audio_reasoner", "start")
"""Methods whose rows every run brings along."""


def resolve_rows(read: ReportRows) -> list[ResultRow]:
    """Complete the rows with what other rows and the runs say about them.

    Each baseline is there once, and no label twice within a corpus. The label of a row on items that were trained on
    says so.
    """
    rows: Sequence[ResultRow] = [_of_run(row, read.runs) for row in read.rows]
    rows = [_where(row, rows) for row in rows]
    rows = _labelled(_once(rows))
    return [replace(row, label=marked_name(row.label, row.results.about.trained_items)) for row in rows]


def _of_run(row: ResultRow, runs: Mapping[Path, Mapping[str, Any]]) -> ResultRow:
    """The row of an evaluated policy, with the configuration of its run, where that run is in the report too."""
    if row.config is not None or row.results.about.readout == "none" or row.method == "endpoint":
        return row
    for run, config in runs.items():
        names = {run.name, (config.get("run") or {}).get("name")}
        if row.results.about.policy.rpartition(", ")[2] in names:
            method = row.method if row.method != "other" else method_of(config)
            return replace(row, config=config, method=method, run=run)
    return row


def _where(row: ResultRow, rows: Sequence[ResultRow]) -> ResultRow:
    """The row with part and fold, taken from a run or an evaluated folder on exactly the same items."""
    for other in sorted(rows, key=lambda row: row.config is None):
        is_of_run = other.config is not None and _run_of(other) is not None
        knows_part = is_of_run or other.part is not None
        has_same_items = other.results.items_digest == row.results.items_digest
        if knows_part and has_same_items and other.results.about.corpus == row.results.about.corpus:
            return replace(row, part=other.part, fold=other.fold)
    return row


def _once(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Drop baselines and policies before training that another row has already; trained rows stay.

    A start is the trained row of the run before it. A base model that happens to score as a trained one is not dropped.
    """
    distinct: list[ResultRow] = []
    trained = {_signature(row) for row in rows if row.method not in REPEATABLE}
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        if row.method in REPEATABLE:
            if _signature(row) in seen or (row.method == "start" and _signature(row) in trained):
                continue
            seen.add(_signature(row))
        distinct.append(row)
    return distinct


def _signature(row: ResultRow) -> tuple[Any, ...]:
    about, metrics = row.results.about, row.results.metrics
    values = tuple(
        round(m.value, DECIMALS) if math.isfinite(m.value) else str(m.value) for m in metrics.values()
    )
    return (row.dataset, row.fold, about.split, about.readout, row.results.items_digest, values)


def _labelled(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Add the run or the folder to labels that are equal on the same items."""
    labelled = list(rows)
    additions: tuple[Callable[[ResultRow], str], ...] = (_origin, lambda row: str(row.folder))
    for addition in additions:
        counts = Counter((row.dataset, row.fold, row.label) for row in labelled)
        labelled = [
            replace(row, label=f"{row.label} ({addition(row)})")
            if counts[row.dataset, row.fold, row.label] > 1
            else row
            for row in labelled
        ]
    return labelled


def _origin(row: ResultRow) -> str:
    return (_run_of(row) or row.folder.resolve().parent).name


def _run_of(row: ResultRow) -> Path | None:
    """The run in whose folder a row is; None for what evaluate or baseline wrote."""
    rows = row.folder.resolve().parent
    rows = rows.parent if rows.name == "validation" else rows
    return rows.parent if rows.name == "evaluation" else None
