"""SHALA-LLM, Tables 14 to 16: what each model says about an item of high, medium and low ambiguity, side by side."""

from collections.abc import Iterator, Mapping, Sequence

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.reporting.reading.corpora import item_texts
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.median_items import (
    ShownItem,
    check_known,
    distance,
    items_of_ids,
    median_items,
)
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import stem_of
from lalm_ambig.tabular.model import MISSING, Cell, Column, ResultTable, TableRow

TITLE = "Reasoning of each model on the same item (SHALA-LLM, Tables 14 to 16)"
RULE = "The item of median entropy in its ambiguity level: chosen by the votes alone, not by any answer."
READ_AT = "<answer>"
ASKED = "The item was asked for."
WITHOUT = "This item has no text in the corpus."
READING = "Probabilities per class; JSD: distance (base 2, root) from people's distribution."


def sheets(report: Report) -> Sequence[ResultTable]:
    """One table per item, for the corpora whose policies write a response.

    Raises:
        InputError: An item that was asked for is not in the report.
    """
    groups = [
        group for group in report.groups if any(_have_response(line.predictions) for line in group.lines)
    ]
    check_known(report.items, [line.predictions for group in groups for line in group.lines])
    return [sheet for group in groups for sheet in _of_group(group, report)]


def _have_response(predictions: Sequence[Prediction]) -> bool:
    return any(_response(p) for p in predictions)


def _response(prediction: Prediction) -> str:
    """The response without the tag that a bare prompt ends with; empty without a response."""
    response = prediction.response or ""
    return "" if response == READ_AT else response


def _of_group(group: Group, report: Report) -> Iterator[ResultTable]:
    lines = [(line.label, line.predictions) for line in group.lines]
    if report.items:
        items = items_of_ids(report.items, lines[0][1])
    else:
        items = median_items([predictions for _, predictions in lines])
    rule = ASKED if report.items else RULE
    texts, missing = _texts(group, report, [name for name, _ in items])
    for number, item in enumerate(items, start=1):
        text = texts.get(item[0])
        caption = (rule, READING, *([] if text is not None else [missing]), *group.marks)
        stem = f"{stem_of('b14', group.dataset)}_{number}"
        yield _sheet(group, item, lines, text=text, words=(stem, caption))


def _texts(group: Group, report: Report, ids: Sequence[str]) -> tuple[Mapping[str, str], str]:
    """Texts by id, and the reason why an item is not among them."""
    try:
        return item_texts(report.groups, group.dataset, roots=report.roots, ids=ids), WITHOUT
    except InputError as error:
        return {}, f"What the item says is not shown: {error}"


def _sheet(
    group: Group,
    item: ShownItem,
    lines: Sequence[tuple[str, Sequence[Prediction]]],
    *,
    text: str | None,
    words: tuple[str, tuple[str, ...]],
) -> ResultTable:
    """The item's text, the votes, and each policy's response. `words` are the name of its files and its caption."""
    name, level = item
    answers = [(label, p) for label, predictions in lines for p in predictions if p.id == name and p.response]
    first = next(p for _, predictions in lines for p in predictions if p.id == name)
    people = [vote / sum(first.votes) for vote in first.votes]
    columns = (*(Column(c, c) for c in group.results.categories), Column("js_dist_bits", "JSD ↓"))
    rows = [TableRow(("item", text), tuple(Cell(text="") for _ in columns))] if text is not None else []
    rows += [TableRow(("people", f"{sum(first.votes):g} votes"), (*map(_share, people), Cell()))]
    ends = frozenset(range(len(rows)))
    rows += [_answer(label, p) for label, p in answers]
    title = f"{group.title}, item {name}, {level} ambiguity"
    stem, caption = words
    heads = ("model", "response")
    return ResultTable(heads, columns, tuple(rows), caption, ends, stem=stem, title=title, prose=1)


def _answer(label: str, prediction: Prediction) -> TableRow:
    notes = []
    if prediction.unparsed is not None:
        notes.append(f"could not be read ({prediction.unparsed}): counted as uniform")
    if prediction.closed:
        notes.append("the missing end of the response was appended to read the answer")
    cells = (*map(_share, prediction.predicted_dist), Cell(distance(prediction)))
    return TableRow((label, _response(prediction) or MISSING), cells, tuple(notes))


def _share(value: float) -> Cell:
    return Cell(value)
