"""The 7B models' measures, as their makers publish them, written as config.json, without any weight."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import Qwen2_5OmniThinkerConfig, Qwen2AudioConfig, Qwen2Config

QWEN2_5 = {
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152_064,
    "tie_word_embeddings": False,
    "dtype": "bfloat16",
}
QWEN2 = {
    "model_type": "qwen2",
    "hidden_size": 4096,
    "intermediate_size": 11_008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 156_032,
}
MROPE: dict[str, Any] = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}


def write_qwen2_audio(folder: Path) -> Path:
    """Qwen2-Audio-7B: a folder that holds only the config.json."""
    Qwen2AudioConfig(text_config=QWEN2, audio_token_index=151_646).save_pretrained(folder)
    return folder


def write_omni(folder: Path) -> Path:
    """The thinker of Qwen2.5-Omni-7B."""
    text = {**QWEN2_5, "rope_parameters": MROPE}
    Qwen2_5OmniThinkerConfig(text_config=text).save_pretrained(folder)
    return folder


def write_text(folder: Path) -> Path:
    """Qwen2.5-7B."""
    Qwen2Config(**QWEN2_5).save_pretrained(folder)
    return folder


WRITERS: dict[str, Callable[[Path], Path]] = {
    "qwen2_audio": write_qwen2_audio,
    "qwen2_5_omni": write_omni,
    "causal_lm": write_text,
}
"""By the name of the policy's file."""
