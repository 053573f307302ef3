"""A run from beginning to end: base model, training, trained model, each evaluated on the same items."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ProgressBar, RichProgressBar
from rich.console import Console

from lalm_ambig.baselines.prior import prior
from lalm_ambig.baselines.uniform import uniform
from lalm_ambig.config.callbacks import listed
from lalm_ambig.config.cli import Cli, RunSettings
from lalm_ambig.core import distributed, stopping
from lalm_ambig.core.types import Split
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About, Results
from lalm_ambig.files.atomic import new_folder
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.weights.sharding import trained_weights
from lalm_ambig.runs.callbacks import RolloutTable, Samples
from lalm_ambig.runs.checkpoints.callback import BestWeights, SavedState, StartIsCandidate, newest_state
from lalm_ambig.runs.checkpoints.files import VerifiedCheckpointIO, report_failure, write_weights
from lalm_ambig.runs.checkpoints.selection import Selection, prior_metrics, write_selection
from lalm_ambig.runs.evaluation import (
    load_predictions,
    predict,
    reasoning_of,
    save_predictions,
    score_and_save,
)
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.logs import quiet_writer_threads, rewind_logs, run_loggers
from lalm_ambig.runs.processes.ending import handle_signals
from lalm_ambig.runs.processes.strategies import CheckOnDevice, DividedWeights, rewrites_weights
from lalm_ambig.runs.reference_rows import References
from lalm_ambig.runs.session import load_trained, standardise
from lalm_ambig.runs.trained_items import copy_record

EVALUATED: Split = "test"


@dataclass(frozen=True)
class Training:
    """Everything that one run needs."""

    run: RunFolder
    model: Method
    data: DataModule
    cli: Cli
    strategy: Any
    """Of training (see `strategies`)."""
    evaluator: Any
    """The trainer that predicts."""
    console: Console
    overlap: Overlap | None = None
    """What of the test the weights that training starts from have seen."""

    def base(self) -> list[Prediction]:
        """What the policy answers on the test split before training; made only once."""
        return self._once(self.before, f"evaluating the policy as training finds it ({self.before})")

    @property
    def before(self) -> str:
        """Name of the row of the policy before training: `base`, or `start` where another run's weights go on."""
        return "base" if self.model.start is None else "start"

    def fit(self) -> None:
        """Train from the start or from the newest saved state, and leave the best weights in the policy and on disk."""
        if self.run.adapter.is_dir():
            self.console.print(f"training is finished already: {self.run.adapter}")
            self.model.policy.load_weights(self.run.adapter)
            return
        standardise(self.model, self.data)
        self.model.prepare()
        trainer, resumed = self._trainer()
        with stopping.deferred(), quiet_writer_threads():
            trainer.fit(self.model, datamodule=self.data, ckpt_path=resumed, weights_only=True)
            self._keep_selection(trainer)
            self._keep_best(trainer)

    def _keep_best(self, trainer: Any) -> None:
        """Put the best weights into the policy and its adapter's folder."""
        if not distributed.on_rank_zero(self.run.best.is_file):  # never validated
            write_weights(self.run.best, trained_weights(self.model.policy))
        if rewrites_weights(trainer.strategy):
            self.model.policy.reload()
            standardise(self.model, self.data)
        load_trained(self.model, self.run.best)
        distributed.on_rank_zero(lambda: report_failure(self.run.adapter, self._save_adapter))

    def _keep_selection(self, trainer: Any) -> None:
        """Write how the checkpoint was chosen, where the run was validated; all must call, since metrics pool."""
        best = next(callback for callback in trainer.callbacks if isinstance(callback, BestWeights))
        if best.chosen is None:
            return
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
        )
        distributed.on_rank_zero(lambda: write_selection(self.run.selection, selection))
        step = best.chosen.step
        which = f"step {step}" if step >= 0 else "an earlier version's validation"
        self.console.print(
            f"weights of {which}, the best of {best.validations} validations by {best.monitor}"
        )

    def _trainer(self) -> tuple[Any, Path | None]:
        """The trainer, and the state to go on from; the console is told which, and which ones are damaged."""
        resumed, damaged = distributed.on_rank_zero(lambda: newest_state(self.run))
        for path in damaged:
            self.console.print(f"{path} is damaged and passed over", soft_wrap=True)
        if resumed is not None:
            self.console.print(f"resuming from {resumed}", soft_wrap=True)
        distributed.on_rank_zero(
            lambda: rewind_logs(self.run, resumed_at=None if resumed is None else self.run.step_of(resumed))
        )
        return make_trainer(self, resumed=resumed), resumed

    def _save_adapter(self) -> None:
        with new_folder(self.run.adapter) as folder:
            self.model.policy.save(folder)
            copy_record(self.run, folder)

    def trained(self) -> list[Prediction]:
        """What the trained policy answers on the test split."""
        return self._once("trained", "evaluating the trained model")

    def references(self) -> dict[str, Results]:
        """Rows that say what is possible, made once; to be called before training."""
        settings: RunSettings = self.cli.config_init["run"]
        made = References(self.run, self.model, self.data, EVALUATED, self.evaluator.strategy.root_device)
        return distributed.on_rank_zero(lambda: made.rows(self.console, probe=settings.probe))

    def results(self, base: Sequence[Prediction], trained: Sequence[Prediction]) -> dict[str, Results]:
        """Scores of uniform, prior, base and trained model, written under `evaluation/`."""
        train, test = self.data.items("train"), self.data.items(EVALUATED)
        policy = self.model.policy.description
        rows = {
            "uniform": (uniform(test), "none", "none", "every class equally likely"),
            "prior": (
                prior(test, train=train),
                "none",
                "none",
                "mean distribution of the training split",
            ),
            self.before: (base, self.model.readout, reasoning_of(self.model), policy),
            "trained": (
                trained,
                self.model.readout,
                reasoning_of(self.model),
                f"{policy}, {self.run.path.name}",
            ),
        }
        return {name: self._keep(name, *row) for name, row in rows.items()}

    def _keep(
        self, name: str, predictions: Sequence[Prediction], readout: str, reasoning: Any, policy: str
    ) -> Results:
        corpus = self.data.corpus
        about = About(corpus.name, EVALUATED, readout, reasoning, policy, table_metrics=corpus.table_metrics)
        if readout != "none":
            about = replace(about, samples=self.model.generation.samples, trained_items=self.overlap)
        return score_and_save(self.run.evaluation(name), predictions, self.data.categories, about=about)

    def _once(self, name: str, doing: str) -> list[Prediction]:
        folder = self.run.evaluation(name)
        found = distributed.on_rank_zero(lambda: load_predictions(folder))
        if found is None:
            self.console.print(f"{doing} on {len(self.data.items(EVALUATED))} items")
            found = predict(self.evaluator, self.model, self.data, EVALUATED)
            distributed.on_rank_zero(lambda: save_predictions(folder, found))
        return found


