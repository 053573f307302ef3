"""The tables of `budget`, a row per number of votes, and what they say in a sentence."""

import math
from collections.abc import Callable, Mapping, Sequence

from lalm_ambig.baselines.floor import Bound, alpha_text
from lalm_ambig.baselines.vote_rows import MOST, Enough, VoteRow
from lalm_ambig.evaluation.intervals import ITEMS, Clusters, Interval, can_mark, too_few
from lalm_ambig.evaluation.notes import ONE_SEED, TWO_GROUPS
from lalm_ambig.evaluation.run_votes import METRICS, POWER, Separation
from lalm_ambig.evaluation.spread import LEVEL
from lalm_ambig.evaluation.vote_subsets import VotedItems
from lalm_ambig.reporting.budget.summary import FLOORS, Budget, RunPart
from lalm_ambig.tabular.model import MISSING, Cell, Column, ResultTable, TableRow

DECIMALS = 4
VOTES = "votes"
"""Head of the first column: n."""
NOISE = {
    "js_oracle": "oracle JS",
    "js_panel": "panel JS",
    "js_all": "JS, all votes",
    "brier_noise": "Brier",
    "kl_oracle": "KL",
}
PANELS = {"js_others": "JS, n others", "js_others_model": "panel JS", "js_rest": "JS, the rest"}
NO_ADVICE: dict[Bound, str] = {
    "upper": "two raters of an item differ more often than any distribution explains, so that q is uniform for every "
    "item",
    "lower": "no two raters of an item ever differ, so that q is the item's own votes and has no noise",
}
"""What α at a bound means."""
REMEDY: dict[Bound, str] = {
    "upper": "Are its votes those of one question? Few items can look so by chance.",
    "lower": "Are its votes those of several raters, and not one label many times?",
}
SHARES = {"majority_all": "of all", "majority_others": "of n others", "tied": "tied"}


def budget_tables(budget: Budget) -> list[ResultTable]:
    """Label noise and floors, real panels, majorities, and the tables of runs, as a command prints them."""
    tables = [_noise_table(budget)]
    if any("js_others" in row.values for row in budget.rows):
        tables.append(_panel_table(budget))
    tables.append(_majority_table(budget))
    if budget.runs is not None:
        metric = budget.asked.metric
        tables.append(_score_table(budget.runs, metric))
        tables += [
            _pair_table(budget.runs, metric, pair, found) for pair, found in budget.runs.pairs[metric].items()
        ]
    return tables


def sheet(budget: Budget) -> ResultTable:
    """Every number by n in one table, for a CSV."""
    names = _all_measures(budget)
    columns = [
        Column("items", "items"),
        Column("pair_items", "items with 2n"),
        *(Column(n, n) for n in names),
    ]
    part = budget.runs
    scored = {} if part is None else part.rows
    for metric, rows in scored.items():
        columns += [Column(f"{metric}: {name}", name) for name in rows[0].scores]
    lines, notes = [], () if budget.bound is None else (_no_q(budget.alpha, budget.bound),)
    for row in budget.rows:
        cells = [Cell(row.items), Cell(row.pair_items), *(_cell(row.values.get(name)) for name in names)]
        for rows in scored.values():
            by_votes = {one.votes: one for one in rows}
            one = by_votes.get(row.votes)
            cells += [_cell(None if one is None else one.scores[name]) for name in rows[0].scores]
        lines.append(TableRow((str(row.votes),), tuple(cells), notes=notes))
    return ResultTable((VOTES,), tuple(columns), tuple(lines), stem="budget", title=_title(budget))


def conclusion(budget: Budget) -> str:
    """The number of votes from which on another doubling gains less than the tolerance, in one sentence."""
    enough = budget.enough
    if budget.bound is not None:
        return f"NO ADVICE: {_no_q(budget.alpha, budget.bound)} {REMEDY[budget.bound]}"
    assert enough is not None
    if enough.votes is None:
        return (
            f"No number of votes up to {MOST} is enough: doubling {MOST} still lowers the label noise by "
            f"{_gain(enough):.{DECIMALS}f} of JS, more than {enough.tolerance:g}."
        )
    said = (
        f"From {enough.votes} vote{'s' if enough.votes > 1 else ''} an item on, doubling them lowers the label noise "
        f"by less than {enough.tolerance:g} of JS (from {enough.noise:.{DECIMALS}f} to {enough.doubled:.{DECIMALS}f})."
    )
    if not enough.is_extrapolated:
        return said
    return f"{said} That is more than the {budget.votes[-1]} of the table: q alone says so."


def pair_conclusions(part: RunPart, metric: str) -> list[str]:
    """For each pair of runs, the number of votes an item that tells them best apart."""
    return [_pair_conclusion(part, metric, pair, found) for pair, found in part.pairs[metric].items()]


