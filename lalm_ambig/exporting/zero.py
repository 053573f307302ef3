"""What a DeepSpeed ZeRO checkpoint folder has trained, put together from the parts that its processes wrote.

The files are pickles: reading one runs whatever it says. Only a user's own may be given.
"""

import io
import logging
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.qwen2_audio import Qwen2Audio

INSTALL = "DS_BUILD_OPS=0 pip install --no-build-isolation deepspeed==0.19.8"
PREFIX = "policy."
"""Where a method keeps its policy."""
BROKEN = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    ImportError,
    EOFError,
    RuntimeError,
    pickle.UnpicklingError,
)
"""What DeepSpeed's reader raises over files that are missing, cut short or of something else."""


def read_zero(folder: Path) -> dict[str, Tensor]:
    """Trained parameters and buffers in float32, under the policy's own names; stages 1, 2 and 3.

    Args:
        folder: As Lightning's DeepSpeedStrategy writes it (`checkpoint/`, `latest`), or `checkpoint/` itself.

    Raises InputError where DeepSpeed is not installed, or the folder is no such checkpoint or an incomplete one.
    """
    root, tag = _located(folder)
    with _silenced():
        merge = _reader()
        try:
            found: dict[str, Tensor] = merge(str(root), tag=tag, exclude_frozen_parameters=True)
        except BROKEN as error:
            reason = str(error).split("\n")[0] or type(error).__name__
            raise InputError(
                f"the DeepSpeed checkpoint cannot be put together: {reason}",
                where=str(folder),
                remedy="Are the files of all processes there, and whole?",
            ) from error
    return {name.partition(PREFIX)[2]: value for name, value in found.items() if PREFIX in name}


def _located(folder: Path) -> tuple[Path, str]:
    """The checkpoint's folder, and the name inside it of the one that holds the parts."""
    if any(folder.glob("*_optim_states.pt")):
        return folder.absolute().parent, folder.absolute().name
    latest = folder / "latest"
    tag = latest.read_text(encoding="utf-8").strip() if latest.is_file() else "checkpoint"
    if Path(tag).name == tag and any((folder / tag).glob("*_optim_states.pt")):
        return folder, tag
    what = "a file, as one process writes it" if folder.is_file() else "without *_optim_states.pt"
    raise InputError(
        f"{folder} is no DeepSpeed checkpoint folder: it is {what if folder.exists() else 'not there'}.",
        where="--zero",
        remedy="Give RUN/checkpoints/NAME.ckpt of a run under deepspeed_stage_1, 2 or 3.",
    )


def _reader() -> Callable[..., Any]:
    try:
        from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint
    except ImportError as error:
        raise InputError(
            "reading a DeepSpeed checkpoint needs deepspeed, which is not installed:",
            where="--zero",
            remedy=f"{INSTALL}",
        ) from error
    reader: Callable[..., Any] = get_fp32_state_dict_from_zero_checkpoint
    return reader


@contextmanager
def _silenced() -> Iterator[None]:
    """DeepSpeed reports each file on standard output and draws a bar; neither says more than our own lines."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def put_into(policy: Policy, tensors: dict[str, Tensor], *, where: str) -> None:
    """Copy what was trained into a loaded policy.

    Raises InputError where the tensors are not those that the policy trains, or have no effect.
    """
    if isinstance(policy, Qwen2Audio):
        _standardise_as(policy, tensors)
    trained = {name: p for name, p in policy.named_parameters() if p.requires_grad}
    buffers = {name for name, _ in policy.named_buffers()}
    found = {name: value for name, value in tensors.items() if name not in buffers}
    if wrong := _difference(trained, found):
        raise InputError(
            f"the checkpoint is not of this policy: {wrong}.",
            where=where,
            remedy="Give the run that it belongs to with --run.",
        )
    updates = [value for name, value in found.items() if "lora_B" in name]
    if updates and not any(bool(value.any()) for value in updates):
        raise InputError("the checkpoint has no effect: every lora_B is zero.", where=where)
    for name, value in found.items():
        trained[name].data.copy_(value)


def _difference(trained: dict[str, Any], found: dict[str, Tensor]) -> str:
    """In what the names or shapes differ; empty where they do not."""
    if missing := sorted(set(trained) - set(found)):
        return f"it lacks {missing[0]}"
    if foreign := sorted(set(found) - set(trained)):
        return f"it has {foreign[0]}, which the policy does not train"
    for name, value in found.items():
        if value.shape != trained[name].shape:
            return f"{name} is {list(value.shape)} there and {list(trained[name].shape)} in the policy"
    return ""


def _standardise_as(policy: Qwen2Audio, tensors: dict[str, Tensor]) -> None:
    """Give the projector the moments that training has measured, where it was standardised."""
    moments = [
        [v for name, v in tensors.items() if name.endswith(f".linear.{part}")]
        for part in ("mean", "deviation")
    ]
    if all(moments):
        policy.standardise(moments[0][0], moments[1][0])
