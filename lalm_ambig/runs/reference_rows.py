"""Rows beside a run's own that say what is possible: a linear probe on the base model's features, and a second panel.

A policy that does not beat the probe has not paid for its training; one that reaches the panel agrees with people as
well as people agree with each other.
"""

from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from lalm_ambig.baselines.base import BaselineInputs, BaselineResult
from lalm_ambig.baselines.panel import Panel
from lalm_ambig.baselines.pooled import PooledFeatures
from lalm_ambig.baselines.probe import Probe
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Split
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.evaluation.results import About, Results
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.methods.base import Method
from lalm_ambig.runs.evaluation import score_and_save
from lalm_ambig.runs.folder.run_folder import RunFolder

PANEL, PROBE = "panel", "probe"


@dataclass(frozen=True)
class References:
    """What is looked at, and where the rows are kept."""

    run: RunFolder
    model: Method
    data: DataModule
    split: Split
    device: Any
    """Where the probe's features are computed, where they are not cached."""

    def rows(self, console: Console, *, probe: bool) -> dict[str, Results]:
        """The rows that can be had, made once and kept; the console is told why one is missing.

        To be called before training: the probe looks at the policy as it is then.
        """
        found = dict[str, Results]()
        for name in (PROBE, PANEL) if probe else (PANEL,):
            file = self.run.evaluation(name) / "metrics.json"
            try:
                found[name] = read_results(file) if file.is_file() else self._made(name)
            except InputError as error:
                console.print(f"no {name} row: {error}", highlight=False, soft_wrap=True)
        return found

    def _made(self, name: str) -> Results:
        answered = self._probe() if name == PROBE else Panel().answer(self._known())
        corpus = self.data.corpus
        about = About(
            corpus.name, self.split, "none", "none", answered.meaning, table_metrics=corpus.table_metrics
        )
        folder = self.run.evaluation(name)
        results = score_and_save(folder, answered.predictions, self.data.categories, about=about)
        results = replace(results, notes=(*answered.notes, *results.notes))
        write_results(folder / "metrics.json", results)
        return results

    def _known(self) -> BaselineInputs:
        data = self.data
        votes = data.prepared.items().votes()
        return BaselineInputs(data.items(self.split), data.items("train"), data.items("validation"), votes)

    def _probe(self) -> BaselineResult:
        if self.model.start is not None:
            raise InputError(
                "this run starts from trained weights, and a probe is of the base model:",
                remedy="python -m lalm_ambig.baseline probe --run RUN makes it.",
            )
        features = PooledFeatures(self.data.encoder, self.data.of_every_split())
        if self.data.encoder.features is None:
            self.model.policy.to(self.device)
        return Probe().answer(replace(self._known(), features=features))
