"""`training.json`: what the training of a run took."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.record_types import wrong_fields
from lalm_ambig.files.atomic import write_text


@dataclass(frozen=True)
class Effort:
    """The content of `training.json`."""

    updates: int
    """Optimiser steps."""
    items: int
    """Different items that were trained on."""
    seconds: float
    """Time of the training steps with all that they sample; without validations, and without steps that were lost."""
    processes: int
    """Processes, each with a device of its own."""
    tokens: int | None = None
    """Tokens of prompts and responses that were sampled or trained on, over all processes; see `Method.tokens`. None in
    a file of an older version."""
    device: str | None = None
    """Name of the devices, `cpu` for a processor; None in a file of an older version."""


def added(efforts: Sequence[Effort]) -> Effort:
    """Updates, seconds and tokens of all; items, processes and device of the first. Tokens are None if one lacks them.

    Args:
        efforts: At least one.
    """
    first, tokens = efforts[0], [effort.tokens for effort in efforts if effort.tokens is not None]
    return Effort(
        sum(effort.updates for effort in efforts),
        first.items,
        sum(effort.seconds for effort in efforts),
        first.processes,
        tokens=sum(tokens) if len(tokens) == len(efforts) else None,
        device=first.device,
    )


def write_effort(path: Path, effort: Effort) -> None:
    """Write what a run took."""
    write_text(path, json.dumps(asdict(effort), indent=2, allow_nan=False) + "\n")


def read_effort(path: Path) -> Effort | None:
    """Return what a run took; None without the file, which a run of an older version lacks.

    Raises:
        InputError: The file is something else.
    """
    if not path.is_file():
        return None
    try:
        return effort_of(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError("not the record of a training", where=str(path)) from error


def effort_of(content: object) -> Effort:
    """Return the effort that a mapping has.

    Raises:
        TypeError: It has other keys, or values of other types.
    """
    effort = Effort(**content) if isinstance(content, dict) else None
    if effort is None or any(wrong_fields(effort)):
        raise TypeError(f"not the record of a training: {content!r}")
    return effort
