"""Two processes train the policies of runs for a step under ZeRO and save them: `zero_writer.py RUN:STAGE…`.

Not a test: run in a process of its own. Each checkpoint is RUN/checkpoints/STAGE.ckpt, and beside it stands what was
trained, gathered, as safetensors.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import deepspeed
import torch
from safetensors.torch import save_file
from small_model import nudge
from torch import multiprocessing, nn

from lalm_ambig.config.cli import parse
from lalm_ambig.core.types import Tokens
from lalm_ambig.policies.tiny import Tiny

WORLD = 2


class Trained(nn.Module):
    """Holds a policy where a method holds it."""

    def __init__(self, policy: Tiny) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.policy = policy
        policy.load()
        if policy.standardise_audio:
            policy.standardise(torch.linspace(-1, 1, 128), torch.linspace(0.5, 3, 128))
        nudge(policy, by=0.01)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        tokens = Tokens(ids, torch.ones_like(ids, dtype=torch.bool))
        return self.policy.hidden(self.policy.embed(tokens), tokens.mask).square().mean()


def settings(stage: int) -> dict[str, Any]:
    small = 1_000_000
    zero = {
        "stage": stage,
        "overlap_comm": False,
        "reduce_bucket_size": small,
        "allgather_bucket_size": small,
    }
    return {
        "train_micro_batch_size_per_gpu": 1,
        "zero_allow_untested_optimizer": True,
        "zero_optimization": zero,
    }


def write(rank: int, folder: Path, orders: list[tuple[Path, int]]) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(WORLD)}
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD
    )
    backend: Any = import_module("deepspeed.comm.torch")
    backend.build_shm_op = lambda: None  # would compile C++ for half a minute, which nothing here needs
    deepspeed.init_distributed("gloo", auto_mpi_discovery=False)  # finds the group that has met
    for run, stage in orders:
        _write_one(rank, run, stage)
        torch.distributed.barrier()


def _write_one(rank: int, run: Path, stage: int) -> None:
    module = Trained(parse([f"--config={run}/config.yaml"]).model.policy)
    trained = [p for p in module.parameters() if p.requires_grad]
    engine, *_ = deepspeed.initialize(
        model=module,
        model_parameters=trained,
        optimizer=torch.optim.AdamW(trained, lr=1e-3),
        config=settings(stage),
        dist_init_required=False,
    )
    engine.backward(engine(torch.arange(20 + rank)[None]))
    engine.step()
    with deepspeed.zero.GatheredParameters(trained, enabled=stage == 3):
        now = {name: p.detach().clone() for name, p in module.policy.named_parameters() if p.requires_grad}
    place = run / "checkpoints" / f"{stage}.ckpt"
    engine.save_checkpoint(str(place), tag="checkpoint", exclude_frozen_parameters=True)
    if rank == 0:
        save_file(now, place.with_suffix(".safetensors"))


if __name__ == "__main__":
    wanted = [(Path(word.rpartition(":")[0]), int(word.rpartition(":")[2])) for word in sys.argv[1:]]
    multiprocessing.start_processes(
        write, args=(wanted[0][0].parent, wanted), nprocs=WORLD, start_method="fork"
    )
