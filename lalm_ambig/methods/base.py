"""The one training loop: gather experience with the policy, reduce it to a loss, log it; and read out predictions."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torchmetrics import MetricCollection

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.lightning_internals import forget_train_loader
from lalm_ambig.core.types import Batch, Groups, Loss, Reading
from lalm_ambig.data.encoding import Encoder, Readout
from lalm_ambig.evaluation.predictions import Prediction, from_reading
from lalm_ambig.methods.generation import Generation
from lalm_ambig.methods.gradient_gauge import GradientGauge
from lalm_ambig.methods.optimisation import Optimiser, cosine_schedule, parameter_groups
from lalm_ambig.methods.readers import Reader, evaluated_reader, rows_read, same_samples, validation_readers
from lalm_ambig.methods.reference import Reference
from lalm_ambig.methods.rollout_log import RolloutRow, rollout_rows, rollout_values
from lalm_ambig.methods.spread import Spread
from lalm_ambig.methods.step_metrics import NotFinite, StepMetrics, check_answers, validation_values
from lalm_ambig.metrics.base import all_metrics, has_shares, vote_numbers
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.lora import trained_parameters
from lalm_ambig.policies.weights.sharding import gathered_weights
from lalm_ambig.rollouts.engines.base import Engine
from lalm_ambig.rollouts.groups import GroupSampling
from lalm_ambig.rollouts.passages import PassOutput, PassSettings, ScoredSpan, score_spans
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.rollouts.step import begin_step, sample_step

Sharing = bool | Literal["auto"]
"""Whether what several texts have in common is computed once: where the policy can (`auto`), always, or never."""
PROGRESS_BAR = ("js_div_bits",)


class Method(lightning.LightningModule, ABC):
    """A way to train a policy. Subclasses gather an experience and name the objective that reduces it."""

    strict_loading = False  # a checkpoint holds what is trained, not the base model
    sampling: Sampling
    """How responses are sampled in training."""
    engine: Engine | None = None
    """What samples them; None is the policy's own decode loop."""

    def __init__(  # noqa: PLR0913  # the configuration's keys
        self,
        policy: Policy,
        *,
        reasoning: bool,
        readout: Readout,
        optimiser: Optimiser,
        generation: Generation,
        share_prompt: Sharing,
        start: Path | None,
    ) -> None:
        super().__init__()
        if optimiser.side_path_learning_rate is not None and not policy.side_layers:
            raise InputError(
                "the policy has no side path:",
                where="model.optimiser.side_path_learning_rate",
                remedy="set policy.audio_layers (see docs/concepts/hearing.md), or leave it out.",
            )
        self.policy = policy
        self.reasoning, self.readout = reasoning, readout
        self.optimiser = optimiser
        self.generation = generation
        self.share_prompt = share_prompt
        self.start = start
        """Folder of a finished run whose weights training starts from."""
        self.reference: Reference | None = None
        self.values: dict[str, Tensor] = {}
        """Numbers that the last `gather` wants logged, as means."""
        self.rollout_rows: list[RolloutRow] = []
        """The responses that the last `gather` sampled, for people to read."""
        self.encoder: Encoder
        self.validated = 0
        """Items of this validation so far, of this process."""
        self.measures: dict[str, list[Tensor]] = {}
        """The `measures` of this validation's readings, by name in the log."""
        self.tokens = 0
        """Tokens that this process has sampled or trained on: responses, each with its prompt, once per pass."""
        self.step_metrics = StepMetrics()
        self.gauge = GradientGauge()
        self.spread = Spread()
        """Of the answers that choose the best checkpoint."""
        self.predictions: list[Prediction] = []
        """Those of the last `Trainer.predict`, item by item."""
        self.predicting: Reader | None = None
        """How `Trainer.predict` reads; None is the evaluated reader."""

    @abstractmethod
    def gather(self, batch: Batch) -> Any:
        """Compute what the policy says about a batch, as the record that the objective takes."""

    @abstractmethod
    def reduce(self, experience: Any) -> Loss:
        """The objective."""

    def attach(self, encoder: Encoder) -> None:
        """Take the encoder of the corpus to be trained on; the policy must be loaded."""
        self.encoder = encoder
        self.train()  # transformers hands models over in evaluation mode, and Lightning leaves them in it
        count, ordered = len(encoder.categories), encoder.categories.ordered
        self.validation = torch.nn.ModuleDict(
            {
                name: MetricCollection({m.name: m for m in all_metrics(count, ordered=ordered)})
                for name in self.validated_modes
            }
        )

    # What a method needs: capabilities that other rooms ask for

    @property
    def reader(self) -> Reader:
        """The reader whose distributions are evaluated."""
        return evaluated_reader(self.generation, reasoning=self.reasoning, readout=self.readout)

    @property
    def readers(self) -> tuple[Reader, ...]:
        """All readers of a validation."""
        return validation_readers(self.reader, reasoning=self.reasoning, readout=self.readout)

    @property
    def validated_modes(self) -> tuple[str, ...]:
        """Names of the readers of a validation: its metrics are called NAME/METRIC."""
        return tuple(reader.name for reader in self.readers)

    @property
    def generates_text(self) -> bool:
        """Whether the evaluated answers take text of the policy's own: reasoning, or an answer in words."""
        return self.reader.generates_text

    @property
    def needs_rationale(self) -> bool:
        """Whether only items with a curated rationale can be trained on."""
        return self.reasoning

    @property
    def sampled_tokens(self) -> int:
        """Longest response that is sampled in training, in tokens; 0 where none is."""
        return 0

    @property
    def samples_ahead(self) -> bool:
        """Whether the next step's responses are sampled while a step trains."""
        return self.engine is not None and self.engine.overlap and self.sampled_tokens > 0

    @property
    def smallest_step(self) -> int:
        """Fewest items of an optimiser step that the method can learn from."""
        return 1

    @property
    def updates(self) -> int:
        """Optimiser steps on each batch, one after another."""
        return 1

    @property
    def pass_settings(self) -> PassSettings:
        """How training passes are computed."""
        return PassSettings(self.encoder.answer, share_prompt=self.shares)

    @property
    def shares(self) -> bool:
        """Whether what texts have in common is computed once, where the policy can."""
        return self.share_prompt is not False

    def notes(self) -> list[str]:
        """Lines that a user should read before training."""
        return []

    # Checks before training

    def check_samples(self) -> None:
        """Refuse several samples that would all be the same.

        Raises:
            InputError: `generation.samples` is above 1 and the policy writes no text.
        """
        if self.generation.samples > 1 and not self.generates_text:
            raise same_samples()

    def check_data(self, *, step_items: int, items: int, label_dist: Tensor | None = None) -> None:
        """Refuse data that the method cannot learn from.

        Args:
            step_items: Items of an optimiser step.
            items: Training items.
            label_dist: Shares of their votes [item, category]; None leaves these unchecked.

        Raises:
            InputError: The step or the training split is too small, or nothing can be learnt from its votes.
        """

    def check_abilities(self, *, training: bool) -> None:
        """Refuse what a loaded policy's self-check has found that it cannot do.

        Args:
            training: Whether the policy will be trained.

        Raises:
            InputError: The policy cannot be trained, or cannot share prompts though `share_prompt` is true.
        """
        abilities = self.policy.abilities
        if training and abilities.untrainable:
            raise InputError(
                f"{self.policy.description} cannot be trained: its backward pass fails: {abilities.untrainable}:",
                where="policy",
                remedy="Try policy.attention eager, or policy.adapter.checkpoint_activations false; evaluate works.",
            )
        if self.share_prompt is True and not abilities.shares:
            raise InputError(
                f"share_prompt is true, but {self.policy.description} cannot: {abilities.reason}.",
                where="model",
                remedy="Set model.share_prompt to auto or false (of a run: in its config.yaml).",
            )

    def prepare(self) -> None:
        """Take note of the reference; called once, when the weights are those that training starts from."""
        if self.reference is not None:
            self.reference.snapshot(self.policy)
            self.reference.verify(self.policy, started=self.start is not None)

    # Training

    def record(self, values: Mapping[str, Tensor]) -> None:
        """Add numbers to those that this pass wants logged, as means."""
        for name, new in values.items():
            old = self.values.get(name)
            self.values[name] = (
                new.flatten() if old is None else torch.cat([old, new.flatten().to(old.device)])
            )

    def sample(
        self, batches: Sequence[Batch], *, group_size: int, ahead: Sequence[Batch] = ()
    ) -> list[Groups]:
        """Sample responses to the prompts of a step's batches, as many for each, and add their numbers to the log.

        Args:
            batches: The step's batches.
            group_size: Responses per prompt.
            ahead: Batches of the next step, whose responses are sampled while this one trains.
        """
        step = self.global_step
        settings = GroupSampling(self.sampling, group_size, step, self.shares, self.engine)
        if ahead and self.samples_ahead:
            begin_step(self.encoder, ahead, replace(settings, step=step + self.updates), weights_of=step)
        sampled = sample_step(self.encoder, batches, settings)
        for batch, groups in zip(batches, sampled, strict=True):
            self.tokens += int(groups.mask.sum()) + group_size * int(batch.prompt.mask.sum())
            self.record(rollout_values(groups, batch.label_dist))
        return sampled

    def score(self, batch: Batch, spans: Sequence[ScoredSpan], settings: PassSettings) -> PassOutput:
        """Score responses in one pass; see `score_spans`. Passes with gradients count as tokens trained on."""
        if torch.is_grad_enabled():
            lengths = batch.prompt.mask.sum(-1).tolist()
            self.tokens += sum(lengths[span.prompt] + len(span.ids) for span in spans if len(span.ids))
        return score_spans(self.policy, batch, spans, settings)

    def log_responses(self, batch: Batch, groups: Groups, columns: Mapping[str, Tensor]) -> None:
        """Add sampled responses to those that people can read, with columns of one number per response."""
        self.rollout_rows += rollout_rows(batch, groups, columns)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.values = {}
        loss: Loss = self.policy.run_step(lambda: self._loss_of(batch))
        try:
            weight = self.step_metrics.reduce(batch, loss, self.values)
        except NotFinite as error:
            if self.optimiser.not_finite == "stop":
                raise
            print(f"skipped: {error}", file=sys.stderr)
            return torch.stack([p.sum() * 0 for _, p in trained_parameters(self.policy)]).sum()
        self.log_dict(self.step_metrics.parts, prog_bar=True, batch_size=1)
        self.log_dict(self.step_metrics.values, batch_size=1)
        self.log_dict(self.gauge.measured, batch_size=1)  # the last that were measured
        return loss.total * weight

    def _loss_of(self, batch: Batch) -> Loss:
        """The loss of a pass; every so many steps its gradients are measured."""
        experience = self.gather(batch)
        loss = self.reduce(experience)
        if self.gauge.every and self.gauge.is_due(self.global_step):
            trained = [p for _, p in trained_parameters(self.policy)]
            if self.gauge.measure(experience, batch, self.reduce, loss, trained=trained):
                for note in self.gauge.notes(first=self.global_step == 0) if distributed.is_first() else ():
                    print(note, file=sys.stderr)
        return loss

    # Validation and prediction

    def on_validation_epoch_start(self) -> None:
        self.validated, self.measures, self.shared_votes = 0, {}, False
        self.gathered = ExitStack()
        self.gathered.enter_context(gathered_weights(self.policy))

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Reading]:
        readings, written = {}, self.generation.validation_items
        for reader in self.readers:
            if rows := rows_read(reader, batch, before=self.validated, written=written):
                readings[reader.name] = self._validate(reader, batch.select(rows))
        self.validated += len(batch.items)
        return readings

    def _validate(self, reader: Reader, batch: Batch) -> Reading:
        """Read a batch, and add what was read to the metrics of this validation."""
        reading = self.read(batch, reader)
        check_answers(batch, reading)
        self.shared_votes |= has_shares(drawn := [item.drawn_votes for item in batch.items])
        answers = batch.label_dist, reading.predicted_dist, reading.parsed, vote_numbers(drawn)
        self.validation[reader.name].update(*answers)  # type: ignore[operator]
        if reader == self.reader:
            self.spread.add(batch.label_dist, reading.predicted_dist)
        for name, values in reading.measures.items():
            self.measures.setdefault(f"{reader.name}/{name}", []).append(values)
        return reading

    def on_validation_epoch_end(self) -> None:
        self.gathered.close()
        for mode, metrics in self.validation.items():
            assert isinstance(metrics, MetricCollection)
            if any(distributed.all_gather_object(any(metric.update_called for metric in metrics.values()))):
                for name, value in validation_values(metrics, shared_votes=self.shared_votes).items():
                    self.log(f"{mode}/{name}", value.float(), prog_bar=name in PROGRESS_BAR)
            metrics.reset()
        spread = self.spread.pooled()
        self.log_dict({f"{self.reader.name}/{name}": value.float() for name, value in spread.items()})
        measures = {name: torch.cat(rows) for name, rows in self.measures.items()}
        self.log_dict(distributed.all_reduce_means(measures))

    def on_predict_start(self) -> None:
        self.predictions.clear()

    def predict_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the batch's predictions in the method: Lightning would take its frozen records apart."""
        self.predictions.extend(from_reading(batch.items, self.read(batch, self.predicting)))

    @property
    def monitor(self) -> str:
        """The validation metric that chooses the best checkpoint: that of the evaluated reader."""
        return f"{self.reader.name}/js_div_bits"

    def read(self, batch: Batch, reader: Reader | None = None) -> Reading:
        """The policy's distribution for each item.

        Args:
            batch: Items.
            reader: How they are read; by default the evaluated reader.
        """
        return (reader or self.reader).read(self.encoder, batch, share=self.shares)

    # Weights, optimiser and checkpoints

    def cpu(self) -> "Method":
        """Stay on the device, where Lightning calls this after each of its loops: the next one would move all back."""
        return self

    def configure_model(self) -> None:
        """Divide the weights, where the strategy asks for it (FSDP2)."""
        strategy = self.trainer.strategy
        if isinstance(strategy, ModelParallelStrategy):
            self.policy.root.shard(self.policy.layers, strategy.device_mesh["data_parallel"])

    def configure_optimizers(self) -> Any:
        groups = parameter_groups(self.policy, self.optimiser)
        optimiser = torch.optim.AdamW(groups, lr=self.optimiser.peak)
        steps = int(self.trainer.estimated_stepping_batches)
        # Counting them made the loader, before a saved place in the data was restored: let it be made again then.
        forget_train_loader(self.trainer)
        schedule = cosine_schedule(optimiser, steps, warmup_share=self.optimiser.warmup_share)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen base model out: it is read from its own files again."""
        frozen = {f"policy.{name}" for name, p in self.policy.named_parameters() if not p.requires_grad}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k not in frozen}
        checkpoint["pooled"] = self.step_metrics.values
        checkpoint["gradients"] = self.gauge.measured
        checkpoint["reference"] = {} if self.reference is None else self.reference.start_weights
        if self.engine is not None and self.samples_ahead:
            checkpoint["ahead"] = distributed.all_gather_object(self.engine.pending(self.policy))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.step_metrics.values = checkpoint["pooled"]
        self.gauge.measured = checkpoint.get("gradients", {})
        if self.reference is not None:
            self.reference.restore(checkpoint["reference"])
        if self.engine is not None:
            self.engine.restore(checkpoint.get("ahead", []))
