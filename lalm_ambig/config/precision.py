"""Which types of weights fit which precision of the trainer, checked before anything is loaded.

| weights  | 32-true | bf16-mixed | 16-mixed, GPU | 16-mixed, CPU (computed as bf16-mixed) |
|----------|---------|------------|---------------|----------------------------------------|
| float32  | yes     | yes        | yes           | yes                                    |
| bfloat16 | yes     | yes        | no            | yes                                    |
| float16  | yes     | no         | yes           | no                                     |

Autocast cannot combine bfloat16 with float16. `bf16-true` and `16-true` would round targets and log-probabilities,
which stay in float32 here.
"""

from collections.abc import Mapping
from typing import Any

import torch

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.base import Policy

SHORT = {"32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed", "None": "32-true"}
"""Lightning's older name of a precision to its present one."""
COMPUTES = {"32-true": "float32", "bf16-mixed": "bfloat16", "16-mixed": "float16"}
"""Precision to the type in which a forward pass computes."""
WHERE = "trainer.precision"
BF16_REMEDY = (
    "Faster: --trainer.precision 16-mixed --policy.dtype float16 (with a gradient scaler), or 32-true with float32; "
    "for evaluate --precision in place of --trainer.precision."
)
"""What to use on a card without bf16."""


def check_precision(policy: Policy, trainer: Mapping[str, Any], *, training: bool) -> None:
    """Check that the trainer's precision fits the type of the policy's weights.

    Args:
        policy: The policy; it need not be loaded.
        trainer: The trainer's settings.
        training: Whether weights will be trained.

    Raises:
        InputError: The precision is unknown, or it does not fit the weights.
    """
    precision = check_name(trainer["precision"])
    weights = policy.weights_dtype()
    computed = (
        "bfloat16" if precision == "16-mixed" and on_cpu(trainer["accelerator"]) else COMPUTES[precision]
    )
    if "float32" not in (weights, computed) and weights not in (None, computed):
        other = "16-mixed" if weights == "float16" and not on_cpu(trainer["accelerator"]) else "32-true"
        on = " on a CPU, which computes it as bf16-mixed," if COMPUTES[precision] != computed else ""
        raise InputError(
            f"{precision}{on} does not go with {weights} weights.",
            where=WHERE,
            remedy=f"Set it to {other}, or policy.dtype to {computed}: --trainer.precision {other} or "
            f"--policy.dtype {computed} for fit, --precision {other} for evaluate.",
        )
    if training and policy.adapter.method == "full":
        _check_master_weights(weights, precision, str(trainer["strategy"]))


def check_name(given: Any) -> str:
    """Return Lightning's present name of a precision.

    Args:
        given: The setting of the trainer.

    Returns:
        `32-true`, `bf16-mixed` or `16-mixed`.

    Raises:
        InputError: The precision is unknown, or it would round targets.

    >>> check_name("bf16")
    'bf16-mixed'
    """
    name = SHORT.get(str(given), str(given))
    if name in ("bf16-true", "16-true"):
        raise InputError(
            f"{name} would round targets and log-probabilities, which stay in float32 here.",
            where=WHERE,
            remedy="Use bf16-mixed; or 32-true with policy.init_args.dtype: bfloat16 for weights of two bytes.",
        )
    if name not in COMPUTES:
        raise InputError(f"unknown precision {name!r}: expected {', '.join(COMPUTES)}.", where=WHERE)
    return name


def lacks_bf16(number: int = 0) -> str | None:
    """Return that a GPU has no arithmetic in bfloat16, which torch then emulates at a fraction of the speed.

    Args:
        number: The GPU, of those that torch sees.

    Returns:
        The card's name and what it lacks, as for V100 and T4; None for a card that has it, and without GPUs.
    """
    if not torch.cuda.is_available():
        return None
    with torch.cuda.device(number):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return None
    return f"{torch.cuda.get_device_name(number)} has no bf16 arithmetic: it is emulated, and slow"


def precision_notes(policy: Policy, trainer: Mapping[str, Any]) -> list[str]:
    """Return a line for a run in bfloat16 on a GPU that has none; nothing else.

    Args:
        policy: The policy; it need not be loaded.
        trainer: The trainer's settings.
    """
    in_bf16 = "bfloat16" in (policy.weights_dtype(), COMPUTES[check_name(trainer["precision"])])
    lack = None if not in_bf16 or on_cpu(trainer["accelerator"]) else lacks_bf16()
    if lack is None:
        return []
    return [f"{lack}. {BF16_REMEDY}"]


def on_cpu(accelerator: Any) -> bool:
    """Return whether Lightning will compute on the CPU.

    Args:
        accelerator: The setting of the trainer.

    Returns:
        True for `cpu`, and for `auto` on a machine without a GPU.
    """
    if accelerator != "auto":
        return bool(accelerator == "cpu")
    return not (torch.cuda.is_available() or torch.backends.mps.is_available())


def _check_master_weights(weights: str | None, precision: str, strategy: str) -> None:
    """Refuse full fine-tuning of 16-bit weights. Their spacing is wider than AdamW's steps.

    DeepSpeed is allowed; it also keeps the weights in float32.
    """
    if weights in (None, "float32") or ("deepspeed" in strategy.lower() and precision != "32-true"):
        return
    raise InputError(
        f"full fine-tuning of {weights} weights learns next to nothing: AdamW's steps are rounded away in two bytes.",
        where="policy.dtype",
        remedy="Set it to float32 (--policy.dtype float32; bf16-mixed still computes in two bytes), or choose "
        "--trainer.strategy deepspeed_stage_2 or _3, which keep weights in float32 beside.",
    )
