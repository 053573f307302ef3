"""`metrics.json`: results on disk, in plain JSON (a value that is infinite or undefined is null)."""

import json
import math
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.annotator_scores import AnnotatorScores
from lalm_ambig.evaluation.breakdowns import Part
from lalm_ambig.evaluation.intervals import Interval
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.record_types import wrong_fields
from lalm_ambig.evaluation.results import About, Results
from lalm_ambig.evaluation.stages import past_of
from lalm_ambig.files.atomic import write_text
from lalm_ambig.files.json_lines import json_value
from lalm_ambig.files.kinds import check_replaceable, json_with
from lalm_ambig.files.text import read_text

BREAKDOWNS = ("by_ambiguity", "by_active_labels", "by_majority")
NAMES = {"trained_classes", "table_metrics", "fold_temperatures"}
"""Fields of `About` that are lists; older files lack them and mean the defaults."""

NEEDED = tuple(
    field.name
    for kind in (About, Results)
    for field in fields(kind)
    if field.default is MISSING and field.default_factory is MISSING and field.name != "about"
)
"""What every `metrics.json` has."""
METRICS = json_with("a metrics.json of an evaluation", "corpus", "items_digest", "metrics", "by_ambiguity")
BROKEN = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""Errors of a file that is no JSON, or that has something else than results."""


def write_results(path: Path | str, results: Results) -> Path:
    """Write `metrics.json`, completely or not at all, with the fields of `About` and `Results` on one level.

    Returns:
        The path.

    Raises:
        InputError: A file of something else has that name.
    """
    check_replaceable(Path(path), METRICS, where="results")
    content = json.dumps(content_of(results), indent=2, ensure_ascii=False, allow_nan=False)
    return write_text(path, content + "\n")


def content_of(results: Results) -> dict[str, Any]:
    """Return results as `metrics.json` has them, with the fields of `About` on the same level."""
    row = asdict(results)
    if row["annotators"] is not None:
        del row["annotators"]["by_item"]
    flat: dict[str, Any] = _finite({**row.pop("about"), **row})
    return flat


def read_results(path: Path | str) -> Results:
    """Read the results of a `metrics.json`; null values become NaN.

    Raises:
        InputError: There is no such file, or it is something else.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"no such file: {path}", where="results", remedy="Write one with evaluate.")
    try:
        row = json_value(read_text(path))
    except InputError as error:
        what = str(error).removeprefix(f"{path}: ")
        raise InputError(f"not a metrics.json: {what}", where=str(path)) from error
    return results_of(row, where=str(path))


def results_of(content: Any, *, where: str) -> Results:
    """Make results of the content of a `metrics.json`; null values become NaN.

    Args:
        content: As `write_results` writes it. It is not changed.
        where: Its place, for errors.

    Raises:
        InputError: It is something else, or lacks a part.
    """
    try:
        row = _renamed(dict(content))
        lacking = [name for name in NEEDED if "metrics" in row and name not in row]
    except BROKEN as error:
        raise InputError(f"not a metrics.json: {type(error).__name__}: {error}", where=where) from error
    if lacking:
        lack = f"it has no {', '.join(lacking)}: it is of another version, or was cut."
        raise InputError(lack, where=where, remedy="Evaluate the run again.")
    try:
        for name in NAMES & set(row):
            row[name] = tuple(row[name])
        row["trained_items"] = _overlap(row.get("trained_items"))
        row["training"] = past_of(row.get("training"))
        about = About(**{field.name: row.pop(field.name) for field in fields(About) if field.name in row})
        row["metrics"] = _intervals(row["metrics"])
        for name in BREAKDOWNS:
            row[name] = {kind: _part(part) for kind, part in row[name].items()}
        row["categories"], row["notes"] = tuple(row["categories"]), tuple(row["notes"])
        row["annotators"] = _annotators(row.get("annotators"))
        results = Results(about=about, **row)
        CategorySet(results.categories)
    except BROKEN as error:
        raise InputError(f"not a metrics.json: {type(error).__name__}: {error}", where=where) from error
    if (wrong := next(wrong_fields(results), None)) is not None:
        raise InputError(f"not a metrics.json: {wrong!r} is not what it should be", where=where)
    return results


def _renamed(row: dict[str, Any]) -> dict[str, Any]:
    """A file of an older version, whose intervals are from a bootstrap, with the names of today."""
    if "resamples" not in row:
        return row
    row |= {
        "clusters": row.pop("resampled"),
        "n_clusters": row.pop("resampled_count"),
        "intervals": "bootstrap",
    }
    return {key: value for key, value in row.items() if key not in ("resamples", "seed")}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _intervals(rows: dict[str, Any]) -> dict[str, Interval]:
    return {
        name: Interval(math.nan if row["value"] is None else float(row["value"]), row["low"], row["high"])
        for name, row in rows.items()
    }


def _overlap(row: dict[str, Any] | None) -> Overlap | None:
    if row is None:
        return None
    fields_of_it: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return Overlap(**fields_of_it)


def _annotators(row: dict[str, Any] | None) -> AnnotatorScores | None:
    if row is None:
        return None
    names = ("error", "accuracy", "accuracy_by_annotator")
    intervals = _intervals({name: row[name] for name in names})
    return AnnotatorScores(**{**row, **intervals, "together": _intervals(row["together"])})


def _part(row: dict[str, Any]) -> Part:
    return Part(row["items"], _intervals(row["metrics"]), row["note"], row.get("parse_rate"))
