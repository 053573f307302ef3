"""Reference rows of a run's table: a linear probe on the base model's features, and a second panel of people.

Training was worth its cost if the policy beats the probe. A policy that reaches the panel agrees with people as well as
people agree with each other. Answers for single annotators have no panel: each annotator's most frequent class is in
its place.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console

from lalm_ambig.baselines.annotator_most_frequent import AnnotatorMostFrequent
from lalm_ambig.baselines.base import BaselineResult, Features
from lalm_ambig.baselines.panel import Panel
from lalm_ambig.baselines.pooled import PooledFeatures, Remembered
from lalm_ambig.baselines.probe import Probe
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Split
from lalm_ambig.data.annotators import EACH
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.evaluation.annotator_table import MOST_FREQUENT
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.methods.base import Method
from lalm_ambig.runs.evaluation import baseline_inputs, save_baseline
from lalm_ambig.runs.folder.run_folder import RunFolder

PANEL, PROBE, ANNOTATOR = "panel", "probe", MOST_FREQUENT


@dataclass(frozen=True)
class References:
    """Makes the reference rows of a run, and keeps them in its folder."""

    run: RunFolder
    model: Method
    data: DataModule
    split: Split
    device: Any
    """The device that computes the probe's features if they are not cached."""
    features: list[Features] = field(default_factory=list)
    """The probe's features, as soon as they are made. The References of a run's splits share this list."""

    @property
    def is_cheap(self) -> bool:
        """Whether the probe hears clips: a pass of an audio encoder is little beside training, one of a decoder not."""
        return next(iter(self.data.of_every_split())).has_sound

    def rows(self, console: Console, *, probe: bool) -> dict[str, Results]:
        """Return the rows by name. They are made once and kept.

        Call it before training: the probe takes the policy as it is then.

        Args:
            console: Is told why a row is missing.
            probe: Whether there is a row of the probe.
        """
        rows = dict[str, Results]()
        people = ANNOTATOR if self.data.annotators == EACH else PANEL
        for name in (PROBE, people) if probe else (people,):
            file = self.run.evaluation(name, self.split) / "metrics.json"
            try:
                rows[name] = read_results(file) if file.is_file() else self._make(name)
            except InputError as error:
                console.print(f"no {name} row: {error}", highlight=False, soft_wrap=True)
        return rows

    def _make(self, name: str) -> Results:
        inputs = baseline_inputs(self.data, self.split)
        made = {PANEL: Panel, ANNOTATOR: AnnotatorMostFrequent}
        result = self._probe() if name == PROBE else made[name]().answer(inputs)
        return save_baseline(self.run.evaluation(name, self.split), result, self.data, split=self.split)

    def _probe(self) -> BaselineResult:
        if self.model.start is not None:
            raise InputError(
                "this run starts from trained weights, and a probe is of the base model:",
                remedy="python -m lalm_ambig.baseline probe --run RUN makes it.",
            )
        if not self.features:
            self.features.append(Remembered(PooledFeatures(self.data.encoder, self.data.of_every_split())))
        if self.data.encoder.features is None:
            self.model.policy.to(self.device)
        return Probe().answer(replace(baseline_inputs(self.data, self.split), features=self.features[0]))
