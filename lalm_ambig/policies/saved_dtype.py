"""The type that a policy's weights will have, told before they are read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.weights.checkpoint import dtype_to_load
from lalm_ambig.policies.weights.contents import check_contents
from lalm_ambig.policies.weights.gguf_files import gguf_file
from lalm_ambig.policies.weights.weight_files import first_dtype

SETTINGS = ("dtype", "torch_dtype")
"""Names of the setting in a config.json: now, and before transformers 5."""
PARTS = ("text_config", "thinker_config")
"""Settings of a part, which name the type where the whole does not."""


def dtype_name(policy: Policy) -> str | None:
    """`float32`, `bfloat16` or `float16`; None where nothing says it, as for a hub that cannot be reached.

    InputError for a path that holds no plain checkpoint.
    """
    if not isinstance(policy, AudioModel | CausalLM):
        return None
    asked = dtype_to_load(policy.dtype_name, trained_whole=policy.adapter.method == "full")
    if asked != "auto":
        return asked
    if isinstance(policy, CausalLM) and gguf_file(policy.path) is not None:
        return "float32"
    source = policy.checkpoint()
    return _named(check_contents(source)) or first_dtype(Path(source))


def _named(config: Mapping[str, Any]) -> str | None:
    parts = [config, *(config[name] for name in PARTS if isinstance(config.get(name), Mapping))]
    named = [str(part[name]) for part in parts for name in SETTINGS if part.get(name)]
    return named[0].removeprefix("torch.") if named else None
