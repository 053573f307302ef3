"""Which types of weights fit which precision of the trainer, checked before anything is loaded.

| weights  | 32-true | bf16-mixed | 16-mixed, GPU | 16-mixed, CPU (computed as bf16-mixed) |
|----------|---------|------------|---------------|----------------------------------------|
| float32  | yes     | yes        | yes           | yes                                    |
| bfloat16 | yes     | yes        | no            | yes                                    |
| float16  | yes     | no         | yes           | no                                     |

Autocast cannot combine bfloat16 with float16. `bf16-true` and `16-true` would round targets and log-probabilities,
which stay in float32 here.

`auto` is what the machine computes fastest in without emulating it: `bf16-mixed` on a GPU with bf16 arithmetic and on a
CPU with AMX or AVX512-BF16, `16-mixed` on another GPU, and `32-true` elsewhere. It is replaced by that name as soon as
the configuration is read, so the run's record and its identity have the name.
"""

from collections.abc import Mapping
from typing import Any

import torch

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.quantised_base import Quantize, speed_note

SHORT = {"32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed", "None": "32-true"}
"""Lightning's older name of a precision to its present one."""
COMPUTES = {"32-true": "float32", "bf16-mixed": "bfloat16", "16-mixed": "float16"}
"""Precision to the type in which a forward pass computes."""
AUTO = "auto"
WHERE = "trainer.precision"
CPU_FEATURES = ("amx_bf16", "avx512_bf16", "sve_bf16", "arm_bf16")
"""What a CPU calls its arithmetic in bfloat16."""
BF16_REMEDY = (
    "Faster: --trainer.precision 16-mixed --policy.dtype float16 (with a gradient scaler), or 32-true with float32; "
    "for evaluate --precision in place of --trainer.precision."
)
"""What to use on a card without bf16."""
WHOLE = ("auto", "ddp")
"""Strategies that leave every process the whole base model as it was loaded."""


def check_precision(policy: Policy, trainer: Mapping[str, Any], *, training: bool) -> None:
    """Check that the trainer's precision fits the type of the policy's weights.

    Args:
        policy: The policy; it need not be loaded.
        trainer: The trainer's settings.
        training: Whether weights will be trained.

    Raises:
        InputError: The precision is unknown, or it does not fit the weights. Or weights are to be quantised, and the
            package is missing or the strategy would divide them.
    """
    precision = check_name(trainer["precision"])
    if policy.quantize is not None:
        check_quantised(policy.quantize, str(trainer["strategy"]) if training else "auto")
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


def check_quantised(kind: Quantize, strategy: str) -> None:
    """Check that each process has all of a quantised base.

    Args:
        kind: Kind of the quantised weights.
        strategy: The trainer's strategy.

    Raises:
        InputError: The strategy divides or converts weights.
    """
    if strategy not in WHOLE:
        raise InputError(
            f"{strategy} divides or converts weights, and packed {kind} weights allow neither.",
            where="trainer.strategy",
            remedy="Choose --trainer.strategy auto or ddp, or leave policy.quantize out.",
        )


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
        raise InputError(f"unknown precision {name!r}: expected {', '.join((*COMPUTES, AUTO))}.", where=WHERE)
    return name


def chosen_precision(trainer: Mapping[str, Any], dtype: str | None) -> str:
    """Return what `auto` stands for on this machine.

    Args:
        trainer: The trainer's settings.
        dtype: The setting of the policy's weights; None if they keep the checkpoint's type.

    Returns:
        `32-true`, `bf16-mixed` or `16-mixed`.
    """
    if on_cpu(trainer["accelerator"]):
        return "bf16-mixed" if cpu_has_bf16() and dtype != "float16" else "32-true"
    if trainer["accelerator"] == "mps" or not torch.cuda.is_available():
        return "32-true"
    if dtype == "float16" or (lacks_bf16() and dtype != "bfloat16"):
        return "16-mixed"
    return "32-true" if lacks_bf16() else "bf16-mixed"


def cpu_has_bf16() -> bool:
    """Return whether this machine's CPU has arithmetic in bfloat16, by AMX, AVX512-BF16 or Arm's instructions."""
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in CPU_FEATURES)


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
    """Return lines about what is slow on this machine's GPU: bfloat16 that it lacks, `nf4` without its kernel.

    Args:
        policy: The policy; it need not be loaded.
        trainer: The trainer's settings.
    """
    in_bf16 = "bfloat16" in (policy.weights_dtype(), COMPUTES[check_name(trainer["precision"])])
    lack = None if not in_bf16 or on_cpu(trainer["accelerator"]) else lacks_bf16()
    notes = [] if lack is None else [f"{lack}. {BF16_REMEDY}"]
    if policy.quantize is not None and not on_cpu(trainer["accelerator"]):
        notes += [note for note in (speed_note(policy.quantize),) if note is not None]
    return notes


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
