"""Qwen2-Audio-7B's measures, written as a config.json: nothing of the checkpoint itself."""

from pathlib import Path

from transformers import Qwen2AudioConfig

TEXT = {
    "model_type": "qwen2",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 156032,
}


def write_config(folder: Path) -> Path:
    """A folder that holds only the config.json."""
    Qwen2AudioConfig(text_config=TEXT, audio_token_index=151646).save_pretrained(folder)
    return folder
