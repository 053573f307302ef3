"""Find and read a checkpoint of transformers, and turn the libraries' errors into one line."""

from collections.abc import Callable, Iterator
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
"""Exceptions of transformers for a folder without a checkpoint of the class, or with a broken one."""
NO_ADAPTER = "no-adapter"
"""A folder that no checkpoint has: transformers would put an adapter beside the weights into the model."""
SDPA_REFUSED = "scaled_dot_product_attention"
"""Part of transformers' message for a class without that attention."""


def locate(path: str) -> str:
    """The folder that a path names, or else the path itself as a hub id.

    Raises:
        InputError: There is no such folder, and the path cannot be a hub id.
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
    """The error for a checkpoint that cannot be read, in one line."""
    words = (
        error.args[0] if isinstance(error, KeyError) and error.args else error
    )  # which str() puts in quotes
    reason = str(words).strip().split(chr(10))[0][:400]
    if not isinstance(error, OSError | ValueError | RuntimeError):  # a KeyError says only a key
        reason = f"{type(error).__name__}: {reason}"
    return InputError(
        f"no {kind} checkpoint can be read from {source!r}: {reason}",
        where="policy.path",
        remedy="Give a folder or a hub id.",
    )


@contextmanager
def checkpoint_errors(kind: str, source: str) -> Iterator[None]:
    """Return a context for calls of the libraries, and of nothing else.

    Args:
        kind: Kind of the file, for the message.
        source: Name of the checkpoint, for the message.

    Raises:
        InputError: In place of any exception inside, except MemoryError.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise unreadable_error(kind, source, error) from error


def dtype_to_load(asked: DType, *, trained_whole: bool) -> DType:
    """The type in which weights are read: float32 for full fine-tuning, unless the settings name another.

    AdamW's small steps would be rounded away in weights of two bytes.
    """
    return "float32" if asked == "auto" and trained_whole else asked


def torch_dtype(name: DType, config: Any) -> torch.dtype:
    """The torch type of a name; `auto` is the configuration's, float32 where that has none."""
    dtype: torch.dtype = (config.dtype or torch.float32) if name == "auto" else getattr(torch, name)
    return dtype


def read_model(  # noqa: PLR0913
    model_class: Any,
    source: str,
    *,
    dtype: Any,
    attention: Attention = "sdpa",
    device: torch.device | str = "cpu",
    prepare: Callable[[Any], None] | None = None,
) -> Any:
    """Read a model with every weight from its checkpoint (safetensors).

    Each weight goes from the file straight to the device, so that the host never holds more than a few at a time.

    transformers fills in weights that a checkpoint of another class or shape lacks, and loads NaN. Both are refused
    here. A class without `sdpa` runs its own attention (`eager`).

    Args:
        model_class: A model class of transformers.
        source: A folder or a hub id.
        dtype: Type of the weights, of torch.
        attention: transformers' attention implementation.
        device: Where the weights are to be.
        prepare: What is done to the model before it is checked.

    Raises:
        ValueError: A weight is missing, of another shape, or not finite.
    """
    try:
        model, info = _read(model_class, source, dtype, attention, device)
    except ValueError as error:
        if attention != "sdpa" or SDPA_REFUSED not in str(error):
            raise
        try:  # the decoder's attention, where only the encoder has none of the kind
            model, info = _read(model_class, source, dtype, {"text_config": attention}, device)
        except ValueError:
            model, info = _read(model_class, source, dtype, "eager", device)
    if lacking := sorted(info["missing_keys"]):
        raise ValueError(
            f"it lacks {len(lacking)} weights of {model_class.__name__}, {lacking[0]} among them."
        )
    if other := sorted(info["mismatched_keys"]):
        name, saved, expected = other[0]
        raise ValueError(
            f"{len(other)} weights are not of the measures in config.json: {name} is {list(saved)}, not "
            f"{list(expected)}."
        )
    if prepare is not None:
        prepare(model)
    if vars(model).get("_hf_peft_config_loaded"):
        raise ValueError("transformers has put an adapter into it.")
    if wrong := _not_finite(model):
        raise ValueError(f"{wrong} holds what is not a number, or too large for its type.")
    return model


def _read(
    model_class: Any, source: str, dtype: Any, attention: Any, device: torch.device | str
) -> tuple[Any, dict[str, Any]]:
    model, info = model_class.from_pretrained(
        source,
        dtype=dtype,
        attn_implementation=attention,
        device_map=None if torch.device(device).type == "cpu" else {"": device},
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
        adapter_kwargs={"subfolder": NO_ADAPTER},
        ignore_mismatched_sizes=True,
    )
    return model, info


@torch.no_grad()
def _not_finite(model: Any) -> str | None:
    """Name of the first weight with NaN or infinity; None if there is none."""
    named = model.named_parameters()
    return next((name for name, p in named if not bool(p.sum(dtype=torch.float32).isfinite())), None)


def attention_notes(model: Any, asked: Attention) -> list[str]:
    """A line for the user if a model runs another attention than the settings ask for."""
    used = model.config._attn_implementation
    return [] if used == asked else [f"{type(model).__name__} has no {asked} attention: {used} is used"]
