"""A run from beginning to end: base model, training, trained model, each evaluated on the same items."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lightning.pytorch.callbacks import Callback, LearningRateMonitor, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from rich.console import Console

from lalm_ambig.baselines.prior import prior
from lalm_ambig.baselines.uniform import uniform
from lalm_ambig.configuration import Cli, RunSettings
from lalm_ambig.data import DataModule
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About, Results
from lalm_ambig.methods.base import Method
from lalm_ambig.runs.callbacks import RolloutTable, Samples, checkpoints
from lalm_ambig.runs.evaluation import keep, kept, predict, reasoning_of
from lalm_ambig.runs.folder import RunFolder
from lalm_ambig.runs.session import load_trained, standardise
from lalm_ambig.types import Split

EVALUATED: Split = "test"


@dataclass(frozen=True)
class Training:
    """Everything that one run needs."""

    run: RunFolder
    model: Method
    data: DataModule
    trainer: Any
    console: Console

    def base(self) -> list[Prediction]:
        """What the policy answers on the test split before training; made only once."""
        return self._once(self.before, f"evaluating the policy as training finds it ({self.before})")

    @property
    def before(self) -> str:
        """Name of the row of the policy before training: `base`, or `start` where another run's weights go on."""
        return "base" if self.model.start is None else "start"

    def fit(self) -> None:
        """Train from the start or from the last checkpoint, and leave the best weights in the policy and on disk."""
        standardise(self.model, self.data)
        self.model.prepare()
        resumed = self.run.last if self.run.last.is_file() else None
        if resumed:
            self.console.print(f"resuming from {resumed}")
        self.trainer.fit(self.model, datamodule=self.data, ckpt_path=resumed, weights_only=True)
        best = self.run.best if self.run.best.is_file() else self.run.last
        if not best.is_file():  # shorter than a checkpoint's interval, and never validated
            self.trainer.save_checkpoint(best)
        self.console.print(f"weights of {best.name}, the best by {self.model.monitor} where it was validated")
        load_trained(self.model, best)
        self.model.policy.save(self.run.adapter)

    def trained(self) -> list[Prediction]:
        """What the trained policy answers on the test split."""
        return self._once("trained", "evaluating the trained model")

    def results(self, base: Sequence[Prediction], trained: Sequence[Prediction]) -> dict[str, Results]:
        """Scores of uniform, prior, base and trained model, written under `evaluation/`."""
        train, test = self.data.items("train"), self.data.items(EVALUATED)
        policy = self.model.policy.describe
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
            about = replace(about, samples=self.model.generation.samples)
        return keep(self.run.evaluation(name), predictions, self.data.categories, about=about)

    def _once(self, name: str, doing: str) -> list[Prediction]:
        from lalm_ambig.evaluation.predictions import write_predictions

        folder = self.run.evaluation(name)
        found = kept(folder)
        if found is None:
            self.console.print(f"{doing} on {len(self.data.items(EVALUATED))} items")
            found = predict(self.trainer, self.model, self.data, EVALUATED)
            folder.mkdir(parents=True, exist_ok=True)
            write_predictions(folder / "predictions.jsonl", found)
        return found


def make_trainer(cli: Cli, run: RunFolder, settings: RunSettings, *, console: Console) -> Any:
    """Lightning's trainer with the run's checkpoints, loggers and samples beside what the configuration asks for."""
    callbacks: list[Callback] = [
        *checkpoints(run, settings, monitor=cli.model.monitor),
        Samples(run, settings.samples, console=console),
        RolloutTable(run, settings.rollout_steps, console=console),
    ]
    configured = cli.config_init["trainer"]
    if configured["enable_progress_bar"] is not False:
        callbacks.append(RichProgressBar())
    loggers = configured["logger"]
    if loggers is None:
        loggers = [
            CSVLogger(run.path, name="", version=""),
            TensorBoardLogger(run.path, name="tensorboard", version=""),
        ]
    if loggers:
        callbacks.append(LearningRateMonitor("step"))
    return cli.make_trainer(
        callbacks=[*(configured["callbacks"] or []), *callbacks], logger=loggers, default_root_dir=run.path
    )


Step = Callable[[], None]
