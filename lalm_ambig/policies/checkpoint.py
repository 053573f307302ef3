"""What every base model takes from its checkpoint: where it is, how a bad one fails, what ends the model's turn."""

from pathlib import Path
from typing import Any, Literal

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from lalm_ambig.errors import InputError

DType = Literal["auto", "bfloat16", "float16", "float32"]
"""Type of the base weights; `auto` takes the checkpoint's."""
Attention = Literal["sdpa", "eager", "flash_attention_2"]
"""transformers' attention implementation."""
UNREADABLE = (OSError, ValueError, RuntimeError, SafetensorError, StrictDataclassError)
"""What transformers raises over a folder that holds no checkpoint of the class, or a broken one."""
ANSWER = "sadness"
"""Stands for the model's answer where a chat template is asked what follows one."""


def located(path: str) -> str:
    """The folder that a path names, or else the path itself, which is a hub id then."""
    folder = Path(path).expanduser()
    return str(folder) if folder.exists() else path


def unreadable(kind: str, source: str, error: Exception) -> InputError:
    """The one line for a checkpoint that cannot be read."""
    return InputError(
        f"no {kind} checkpoint can be read from {source!r}: {str(error).split(chr(10))[0]}",
        where="policy.path",
        remedy="Give a folder or a hub id.",
    )


def read_model(model_class: Any, source: str, *, dtype: Any, attention: Attention = "sdpa") -> Any:
    """A model with every weight read from its checkpoint (safetensors), on the CPU.

    transformers makes up the weights that a checkpoint of another class lacks; here that is a ValueError, one of
    `UNREADABLE`.
    """
    model, found = model_class.from_pretrained(
        source,
        dtype=dtype,
        attn_implementation=attention,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
    )
    if lacking := sorted(found["missing_keys"]):
        raise ValueError(
            f"it lacks {len(lacking)} weights of {model_class.__name__}, {lacking[0]} among them."
        )
    return model


def require_chat_template(tokenizer: Any, source: str) -> None:
    """InputError for a tokenizer that cannot say where the user's turn ends and the model's begins."""
    if tokenizer.chat_template is None:
        raise InputError(
            f"{source!r} has no chat template, as base models have none:",
            where="policy.path",
            remedy="give an instruction-tuned checkpoint, or put a chat_template.jinja into its folder.",
        )


def turn_ends(tokenizer: Any, model: Any) -> list[int]:
    """Tokens that end the model's turn: first the one that the chat template puts there, then all others known."""
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER}]
    _, _, behind = tokenizer.apply_chat_template(chat, tokenize=False).rpartition(ANSWER)
    written = tokenizer(behind.strip(), add_special_tokens=False)["input_ids"][:1]
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    configured = model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    ends = [token for token in written if token in special] + [*listed, tokenizer.eos_token_id]
    return list(dict.fromkeys(int(token) for token in ends if token is not None))
