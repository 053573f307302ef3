"""The score of a set of predictions: every metric with its interval, and break-downs by kind of item."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import Corpus, corpus_class
from lalm_ambig.evaluation.about import SAMPLED
from lalm_ambig.evaluation.about import About as About
from lalm_ambig.evaluation.about import Reasoning as Reasoning
from lalm_ambig.evaluation.annotator_scores import AnnotatorScores, annotator_scores, is_of_pairs, of_items
from lalm_ambig.evaluation.breakdowns import Part, ScoredItems, by_active_labels, by_ambiguity, by_majority
from lalm_ambig.evaluation.intervals import ITEMS, Clusters, Interval, Origin
from lalm_ambig.evaluation.notes import notes, unparsed_reasons
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.metrics.base import vote_numbers


@dataclass(frozen=True)
class Results:
    """The content of `metrics.json`."""

    about: About
    categories: tuple[str, ...]
    """The classes, in the order of the distributions."""
    items: int
    """Number of items; of ratings, where each annotator is answered for alone."""
    items_digest: str
    """Equal for results on the same items with the same votes, in whatever order."""
    clusters: str
    """What intervals are over: `speakers`, `items`, or what the corpus names."""
    n_clusters: int
    """Number of these."""
    metrics: dict[str, Interval]
    """Each metric of answers by name."""
    class_mass: float | None
    """Mean over items; None where no logits are read, as for a baseline."""
    share_closed: float | None
    """Share of responses whose end had to be appended; None for a baseline and for the mean of several responses."""
    by_ambiguity: dict[str, Part]
    """The same by level of normalised entropy: `low`, `medium`, `high`."""
    by_active_labels: dict[str, Part]
    """The same by number of classes with votes."""
    by_majority: dict[str, Part]
    """The same by majority label."""
    notes: tuple[str, ...] = ()
    """Notes on the numbers, each without a full stop."""
    parse_rate: float | None = None
    """Share of responses that could be read; None where a readout cannot fail."""
    unparsed: dict[str, int] = field(default_factory=dict)
    """Reason → number of responses that could not be read for it, the most frequent first."""
    well_formed: float | None = None
    """Share of responses that keep the prescribed form; None where the policy writes none, and in older files."""
    tokens: float | None = None
    """Mean number of tokens of a response; None where `well_formed` is."""
    ordered: bool = False
    """Whether the classes have an order; False also in older files."""
    annotators: AnnotatorScores | None = None
    """Scores of answers for single annotators; None where all annotators of an item are answered for together."""
    intervals: Origin = "jackknife"
    """How intervals were made; files of older versions have those of a `bootstrap`, too narrow with few speakers."""


def evaluate_predictions(
    predictions: Sequence[Prediction],
    categories: CategorySet,
    *,
    about: About,
) -> Results:
    """Score predictions: all metrics with 95 % intervals, and break-downs by the votes.

    Intervals are over speakers where any is known, else over items (`clusters_of`). Answers for single annotators have
    scores of their own as well (`annotator_scores`).

    Args:
        predictions: At least one.
        categories: The classes, in the order of the distributions.
        about: Where the predictions come from.

    Raises:
        InputError: There is no prediction, or one has another number of classes.
    """
    _check(predictions, categories, about)
    scored = scored_items(predictions, about, clusters_of(predictions, about.corpus))
    scored = replace(scored, ordered=categories.ordered)
    of_pairs = is_of_pairs(predictions)
    votes = torch.tensor([p.votes for p in predictions], dtype=torch.float64)
    metrics = scored.intervals()
    return Results(
        about=about,
        categories=categories.names,
        ordered=categories.ordered,
        items=len(predictions),
        items_digest=items_digest(predictions),
        clusters=scored.clusters.unit,
        n_clusters=scored.clusters.indices(len(predictions))[1],
        metrics=metrics,
        class_mass=_mean([p.class_mass for p in predictions]),
        share_closed=None if about.samples > 1 else _mean([p.closed for p in predictions]),
        by_ambiguity=by_ambiguity(scored, votes),
        by_active_labels=by_active_labels(scored, votes),
        by_majority=by_majority(scored, votes, names=categories.names, unseen=about.unseen(categories)),
        notes=notes(about, predictions, categories=categories, scored=scored, metrics=metrics),
        parse_rate=scored.parse_rate,
        unparsed=unparsed_reasons(predictions),
        well_formed=_mean([p.well_formed for p in predictions]),
        tokens=_mean([p.tokens for p in predictions]),
        annotators=_of_annotators(predictions, categories, about, scored) if of_pairs else None,
    )


def _of_annotators(
    predictions: Sequence[Prediction], categories: CategorySet, about: About, scored: ScoredItems
) -> AnnotatorScores:
    """The scores of answers for single annotators.

    A share of sampled labels has metrics that allow for their number. A mean of several shares has none, so sampled
    answers are not scored together.
    """
    together: dict[str, Interval] = {}
    if about.readout != SAMPLED:
        merged = of_items(predictions)
        items = scored_items(merged, about, clusters_of(merged, about.corpus))
        together = replace(items, ordered=categories.ordered).intervals(about.table_metrics)
    return annotator_scores(predictions, categories, clusters=scored.clusters, together=together)


def scored_items(predictions: Sequence[Prediction], about: About, clusters: Clusters) -> ScoredItems:
    """Predictions as tensors, with what is known of how they were read.

    Args:
        predictions: At least one.
        about: Where they come from.
        clusters: What of them is independent of each other.
    """
    label_dist, predicted_dist = (
        torch.tensor(rows, dtype=torch.float64)
        for rows in zip(*((p.label_dist, p.predicted_dist) for p in predictions), strict=True)
    )
    read = [p.unparsed is None for p in predictions]
    labels = [p.labels for p in predictions]
    return ScoredItems(
        label_dist,
        predicted_dist,
        clusters,
        about.table_metrics,
        parsed=torch.tensor(read) if about.readout == "verbalised" or not all(read) else None,
        draws=None if None in labels else torch.tensor(labels, dtype=torch.float64),
        votes=vote_numbers([p.drawn_votes for p in predictions]),
        asked=about.samples if about.readout == SAMPLED else None,
    )


def clusters_of(predictions: Sequence[Prediction], corpus: str) -> Clusters:
    """What of the items is independent: speakers, or what their corpus names in their place; items without speakers.

    Args:
        predictions: Of one corpus. An item without a speaker, among others that have one, is a group of its own.
        corpus: Its name.
    """
    return clusters_among([(p.judged, p.speaker) for p in predictions], corpus)


def clusters_among(speakers: Sequence[tuple[str, str | None]], corpus: str) -> Clusters:
    """As `clusters_of`, from the id and the speaker of each item; an item may be there several times."""
    if all(speaker is None for _, speaker in speakers):
        ids = tuple(item for item, _ in speakers)
        return Clusters() if len(set(ids)) == len(ids) else Clusters(ids, ITEMS)
    rules = corpus_class(corpus) or Corpus
    groups = (
        f"item {item}" if speaker is None else f"group {rules.cluster_of(speaker)}"
        for item, speaker in speakers
    )
    return Clusters(tuple(groups), rules.clusters)


def items_digest(predictions: Sequence[Prediction]) -> str:
    """Fingerprint of ids and votes, independent of the order: 16 hexadecimal digits."""
    lines = sorted(json.dumps([p.id, [float(v) for v in p.votes]]) for p in predictions)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _check(predictions: Sequence[Prediction], categories: CategorySet, about: About) -> None:
    where = f"evaluation of {about.corpus}, split {about.split}"
    if not predictions:
        raise InputError("there is no prediction", where=where)
    for p in predictions:
        widths = {len(p.votes), len(p.label_dist), len(p.predicted_dist)}
        if widths != {len(categories)}:
            raise InputError(f"item {p.id} has {sorted(widths)} classes, not {len(categories)}", where=where)


def _mean(values: Sequence[float | bool | None]) -> float | None:
    numbers = [float(value) for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else None
