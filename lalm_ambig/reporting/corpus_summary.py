"""The numbers that describe a corpus: sizes, labels, ambiguity, and the noise floor of its annotators."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.baselines.floor import noise_floor
from lalm_ambig.core.distributions import AMBIGUITY_LEVELS, ambiguity_level, majority, normalised_entropy
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import SPLITS
from lalm_ambig.corpora.preparing.prepared import Prepared
from lalm_ambig.evaluation.breakdowns import ACTIVE_LABELS
from lalm_ambig.reporting.annotator_summary import ratings_of, summarise_annotators


def summarise(prepared: Prepared, *, seed: int = 0) -> dict[str, Any]:
    """All numbers that `describe` shows, as plain JSON; classes are in the corpus's order.

    Args:
        prepared: The corpus.
        seed: Seed of the panels that are drawn for the noise floor.

    Returns:
        `majority`, `ambiguity_levels`, `splits`, `with_sound` and `with_text` count items; `annotators` are votes per
        item; entropies are normalised, in [0, 1]. `noise_floor` is None where no item has two votes or a vote is no
        whole number, and `noise_floor_missing` says so. `audio_s` is in seconds, 0 where no sound was opened.
        `agreement` is that of `summarise_annotators`, None where the corpus names no annotators.
    """
    votes = prepared.items().votes().double()
    label_dist = votes / votes.sum(-1, keepdim=True)
    entropies = normalised_entropy(label_dist)
    names = prepared.categories.names
    ratings = ratings_of(prepared)
    return {
        "items": len(votes),
        "with_sound": _filled(prepared, "audio"),
        "with_text": _filled(prepared, "text"),
        "left_out": prepared.left_out,
        "classes": list(names),
        "annotators": _annotators(votes),
        "majority": _counts(majority(votes), names),
        "mean_entropy": float(entropies.mean()),
        "ambiguity_levels": _counts(ambiguity_level(label_dist), AMBIGUITY_LEVELS),
        "active_labels": _active_labels(votes, entropies),
        "splits": {split: len(prepared.items(split)) for split in SPLITS},
        "agreement": None if ratings is None else summarise_annotators(ratings, prepared.categories),
        "audio_s": float(prepared.items().durations_s().sum()),
        **_floor(votes, seed, ordered=prepared.categories.ordered),
    }


def _filled(prepared: Prepared, column: str) -> int:
    """Number of items that have a value in a column."""
    values = prepared.table.column(column)
    return len(values) - int(values.null_count)


def _counts(kind: Int[Tensor, " item"], names: tuple[str, ...]) -> dict[str, int]:
    counted = torch.bincount(kind, minlength=len(names)).tolist()
    return dict(zip(names, counted, strict=True))


def _annotators(votes: Float[Tensor, "item category"]) -> dict[str, float]:
    sizes = votes.sum(-1)
    return {"min": float(sizes.min()), "median": float(sizes.quantile(0.5)), "max": float(sizes.max())}


def _active_labels(
    votes: Float[Tensor, "item category"], entropies: Float[Tensor, " item"]
) -> dict[str, dict[str, Any]]:
    """Items and their mean entropy by number of classes with a vote (SHALA-LLM, Tables 9 and 10).

    The numbers are 1, 2, 3 and 4 or more, as far as there are so many classes. The mean is None without items.
    """
    active = (votes > 0).sum(-1).clamp(max=len(ACTIVE_LABELS)) - 1
    rows: dict[str, dict[str, Any]] = {}
    for position, name in enumerate(ACTIVE_LABELS[: votes.shape[-1]]):
        chosen = entropies[active == position]
        mean = float(chosen.mean()) if len(chosen) else None
        rows[name] = {"items": len(chosen), "mean_entropy": mean}
    return rows


def _floor(votes: Float[Tensor, "item category"], seed: int, *, ordered: bool) -> dict[str, Any]:
    try:
        return {"noise_floor": noise_floor(votes, seed=seed, ordered=ordered)}
    except InputError as error:
        return {"noise_floor": None, "noise_floor_missing": str(error)}
