"""Checks of the callbacks that a configuration names. Callbacks that cannot work here are refused, with the reason.

The check comes before any data is read. Lightning offers all its callbacks to every module. Some need what a policy
lacks (one backbone, a field for the learning rate). The work of others would be thrown away. Some fail hours later.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelSummary, ProgressBar

from lalm_ambig.core.errors import InputError
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.help.names import closest
from lalm_ambig.methods.base import Method
from lalm_ambig.metrics.base import formulas

WHERE = "trainer.callbacks"
AVERAGES = "averages weights, and fit keeps those of the best validation: its averages would be thrown away"
SAVES = (
    "saves checkpoints, which fit does itself: states to go on from, and the weights of the best validation"
)
TRAINS_PARTS = "unfreezes a module's backbone, and a policy has none: what is trained is policy.adapter"
LEAVE_OUT = "Leave it out."
REFUSED: dict[str, tuple[str, str]] = {
    "LearningRateFinder": (
        "looks for a learning rate in the module's field `lr`, which a method has not",
        "fit … --find-lr does that; --sweep model.optimiser.learning_rate=1e-4,3e-4 compares a few by validation.",
    ),
    "BatchSizeFinder": (
        "would change how many items an update compares, behind the back of data.batch_size",
        "fit … --estimate says which batch fits; set --data.batch_size.",
    ),
    "Checkpoint": (SAVES, "Leave it out; --run.checkpoint_steps N says how often."),
    "WeightAveraging": (AVERAGES, LEAVE_OUT),
    "StochasticWeightAveraging": (AVERAGES, LEAVE_OUT),
    "ModelPruning": ("sets weights to 0 for good, also the base model's, which is the reference", LEAVE_OUT),
    "BaseFinetuning": (TRAINS_PARTS, "Leave it out; set policy.adapter."),
    "BasePredictionWriter": ("writes predictions, which fit keeps itself (evaluation/)", LEAVE_OUT),
    "SpikeDetection": (
        "ends a run with an error of its own where the loss jumps",
        "Leave it out; trainer.gradient_clip_val and model.optimiser.not_finite deal with such steps.",
    ),
    "ThroughputMonitor": ("needs a function as setting, which no file can give", LEAVE_OUT),
}
"""Reason and remedy by the name of a refused class. Its subclasses are refused, too."""


def listed(configured: Any) -> list[Any]:
    """Return the setting `trainer.callbacks` or `trainer.logger` as a list.

    Args:
        configured: One object, a list of them, a switch, or None.

    Returns:
        The objects; none for a switch or None.
    """
    if configured is None or isinstance(configured, bool):
        return []
    return list(configured) if isinstance(configured, list | tuple) else [configured]


def check_callbacks(trainer: Mapping[str, Any], model: Method, data: DataModule) -> None:
    """Check that every configured callback can work here, beside these settings.

    Args:
        trainer: The trainer's settings.
        model: The method; its policy need not be loaded.
        data: The data module; it need not be set up.

    Raises:
        InputError: A callback cannot work, or it contradicts another setting.
    """
    callbacks: Sequence[Callback] = listed(trainer["callbacks"])
    for callback in callbacks:
        name = type(callback).__name__
        above = {cls.__name__ for cls in type(callback).__mro__}
        if reason := next((REFUSED[refused] for refused in REFUSED if refused in above), None):
            raise InputError(f"{name} {reason[0]}.", where=WHERE, remedy=reason[1])
        if type(callback) in (Callback, ProgressBar):
            raise InputError(
                f"{name} is the class that others are made from.",
                where=WHERE,
                remedy=f"Choose one of {', '.join(usable_callbacks())}.",
            )
        if isinstance(callback, EarlyStopping):
            _check_monitor(callback, trainer, model, data=data)
    _check_shown(callbacks, trainer)
    _check_others(callbacks, trainer, data)


def check_patience(patience: int | None, trainer: Mapping[str, Any]) -> None:
    """Check that a run with `run.patience` is validated.

    Args:
        patience: The setting.
        trainer: The trainer's settings.

    Raises:
        InputError: There are no validations.
    """
    if patience is not None and trainer["limit_val_batches"] == 0:
        raise InputError(
            "it counts validations, and trainer.limit_val_batches is 0.",
            where="run.patience",
            remedy=LEAVE_OUT,
        )


def usable_callbacks() -> list[str]:
    """Return the names of Lightning's callbacks that can work here.

    Returns:
        Class names, in Lightning's order.
    """
    names = [name for name in lightning_callbacks.__all__ if name not in ("Callback", "ProgressBar")]
    return [name for name in names if not _refused(getattr(lightning_callbacks, name))]


def _refused(cls: type) -> bool:
    return any(above.__name__ in REFUSED for above in cls.__mro__)


def _check_monitor(
    callback: EarlyStopping, trainer: Mapping[str, Any], model: Method, *, data: DataModule
) -> None:
    """Refuse a metric that no validation computes, and one that is watched in the wrong direction."""
    monitor = callback.monitor
    if trainer["limit_val_batches"] == 0:
        raise InputError(
            f"EarlyStopping looks at {monitor} in validations, and trainer.limit_val_batches is 0.",
            where=WHERE,
            remedy=LEAVE_OUT,
        )
    if monitor.startswith("train/"):
        return
    metrics = {f"{mode}/{m.name}": m for mode in model.validated_modes for m in formulas(2)}
    extra = _measures(model)
    if monitor in metrics and metrics[monitor].needs_order and not data.corpus.categories.ordered:
        raise InputError(
            f"EarlyStopping looks at {monitor}, which needs ordered classes; those of {data.corpus.name} have none.",
            where=WHERE,
            remedy=f"Set monitor to {model.monitor}.",
        )
    if monitor not in metrics and monitor not in extra:
        meant = closest(monitor, metrics) or model.monitor
        raise InputError(
            f"EarlyStopping: this run's validation has no metric {monitor!r}.",
            where=WHERE,
            remedy=f"Set monitor to {meant}, or another of {', '.join(sorted(metrics))}.",
        )
    higher = extra[monitor] if monitor in extra else metrics[monitor].higher_is_better
    if higher is not None and callback.mode != ("max" if higher else "min"):
        raise InputError(
            f"EarlyStopping: {monitor} is better the {'larger' if higher else 'smaller'} it is, and mode is "
            f"{callback.mode}: training would stop as soon as it gets better.",
            where=WHERE,
            remedy=f"Set mode to {'max' if higher else 'min'}.",
        )


def _measures(model: Method) -> dict[str, bool | None]:
    """What a validation logs of responses beside metrics, and whether more of it is better (None: neither)."""
    if model.readout == "verbalised":
        return {f"{mode}/parsed": True for mode in model.validated_modes}
    written = [reader.name for reader in model.readers if reader.generates_text]
    return {
        **{f"{mode}/class_mass": True for mode in model.validated_modes},
        **{f"{mode}/well_formed": True for mode in written},
        **{f"{mode}/tokens": None for mode in written},
    }


def _check_shown(callbacks: Sequence[Callback], trainer: Mapping[str, Any]) -> None:
    """Refuse two progress bars, and a bar or summary that is asked for and switched off."""
    bars = [type(callback).__name__ for callback in callbacks if isinstance(callback, ProgressBar)]
    if len(bars) > 1:
        raise InputError(f"{' and '.join(bars)} are two progress bars.", where=WHERE, remedy="Leave one out.")
    shown = [
        *bars,
        *(type(callback).__name__ for callback in callbacks if isinstance(callback, ModelSummary)),
    ]
    for name in shown:
        switch = "enable_progress_bar" if name in bars else "enable_model_summary"
        if trainer[switch] is False:
            raise InputError(
                f"{name} is asked for, and trainer.{switch} is false.",
                where=WHERE,
                remedy=f"Add --trainer.{switch} true, or leave it out.",
            )


def _check_others(callbacks: Sequence[Callback], trainer: Mapping[str, Any], data: DataModule) -> None:
    """Refuse a callback whose package is missing, and a second setting for the number of items per update."""
    names = {type(callback).__name__ for callback in callbacks}
    if "DeviceStatsMonitor" in names and find_spec("psutil") is None:
        raise InputError(
            "DeviceStatsMonitor needs psutil, which is not installed.",
            where=WHERE,
            remedy="Run: pip install psutil",
        )
    others = {
        "trainer.accumulate_grad_batches": None
        if trainer["accumulate_grad_batches"] in (None, 1)
        else trainer["accumulate_grad_batches"],
        "data.items_per_update": data.items_per_update,
    }
    for key, value in others.items() if "GradientAccumulationScheduler" in names else ():
        if value is not None:
            raise InputError(
                f"GradientAccumulationScheduler says how many items an update has, and so does {key} ({value}).",
                where=WHERE,
                remedy=f"Leave it out, or set {key} to {'1' if key.startswith('trainer') else 'null'}.",
            )
