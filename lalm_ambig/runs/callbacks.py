"""Callbacks that show and save responses of the policy during training, for people to read."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from lalm_ambig.core.types import Batch, Reading
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.logs import append_rows
from lalm_ambig.runs.response_tables import rollout_table, sample_table


class Samples(Callback):
    """Shows the first responses of each validation with p and p̂, and appends them to `samples.jsonl`."""

    def __init__(self, run: RunFolder, count: int, *, console: Console) -> None:
        self.file = run.path / "samples.jsonl"
        self.count, self.console = count, console
        self.rows: list[dict[str, Any]] = []

    def on_validation_batch_end(  # noqa: PLR0913  # Lightning's own form
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx or trainer.sanity_checking or not trainer.is_global_zero:
            return
        mode = "generated" if "generated" in outputs else next(iter(outputs))
        reading: Reading = outputs[mode]
        for row, item in list(enumerate(batch.items))[: min(self.count, len(reading.responses))]:
            self.rows.append(
                {
                    "step": trainer.global_step,
                    "id": item.id,
                    "reading": mode,
                    "label_dist": [round(p, 4) for p in item.label_dist],
                    "predicted_dist": [round(p, 4) for p in reading.predicted_dist[row].tolist()],
                    "closed": reading.was_completed[row],
                    "unparsed": None if reading.unparsed is None else reading.unparsed[row],
                    "response": reading.responses[row],
                }
            )

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        if not self.rows:
            return
        append_rows(self.file, self.rows)
        self.console.print(sample_table(self.rows, pl_module.encoder.categories.names))
        self.rows.clear()


class RolloutTable(Callback):
    """Shows one item's group of sampled responses every so many steps, and appends the batch to `rollouts.jsonl`."""

    def __init__(self, run: RunFolder, every: int, *, console: Console) -> None:
        self.file = run.path / "rollouts.jsonl"
        self.every, self.console = every, console
        self.shown = -1
        """The step that was shown last."""

    def state_dict(self) -> dict[str, int]:
        return {"shown": self.shown}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.shown = state_dict["shown"]

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Keep the responses: the next step may be another update on them."""
        checkpoint["rollout_rows"] = pl_module.rollout_rows

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        pl_module.rollout_rows = checkpoint.get("rollout_rows", [])

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        rows, step = pl_module.rollout_rows, trainer.global_step
        within_first = step == 0  # a pass of a step that has others
        if (
            not rows
            or within_first
            or step == self.shown
            or (step - 1) % self.every
            or not trainer.is_global_zero
        ):
            return
        self.shown = step
        append_rows(self.file, [{"step": step, **row} for row in rows])
        group = [row for row in rows if row["id"] == rows[0]["id"]]
        self.console.print(rollout_table(group, pl_module.encoder.categories.names, step=step))
