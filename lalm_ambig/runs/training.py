"""A run from its base model to its results: answers before and after training on the same items, and the training."""

from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ProgressBar
from rich.console import Console
from rich.markup import escape

from lalm_ambig.baselines.base import Features
from lalm_ambig.baselines.prior import prior
from lalm_ambig.baselines.uniform import uniform
from lalm_ambig.config.callbacks import listed
from lalm_ambig.config.cli import Cli, RunSettings
from lalm_ambig.core import distributed, stopping
from lalm_ambig.core.installation import install_extra
from lalm_ambig.core.types import Split
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About, Results
from lalm_ambig.evaluation.stages import UNKNOWN, Past
from lalm_ambig.files.atomic import new_folder
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.weights.sharding import trained_weights
from lalm_ambig.runs.callbacks import RolloutTable, Samples
from lalm_ambig.runs.checkpoints.callback import (
    BestWeights,
    EndsAreCandidates,
    SavedState,
    StopEarly,
    saved_states,
)
from lalm_ambig.runs.checkpoints.files import VerifiedCheckpointIO, report_failure, write_weights
from lalm_ambig.runs.checkpoints.selection import Selection, prior_metrics, write_selection
from lalm_ambig.runs.effort import EffortRecord
from lalm_ambig.runs.evaluation import (
    load_predictions,
    predict,
    reasoning_of,
    save_predictions,
    score_and_save,
)
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.logs import METRICS, has_tensorboard, quiet_writer_threads, rewind_logs, run_loggers
from lalm_ambig.runs.past import past_of_run
from lalm_ambig.runs.processes.ending import handle_signals
from lalm_ambig.runs.processes.strategies import CheckOnDevice, DividedWeights, rewrites_weights
from lalm_ambig.runs.progress import RunBar
from lalm_ambig.runs.reference_rows import References
from lalm_ambig.runs.session import load_trained, standardise
from lalm_ambig.runs.trained_items import copy_record
from lalm_ambig.runs.wandb_log import finish_wandb


