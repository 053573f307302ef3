"""Open the corpora of runs, where their files are found: for the texts of items, and for a summary of a corpus."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import corpus_class, named_part, open_corpus
from lalm_ambig.corpora.preparing.prepared import Prepared, prepare
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.reporting.reading.groups import Dataset, Group, find_group
from lalm_ambig.reporting.reading.inputs import ResultRow
from lalm_ambig.reporting.reading.recipe import corpus_settings

Summary = Mapping[str, Any]
"""The numbers that `describe` shows of a corpus; see `corpus_summary.summarise`."""
Summaries = Mapping[Dataset, Summary | str]
"""Corpus or part → its summary, or why there is none."""
Roots = Mapping[str, Path]
"""Corpus → a folder that is searched before those of the runs' configurations."""


def summaries(
    groups: Sequence[Group],
    datasets: Iterable[Dataset],
    *,
    roots: Roots,
    summarise: Callable[[Prepared], Summary],
) -> Summaries:
    """Summarise all items of each corpus or part, whatever share of them a run used.

    Args:
        groups: The results by corpus, whose runs know where the files are.
        datasets: The corpora and parts.
        roots: Folders that are searched first.
        summarise: Makes the summary of an open corpus.

    Returns:
        Corpus or part → its summary, or the reason why there is none.
    """
    by_dataset: dict[Dataset, Summary | str] = {}
    for dataset in datasets:
        try:
            prepared, fold = prepared_corpus(groups, dataset, roots=roots)
            summary = summarise(prepared)
        except InputError as error:
            by_dataset[dataset] = str(error)
        else:
            by_dataset[dataset] = summary if fold is None else {**summary, "splits": {}}
    return by_dataset


def item_texts(
    groups: Sequence[Group], dataset: Dataset, *, roots: Roots, ids: Sequence[str]
) -> Mapping[str, str]:
    """Read the texts of items.

    Args:
        groups: The results by corpus, whose runs know where the files are.
        dataset: The corpus or part.
        roots: Folders that are searched first.
        ids: Ids of the items.

    Returns:
        Id → text, for those items that have one.

    Raises:
        InputError: The corpus is not in the report, its files are gone, or they are another version.
    """
    prepared, _ = prepared_corpus(groups, dataset, roots=roots)
    columns = prepared.table.select(["id", "text"]).to_pydict()
    rows = zip(columns["id"], columns["text"], strict=True)
    wanted = set(ids)
    return {name: text for name, text in rows if name in wanted and text}


def prepared_corpus(
    groups: Sequence[Group], dataset: Dataset, *, roots: Roots
) -> tuple[Prepared, int | None]:
    """Open a corpus or part, without its sound: in the folder of `roots`, else where a run's configuration has it.

    Returns:
        The corpus, and the fold that it is split for.

    Raises:
        InputError: No run of that corpus is in the report, or its files are gone. Or the report's items are not among
            them with the same votes: it is then another version, or another corpus of JSON Lines.
    """
    name, part = dataset
    candidates = [settings for row in _rows(groups) if (settings := _settings(row, name)) is not None]
    if name in roots:
        candidates.insert(0, {**(candidates[0] if candidates else {}), "root": roots[name]})
    if not candidates:
        raise InputError(
            "no run of it was given whose configuration says where its files are",
            remedy=f"(--root {name}=PATH does)",
        )
    group = find_group(groups, dataset)
    reasons = []
    for settings in candidates:
        try:
            chosen = {"part": named_part(corpus_class(name), part)}
            corpus = open_corpus(name, settings.get("root"), **{**_options(settings), **chosen})
            prepared = prepare(corpus, check_audio=False, quiet=True)
            if group is not None:
                _check_holds(prepared, group.lines[0].predictions)
        except InputError as error:
            reasons.append(str(error))
        else:
            return prepared, corpus.fold
    raise InputError(reasons[0])


def _rows(groups: Sequence[Group]) -> Iterator[ResultRow]:
    return (row for group in groups for line in group.lines for row in line.rows)


def _settings(row: ResultRow, name: str) -> Mapping[str, Any] | None:
    """The settings of the corpus in the run of a row; None where it is another corpus, or is not known."""
    corpus = ((row.config or {}).get("data") or {}).get("corpus") or {}
    is_same = str(corpus.get("class_path", "")).startswith(f"lalm_ambig.corpora.{name}.")
    return corpus_settings(row.config or {}) if is_same else None


def _options(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "root"}


def _check_holds(prepared: Prepared, predictions: Sequence[Prediction]) -> None:
    columns = prepared.table.select(["id", "votes"]).to_pydict()
    votes = dict(zip(columns["id"], columns["votes"], strict=True))
    for prediction in predictions:
        if list(prediction.votes) != votes.get(prediction.id):
            what = "it is not there" if prediction.id not in votes else "its votes are others"
            raise InputError(f"the files at hand are of another version: item {prediction.id}, {what}")
