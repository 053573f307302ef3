"""DeepSpeed without a GPU, for tests only: Lightning asks for CUDA devices, and addresses devices by their index."""

import argparse
from importlib import import_module
from typing import Any

import deepspeed
from lightning.fabric.utilities.seed import reset_seed
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy

import_module("deepspeed.comm.torch").build_shm_op = lambda: (
    None
)  # half a minute of compiling, for nothing here
SMALL = 1_000_000


class CPUDeepSpeed(DeepSpeedStrategy):
    """Processes that meet through gloo, each training on its CPU."""

    def __init__(self, stage: int) -> None:
        super().__init__(
            stage=stage,
            exclude_frozen_parameters=True,
            allgather_bucket_size=SMALL,
            reduce_bucket_size=SMALL,
            overlap_comm=False,
        )

    def setup_environment(self) -> None:
        DDPStrategy.setup_environment(self)

    def setup_distributed(self) -> None:
        reset_seed()
        self.set_world_ranks()
        self._init_deepspeed_distributed()

    def _get_process_group_backend(self) -> str:
        return "gloo"

    def _setup_model_and_optimizer(
        self, model: Any, optimizer: Any, lr_scheduler: Any = None
    ) -> tuple[Any, Any]:
        engine, wrapped, _, _ = deepspeed.initialize(
            args=argparse.Namespace(device_rank=self.local_rank),
            config=self.config,
            model=model,
            model_parameters=[p for p in model.parameters() if p.requires_grad],
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            dist_init_required=False,
        )
        return engine, wrapped
