"""`predictions.jsonl`: per line, the prediction for an item beside the votes of people."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lalm_ambig.core.distributions import SUM_TOLERANCE
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import id_text, judged_id
from lalm_ambig.core.types import SPLITS, Item, Reading, Split
from lalm_ambig.files.json_lines import json_object, numbered_lines, write_rows
from lalm_ambig.files.kinds import check_replaceable, rows_with

LARGEST = 1e12
"""Largest number that a row may have. No honest one comes near; beyond it, sums would not be exact."""

ADDED = ("unparsed", "well_formed", "tokens", "labels", "annotator")
"""Fields that older files lack; they then are None."""

PREDICTIONS = rows_with("a file of predictions", "id", "votes", "label_dist", "predicted_dist")


@dataclass(frozen=True)
class Prediction:
    """The answer of a policy or a baseline to one item."""

    id: str
    """Unique within its corpus."""
    split: Split
    """The split that the item is in."""
    speaker: str | None
    """Name of the speaker; None where the corpus gives none."""
    votes: tuple[float, ...]
    """Votes per class, in the corpus's order of classes. Break-downs go by them, and so does the items' fingerprint."""
    label_dist: tuple[float, ...]
    """The target: votes over their sum; for `panel` and `oracle`, a panel drawn from q."""
    predicted_dist: tuple[float, ...]
    """The answer: shares of the classes, in the same order; they sum to 1."""
    class_mass: float | None = None
    """Share of the next-token probability on the class tokens, in [0, 1]; None where there are no tokens."""
    response: str | None = None
    """The text that the answer was read after; None for a baseline."""
    closed: bool | None = None
    """True where the missing end of the response had to be appended."""
    unparsed: str | None = None
    """Why the response could not be read; `predicted_dist` is then uniform."""
    well_formed: float | None = None
    """Share of the item's responses that keep the prescribed form, in [0, 1]; None where the policy writes none."""
    tokens: float | None = None
    """Mean number of tokens of these responses; None where `well_formed` is."""
    labels: int | None = None
    """Number of sampled answers that named a class, where `predicted_dist` is their share; None for other readouts."""
    annotator: str | None = None
    """The annotator whose answer this is; None where all annotators of an item are answered for together."""

    @property
    def judged(self) -> str:
        """Id of what was judged: the same for all annotators of an item."""
        return judged_id(self.id, self.annotator)

    @property
    def drawn_votes(self) -> tuple[float, ...]:
        """Votes that are draws of their own; none of a single annotator, whose two labels are no two draws."""
        return self.votes if self.annotator is None else ()


def from_reading(items: Sequence[Item], reading: Reading) -> list[Prediction]:
    """The predictions of a batch, in the order of its items.

    Raises:
        ValueError: There is another number of items than of readings.
    """
    if len(items) != len(reading.responses):
        raise ValueError(f"{len(items)} items but {len(reading.responses)} readings")
    nothing = (None,) * len(items)
    class_mass, well_formed, tokens, labels = (
        nothing if values is None else values.tolist()
        for values in (reading.class_mass, reading.well_formed, reading.tokens, reading.labels)
    )
    rows = zip(
        items,
        reading.predicted_dist.tolist(),
        class_mass,
        reading.responses,
        reading.was_completed,
        nothing if reading.unparsed is None else reading.unparsed,
        well_formed,
        tokens,
        labels,
        strict=True,
    )
    return [
        Prediction(i.id, i.split, i.speaker, i.votes, i.label_dist, tuple(dist), *rest, annotator=i.annotator)
        for i, dist, *rest in rows
    ]


def write_predictions(path: Path | str, predictions: Sequence[Prediction]) -> Path:
    """Write JSON Lines, one prediction per line, completely or not at all.

    Returns:
        The path.

    Raises:
        InputError: A file of something else has that name.
    """
    check_replaceable(Path(path), PREDICTIONS, where="predictions")
    return write_rows(path, map(asdict, predictions))


