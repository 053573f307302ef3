"""Lightning's strategies by name, which divide a run over devices. Their checkpoints have trained weights only."""

import re
import sys
from typing import Any

import lightning
import torch
from jaxtyping import Shaped
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DeepSpeedStrategy, ModelParallelStrategy, Strategy
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.lightning_internals import divide_over_all
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.methods.base import Method

NAMES = "auto, ddp, deepspeed_stage_1, _2 or _3 (also with _offload behind it), fsdp2"
DEEPSPEED = re.compile(r"deepspeed_stage_([123])(_offload)?")
INSTALL = "DS_BUILD_OPS=0 pip install --no-build-isolation deepspeed==0.19.8"


def strategy_of(configured: Any) -> Any:
    """Return the strategy for Lightning's trainer.

    Args:
        configured: A name (see `NAMES`), or a strategy.

    Raises:
        InputError: There is no such strategy, or DeepSpeed is not installed.
    """
    if not isinstance(configured, str) or configured in ("auto", "ddp"):
        return configured
    if configured == "fsdp2":
        return FSDP2Strategy()
    match = DEEPSPEED.fullmatch(configured)
    if match is None:
        raise InputError(f"unknown strategy {configured!r}: expected {NAMES}.", where="trainer.strategy")
    return _deepspeed(int(match[1]), offload=match[2] is not None)


def _deepspeed(stage: int, *, offload: bool) -> Strategy:
    try:
        strategy = DeepSpeedStrategy(
            stage=stage,
            offload_optimizer=offload,
            offload_parameters=offload and stage == 3,
            exclude_frozen_parameters=True,
        )
    except ImportError as error:  # Lightning's message names an extra that pins an old version
        raise InputError(
            "DeepSpeed is not installed.", where="trainer.strategy", remedy=f"{INSTALL} (behind torch)."
        ) from error
    assert isinstance(strategy.config, dict)
    strategy.config["zero_force_ds_cpu_optimizer"] = False  # torch's AdamW, which needs no compiler
    return strategy


def rewrites_weights(strategy: Any) -> bool:
    """Whether the strategy divides or moves the weights, so that the policy is read again after training."""
    return isinstance(strategy, DeepSpeedStrategy | ModelParallelStrategy)


def divides_weights(strategy: Any) -> bool:
    """Whether each process has only a part of the weights, so that all must make the same passes."""
    if isinstance(strategy, DeepSpeedStrategy):
        return bool(strategy.zero_stage_3)
    return isinstance(strategy, ModelParallelStrategy)


def saves_folders(strategy: Any) -> bool:
    """Whether a checkpoint is a folder into which every process writes."""
    return isinstance(strategy, DeepSpeedStrategy)


def check_strategy(strategy: Any, model: Method, data: DataModule) -> None:
    """Check that all processes can make the same passes, if the strategy needs that.

    Args:
        strategy: The strategy of training.
        model: The method, around a loaded policy.
        data: Data with the items that are trained on.

    Raises:
        InputError: They could not.
    """
    if not divides_weights(strategy):
        return
    if model.optimiser.not_finite == "skip":
        raise InputError(
            "not_finite: skip does not go with weights that are divided over processes.",
            where="model.optimiser",
            remedy="Set it to stop, or choose ddp or deepspeed_stage_1 or 2.",
        )
    if model.policy.abilities.batching != "padded":
        raise InputError(
            f"{model.policy.description} does not take texts of several lengths together, so that passes would differ "
            "between processes.",
            where="trainer.strategy",
            remedy="Choose ddp or deepspeed_stage_1 or 2.",
        )
    if len({item.has_sound for item in data.train_items()}) > 1:
        raise InputError(
            "some training items have sound and some have none, so that passes would differ between processes.",
            where="trainer.strategy",
            remedy="Choose ddp or deepspeed_stage_1 or 2.",
        )


class DividedWeights(Callback):
    """Gives the policy the object by which DeepSpeed divides its weights (see `policies.weights.sharding`)."""

    def on_sanity_check_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self.on_train_start(trainer, pl_module)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        strategy = trainer.strategy
        if isinstance(strategy, DeepSpeedStrategy) and strategy.zero_stage_3:
            pl_module.policy.zero_offload = strategy.deepspeed_engine.optimizer.parameter_offload


class CheckOnDevice(Callback):
    """Runs the policy's self-check once more on the device that it is moved to, before the first batch.

    Kernels there are not those of the CPU. Weights that are divided over processes are not checked again: no process
    could run the policy by itself.
    """

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        self._check(trainer, pl_module, training=True)

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        self._check(trainer, pl_module, training=False)

    def _check(self, trainer: Any, pl_module: Any, *, training: bool) -> None:
        if divides_weights(trainer.strategy):
            return
        policy = pl_module.policy
        before = policy.abilities.notes
        policy.check_again_if_moved()
        for note in policy.abilities.notes if trainer.is_global_zero else ():
            if note not in before:
                print(f"{policy.description} on {policy.device.type}: {note}", file=sys.stderr)
        pl_module.check_abilities(training=training)


class FSDP2Strategy(ModelParallelStrategy):
    """FSDP2 over all devices. A checkpoint is one file of undivided tensors, of trained weights only."""

    def __init__(self) -> None:
        super().__init__(save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        divide_over_all(self)
        super().setup_environment()

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        assert self.lightning_module is not None
        trained = {n: p for n, p in self.lightning_module.named_parameters() if p.requires_grad}
        return {name: to_full_cpu(value) for name, value in trained.items()}

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:
        saved = optimizer.state_dict()
        state = {
            n: {k: to_full_cpu(v) if isinstance(v, Tensor) else v for k, v in entry.items()}
            for n, entry in saved["state"].items()
        }
        return {**saved, "state": state}

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        loaded: dict[str, Any] = self.checkpoint_io.load_checkpoint(
            self.broadcast(checkpoint_path), weights_only=weights_only
        )
        return loaded

    def load_model_state_dict(self, checkpoint: Any, strict: bool = True) -> None:
        assert self.lightning_module is not None
        for name, parameter in self.lightning_module.named_parameters():
            if parameter.requires_grad:
                with torch.no_grad():
                    parameter.copy_(shard_like(checkpoint["state_dict"][name], parameter))

    def load_optimizer_state_dict(self, checkpoint: Any) -> None:
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            numbers = [n for group in saved["param_groups"] for n in group["params"]]
            state = {
                n: {
                    k: shard_like(v, p) if same_shape(v, p) else v
                    for k, v in saved["state"].get(n, {}).items()
                }
                for n, p in zip(numbers, parameters, strict=True)
            }
            optimizer.load_state_dict({**saved, "state": state})


def to_full_cpu(value: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
    """Return a copy on the CPU. Of a divided tensor it has all parts, and every process must call."""
    return (value.full_tensor() if isinstance(value, DTensor) else value).detach().cpu().clone()


def same_shape(value: Any, parameter: Shaped[Tensor, "*shape"]) -> bool:
    """Whether a value is a tensor of the parameter's shape."""
    return isinstance(value, Tensor) and value.shape == parameter.shape


def shard_like(
    value: Shaped[Tensor, "*shape"], parameter: Shaped[Tensor, "*shape"]
) -> Shaped[Tensor, "*shape"]:
    """Return an undivided tensor divided as a parameter is."""
    if not isinstance(parameter, DTensor):
        return value.to(parameter.device)
    return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
