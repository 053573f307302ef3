"""Notes on the numbers of a result, one line each, without a full stop."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import torch

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.evaluation.about import SAMPLED, About
from lalm_ambig.evaluation.breakdowns import ScoredItems
from lalm_ambig.evaluation.cross_domain import mapping_note
from lalm_ambig.evaluation.intervals import Interval, can_mark, too_few, without_interval
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.metrics.base import formulas, has_shares

TWO_GROUPS = "an interval over two {unit} is little more than a guess: nothing is in bold"
"""Note of a result on two speakers, or other groups."""
ONE_SEED = "One seed: {names}. Another seed can change a value by more than its interval."
"""Sentence of a table with runs of one seed each."""
SAME_TARGET = 1e-6
"""Largest distance of two equal targets: writing and reading them can change as much."""
FLOOR = "the floor of sampled answers: "
"""Beginning of the note of a row whose labels were drawn from people's own distribution."""
DRAWN_TARGET = (
    "the target is a panel drawn from q and not the votes, so this row stands beside others but is not paired with "
    "them item by item"
)
"""Note of the baselines `panel` and `oracle`."""
SHARED_VOTES = (
    "brier_mean_unbiased is not known: a vote is no whole number, so that votes are shares and no draws"
)
"""Note of items whose raters share votes between classes."""


def notes(
    about: About,
    predictions: Sequence[Prediction],
    *,
    categories: CategorySet,
    scored: ScoredItems,
    metrics: dict[str, Interval],
) -> tuple[str, ...]:
    """All notes of a result.

    They are on items that were trained on, drawn targets, the corpus trained on, and the origin of the answers. They
    are also on responses that could not be read, and on metrics without interval or value.

    Args:
        about: Origin of the predictions.
        predictions: The predictions.
        categories: The classes, in the order of the distributions.
        scored: The same predictions as tensors.
        metrics: Their metrics.
    """
    return (
        *(about.trained_items.notes if about.trained_items is not None else ()),
        *([DRAWN_TARGET] if any(map(is_drawn, predictions)) else []),
        *_origin(about, categories),
        *_averaged(about),
        *_sampled(about, predictions),
        *_scaled(about),
        *_unread(about, predictions),
        *([SHARED_VOTES] if has_shares([p.drawn_votes for p in predictions]) else []),
        *_notes(scored, metrics),
    )


def _origin(about: About, categories: CategorySet) -> Iterator[str]:
    if about.trained_on is not None:
        trained = CategorySet(about.trained_classes)
        mapping = mapping_note(categories, trained, trained_on=about.trained_on)
        yield f"cross-domain, trained on {about.trained_on}; {mapping}"


def _averaged(about: About) -> Iterator[str]:
    if about.samples > 1 and about.readout != SAMPLED:
        yield f"the mean distribution of {about.samples} responses sampled at temperature 1, not the greedy one"


def _sampled(about: About, predictions: Sequence[Prediction]) -> Iterator[str]:
    """How one-label answers were sampled, how many named no class, and which metrics allow for the sampling."""
    if about.readout != SAMPLED:
        return
    labels = [p.labels or 0 for p in predictions]
    asked = about.samples * len(predictions)
    yield (
        f"shares of {about.samples} one-label answers, sampled at temperature {about.sampled_at or 0:g}; "
        f"{asked - sum(labels)} of {asked} named no class and are left out"
    )
    corrected = [metric.label.rstrip(" ↑↓") for metric in formulas(2) if metric.corrects_sampling]
    yield (
        f"{', '.join(corrected)} are corrected for the sampling and unbiased in the number of answers; no other metric "
        "has such a form: JS and KL come out too high, about as much as the floor is above 0, which is what exact "
        "agreement with people scores"
    )
    if alone := labels.count(1):
        yield f"items of which a single answer named a class: {alone}; nothing can be corrected there"


def _scaled(about: About) -> Iterator[str]:
    if about.temperature is not None:
        yield f"class logits divided by a temperature of {about.temperature:.3f}, fitted on validation items"
    if about.fold_temperatures:
        listed = ", ".join(f"{one:.3f}" for one in about.fold_temperatures)
        yield f"class logits divided by a temperature per fold ({listed}), fitted on validation items of that fold"


def is_drawn(prediction: Prediction) -> bool:
    """Whether the target is something else than the votes over their sum."""
    shares = [vote / sum(prediction.votes) for vote in prediction.votes]
    return max(abs(a - b) for a, b in zip(prediction.label_dist, shares, strict=True)) > SAME_TARGET


def unparsed_reasons(predictions: Sequence[Prediction]) -> dict[str, int]:
    """Reason → number of responses that could not be read for it, the most frequent first."""
    return dict(Counter(p.unparsed for p in predictions if p.unparsed is not None).most_common())


def _unread(about: About, predictions: Sequence[Prediction]) -> Iterator[str]:
    counts = unparsed_reasons(predictions)
    if counts:
        sampled = about.readout == SAMPLED
        what = "items have no answer that names a class" if sampled else "responses could not be read"
        listed = ", ".join(f"{reason} {count}" for reason, count in counts.items())
        yield (
            f"{sum(counts.values())} of {len(predictions)} {what} ({listed}): they count as uniform, and as a wrong "
            "label for accuracy, F1 and ECE (majority)"
        )


def _notes(scored: ScoredItems, metrics: dict[str, Interval]) -> Iterator[str]:
    items = len(scored.label_dist)
    units = scored.clusters.indices(items)[1]
    if reason := too_few(items, scored.clusters):
        yield reason
        return
    if not can_mark(scored.clusters.unit, units):
        yield TWO_GROUPS.format(unit=scored.clusters.unit)
    for metric in scored.all_metrics():
        if (why := without_interval(metric, units, scored.clusters.unit)) is not None:
            yield f"{metric.name} has no interval: {why}"
    of_votes = [metric.name for metric in scored.all_metrics() if metric.needs_votes]
    numbers = torch.zeros(items) if scored.votes is None else scored.votes
    if 0 < (without := int((numbers < 2).sum())) < items:
        yield f"{of_votes[0]} leaves out {without} of {items} items: it needs two whole votes or more"
    for name, interval in metrics.items():
        if math.isinf(interval.value):
            yield f"{name} is infinite: a class that people chose was predicted with probability 0"
        elif math.isnan(interval.value) and name not in of_votes:
            yield f"{name} is undefined on these items: the predictions, or the targets, do not vary"