@dataclass(frozen=True)
class Training:
    """A run: its parts, and its steps in their order."""

    run: RunFolder
    model: Method
    data: DataModule
    cli: Cli
    strategy: Any
    """Strategy of training (see `processes.strategies`)."""
    evaluator: Any
    """The trainer that predicts."""
    console: Console
    overlaps: Mapping[Split, Overlap] = field(default_factory=dict)
    """The items of an evaluated split that the weights were trained on before the run."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that the policy is evaluated on, before and after training."""
        return ("validation", "test") if self.cli.tests else ("validation",)

    def base(self, split: Split) -> list[Prediction]:
        """Return the policy's answers on a split before training. They are made only once."""
        return self._once(self.before, split, f"evaluating the policy as training finds it ({self.before})")

    @property
    def before(self) -> str:
        """Name of the row of the policy before training: `base`, or `start` where another run's weights go on."""
        return "base" if self.model.start is None else "start"

    def fit(self) -> None:
        """Train from the start or from the newest saved state; the policy and the disk then have the best weights."""
        if self.run.adapter.is_dir():
            self.console.print(f"training is finished already: {self.run.adapter}")
            self.model.policy.load_weights(self.run.adapter)
            return
        standardise(self.model, self.data)
        self.model.prepare()
        resumed = self._resumed_state()
        trainer = make_trainer(self, resumed=resumed)
        self._set_gauge(trainer.strategy)
        engine = nullcontext() if self.model.engine is None else closing(self.model.engine)
        with stopping.deferred(), quiet_writer_threads(), engine:
            try:
                trainer.fit(self.model, datamodule=self.data, ckpt_path=resumed, weights_only=True)
            finally:
                finish_wandb(trainer.loggers)
            self._write_selection(trainer)
            self._save_best(trainer)

    def _set_gauge(self, strategy: Any) -> None:
        """Let gradients be measured where the method samples, and a process has all trained weights and few of them."""
        lora = self.model.policy.adapter.method != "full"
        if self.model.sampled_tokens and lora and not rewrites_weights(strategy):
            self.model.gauge.every = self.cli.config_init["run"].gradient_steps

    def _save_best(self, trainer: Any) -> None:
        """Put the best weights into the policy and its adapter's folder."""
        if not distributed.on_rank_zero(self.run.best.is_file):  # never validated
            write_weights(self.run.best, trained_weights(self.model.policy))
        if rewrites_weights(trainer.strategy):
            self.model.policy.reload()
            standardise(self.model, self.data)
        load_trained(self.model, self.run.best)
        distributed.on_rank_zero(lambda: report_failure(self.run.adapter, self._save_adapter))

    def _write_selection(self, trainer: Any) -> None:
        """Write how the checkpoint was chosen, if the run was validated. All processes must call: metrics pool."""
        best = next(callback for callback in trainer.callbacks if isinstance(callback, BestWeights))
        if best.chosen is None:
            return
        stop = next((one for one in trainer.callbacks if isinstance(one, StopEarly)), None)
        every, read = self.data.validation_items(), best.chosen.items
        items = [every[place] for place in range(read)] if read else list(every)
        selection = Selection(
            monitor=best.monitor,
            items=len(items),
            of=len(every),
            ids=None if len(items) == len(every) else tuple(item.id for item in items),
            prior=prior_metrics(items, train=self.data.items("train")),
            start=best.start,
            chosen=best.chosen,
            validations=best.validations,
            stopped_at=None if stop is None else stop.stopped_at,
            waited=0 if stop is None or stop.stopped_at is None else best.worse,
        )
        distributed.on_rank_zero(lambda: write_selection(self.run.selection, selection))
        step = best.chosen.step
        which = f"step {step}" if step >= 0 else "an earlier version's validation"
        self.console.print(
            f"weights of {which}, the best of {best.validations} validations by {best.monitor}"
        )

    def _resumed_state(self) -> Path | None:
        """Return the state to resume from, and take the logs back to it. The console is told of damaged ones."""
        states = distributed.on_rank_zero(lambda: saved_states(self.run))
        resumed = states.newest
        for path in states.damaged:
            self.console.print(f"{path} is damaged and passed over", soft_wrap=True)
        if resumed is not None:
            self.console.print(f"resuming from {resumed}", soft_wrap=True)
        elif (self.run.path / METRICS).exists():
            self.console.print("no state was saved yet (run.checkpoint_steps): from the start")
        distributed.on_rank_zero(
            lambda: rewind_logs(self.run, resumed_at=None if resumed is None else self.run.step_of(resumed))
        )
        return resumed

    def _save_adapter(self) -> None:
        with new_folder(self.run.adapter) as folder:
            self.model.policy.save(folder)
            copy_record(self.run, folder)

    def trained(self, split: Split) -> list[Prediction]:
        """Return the trained policy's answers on a split. They are made only once."""
        return self._once("trained", split, "evaluating the trained model")

    def references(self) -> dict[Split, dict[str, Results]]:
        """Return each split's reference rows. They are made once; call this before training.

        The probe is in the test table. It is in that of validation as well where it hears clips: a text takes a pass of
        the whole decoder. Validation chooses its penalty, as it chooses the checkpoint, and the caption says so.
        """
        return distributed.on_rank_zero(self._references)

    def _references(self) -> dict[Split, dict[str, Results]]:
        settings: RunSettings = self.cli.config_init["run"]
        device = self.evaluator.strategy.root_device
        features: list[Features] = []
        rows = {}
        for split in self.splits:
            references = References(self.run, self.model, self.data, split, device, features)
            probe = settings.probe and (split == "test" or references.is_cheap)
            rows[split] = references.rows(self.console, probe=probe)
        return rows

    def results(
        self, split: Split, base: Sequence[Prediction], trained: Sequence[Prediction]
    ) -> dict[str, Results]:
        """Score uniform, prior, base and trained model, and write the rows under `evaluation/`.

        Args:
            split: The split that the answers are on.
            base: Answers before training.
            trained: Answers after it.
        """
        train, items = self.data.items("train"), self.data.items(split)
        policy = self.model.policy.description
        past = past_of_run(self.run) or (UNKNOWN,)
        prior_text = "mean distribution of the training split"
        rows: dict[str, tuple[Sequence[Prediction], About]] = {
            "uniform": (uniform(items), self._about(split, "every class equally likely")),
            "prior": (prior(items, train=train), self._about(split, prior_text)),
            self.before: (base, self._about_policy(split, policy, past[1:])),
            "trained": (trained, self._about_policy(split, f"{policy}, {self.run.path.name}", past)),
        }
        return {
            name: score_and_save(self.run.evaluation(name, split), answers, self.data.categories, about=about)
            for name, (answers, about) in rows.items()
        }

    def _about(self, split: Split, policy: str) -> About:
        corpus = self.data.corpus
        metrics, part = corpus.table_metrics, corpus.part_or_target
        return About(corpus.name, split, "none", "none", policy, table_metrics=metrics, part=part)

    def _about_policy(self, split: Split, policy: str, past: Past) -> About:
        return replace(
            self._about(split, policy),
            readout=self.model.readout,
            reasoning=reasoning_of(self.model),
            samples=self.model.generation.samples,
            trained_items=self.overlaps.get(split),
            training=past,
        )

    def _once(self, name: str, split: Split, doing: str) -> list[Prediction]:
        folder = self.run.evaluation(name, split)
        predictions = distributed.on_rank_zero(lambda: load_predictions(folder))
        if predictions is None:
            self.console.print(f"{doing} on {len(self.data.items(split))} {split} items")
            predictions = predict(self.evaluator, self.model, self.data, split)
            distributed.on_rank_zero(lambda: save_predictions(folder, predictions))
        return predictions