def read_predictions(path: Path | str) -> list[Prediction]:
    """The predictions of a file, in its order.

    Raises:
        InputError: There is no such file, or a row is malformed; the message names file and line.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"no such file: {path}", where="predictions")
    predictions: dict[str, Prediction] = {}
    width: int | None = None
    for where, line in numbered_lines(path):
        prediction = _parse(line, where)
        if prediction.id in predictions:
            raise InputError(f"item {prediction.id} stands twice", where=where)
        width = width or len(prediction.votes)
        if len(prediction.votes) != width:
            wrong = f"{len(prediction.votes)} classes, but the first line has {width}"
            raise InputError(wrong, where=where)
        predictions[prediction.id] = prediction
    if not predictions:
        raise InputError(f"{path} holds no prediction", where="predictions")
    return list(predictions.values())


def _parse(line: bytes, where: str) -> Prediction:
    try:
        row = json_object(line)
    except InputError as error:
        raise InputError(str(error), where=where) from error
    return prediction_of(row, where=where)


def prediction_of(content: Mapping[str, Any], *, where: str) -> Prediction:
    """Make a prediction of its fields.

    Args:
        content: Name of a field → value; those that older files lack may be missing.
        where: Place for the error.

    Raises:
        InputError: A field is missing, unknown, or has a value that it cannot have.
    """
    names = [field.name for field in fields(Prediction)]
    row: dict[str, Any] = {**dict.fromkeys(ADDED), **content}
    for name in names:
        if name not in row:
            raise InputError(f"{name!r} is missing", where=where)
    if unknown := sorted(set(row) - set(names)):
        raise InputError(f"unknown key {unknown[0]!r}", where=where)
    for name in ("id", "speaker", "annotator"):  # another program may have made a number of it
        row[name] = row[name] if (text := id_text(row[name])) is None else text
    _check_scalars(row, where)
    for name in ("class_mass", "well_formed", "tokens"):
        row[name] = None if row[name] is None else float(row[name])
    for name in ("votes", "label_dist", "predicted_dist"):
        row[name] = _numbers(row[name], name, where)
        if len(row[name]) != len(row["votes"]):
            raise InputError(f"{name!r} has {len(row[name])} classes, votes {len(row['votes'])}", where=where)
        if name != "votes" and abs(sum(row[name]) - 1) > SUM_TOLERANCE:
            raise InputError(f"{name!r} sums to {sum(row[name]):.4f}, not to 1", where=where)
    return Prediction(**row)


def _check_scalars(row: dict[str, Any], where: str) -> None:
    rules = (
        ("id", isinstance(row["id"], str) and row["id"] != "", "a non-empty string"),
        ("split", row["split"] in SPLITS, f"one of {', '.join(SPLITS)}"),
        ("speaker", isinstance(row["speaker"], str | None), "a string or null"),
        ("annotator", isinstance(row["annotator"], str | None), "a string or null"),
        ("class_mass", _is_share(row["class_mass"]), "a number in [0, 1] or null"),
        ("response", isinstance(row["response"], str | None), "a string or null"),
        ("closed", isinstance(row["closed"], bool | None), "true, false or null"),
        ("unparsed", isinstance(row["unparsed"], str | None), "a string or null"),
        ("well_formed", _is_share(row["well_formed"]), "a number in [0, 1] or null"),
        ("tokens", row["tokens"] is None or _is_count(row["tokens"]), "a number >= 0 or null"),
        ("labels", _is_whole(row["labels"]), "a whole number >= 0 or null"),
    )
    for name, holds, expected in rules:
        if not holds:
            raise InputError(f"{name!r} must be {expected}, got {row[name]!r}", where=where)


def _numbers(values: Any, name: str, where: str) -> tuple[float, ...]:
    if (
        not isinstance(values, list | tuple)
        or not all(_is_number(v) and v >= 0 for v in values)
        or not sum(values)
    ):
        raise InputError(
            f"{name!r} must be a list of numbers >= 0 that are not all 0, got {values!r}", where=where
        )
    return tuple(float(value) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_share(value: Any) -> bool:
    """Whether a value is null or in [0, 1], up to rounding."""
    return value is None or (_is_number(value) and -1e-6 <= value <= 1 + 1e-3)


def _is_whole(value: Any) -> bool:
    """Whether a value is null or a whole number that is not negative."""
    return value is None or (isinstance(value, int) and _is_count(value))


def _is_count(value: Any) -> bool:
    return _is_number(value) and bool(value >= 0)
