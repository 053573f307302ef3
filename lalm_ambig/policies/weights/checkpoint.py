"""What every base model takes from its checkpoint: where it is and how a bad one fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from lalm_ambig.core.errors import InputError

DType = Literal["auto", "bfloat16", "float16", "float32"]
"""Type of the base weights; `auto` takes the checkpoint's."""
Attention = Literal["sdpa", "eager", "flash_attention_2"]
"""transformers' attention implementation."""
UNREADABLE = (OSError, ValueError, RuntimeError, SafetensorError, StrictDataclassError)
"""What transformers raises over a folder that holds no checkpoint of the class, or a broken one."""
SDPA_REFUSED = "scaled_dot_product_attention"
"""In transformers' words for a class without that attention."""


def locate(path: str) -> str:
    """The folder that a path names, or else the path itself, which is a hub id then.

    InputError for a path that is not there and can be no hub id.
    """
    folder = Path(path).expanduser()
    if folder.exists():
        return str(folder)
    if folder.is_absolute() or path.startswith(".") or path.count("/") > 1:
        raise InputError(
            f"no such folder: {folder}",
            where="policy.path",
            remedy="Give a folder, or a hub id (OWNER/NAME).",
        )
    return path


def unreadable_error(kind: str, source: str, error: Exception) -> InputError:
    """The one line for a checkpoint that cannot be read."""
    words = (
        error.args[0] if isinstance(error, KeyError) and error.args else error
    )  # which str() puts in quotes
    said = str(words).strip().split(chr(10))[0][:400]
    if not isinstance(error, OSError | ValueError | RuntimeError):  # a KeyError says only a key
        said = f"{type(error).__name__}: {said}"
    return InputError(
        f"no {kind} checkpoint can be read from {source!r}: {said}",
        where="policy.path",
        remedy="Give a folder or a hub id.",
    )


@contextmanager
def checkpoint_errors(kind: str, source: str) -> Iterator[None]:
    """Inside, whatever the libraries raise over a checkpoint is an InputError. For their calls alone, not for ours."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise unreadable_error(kind, source, error) from error


def dtype_to_load(asked: DType, *, trained_whole: bool) -> DType:
    """The type in which weights are read: all that are trained themselves are in float32, unless another is asked for.

    AdamW's small steps would be rounded away in weights of two bytes.
    """
    return "float32" if asked == "auto" and trained_whole else asked


def torch_dtype(name: DType, config: Any) -> torch.dtype:
    """The torch type of a name; `auto` is the configuration's, float32 where that has none."""
    dtype: torch.dtype = (config.dtype or torch.float32) if name == "auto" else getattr(torch, name)
    return dtype


def read_model(model_class: Any, source: str, *, dtype: Any, attention: Attention = "sdpa") -> Any:
    """A model with every weight read from its checkpoint (safetensors), on the CPU.

    transformers makes up the weights that a checkpoint of another class or of other measures lacks, and loads what is
    not a number; here both are a ValueError, one of `UNREADABLE`. A class that has no `sdpa` runs its own attention
    (`eager`).
    """
    try:
        model, found = _read(model_class, source, dtype, attention)
    except ValueError as error:
        if attention != "sdpa" or SDPA_REFUSED not in str(error):
            raise
        model, found = _read(model_class, source, dtype, "eager")
    if lacking := sorted(found["missing_keys"]):
        raise ValueError(
            f"it lacks {len(lacking)} weights of {model_class.__name__}, {lacking[0]} among them."
        )
    if other := sorted(found["mismatched_keys"]):
        name, saved, expected = other[0]
        raise ValueError(
            f"{len(other)} weights are not of the measures in config.json: {name} is {list(saved)}, not "
            f"{list(expected)}."
        )
    if vars(model).get("_hf_peft_config_loaded"):
        raise ValueError("transformers has put an adapter into it.")
    if wrong := _not_finite(model):
        raise ValueError(f"{wrong} holds what is not a number, or too large for its type.")
    return model


def _read(model_class: Any, source: str, dtype: Any, attention: str) -> tuple[Any, dict[str, Any]]:
    model, found = model_class.from_pretrained(
        source,
        dtype=dtype,
        attn_implementation=attention,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    return model, found


@torch.no_grad()
def _not_finite(model: Any) -> str | None:
    """The first weight with NaN or infinity in it; None where there is none."""
    named = model.named_parameters()
    return next((name for name, p in named if not bool(p.sum(dtype=torch.float32).isfinite())), None)


def attention_notes(model: Any, asked: Attention) -> list[str]:
    """A line where a model runs another attention than was asked for."""
    used = model.config._attn_implementation
    return [] if used == asked else [f"{type(model).__name__} has no {asked} attention: {used} is used"]