def make_trainer(training: Training, *, resumed: Path | None) -> Any:
    """Lightning's trainer with the run's states, loggers and samples beside what the configuration asks for."""
    cli, run, console = training.cli, training.run, training.console
    settings: RunSettings = cli.config_init["run"]
    best = BestWeights(run, training.model.monitor)
    callbacks: list[Callback] = [
        DividedWeights(),
        CheckOnDevice(),
        SavedState(run, settings.checkpoint_steps),
        best,
        Samples(run, settings.samples, console=console),
        RolloutTable(run, settings.rollout_steps, console=console),
    ]
    configured = cli.config_init["trainer"]
    given = listed(configured["callbacks"])
    if configured["enable_progress_bar"] is not False and not any(isinstance(c, ProgressBar) for c in given):
        callbacks.append(RichProgressBar())
    loggers = listed(configured["logger"])
    if configured["logger"] is not False:  # those of the configuration come beside the run's own
        loggers += run_loggers(run, resumed_at=None if resumed is None else run.step_of(resumed))
    if loggers and not any(isinstance(c, LearningRateMonitor) for c in given):
        callbacks.append(LearningRateMonitor("step"))
    trainer = cli.make_trainer(
        callbacks=[*given, *callbacks, StartIsCandidate(best)],
        logger=loggers,
        default_root_dir=run.path,
        strategy=training.strategy,
        plugins=[*listed(configured["plugins"]), VerifiedCheckpointIO()],
        use_distributed_sampler=False,  # the loaders divide items themselves
        enable_checkpointing=False,  # Lightning's own
    )
    return handle_signals(trainer)
