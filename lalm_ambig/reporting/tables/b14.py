"""Paper B, Tables 14 to 16: what each model says about an item of high, medium and low ambiguity, side by side."""

from collections.abc import Iterator, Sequence

from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.reporting.drawing import stem_of
from lalm_ambig.reporting.groups import Group
from lalm_ambig.reporting.picking import Picked, check_known, chosen, distance, picked
from lalm_ambig.reporting.report import Report
from lalm_ambig.reporting.sheet import MISSING, Column, Entry, Sheet, SheetLine

TITLE = "Reasoning of each model on the same item (paper B, Tables 14 to 16)"
RULE = "The item of median entropy in its ambiguity level: chosen by the votes alone, not by any answer."
READ_AT = "<answer>"
ASKED = "The item was asked for."
READING = "Probabilities per class; JSD: distance (base 2, root) from people's distribution."


def sheets(report: Report) -> Sequence[Sheet]:
    """A sheet an item, for the corpora whose policies write something. InputError for an unknown item."""
    groups = [group for group in report.groups if any(_writes(line.predictions) for line in group.lines)]
    check_known(report.items, [line.predictions for group in groups for line in group.lines])
    return [sheet for group in groups for sheet in _of_group(group, report.items)]


def _writes(predictions: Sequence[Prediction]) -> bool:
    return any(_said(p) for p in predictions)


def _said(prediction: Prediction) -> str:
    """The response without the tag that a bare prompt ends with; empty where the policy said nothing."""
    response = prediction.response or ""
    return "" if response == READ_AT else response


def _of_group(group: Group, ids: Sequence[str]) -> Iterator[Sheet]:
    lines = [(line.label, line.predictions) for line in group.lines]
    found = chosen(ids, lines[0][1]) if ids else picked([predictions for _, predictions in lines])
    for number, item in enumerate(found, start=1):
        yield _sheet(group, item, lines, number=number, rule=ASKED if ids else RULE)


def _sheet(
    group: Group, item: Picked, lines: Sequence[tuple[str, Sequence[Prediction]]], *, number: int, rule: str
) -> Sheet:
    name, level = item
    answers = [(label, p) for label, predictions in lines for p in predictions if p.id == name and p.response]
    first = next(p for _, predictions in lines for p in predictions if p.id == name)
    people = [vote / sum(first.votes) for vote in first.votes]
    rows = [SheetLine(("people", f"{sum(first.votes):g} votes"), (*map(_share, people), Entry()))]
    rows += [_answer(label, p) for label, p in answers]
    columns = (*(Column(c, c) for c in group.results.categories), Column("js_dist_bits", "JSD ↓"))
    title = f"{group.title}, item {name}, {level} ambiguity"
    stem = f"{stem_of('b14', group.dataset)}_{number}"
    caption = (rule, READING)
    return Sheet(stem, title, ("model", "response"), columns, tuple(rows), caption, frozenset({0}), prose=1)


def _answer(label: str, prediction: Prediction) -> SheetLine:
    notes = []
    if prediction.unparsed is not None:
        notes.append(f"could not be read ({prediction.unparsed}): counted as uniform")
    if prediction.closed:
        notes.append("the missing end of the response was appended to read the answer")
    entries = (*map(_share, prediction.predicted_dist), Entry(distance(prediction)))
    return SheetLine((label, _said(prediction) or MISSING), entries, tuple(notes))


def _share(value: float) -> Entry:
    return Entry(value)