def make_trainer(training: Training, *, resumed: Path | None) -> Any:
    """Return Lightning's trainer, with the run's states, loggers and samples beside those of the configuration.

    Args:
        training: The run.
        resumed: The state to resume from; None from the start.
    """
    cli, run, console = training.cli, training.run, training.console
    settings: RunSettings = cli.config_init["run"]
    best = BestWeights(run, training.model.monitor)
    callbacks: list[Callback] = [
        DividedWeights(),
        CheckOnDevice(),
        SavedState(run, settings.checkpoint_steps),
        best,
        EffortRecord(run, items=len(training.data.train_items())),
        Samples(run, settings.samples, console=console),
        RolloutTable(run, settings.rollout_steps, console=console),
    ]
    configured = cli.config_init["trainer"]
    users = listed(configured["callbacks"])
    if configured["enable_progress_bar"] is not False and not any(isinstance(c, ProgressBar) for c in users):
        callbacks.append(RunBar())
    if settings.patience is not None:
        callbacks.append(StopEarly(best, settings.patience, console=console))
    if not any(isinstance(callback, LearningRateMonitor) for callback in users):
        callbacks.append(LearningRateMonitor("step"))
    trainer = cli.make_trainer(
        callbacks=[*users, *callbacks, EndsAreCandidates(best)],
        logger=_loggers(training, resumed=resumed),
        default_root_dir=run.path,
        strategy=training.strategy,
        plugins=[*listed(configured["plugins"]), VerifiedCheckpointIO()],
        use_distributed_sampler=False,  # the loaders divide items themselves
        enable_checkpointing=False,  # Lightning's own
    )
    return handle_signals(trainer)


def _loggers(training: Training, *, resumed: Path | None) -> list[Any]:
    """The loggers of the configuration, and beside them the run's own."""
    cli, run = training.cli, training.run
    configured = cli.config_init["trainer"]["logger"]
    names = () if configured is False and cli.loggers is None else cli.loggers
    if names is None and not has_tensorboard():
        line = f"no tensorboard/: the package is not installed. Run: {install_extra('tensorboard')}"
        training.console.print(escape(line), highlight=False, soft_wrap=True)
    at = None if resumed is None else run.step_of(resumed)
    return [*listed(configured), *run_loggers(run, resumed_at=at, names=names)]
