"""LoRA that belongs to a checkpoint: it is merged into the weights, so that ours is the only adapter."""

from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.utils.transformers_weight_conversion import convert_peft_adapter_state_dict_for_transformers
from safetensors.torch import load_file

from lalm_ambig.policies.families.base import found_file

WEIGHTS = "adapter_model.safetensors"


def merge_own_lora(model: Any, source: str, folder: str = "") -> list[str]:
    """Merge the adapter that a checkpoint has beside its weights into a model.

    transformers switches it on where there is sound. Here sound is the rule, and the adapter that is trained must be
    the only one.

    Args:
        model: The model, without an adapter.
        source: The checkpoint's folder or hub id.
        folder: Where the adapter is inside.

    Returns:
        A line for the user; none where there is no adapter.

    Raises:
        ValueError: The adapter is not of this model, or has no weights.
    """
    settings = found_file(source, str(Path(folder, "adapter_config.json")))
    weights = found_file(source, str(Path(folder, WEIGHTS)))
    if settings is None:
        return []
    if weights is None:
        raise ValueError(f"the LoRA of its own lacks its weights: {Path(folder, WEIGHTS)}")
    config = LoraConfig.from_pretrained(str(settings.parent))
    assert isinstance(config, LoraConfig)
    wrapped = get_peft_model(model, config)
    saved = convert_peft_adapter_state_dict_for_transformers(wrapped, config, load_file(weights))
    own = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    if different := sorted(set(own) ^ set(saved)):
        raise ValueError(f"the adapter beside its weights is not of this model: {different[0]}")
    set_peft_model_state_dict(wrapped, saved)
    wrapped.merge_and_unload()
    count = sum("lora_A" in name for name in own)
    return [
        f"the checkpoint's own LoRA on {count} layers is merged into its weights: it acts on texts without sound, too"
    ]
