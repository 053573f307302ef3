"""The numbers of `budget`: what n votes an item are worth, and how runs score against them."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from lalm_ambig.baselines.floor import Bound, alpha_bound, disagreement, fit_alpha
from lalm_ambig.baselines.vote_noise import oracle_noise, panel_noise
from lalm_ambig.baselines.vote_rows import (
    FEWEST_VOTES,
    MEASURES,
    MOST,
    Enough,
    VoteRow,
    default_votes,
    enough_votes,
    vote_rows,
)
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.intervals import Clusters, Interval, mean_spread
from lalm_ambig.evaluation.pairing import ComparedRun
from lalm_ambig.evaluation.run_votes import (
    METRICS,
    RunPair,
    ScoredRun,
    Separation,
    VoteMetric,
    best_separation,
    scores,
)
from lalm_ambig.evaluation.vote_subsets import VotedItems
from lalm_ambig.metrics.base import Answers

FLOORS = ("oracle", "panel")
OF_Q = ("js_oracle", "js_panel", "js_others_model", "brier_oracle", "kl_oracle")
"""Measures that come from q. They are left out where α is at a bound: q then says nothing of the items."""
SHARE_OF_ITEMS = 0.9
"""Share of the items that must have n votes, for two runs to be compared at n. Fewer votes are compared on the same."""


@dataclass(frozen=True)
class Asked:
    """What is computed."""

    votes: Sequence[int] | None = None
    """Numbers of votes; None for the usual ones."""
    has_common_items: bool = False
    """Whether all rows are of the items that have as many votes as the largest number."""
    tolerance: float = 0.01
    """JS in bits that another doubling must gain to be worth it."""
    metric: str = "js_div_bits"
    """What runs are compared by."""
    total: int | None = None
    """Votes of a test of two runs; None for as many as the items at hand have."""
    seed: int = 0


@dataclass(frozen=True)
class RunRow:
    """The scores of runs against n votes an item."""

    votes: int
    items: int
    scores: dict[str, Interval]
    """Name of the floor or the run → its score; no floor where α is at a bound."""


@dataclass(frozen=True)
class RunPart:
    """How runs score against n votes an item, and what tells two of them apart."""

    rows: dict[str, tuple[RunRow, ...]]
    """By metric."""
    names: tuple[str, ...]
    items: int
    pair_items: int
    """Items of the comparisons of two runs: the same at each number of votes."""
    total: int
    """Votes of a test of two runs."""
    clusters: Clusters
    """Of `items`."""
    pair_clusters: Clusters
    """Of `pair_items`."""
    one_seed: tuple[str, ...]
    """Names of the runs that are one seed: all but baselines, which read nothing."""
    pairs: dict[str, dict[str, tuple[Separation, ...]]] = field(default_factory=dict)
    """By metric, then `first − second`."""

    def best(self, metric: str) -> dict[str, Separation | None]:
        """The best test of each pair."""
        return {pair: best_separation(found) for pair, found in self.pairs[metric].items()}


@dataclass(frozen=True)
class Budget:
    """All numbers."""

    source: str
    """Where the items are from."""
    items: VotedItems
    asked: Asked
    alpha: float
    rows: tuple[VoteRow, ...]
    enough: Enough | None
    """None where α is at a bound: q then says nothing of the items."""
    single: int
    """Items with one vote, which are left out."""
    dropped: int
    """Further items that `has_common_items` leaves out."""
    runs: RunPart | None = None
    notes: tuple[str, ...] = ()

    @property
    def bound(self) -> Bound | None:
        """The bound that α is at; what comes from q is then left out."""
        return alpha_bound(self.alpha)

    @property
    def votes(self) -> list[int]:
        """Numbers of votes of the rows."""
        return [row.votes for row in self.rows]

    @property
    def is_mixed(self) -> bool:
        """Whether rows are of different items."""
        return len({row.items for row in self.rows}) > 1

    def record(self) -> dict[str, Any]:
        """All numbers as plain JSON; what is infinite or undefined is null."""
        content = {
            "corpus": self.source,
            "items": len(self.items.ids),
            "items_with_one_vote": self.single,
            "items_left_out_for_common_items": self.dropped,
            "alpha": self.alpha,
            "alpha_at_bound": self.bound,
            "disagreement": disagreement(self.items.votes.double()),
            "intervals_over": self.items.clusters.unit,
            "interval_units": self.items.clusters.indices(len(self.items.ids))[1],
            "seed": self.asked.seed,
            "tolerance": self.asked.tolerance,
            "enough": None if self.enough is None else asdict(self.enough),
            "measures": MEASURES,
            "rows": [asdict(row) for row in self.rows],
            "runs": None if self.runs is None else _run_record(self.runs),
            "notes": list(self.notes),
        }
        plain: dict[str, Any] = _plain(content)
        return plain


def budget_of(source: str, items: VotedItems, asked: Asked) -> Budget:
    """What n votes of these items are worth.

    Args:
        source: Where they are from.
        items: The items.
        asked: What is computed.

    Raises:
        InputError: No item has two votes, or none has as many as were asked for.
    """
    several = items.with_votes(FEWEST_VOTES)
    if not several.ids:
        raise InputError(
            f"no item of {source} has two votes, so fewer of them cannot be compared with more.",
            where="budget",
            remedy="It takes items that several annotators judged.",
        )
    votes = _numbers(several, asked)
    used = several.with_votes(votes[-1]) if asked.has_common_items else several
    alpha = fit_alpha(several.votes.double())
    fits = alpha_bound(alpha) is None
    rows = vote_rows(used, votes, alpha=alpha, seed=asked.seed)
    return Budget(
        source,
        used,
        asked,
        alpha,
        tuple(rows if fits else map(_without_q, rows)),
        None if not fits else enough_votes(used, votes, alpha=alpha, tolerance=asked.tolerance),
        single=len(items.ids) - len(several.ids),
        dropped=len(several.ids) - len(used.ids),
    )


def _without_q(row: VoteRow) -> VoteRow:
    return replace(row, values={name: value for name, value in row.values.items() if name not in OF_Q})


def scored_run(run: ComparedRun, name: str) -> ScoredRun:
    """The answers of a run, in the order of its predictions."""
    labels = [one.labels for one in run.predictions]
    answers = Answers(
        torch.tensor([one.predicted_dist for one in run.predictions], dtype=torch.float64),
        torch.tensor([one.unparsed is None for one in run.predictions]),
        None if None in labels else torch.tensor(labels, dtype=torch.float64),
    )
    return ScoredRun(name, answers)


def run_part(  # noqa: PLR0913  # the runs, and what is asked of them
    items: VotedItems,
    runs: Sequence[ScoredRun],
    asked: Asked,
    *,
    alpha: float,
    votes: Sequence[int],
    one_seed: Sequence[str] = (),
) -> RunPart:
    """How runs score against n votes an item, by every metric.

    Args:
        items: The runs' items, in the order of their answers.
        runs: The runs.
        asked: What is computed.
        alpha: α of q.
        votes: Numbers of votes; some item has as many as the largest.
        one_seed: Names of the runs that are one seed.
    """
    places = items.places(max(FEWEST_VOTES, votes[-1] if asked.has_common_items else 0))
    items, runs = items.at(places), [run.at(places) for run in runs]
    total = int(items.sizes.sum()) if asked.total is None else asked.total
    rows = {name: tuple(_run_row(items, runs, n, name, alpha) for n in votes) for name in METRICS}
    shared = [n for n in votes if len(items.places(n)) >= SHARE_OF_ITEMS * len(items.ids)]
    shared = shared or list(votes[:1])
    places = items.places(shared[-1])
    alike = items.at(places)
    return RunPart(
        rows,
        tuple(run.name for run in runs),
        len(items.ids),
        len(places),
        total,
        items.clusters,
        alike.clusters,
        tuple(one_seed),
        _pairs(alike, [run.at(places) for run in runs], shared, total=total, seed=asked.seed),
    )


def _pairs(
    items: VotedItems, runs: Sequence[ScoredRun], votes: Sequence[int], *, total: int, seed: int
) -> dict[str, dict[str, tuple[Separation, ...]]]:
    """The first run with each other one, by metric."""
    return {
        name: {
            f"{runs[0].name} − {other.name}": tuple(
                RunPair(runs[0], other, items, metric, seed).separations(votes, total=total)
            )
            for other in runs[1:]
        }
        for name, metric in METRICS.items()
    }


def _numbers(items: VotedItems, asked: Asked) -> list[int]:
    """Numbers of votes in order."""
    largest = int(items.sizes.max())
    if asked.votes is None:
        return default_votes(items)
    numbers = sorted(set(asked.votes))
    if numbers[0] < 1:
        raise InputError(f"must be at least 1, got {numbers[0]}", where="--votes")
    if numbers[-1] > largest:
        raise InputError(
            f"no item has {numbers[-1]} votes: the largest number is {largest}.",
            where="--votes",
            remedy=f"Give numbers from 1 to {min(largest, MOST)}.",
        )
    if numbers[-1] > MOST:
        raise InputError(f"must be at most {MOST}, got {numbers[-1]}", where="--votes")
    return numbers


def _run_row(items: VotedItems, runs: Sequence[ScoredRun], n: int, name: str, alpha: float) -> RunRow:
    places = items.places(max(FEWEST_VOTES, n))
    of_n, metric = items.at(places), METRICS[name]
    scale = metric.scale(items.votes.shape[-1])
    values = {}
    if alpha_bound(alpha) is None:
        values["oracle"] = oracle_noise(of_n, n, metric.terms, alpha=alpha) * scale
        if not math.isinf(metric.bounds[1]):
            values["panel"] = panel_noise(of_n, n, metric.terms, alpha=alpha) * scale
    values |= {run.name: scores(run.at(places), of_n, n, metric) for run in runs}
    return RunRow(n, len(places), {key: _mean(value, of_n, metric) for key, value in values.items()})


def _mean(values: torch.Tensor, items: VotedItems, metric: VoteMetric) -> Interval:
    bounds = metric.bounds if bool((values >= 0).all()) else (-math.inf, math.inf)
    spread = mean_spread(values, items.clusters, bounds=bounds)
    return Interval(spread.value, *spread.ends())


def _run_record(part: RunPart) -> dict[str, Any]:
    def separation(one: Separation) -> dict[str, Any]:
        return {**asdict(one), "detectable": one.detectable, "apart": one.apart}

    best = {name: part.best(name) for name in part.pairs}
    return {
        "names": list(part.names),
        "items": part.items,
        "pair_items": part.pair_items,
        "one_seed": list(part.one_seed),
        "intervals_over": part.clusters.unit,
        "interval_units": part.clusters.indices(part.items)[1],
        "pair_interval_units": part.pair_clusters.indices(part.pair_items)[1],
        "total_votes": part.total,
        "scores": {name: [asdict(row) for row in rows] for name, rows in part.rows.items()},
        "pairs": {
            name: {pair: [separation(one) for one in found] for pair, found in pairs.items()}
            for name, pairs in part.pairs.items()
        },
        "best_votes": {
            name: {pair: None if one is None else one.votes for pair, one in found.items()}
            for name, found in best.items()
        },
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
