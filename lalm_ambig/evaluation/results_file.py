"""`metrics.json`: results on disk, in plain JSON (a value that is infinite or undefined is null)."""

import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from lalm_ambig.categories import CategorySet
from lalm_ambig.errors import InputError
from lalm_ambig.evaluation.bootstrap import Interval
from lalm_ambig.evaluation.breakdowns import Part
from lalm_ambig.evaluation.record_types import wrong_fields
from lalm_ambig.evaluation.replacing import replace_text
from lalm_ambig.evaluation.results import About, Results

BREAKDOWNS = ("by_ambiguity", "by_active_labels", "by_majority")
NAMES = {"trained_classes", "table_metrics"}
"""Lists of `About`; files from before there were any lack them, and mean its defaults."""


BROKEN = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What is raised over a file that is no JSON, or holds something else than results."""


def write_results(path: Path | str, results: Results) -> Path:
    """Write `metrics.json`, whole or not at all: the fields of `About` and `Results` on one level. Returns
    the path."""
    row = asdict(results)
    flat = _finite({**row.pop("about"), **row})
    return replace_text(path, [json.dumps(flat, indent=2, ensure_ascii=False, allow_nan=False)])


def read_results(path: Path | str) -> Results:
    """Results from a `metrics.json`; null values become NaN. One-line InputError for anything else."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"no such file: {path}", where="results", remedy="Write one with evaluate.")
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        for name in NAMES & set(row):
            row[name] = tuple(row[name])
        about = About(**{field.name: row.pop(field.name) for field in fields(About) if field.name in row})
        row["metrics"] = _intervals(row["metrics"])
        for name in BREAKDOWNS:
            row[name] = {kind: _part(part) for kind, part in row[name].items()}
        row["categories"], row["notes"] = tuple(row["categories"]), tuple(row["notes"])
        results = Results(about=about, **row)
        CategorySet(results.categories)
    except BROKEN as error:
        raise InputError(f"not a metrics.json: {type(error).__name__}: {error}", where=str(path)) from error
    if (wrong := next(wrong_fields(results), None)) is not None:
        raise InputError(f"not a metrics.json: {wrong!r} is not what it should be", where=str(path))
    return results


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _intervals(rows: dict[str, Any]) -> dict[str, Interval]:
    return {
        name: Interval(math.nan if row["value"] is None else float(row["value"]), row["low"], row["high"])
        for name, row in rows.items()
    }


def _part(row: dict[str, Any]) -> Part:
    return Part(row["items"], _intervals(row["metrics"]), row["note"], row.get("parse_rate"))
