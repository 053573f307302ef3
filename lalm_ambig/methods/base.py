"""The one training loop: gather experience with the policy, reduce it to a loss, log it; and read out predictions."""

import sys
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torchmetrics import MetricCollection

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Loss, Reading
from lalm_ambig.data.encoding import Encoder, Readout
from lalm_ambig.evaluation.predictions import Prediction, from_reading
from lalm_ambig.methods.generation import Generation
from lalm_ambig.methods.optimisation import Optimiser, cosine_schedule, parameter_groups
from lalm_ambig.methods.reference import Reference
from lalm_ambig.methods.rollout_log import Row
from lalm_ambig.methods.spread import Spread
from lalm_ambig.methods.step_metrics import NotFinite, StepMetrics
from lalm_ambig.metrics.base import all_metrics
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.lora import trained_parameters
from lalm_ambig.policies.weights.sharding import gathered_weights
from lalm_ambig.rollouts.parsing import read_stated
from lalm_ambig.rollouts.passages import PassSettings
from lalm_ambig.rollouts.reading import read_curated, read_generated
from lalm_ambig.rollouts.samples import read_samples

Sharing = bool | Literal["auto"]
"""Whether what several texts have in common is computed once: where the policy can (`auto`), always, or never."""
PROGRESS_BAR = ("js_div_bits",)