def _pair_conclusion(part: RunPart, metric: str, pair: str, found: Sequence[Separation]) -> str:
    label, best = METRICS[metric].label, part.best(metric)[pair]
    last = found[-1].difference
    if not math.isfinite(last.value):
        return f"{pair}: one of them rules out a class that has votes, so its {label} is infinite and not compared."
    if last.low is None:
        return f"{pair}: too few items or speakers to tell them apart by {label}."
    unit, count = part.pair_clusters.unit, part.pair_clusters.indices(part.pair_items)[1]
    if not can_mark(unit, count):
        return f"{pair}: {_two(unit)}, so no number of votes is called the best for telling them apart."
    if best is None:
        return (
            f"{pair}: with {found[-1].votes} votes an item their {label} may be the same, so no number of votes is "
            "the best for telling them apart."
        )
    said = (
        f"{pair}: of {part.total:,} votes, {best.votes} an item on {best.items:,} items tell them best apart by "
        f"{label} ({best.apart:.1f} standard errors)."
    )
    reversed_at = [str(one.votes) for one in found if one.is_reversed]
    if reversed_at:
        said += f" With {', '.join(reversed_at)} an item the wrong run looks better."
    return said


def _noise_table(budget: Budget) -> ResultTable:
    of_q = (
        "oracle: n votes drawn from q against q, which is the label noise. panel: against n others. "
        f"q: the votes, smoothed (α {alpha_text(budget.alpha)})."
        if budget.bound is None
        else f"No oracle, panel and KL: α is {alpha_text(budget.alpha)}, and q says nothing of these items."
    )
    brier = "Brier: unbiased, from pairs of votes."
    caption = [
        f"{_intervals(budget.items.clusters, len(budget.items.ids))}{_fewer_units(budget)} JS in bits, Brier per class"
        + (", KL in nats." if budget.bound is None else "."),
        of_q,
        "JS, all votes: n of an item's votes against all of them, without replacement. It is too small: these n are "
        "among them.",
        f"{brier} KL: of n votes from q." if budget.bound is None else brier,
        *_item_lines(budget),
    ]
    return _table(budget, NOISE, "Label noise and floors", caption, items=lambda row: row.items)


def _panel_table(budget: Budget) -> ResultTable:
    caption = [
        "Only items with at least 2n votes. JS, n others: two groups of n that share no vote; unbiased."
        + (" panel JS: the same by q, on these items." if budget.bound is None else ""),
        "JS, the rest: against all other votes. It is too large, since the rest has noise of its own.",
    ]
    return _table(budget, PANELS, "Two groups of real votes", caption, items=lambda row: row.pair_items)


def _majority_table(budget: Budget) -> ResultTable:
    caption = [
        "of all: the majority of n votes is that of all votes, which include them. of n others: that of n votes that "
        "share none with them, on items with 2n.",
        "tied: n votes tie; the first class then has the majority.",
    ]
    return _table(budget, SHARES, "Majority of n votes", caption, items=lambda row: row.items)


def _table(
    budget: Budget,
    measures: Mapping[str, str],
    title: str,
    caption: Sequence[str],
    *,
    items: Callable[[VoteRow], int],
) -> ResultTable:
    shown = {
        name: label for name, label in measures.items() if any(name in row.values for row in budget.rows)
    }
    columns = (Column("items", "items"), *(Column(name, label) for name, label in shown.items()))
    rows = tuple(
        TableRow((str(row.votes),), (_count(items(row)), *(_cell(row.values.get(name)) for name in shown)))
        for row in budget.rows
        if items(row)
    )
    return ResultTable((VOTES,), columns, rows, tuple(caption), title=f"{title}, {budget.source}")


def _score_table(part: RunPart, metric: str) -> ResultTable:
    rows = part.rows[metric]
    names = list(rows[0].scores)
    columns = (Column("items", "items"), *(Column(name, name) for name in names))
    lines = tuple(
        TableRow((str(row.votes),), (_count(row.items), *(_cell(row.scores[name]) for name in names)))
        for row in rows
    )
    caption = [
        f"{METRICS[metric].label} against n votes of each item, as a mean over every draw of n.",
        _intervals(part.clusters, part.items),
        *_seeds(part, names),
    ]
    if FLOORS[0] not in names:
        caption.append("No oracle and panel: α is at a bound, and q says nothing of these items.")
    elif METRICS[metric].is_proper:
        caption.append("A score less the oracle's does not depend on n: only the noise does.")
    else:
        caption.append(
            "JS is no proper score: with few votes, answers that are too sharp can pass the oracle."
        )
    if len({row.items for row in rows}) > 1:
        caption.append("ROWS ARE OF DIFFERENT ITEMS. --common-items takes the same for all rows.")
    caption.append(
        "This is about evaluation. What fewer votes an item do to training is not measured here, and not known."
    )
    return ResultTable(
        (VOTES,), columns, lines, tuple(caption), title=f"{METRICS[metric].label} of runs against n votes"
    )


