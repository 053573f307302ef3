"""The small files that stand for a finished run of a study.

A folder of kept files has, for each run, NAME.json (results, validation, what training took) and NAME.jsonl.gz
(distributions, rounded). Ids, speakers and votes of the items are in items.jsonl.gz, and prior, probe and panel in
references.json. No file has a text of the corpus. Where votes must not be passed on, items.jsonl.gz is left out; the
items are then read from the corpus.
"""

import gzip
import json
import math
import operator
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.evaluation.effort import effort_of
from lalm_ambig.evaluation.one_evaluation import check_one_evaluation
from lalm_ambig.evaluation.predictions import Prediction, prediction_of
from lalm_ambig.evaluation.results import Results, clusters_of, items_digest
from lalm_ambig.evaluation.results_file import BREAKDOWNS, content_of, results_of
from lalm_ambig.evaluation.seeds import SeedRun
from lalm_ambig.files.atomic import write_bytes, write_text
from lalm_ambig.files.failures import reason
from lalm_ambig.files.json_lines import json_object, json_value
from lalm_ambig.files.kinds import OutputKind, check_replaceable, json_with
from lalm_ambig.files.text import read_text

ITEMS = "items.jsonl.gz"
REFERENCES_FILE = "references.json"
REFERENCES = ("prior", "mapped_prior", "probe", "panel")
"""Rows that stand beside every method: no policy, the base model's features, and other people."""
STEPS = 10_000
"""Kept distributions are multiples of one over this number, and sum to 1."""
BROKEN = (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


def _packed(what: str, *names: str) -> OutputKind:
    """Packed JSON Lines whose first row has those keys."""

    def holds(path: Path) -> bool:
        try:
            return set(names) <= set(json_object(_unpacked(path)[0]))
        except BROKEN:
            return False

    return OutputKind(what, holds)


def _references_kind(path: Path) -> bool:
    try:
        return bool(read_references(path)) or read_text(path).strip() == "{}"
    except InputError:
        return False


WRITTEN = "what study --out writes"
KINDS = {
    ITEMS: _packed(WRITTEN, "id", "votes"),
    REFERENCES_FILE: OutputKind(WRITTEN, _references_kind),
    ".json": json_with(WRITTEN, "results", "validation", "training"),
    ".jsonl.gz": _packed(WRITTEN, "id", "predicted_dist"),
}
"""Name, or end of the name of a run's file → its kind."""


def check_place(folder: Path, runs: Iterable[str]) -> None:
    """Check before the work that the kept files replace nothing else.

    Args:
        folder: Their place.
        runs: Names of all runs that can be kept there.

    Raises:
        InputError: A file of something else has one of their names.
    """
    for name in (ITEMS, REFERENCES_FILE):
        check_replaceable(folder / name, KINDS[name], where="--out")
    for run in runs:
        for suffix in (".json", ".jsonl.gz"):
            check_replaceable(folder / f"{run}{suffix}", KINDS[suffix], where="--out")


def write_items(predictions: Iterable[Prediction], path: Path) -> None:
    """Write ids, speakers and votes."""
    _write_lines(path, map(_kept_item, predictions))


def write_kept(run: SeedRun, out: Path) -> None:
    """Write the two files of a run: what `read_kept` reads."""
    content = {
        "results": without_parts(run.results),
        "validation": {
            name: value if math.isfinite(value) else None for name, value in run.validation.items()
        },
        "chosen": run.chosen,
        "training": [None if effort is None else asdict(effort) for effort in run.efforts],
    }
    write_json(out / f"{run.name}.json", content)
    _write_lines(out / f"{run.name}.jsonl.gz", map(_kept_row, run.predictions))


def _kept_item(prediction: Prediction) -> dict[str, Any]:
    names = ("id", "split", "speaker", "votes", *(["annotator"] if prediction.annotator is not None else []))
    return {name: getattr(prediction, name) for name in names}


def _kept_row(prediction: Prediction) -> dict[str, Any]:
    row = {
        "id": prediction.id,
        "predicted_dist": prediction.predicted_dist,
        "unparsed": prediction.unparsed,
        "labels": prediction.labels,
    }
    return {key: value for key, value in row.items() if value is not None}


def without_parts(results: Results) -> dict[str, Any]:
    """The content of a `metrics.json` without its break-downs."""
    return {**content_of(results), **{name: {} for name in BREAKDOWNS}}


def rounded(dist: Sequence[float]) -> tuple[float, ...]:
    """Round a distribution to four decimals, so that it sums to 1: what is left over goes to the largest remainders.

    >>> rounded((1 / 3, 1 / 3, 1 / 3))
    (0.3334, 0.3333, 0.3333)
    """
    total = math.fsum(dist)
    exact = [STEPS * share / total for share in dist]
    steps = [math.floor(share) for share in exact]
    by_remainder = sorted(range(len(steps)), key=lambda at: steps[at] - exact[at])
    for at in by_remainder[: STEPS - sum(steps)]:
        steps[at] += 1
    return tuple(step / STEPS for step in steps)


def read_kept(root: Path, name: str, seed: int, items: Mapping[str, Prediction]) -> SeedRun:
    """Read a run from its kept files.

    Args:
        root: Their folder.
        name: Of the run.
        seed: Of the run.
        items: What has no answer yet, by id.

    Raises:
        InputError: A file is broken, or the items are missing or not those that the run was tested on.
    """
    path = root / f"{name}.json"
    content = json_value(read_text(path), source=str(path))
    try:
        validation = {n: math.nan if v is None else float(v) for n, v in content["validation"].items()}
        efforts = tuple(None if one is None else effort_of(one) for one in content["training"])
        chosen = None if content["chosen"] is None else operator.index(content["chosen"])
        results = results_of(content["results"], where=str(path))
    except BROKEN as error:
        raise _not_kept(path, error) from error
    predictions = _kept_predictions(root / f"{name}.jsonl.gz", items, results)
    return SeedRun(name, seed, results, predictions, validation, efforts, chosen)


def _kept_predictions(path: Path, items: Mapping[str, Prediction], results: Results) -> list[Prediction]:
    """Join a run's kept answers with the items.

    Raises:
        InputError: The file is broken, or the items are not those that the run was tested on.
    """
    if not items:
        raise InputError(
            f"there is no {ITEMS}, which has the votes of the items:",
            where=str(path.parent),
            remedy="They can be read from the corpus: give its folder, as in -- --data.corpus.root DIR.",
        )
    try:
        rows = _lines(path)
        if len({row["id"] for row in rows}) < len(rows):
            raise InputError("an item stands twice", where=str(path), remedy="Write it again.")
        predictions = [
            _answer(row, items[row["id"]], where=f"{path}:{number}")
            for number, row in enumerate(rows, start=1)
            if row["id"] in items
        ]
    except BROKEN as error:
        raise _not_kept(path, error) from error
    _check_items(predictions, results, path)
    check_one_evaluation(predictions, results, where=str(path), rounding=1 / STEPS)
    return predictions


def _check_items(predictions: Sequence[Prediction], results: Results, path: Path) -> None:
    """Refuse items, votes or speakers that are not those that the run was tested on.

    Raises:
        InputError: They are not.
    """
    if items_digest(predictions) != results.items_digest:
        raise InputError(
            f"{len(predictions)} of {results.items} answers are about items that are here, or their votes differ;",
            where=str(path),
            remedy=f"give the corpus that the run was tested on, with the same votes, or its {ITEMS}.",
        )
    clusters = clusters_of(predictions, results.about.corpus)
    groups = clusters.indices(len(predictions))[1]
    if (clusters.unit, groups) != (results.clusters, results.n_clusters):
        raise InputError(
            f"the items have {groups} {clusters.unit}, and the run was tested on {results.n_clusters} "
            f"{results.clusters};",
            where=str(path),
            remedy=f"give the corpus that it was tested on, with its speakers, or its {ITEMS}.",
        )


def _answer(row: Mapping[str, Any], item: Prediction, *, where: str) -> Prediction:
    """An item with its kept answer."""
    answer = {name: row.get(name) for name in ("predicted_dist", "unparsed", "labels")}
    return prediction_of({**asdict(item), **answer}, where=where)


def read_items(path: Path) -> dict[str, Prediction]:
    """Read the kept items, by id, as predictions that have no answer yet."""
    try:
        items = [_item(row, where=f"{path}:{number}") for number, row in enumerate(_lines(path), start=1)]
    except BROKEN as error:
        raise _not_kept(path, error) from error
    if not items:
        raise InputError("there is no item in it.", where=str(path), remedy="Write it again.")
    return {item.id: item for item in items}


def read_references(path: Path) -> dict[str, Results]:
    """Read the kept `REFERENCES`, by name.

    Raises:
        InputError: The file is broken, or has another name.
    """
    content = json_value(read_text(path), source=str(path))
    if not isinstance(content, dict) or (unknown := sorted(set(content) - set(REFERENCES))):
        wrong = f"unknown name {unknown[0]!r}" if isinstance(content, dict) else "no object"
        raise InputError(f"{wrong}: expected {', '.join(REFERENCES)}", where=str(path))
    return {name: results_of(content[name], where=str(path)) for name in REFERENCES if name in content}


def _item(row: Mapping[str, Any], *, where: str) -> Prediction:
    """An item of a kept file as a prediction that has no answer yet."""
    votes = [float(vote) for vote in row["votes"]]
    target = [vote / sum(votes) for vote in votes]
    unknown = dict.fromkeys(("class_mass", "response", "closed"))
    shares = {"votes": votes, "label_dist": target, "predicted_dist": target}
    return prediction_of({**unknown, **row, **shares}, where=where)


def unanswered(item: Item) -> Prediction:
    """An item of a corpus, in whatever split it is here, as a test prediction that has no answer yet."""
    target = item.label_dist
    return Prediction(item.id, "test", item.speaker, item.votes, target, target, annotator=item.annotator)


def _not_kept(path: Path, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    what = reason(error) if isinstance(error, OSError) else f"not {WRITTEN}: {type(error).__name__}: {error}"
    return InputError(what, where=str(path), remedy="Write it again.")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write one line of JSON."""
    write_text(path, json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON Lines, packed; the same rows give the same bytes."""
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    write_bytes(path, gzip.compress(text.encode("utf-8"), mtime=0))


def _lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(_unpacked(path), start=1):
        try:
            rows.append(json_object(line))
        except InputError as error:
            raise InputError(str(error), where=f"{path}:{number}") from error
    return rows


def _unpacked(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines()
