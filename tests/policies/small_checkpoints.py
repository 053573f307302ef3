"""Small random checkpoints of the real classes, as folders: what the policies' tests load."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    WhisperFeatureExtractor,
)

import lalm_ambig.policies
from lalm_ambig.core.discovery import classes_of
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.tiny import CHAT_TEMPLATE, WORDS, make_tokenizer

MakeAny = Callable[..., Policy]
"""Loads a policy of each class in turn, in evaluation mode, with those settings of the adapter."""
SIDE_PATH = " with a side path"
"""Behind the name of a class: its policy hears the first two layers of its encoder, too."""


def policy_classes() -> list[type[Policy]]:
    """Every policy class of the package."""
    return list(classes_of(lalm_ambig.policies, Policy).values())


HEARING = [cls.__name__ for cls in policy_classes() if issubclass(cls, AudioModel)]
"""Names of those that hear."""
LAYERS = 2
DECODER = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "initializer_range": 0.1,
}
EARS = {
    "num_mel_bins": 16,
    "d_model": 32,
    "encoder_layers": LAYERS,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "n_window": 25,
    "output_dim": DECODER["hidden_size"],
    "initializer_range": 0.1,
}
EYES = {
    "depth": 1,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 2,
    "out_hidden_size": DECODER["hidden_size"],
    "fullatt_block_indexes": [0],
}
OMNI_WINDOW_S = 40
"""Longer than the clips that corpora are cut to, as the real one's 300 s are."""


def chat_tokenizer() -> Any:
    """The tiny model's tokenizer, with its chat template."""
    tokenizer = make_tokenizer(WORDS.read_text().split())
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def write_causal_lm(folder: Path, family: str, **settings: Any) -> Path:
    """A text model of a family of transformers, named as `model_type` names it."""
    tokenizer = chat_tokenizer()
    config = AutoConfig.for_model(
        family,
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **{**DECODER, **settings},
    )
    _write(folder, AutoModelForCausalLM.from_config(config), tokenizer)
    return folder


def write_omni(folder: Path) -> Path:
    """A Thinker of Qwen2.5-Omni by itself."""
    tokenizer = chat_tokenizer()
    rotary = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}
    config = Qwen2_5OmniThinkerConfig(
        audio_config=EARS,
        vision_config=EYES,
        text_config={**DECODER, "vocab_size": len(tokenizer), "rope_parameters": rotary},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
        audio_start_token_id=tokenizer.convert_tokens_to_ids("<|audio_bos|>"),
        audio_end_token_id=tokenizer.convert_tokens_to_ids("<|audio_eos|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Qwen2_5OmniThinkerForConditionalGeneration(config)
    _write(folder, model, tokenizer)
    extractor = WhisperFeatureExtractor(
        feature_size=EARS["num_mel_bins"], chunk_length=OMNI_WINDOW_S, return_attention_mask=True
    )
    extractor.save_pretrained(folder)
    return folder


def write_whole_omni(folder: Path, thinker: Path) -> Path:
    """The same Thinker laid out as the hub's repository: inside the whole model, its template in a file of its own."""
    shutil.copytree(thinker, folder)
    weights = {f"thinker.{name}": value for name, value in load_file(thinker / "model.safetensors").items()}
    weights |= {"talker.lm_head.weight": torch.zeros(2, 2), "token2wav.code2wav.bias": torch.zeros(2)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["Qwen2_5OmniModel"],
        "model_type": "qwen2_5_omni",
        "enable_audio_output": True,
        "thinker_config": json.loads((thinker / "config.json").read_text()),
        "talker_config": {"model_type": "qwen2_5_omni_talker"},
        "token2wav_config": {"model_type": "qwen2_5_omni_token2wav"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": CHAT_TEMPLATE}))
    return folder


def _write(folder: Path, model: Any, tokenizer: Any) -> None:
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