class Method(lightning.LightningModule, ABC):
    """A way to train a policy. Subclasses say what is gathered and which objective reduces it."""

    strict_loading = False  # a checkpoint holds what is trained, not the base model

    def __init__(
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
        self.policy = policy
        self.reasoning, self.readout = reasoning, readout
        self.optimiser = optimiser
        self.generation = generation
        self.share_prompt = share_prompt
        self.start = start
        """Folder of a finished run whose weights training starts from."""
        self.reference: Reference | None = None
        self.values: dict[str, Tensor] = {}
        """What `gather` wants logged."""
        self.rollout_rows: list[Row] = []
        """The responses that the last `gather` sampled, for people to read."""
        self.encoder: Encoder
        self.validated = 0
        """Items of this validation so far, of this process."""
        self.readable: dict[str, list[Tensor]] = {}
        """Of each item of this validation, whether its response could be read; by what is logged."""
        self.pooled = StepMetrics()
        self.spread = Spread()
        """Of the answers that choose the best checkpoint."""
        self.predictions: list[Prediction] = []
        """What the last `Trainer.predict` found, item by item."""

    @abstractmethod
    def gather(self, batch: Batch) -> Any:
        """What the policy says about a batch, as the record that the objective takes."""

    @abstractmethod
    def reduce(self, experience: Any) -> Loss:
        """The objective."""

    def attach(self, encoder: Encoder) -> None:
        """Take the encoder of the corpus to be trained on; the policy must be loaded."""
        self.encoder = encoder
        self.train()  # transformers hands models over in evaluation mode, and Lightning leaves them in it
        count = len(encoder.categories)
        self.validation = torch.nn.ModuleDict(
            {name: MetricCollection({m.name: m for m in all_metrics(count)}) for name in self.validated_modes}
        )

    @property
    def validated_modes(self) -> tuple[str, ...]:
        """Names of the readings of a validation: its metrics are called MODE/METRIC."""
        return ("curated", self.mode) if self.reads_curated else (self.mode,)

    @property
    def mode(self) -> str:
        """Name of the reading that is evaluated: behind reasoning that the policy generates, or at once."""
        return "generated" if self.reasoning else "direct"

    @property
    def writes(self) -> bool:
        """Whether the policy writes text of its own: reasoning, or an answer in words."""
        return self.reasoning or self.readout == "verbalised"

    @property
    def reads_curated(self) -> bool:
        """Whether validation also reads behind the curated reasoning, which costs no generation."""
        return self.reasoning and self.readout == "logits"

    @property
    def needs_rationale(self) -> bool:
        """Whether only items with a curated rationale can be trained on."""
        return self.reasoning

    @property
    def sampled_tokens(self) -> int:
        """Longest response that is sampled in training, in tokens; 0 where none is."""
        return 0

    @property
    def smallest_batch(self) -> int:
        """Fewest items of a batch that the method can learn from."""
        return 1

    @property
    def compares(self) -> str | None:
        """The setting by which the items of an update weigh on each other, so that all must be in one pass, if any."""
        return None

    def check_samples(self) -> None:
        """InputError where several samples are asked for that would all be the same."""
        if self.generation.samples > 1 and not self.writes:
            raise InputError(
                "without reasoning every sample is the same:",
                where="model.generation",
                remedy="set samples to 1, or reasoning to true.",
            )

    def notes(self) -> list[str]:
        """What a user should know of the settings before training."""
        return []

    @property
    def updates(self) -> int:
        """Optimiser steps on each batch, one after another."""
        return 1

    def prepare(self) -> None:
        """Called once before training, when the weights are those that training starts from."""
        if self.reference is not None:
            self.reference.take(self.policy)
            self.reference.check(self.policy, started=self.start is not None)

    @property
    def passes(self) -> PassSettings:
        """How training passes are computed."""
        return PassSettings(self.encoder.answer, share_prompt=self.shares)

    @property
    def shares(self) -> bool:
        """Whether what texts have in common is computed once, where the policy can."""
        return self.share_prompt is not False

    def check_abilities(self, *, training: bool) -> None:
        """InputError where more is asked of a policy than its self-check allows; it must be loaded."""
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

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.values = {}
        loss: Loss = self.policy(lambda: self.reduce(self.gather(batch)))
        try:
            weight = self.pooled.step(batch, loss, self.values)
        except NotFinite as error:
            if self.optimiser.not_finite == "stop":
                raise
            print(f"skipped: {error}", file=sys.stderr)
            return torch.stack([p.sum() * 0 for _, p in trained_parameters(self.policy)]).sum()
        self.log_dict(self.pooled.parts, prog_bar=True, batch_size=1)
        self.log_dict(self.pooled.values, batch_size=1)
        return loss.total * weight

    def on_validation_epoch_start(self) -> None:
        self.validated, self.readable = 0, {}
        self.whole = ExitStack()
        self.whole.enter_context(gathered_weights(self.policy))

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Reading]:
        readings, rows = {}, self._written_rows(batch)
        if self.reads_curated and batch.curated is not None:
            readings["curated"] = self._read_curated(batch)
        if rows:
            readings[self.mode] = self.read(batch.select(rows))
        self.validated += len(batch.items)
        for name, reading in readings.items():
            label_dist = batch.label_dist[: len(reading.predicted_dist)]
            self.validation[name].update(label_dist, reading.predicted_dist, reading.parsed)  # type: ignore[operator]
            if name == self.mode:
                self.spread.add(label_dist, reading.predicted_dist)
            if reading.unparsed is not None:
                self.readable.setdefault(f"{name}/parsed", []).append(reading.parsed.float())
        return readings

    def _written_rows(self, batch: Batch) -> list[int]:
        """The batch's rows that are read by the policy's own text: the first of the loader, over all processes, where
        the data module has put a sample of the split."""
        if not self.writes:
            return list(range(len(batch.items)))
        first = distributed.rank() + distributed.world_size() * self.validated
        places = range(first, first + distributed.world_size() * len(batch.items), distributed.world_size())
        return [row for row, place in enumerate(places) if place < self.generation.validation_items]

    def on_validation_epoch_end(self) -> None:
        self.whole.close()
        for mode, metrics in self.validation.items():
            assert isinstance(metrics, MetricCollection)
            if any(distributed.all_gather_object(any(metric.update_called for metric in metrics.values()))):
                for name, value in metrics.compute().items():
                    self.log(f"{mode}/{name}", value.float(), prog_bar=name in PROGRESS_BAR)
            metrics.reset()
        spread = self.spread.pooled()
        self.log_dict({f"{self.mode}/{name}": value.float() for name, value in spread.items()})
        own = {name: torch.cat(rows) for name, rows in self.readable.items()}
        self.log_dict(distributed.all_reduce_means(own))

    def on_predict_start(self) -> None:
        self.predictions.clear()

    def predict_step(self, batch: Batch, batch_idx: int) -> None:
        """Keeps the batch's predictions here: Lightning would take its frozen records apart."""
        self.predictions.extend(from_reading(batch.items, self.read(batch)))

    @property
    def monitor(self) -> str:
        """The validation metric that chooses the best checkpoint: that of the reading which is evaluated."""
        return f"{self.mode}/js_div_bits"

    def read(self, batch: Batch) -> Reading:
        """The distributions that are evaluated: after or in the policy's own response, or at once."""
        tokens, samples, share = self.generation.max_new_tokens, self.generation.samples, self.shares
        if samples > 1:
            self.check_samples()
            return read_samples(self.encoder, batch, max_new_tokens=tokens, samples=samples, share=share)
        if self.encoder.answer is None:
            return read_stated(self.encoder, batch, max_new_tokens=tokens, share=share)
        tokens = tokens if self.reasoning else 0
        return read_generated(self.policy, batch, self.encoder.answer, max_new_tokens=tokens, share=share)

    def _read_curated(self, batch: Batch) -> Reading:
        assert self.encoder.answer is not None
        return read_curated(self.policy, batch, self.encoder.answer, share=self.shares)

    def configure_model(self) -> None:
        """Divide the weights, where the strategy asks for it (FSDP2)."""
        strategy = self.trainer.strategy
        if isinstance(strategy, ModelParallelStrategy):
            self.policy.root.shard(self.policy.layers, strategy.device_mesh["data_parallel"])

    def configure_optimizers(self) -> Any:
        groups = parameter_groups(self.policy, self.optimiser)
        optimiser = torch.optim.AdamW(groups, lr=self.optimiser.learning_rate)
        steps = int(self.trainer.estimated_stepping_batches)
        # Counting them made the loader, before a saved place in the data was restored: let it be made again then.
        self.trainer.fit_loop._combined_loader = None
        schedule = cosine_schedule(optimiser, steps, warmup_share=self.optimiser.warmup_share)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen base model out: it is read from its own files again."""
        frozen = {f"policy.{name}" for name, p in self.policy.named_parameters() if not p.requires_grad}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k not in frozen}
        checkpoint["pooled"] = self.pooled.values
        checkpoint["reference"] = {} if self.reference is None else self.reference.kept

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.pooled.values = checkpoint["pooled"]
        if self.reference is not None:
            self.reference.restore(checkpoint["reference"])
