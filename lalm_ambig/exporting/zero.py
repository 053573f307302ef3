"""Reads the trained weights of a DeepSpeed ZeRO checkpoint, from the parts that its processes wrote.

The files are pickles, and reading a pickle runs the code in it. Users must give only files of their own.
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

INSTALL = "DS_BUILD_OPS=0 pip install --no-build-isolation deepspeed==0.19.8"
PREFIX = "policy."
"""Prefix of the policy's parameters in a method."""
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
"""Exceptions of DeepSpeed's reader for files that are missing, incomplete or of another kind."""


def read_zero(folder: Path) -> dict[str, Tensor]:
    """Trained parameters and buffers of a checkpoint of stage 1, 2 or 3.

    Args:
        folder: A folder of Lightning's DeepSpeedStrategy (with `checkpoint/` and `latest`), or its `checkpoint/`.

    Returns:
        Tensors in float32, by the policy's parameter names.

    Raises:
        InputError: DeepSpeed is not installed, or the folder is not such a checkpoint or is incomplete.
    """
    root, tag = _locate(folder)
    with _silenced():
        merge = _reader()
        try:
            state: dict[str, Tensor] = merge(str(root), tag=tag, exclude_frozen_parameters=True)
        except BROKEN as error:
            reason = str(error).split("\n")[0] or type(error).__name__
            raise InputError(
                f"the DeepSpeed checkpoint cannot be put together: {reason}",
                where=str(folder),
                remedy="Are the files of all processes there, and whole?",
            ) from error
    return {name.partition(PREFIX)[2]: value for name, value in state.items() if PREFIX in name}


def _locate(folder: Path) -> tuple[Path, str]:
    """The checkpoint's folder, and the name of the folder in it that holds the parts."""
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
    """Suppress DeepSpeed's line per file and its progress bar."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def load_trained(policy: Policy, tensors: dict[str, Tensor], *, where: str) -> None:
    """Copy trained parameters into a loaded policy.

    Args:
        policy: The policy.
        tensors: Parameters and buffers, as `read_zero` gives them.
        where: The checkpoint, for messages.

    Raises:
        InputError: The tensors are not those that the policy trains, or have no effect.
    """
    policy.standardise_as_saved(tensors)
    trained = {name: p for name, p in policy.named_parameters() if p.requires_grad}
    buffers = {name for name, _ in policy.named_buffers()}
    parameters = {name: value for name, value in tensors.items() if name not in buffers}
    if wrong := _difference(trained, parameters):
        raise InputError(
            f"the checkpoint is not of this policy: {wrong}.",
            where=where,
            remedy="Give the run that it belongs to with --run.",
        )
    updates = [value for name, value in parameters.items() if "lora_B" in name]
    if updates and not any(bool(value.any()) for value in updates):
        raise InputError("the checkpoint has no effect: every lora_B is zero.", where=where)
    for name, value in parameters.items():
        trained[name].data.copy_(value)


def _difference(trained: dict[str, Any], parameters: dict[str, Tensor]) -> str:
    """The first difference of names or shapes; empty where there is none."""
    if missing := sorted(set(trained) - set(parameters)):
        return f"it lacks {missing[0]}"
    if foreign := sorted(set(parameters) - set(trained)):
        return f"it has {foreign[0]}, which the policy does not train"
    for name, value in parameters.items():
        if value.shape != trained[name].shape:
            return f"{name} is {list(value.shape)} there and {list(trained[name].shape)} in the policy"
    return ""
