"""One test per private name of Lightning or DeepSpeed: it fails where a version of the library has changed it."""

import csv
import os
import signal
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning
import pytest
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch.utils.data import DataLoader

from lalm_ambig.core import lightning_internals as internals

pytestmark = pytest.mark.filterwarnings("ignore")


class Counting(lightning.LightningModule):
    """Counts how often its loader is made, and what becomes of SIGTERM while it trains."""

    def __init__(self, *, forget: bool) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.forget, self.loaders = forget, 0
        self.on_sigterm: Any = None

    def train_dataloader(self) -> Any:
        self.loaders += 1
        return DataLoader(range(3), collate_fn=list)  # type: ignore[arg-type]

    def training_step(self, batch: list[int], batch_idx: int) -> torch.Tensor:
        self.on_sigterm = signal.getsignal(signal.SIGTERM)
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        assert self.trainer.estimated_stepping_batches == 3
        if self.forget:
            internals.forget_train_loader(self.trainer)
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(**settings: Any) -> Any:
    return lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **{"logger": False, **settings},
    )


@pytest.mark.parametrize("forget", [False, True])
def test_a_forgotten_loader_is_made_anew(forget: bool) -> None:
    module = Counting(forget=forget)
    trainer().fit(module)
    assert module.loaders == 1 + forget


def test_the_loop_takes_the_number_of_batches_that_stepped() -> None:
    own = trainer()
    own.fit(Counting(forget=False))
    loop = own.fit_loop.epoch_loop
    assert loop.on_save_checkpoint()["_batches_that_stepped"] == 3
    internals.set_batches_that_stepped(own, 7)
    assert loop.on_save_checkpoint()["_batches_that_stepped"] == 7


def test_the_first_iteration_of_the_logs_is_as_it_was() -> None:
    own = trainer()
    logs = own._logger_connector
    logs._first_loop_iter = True
    with internals.first_iteration_kept(own):
        logs.epoch_end_reached()
        assert logs._first_loop_iter is None
    assert logs._first_loop_iter is True


def test_the_other_processes_are_started_without_lightnings_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def popen(*_: object, env: dict[str, str], **__: object) -> str:
        started.append(env["LOCAL_RANK"])
        return f"process {env['LOCAL_RANK']}"

    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, os.environ.get(name, "0"))  # which the launcher sets: undone after the test
    monkeypatch.setattr(subprocess, "Popen", popen)
    threads = threading.active_count()
    launcher = _SubprocessScriptLauncher(LightningEnvironment(), num_processes=3, num_nodes=1)
    assert internals.start_other_processes(launcher) == ["process 1", "process 2"]
    assert started == ["1", "2"]
    assert threading.active_count() == threads


def test_a_trainer_without_handlers_leaves_sigterm_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    plain, module = Counting(forget=False), Counting(forget=False)
    trainer().fit(plain)
    assert plain.on_sigterm != before, "Lightning's own"
    internals.without_handlers(trainer()).fit(module)
    assert module.on_sigterm == before


def test_the_cluster_environment_of_one_device_and_of_several_is_found() -> None:
    environment = SLURMEnvironment(auto_requeue=False)
    assert internals.cluster_environment(trainer(plugins=[environment])) is environment
    several = SimpleNamespace(strategy=DDPStrategy(cluster_environment=environment))
    assert internals.cluster_environment(several) is environment


def test_all_devices_are_one_data_parallel_group() -> None:
    strategy = ModelParallelStrategy()
    strategy.parallel_devices, strategy.num_nodes = [torch.device("cpu")] * 3, 2
    internals.divide_over_all(strategy)
    assert (strategy._data_parallel_size, strategy._tensor_parallel_size) == (6, 1)


class Writer(internals.KeepingWriter):
    """Notes the head lines that it is asked for."""

    heads: list[list[str]]

    def rewrite(self, fieldnames: list[str]) -> None:
        self.heads = [*getattr(self, "heads", []), list(fieldnames)]


def test_a_writer_keeps_the_rows_and_is_asked_for_another_head(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("a,step\r\n1,0\r\n", newline="")
    logger = CSVLogger(tmp_path, name="", version="")
    writer = Writer(str(tmp_path))
    internals.set_writer(logger, writer)
    assert logger.experiment is writer
    logger.log_metrics({"a": 2.0, "b": 3.0}, step=1)
    logger.finalize("success")
    assert writer.heads == [["a", "b", "step"]]
    with (tmp_path / "metrics.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["a", "step"], ["1", "0"], ["2.0", "3.0", "1"]]


def test_zeros_hooks_are_registered_from_the_root() -> None:
    offloads = pytest.importorskip("deepspeed.runtime.zero.parameter_offload")
    internals.check_has(offloads.DeepSpeedZeRoOffload, "_register_deepspeed_module", library="deepspeed")
    registered: list[object] = []
    offload = SimpleNamespace(module="root", _register_deepspeed_module=registered.append)
    internals.register_hooks(offload)
    assert registered == ["root"]


def test_a_name_that_a_library_has_no_more_is_said_with_both_versions() -> None:
    with pytest.raises(
        internals.Changed, match=r"lightning .* has no SimpleNamespace._combined_loader: .* 2.6.6"
    ):
        internals.forget_train_loader(SimpleNamespace(fit_loop=SimpleNamespace()))
