"""What the writers of small checkpoints share: sizes, random weights in all that is saved, and files as on the hub."""

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

MEL_BINS = 16
WIDTH = 64
TEXT = {
    "hidden_size": WIDTH,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 4096,
}
WHISPER = {
    "num_mel_bins": MEL_BINS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
}
"""An encoder of 1,500 positions. Voxtral joins four of them, so its inner size is four times its width."""
LORA_R = 4
GAIN = 1.5
"""Of a layer with random weights: below about 1.4, what is heard would hardly move the logits."""


def randomised(model: Any, seed: int = 0) -> Any:
    """The model with other random values in all that its checkpoint saves, none of them 0 or 1 by design."""
    generator = torch.Generator().manual_seed(seed)

    def noise(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator)

    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim < 2:
                value.add_(0.1 * noise(value))
            else:
                value.copy_(GAIN * noise(value) / max(1, value[0].numel()) ** 0.5)
            assert value.isfinite().all(), name
        saved = model.state_dict()
        for name, value in model.named_buffers():
            if name in saved and value.is_floating_point():
                value.copy_(_plausible(name.rpartition(".")[2], value, noise(value)))
    return model.eval()


def _plausible(name: str, value: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """A value for a saved buffer of that name: what a trained checkpoint could hold."""
    if name in ("input_min", "output_min"):
        return -1.5 - noise.abs()
    if name in ("input_max", "output_max"):
        return 1.5 + noise.abs()
    if name == "global_mean":
        return 8 + noise
    if name in ("running_var", "global_invstd"):
        return 0.5 + noise.abs()
    return value + 0.1 * noise


def made(config: Any, model_class: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return randomised(model_class(config))


def save(folder: Path, model: Any, tokenizer: Any, end: str, template: str) -> None:
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(end)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)


def write_json(path: Path, **content: Any) -> None:
    path.write_text(json.dumps(content))


def write_preprocessor(folder: Path, processor: str, *parts: Any) -> None:
    """One preprocessor_config.json of all parts, and the processor's class beside it, as in repositories of 2025."""
    content: dict[str, Any] = {}
    for part in parts:
        content |= json.loads(part.to_json_string())
    write_json(folder / "preprocessor_config.json", **{**content, "processor_class": processor})


def write_adapter(folder: Path, model: nn.Module, adapter: LoraConfig) -> None:
    """An adapter with random weights for a model, which gets it as well, in PEFT's files."""
    adapted = get_peft_model(model, adapter)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in adapted.named_parameters():
            if "lora_" in name:
                value.copy_(0.3 * torch.randn(value.shape, generator=generator))
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink()
