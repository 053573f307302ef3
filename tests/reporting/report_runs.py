"""Answers at a chosen distance from people's, and configurations, as finished runs in small have them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.corpora.base import LALM_METRICS, SHALA_METRICS
from lalm_ambig.evaluation.predictions import Prediction, write_predictions
from lalm_ambig.evaluation.results import About, Results, evaluate_predictions
from lalm_ambig.evaluation.results_file import write_results
from lalm_ambig.reporting.reading.groups import group_rows
from lalm_ambig.reporting.reading.inputs import ReportArgs, read_inputs
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.reading.resolving import resolve_rows
from lalm_ambig.reporting.tables import sheets
from lalm_ambig.tabular.model import ResultTable, TableRow

CLASSES = {
    "crema_d": CategorySet(("anger", "disgust", "neutral", "sadness")),
    "iemocap": CategorySet(("anger", "happiness", "neutral", "sadness")),
    "chaosnli": CategorySet(("entailment", "neutral", "contradiction")),
}
SFT: dict[str, Any] = {
    "class_path": "lalm_ambig.methods.sft.SFT",
    "init_args": {"objective": {"ce_weight": 1.0, "kl_weight": 1.0}, "reasoning": True, "start": None},
}
KL_ONLY: dict[str, Any] = {
    "class_path": "lalm_ambig.methods.sft.SFT",
    "init_args": {"objective": {"ce_weight": 0.0, "kl_weight": 1.0}, "reasoning": False},
}
Make = Callable[..., Path]


def answers(
    corpus: str, weight: float, *, seed: int = 0, fold: int | None = None, count: int = 48
) -> list[Prediction]:
    """Items of that corpus and fold, always the same, with answers that go `weight` of the way from noise to people."""
    draw = np.random.default_rng([len(corpus), 0 if fold is None else fold + 1])
    width = len(CLASSES[corpus])
    votes = draw.multinomial(9, draw.dirichlet([0.4] * width, size=count))
    noise = np.random.default_rng([seed, 7]).dirichlet([1.0] * width, size=count)
    found = []
    for n, row in enumerate(votes):
        target = row / row.sum()
        predicted = weight * target + (1 - weight) * noise[n]
        found.append(
            Prediction(
                f"i{n}" if fold is None else f"f{fold}i{n}",
                "test",
                None if corpus == "chaosnli" else f"s{n % 8}",
                tuple(map(float, row)),
                tuple(target.tolist()),
                tuple((predicted / predicted.sum()).tolist()),
                response=f"<think>because of {n}</think><answer>",
                closed=False,
            )
        )
    return found


def about(corpus: str, **changed: Any) -> About:
    metrics = SHALA_METRICS if corpus == "chaosnli" else LALM_METRICS
    return replace(About(corpus, "test", "logits", "generated", "tiny", table_metrics=metrics), **changed)


@cache
def evaluated(rows: tuple[Prediction, ...], corpus: str, description: About) -> Results:
    """Scores, computed once for all tests."""
    return evaluate_predictions(rows, CLASSES[corpus], about=description)


def keep(folder: Path, rows: Sequence[Prediction], corpus: str, description: About) -> Path:
    """Write the two files of an evaluated folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_predictions(folder / "predictions.jsonl", rows)
    write_results(folder / "metrics.json", evaluated(tuple(rows), corpus, description))
    return folder


def settings(model: Mapping[str, Any], name: str, seed: int | None = None, **corpus: Any) -> dict[str, Any]:
    """A resolved configuration, as far as a report reads it."""
    return {
        **({} if seed is None else {"seed": seed}),
        "model": dict(model),
        "data": {"corpus": {"class_path": "C", "init_args": {"part": None, "fold": None, **corpus}}},
        "run": {"name": name, "root": "runs"},
    }


def report(*paths: Path, items: tuple[str, ...] = (), **asked: Any) -> Report:
    """What the command reads from those folders."""
    read = read_inputs(ReportArgs(paths, **asked))
    return Report(group_rows(resolve_rows(read)), read.left_out, items)


def table(name: str, *paths: Path, **asked: Any) -> ResultTable:
    """The first sheet of a table from those folders."""
    return sheets(name, report(*paths, **asked))[0]


def named(sheet: ResultTable) -> dict[tuple[str, ...], TableRow]:
    """The lines by their names, which are all different."""
    found = {line.names: line for line in sheet.rows}
    assert len(found) == len(sheet.rows)
    return found