def _pair_table(part: RunPart, metric: str, pair: str, found: Sequence[Separation]) -> ResultTable:
    labels = (
        "items",
        "difference",
        "std. error",
        "detectable",
        "in std. errors",
        "items needed",
        "votes needed",
    )
    lines = tuple(
        TableRow(
            (f"{one.votes} (reversed)" if one.is_reversed else str(one.votes),),
            (
                _count(one.items),
                _difference(one.difference),
                _plain(one.error),
                _plain(one.detectable),
                Cell() if one.apart is None else Cell(one.apart, text=f"{one.apart:.1f}"),
                Cell() if one.items_needed is None else _count(one.items_needed),
                Cell() if one.items_needed is None else _count(one.items_needed * one.votes),
            ),
        )
        for one in found
    )
    other = pair.removeprefix(f"{part.names[0]} − ")
    intervals = [_intervals(part.pair_clusters, part.pair_items), *_seeds(part, [part.names[0], other])]
    caption = (
        f"A test of {part.total:,} votes: n an item on {part.total:,} / n items, of the kind at hand and as many a "
        f"speaker. {METRICS[metric].label}; the difference is that of the {part.pair_items:,} items at hand that have "
        f"{found[-1].votes} votes.",
        f"detectable: the smallest difference that {POWER:.0%} of tests find. needed: to find this difference as "
        f"often; {MISSING} where it may be 0. Items cost nothing here beside their votes.",
        *intervals,
    )
    columns = tuple(Column(label, label) for label in labels)
    return ResultTable((VOTES,), columns, lines, caption, title=f"What tells them apart: {pair}")


def _no_q(alpha: float, bound: Bound) -> str:
    """What α at a bound means."""
    return (
        f"{NO_ADVICE[bound]} (α {alpha_text(alpha)}). What comes from q, as oracle and panel, says nothing of these "
        "items and is left out."
    )


def _two(unit: str) -> str:
    """What other tables say of two groups, without what they have in bold."""
    return TWO_GROUPS.format(unit=unit).partition(":")[0]


def _seeds(part: RunPart, names: Sequence[str]) -> list[str]:
    """Which of these runs are one seed, and what that leaves out."""
    one = [name for name in names if name in part.one_seed]
    return [ONE_SEED.format(names=", ".join(one))] if one else []


def _fewer_units(budget: Budget) -> str:
    """With how many speakers the last row is left, where those are fewer than in all."""

    def count(items: VotedItems) -> int:
        return items.clusters.indices(len(items.ids))[1]

    last, unit = budget.votes[-1], budget.items.clusters.unit
    left = count(budget.items.with_votes(last))
    if unit == ITEMS or left == count(budget.items):
        return ""
    return f" At {last} votes: {left:,} {unit if left > 1 else unit.removesuffix('s')}."


def _intervals(clusters: Clusters, n_items: int) -> str:
    """What intervals are over, or why there are none."""
    missing = too_few(n_items, clusters)
    if missing is None:
        unit, count = clusters.unit, clusters.indices(n_items)[1]
        said = f"Intervals: {LEVEL:.0%} over {count:,} {unit}."
        two = _two(unit)
        return said if can_mark(unit, count) else f"{said} {two[0].upper()}{two[1:]}."
    return f"{missing[0].upper()}{missing[1:]}, too few to say how far others would differ."


def _item_lines(budget: Budget) -> list[str]:
    lines = []
    if budget.single:
        lines.append(f"{budget.single:,} items with one vote are left out.")
    if budget.asked.has_common_items:
        lines.append(
            f"All rows are of the {len(budget.items.ids):,} items with at least {budget.votes[-1]} votes; "
            f"{budget.dropped:,} with fewer are left out."
        )
    elif budget.is_mixed:
        lines.append(
            f"ROWS ARE OF DIFFERENT ITEMS: of {len(budget.items.ids):,}, those with fewer than n votes are left out at "
            "n. --common-items takes the same for all rows."
        )
    return lines


def _all_measures(budget: Budget) -> list[str]:
    return list(dict.fromkeys(name for row in budget.rows for name in row.values))


def _title(budget: Budget) -> str:
    return f"Votes an item, {budget.source}"


def _gain(enough: Enough) -> float:
    return enough.noise - enough.doubled


def _count(number: int) -> Cell:
    return Cell(number, text=f"{number:,}")


def _plain(value: float | None) -> Cell:
    return Cell() if value is None else Cell(value, text=f"{value:.{DECIMALS}f}")


def _difference(interval: Interval) -> Cell:
    value, low, high = interval.value, interval.low, interval.high
    if not abs(value) < float("inf"):
        return Cell()
    text = f"{value:+.{DECIMALS}f}"
    if low is not None and high is not None:
        text += f" ({low:+.{DECIMALS}f} to {high:+.{DECIMALS}f})"
    return Cell(value, low, high, text=text)


def _cell(interval: Interval | None) -> Cell:
    if interval is None or not abs(interval.value) < float("inf"):
        return Cell()
    low, high = interval.low, interval.high
    text = f"{interval.value:.{DECIMALS}f}"
    if low is not None and high is not None:
        text += f" ({low:.{DECIMALS}f}–{high:.{DECIMALS}f})"
    return Cell(interval.value, low, high, text=text)
