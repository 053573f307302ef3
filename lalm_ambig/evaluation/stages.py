"""The trainings in a policy's past: on which items, and what each took; and whether policies saw the same items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lalm_ambig.evaluation.effort import Effort, added, effort_of

OTHER_ITEMS = "TRAINED ON DIFFERENT ITEMS"
ADVICE = "A difference between them may come from the data."


@dataclass(frozen=True)
class Stage:
    """One training in a policy's past: its own run's, or that of a run which it goes on from."""

    items: int | None
    """Different items that were trained on; None where that is not known."""
    digest: str | None
    """Fingerprint of these items, whatever their order; None where they are not known."""
    effort: Effort | None = None
    """What it took; None where that was not recorded."""


UNKNOWN = Stage(None, None)
"""A part of a policy's past that nothing is known of."""
Past = tuple[Stage, ...]
"""The trainings of a policy: its own run's first, then those that it goes on from; empty for an untrained one."""
Data = tuple[str, frozenset[str]]
"""Fingerprint of the items of the run itself, and of those of every training in its past."""


def past_of(rows: Any) -> Past | None:
    """Make a past of what a `metrics.json` has; None stays None.

    Raises:
        TypeError: It is something else.
    """
    if rows is None:
        return None
    return tuple(
        Stage(**{**row, "effort": None if row["effort"] is None else effort_of(row["effort"])})
        for row in rows
    )


def total_effort(past: Past) -> Effort | None:
    """What all trainings took (see `added`); None for an untrained policy, and where one was not recorded."""
    efforts = [stage.effort for stage in past if stage.effort is not None]
    return added(efforts) if efforts and len(efforts) == len(past) else None


def device_seconds(past: Past) -> float | None:
    """Seconds times devices over all trainings.

    None where one of them was not recorded, or was on a CPU, whose cores are not known.
    """
    efforts = [stage.effort for stage in past]
    times = [e.seconds * e.processes for e in efforts if e is not None and e.device not in (None, "cpu")]
    return sum(times) if times and len(times) == len(past) else None


def data_of(past: Past | None) -> Data | None:
    """What identifies the items that a policy has seen; None where a part of them is not known."""
    if not past:
        return None
    digests = [stage.digest for stage in past if stage.digest is not None]
    return (digests[0], frozenset(digests)) if len(digests) == len(past) else None


def data_notes(pasts: Mapping[str, Sequence[Past | None]]) -> list[str]:
    """Sentences on rows that were trained on different items, and on those of which that is not known.

    Args:
        pasts: Name of a row → the past of each of its runs (seeds, folds); None where it was not recorded. Rows of
            untrained policies are passed over.

    Returns:
        No sentence if all trained rows have seen the same items.
    """
    trained = {name: runs for name, runs in pasts.items() if any(past != () for past in runs)}
    same: dict[frozenset[Data], list[str]] = {}
    unknown: list[str] = []
    for name, runs in trained.items():
        found = [data_of(past) for past in runs]
        known = frozenset(data for data in found if data is not None)
        if None in found:
            unknown.append(name)
        else:
            same.setdefault(known, []).append(name)
    notes = []
    if len(same) > 1:
        parts = (f"{', '.join(names)}: {_in_words(trained[names[0]])}" for names in same.values())
        notes.append(f"{OTHER_ITEMS}: {'; '.join(parts)}. {ADVICE}")
    if unknown and len(trained) > 1:
        notes.append(
            f"Not recorded, so not compared: the items that {', '.join(unknown)} had been trained on."
        )
    return notes


def _in_words(runs: Sequence[Past | None]) -> str:
    """Numbers and fingerprints of the items of a row's runs, and of the runs that they go on from."""
    pasts = [past for past in runs if past]
    text = _counts([past[0] for past in pasts])
    own = {past[0].digest for past in pasts}
    before = [stage for past in pasts for stage in past[1:] if stage.digest not in own]
    return f"{text} after a start on {_counts(before)}" if before else text


def _counts(stages: Sequence[Stage]) -> str:
    """`96 items (3f2a…)`; of several sets their range and number."""
    by_digest = {stage.digest: stage.items or 0 for stage in stages}
    fewest, most = min(by_digest.values()), max(by_digest.values())
    if len(by_digest) == 1:
        return f"{most} items ({next(iter(by_digest))})"
    span = f"{most}" if fewest == most else f"{fewest} to {most}"
    return f"{span} items, {len(by_digest)} sets ({', '.join(sorted(map(str, by_digest)))})"
