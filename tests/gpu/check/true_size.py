"""7B audio models of true width and depth with random weights, made on the device; `toy` is a narrow one for a CPU.

The folder of such a model holds everything but its weights: configuration, tokenizer, feature extractor, no tensor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from product.assembly import filled_tokenizer
from safetensors.torch import save_file
from transformers import (
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    Qwen2Config,
    Qwen2ForCausalLM,
    WhisperFeatureExtractor,
)

MEL_BINS = 128
OMNI_WINDOW_S = 300


@dataclass(frozen=True)
class Size:
    """How wide and deep a model is."""

    narrower: int = 1
    """Every width is divided by this."""
    layers: int = 0
    """Of the decoder, the audio and the vision encoder; 0 for as many as the true model has."""
    vocabulary: int = 0
    """0 for the true model's."""


TRUE = Size()
TOY = {"qwen2_audio": Size(8, 2, 8192), "omni": Size(4, 2, 8192)}


@dataclass(frozen=True)
class RandomModel:
    """A folder without weights, and how the model itself is made."""

    folder: Path
    make: Callable[[], Any]


def write_qwen2_audio(
    folder: Path, size: Size, *, device: str, decoder_layers: int = 0, dtype: torch.dtype = torch.bfloat16
) -> RandomModel:
    """Qwen2-Audio-7B; `decoder_layers` where not all of them are wanted."""
    width = size.narrower
    tokenizer = filled_tokenizer(size.vocabulary or 156_032)
    text = {
        "model_type": "qwen2",
        "hidden_size": 4096 // width,
        "intermediate_size": 11_008 // width,
        "num_hidden_layers": decoder_layers or size.layers or 32,
        "num_attention_heads": 32 // width,
        "num_key_value_heads": 32 // width,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        **_words(tokenizer),
    }
    ears = {"model_type": "qwen2_audio_encoder", "max_source_positions": 1500, **_ears(size)}
    audio = tokenizer.convert_tokens_to_ids("<|AUDIO|>")
    config = Qwen2AudioConfig(text_config=text, audio_config=ears, audio_token_index=audio)
    extractor = WhisperFeatureExtractor(feature_size=MEL_BINS, return_attention_mask=True)
    processor = Qwen2AudioProcessor(extractor, tokenizer, chat_template=tokenizer.chat_template)
    processor.save_pretrained(folder)
    return _written(folder, Qwen2AudioForConditionalGeneration, config, device=device, dtype=dtype)


def write_text(folder: Path, size: Size, *, device: str, dtype: torch.dtype = torch.bfloat16) -> RandomModel:
    """Qwen2.5-7B."""
    tokenizer = filled_tokenizer(size.vocabulary or 152_064)
    text = {**_omni_text(size), "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
    config = Qwen2Config(**text, **_words(tokenizer))
    tokenizer.save_pretrained(folder)
    return _written(folder, Qwen2ForCausalLM, config, device=device, dtype=dtype)


def write_omni(folder: Path, size: Size, *, device: str, dtype: torch.dtype = torch.bfloat16) -> RandomModel:
    """The thinker of Qwen2.5-Omni-7B."""
    tokenizer = filled_tokenizer(size.vocabulary or 152_064)
    ids = tokenizer.convert_tokens_to_ids
    config = Qwen2_5OmniThinkerConfig(
        audio_config={"n_window": 100, "output_dim": 3584 // size.narrower, **_ears(size)},
        vision_config=_omni_eyes(size),
        text_config={**_omni_text(size), **_words(tokenizer)},
        audio_token_index=ids("<|AUDIO|>"),
        audio_start_token_id=ids("<|audio_bos|>"),
        audio_end_token_id=ids("<|audio_eos|>"),
        vision_start_token_id=ids("<|endoftext|>"),
    )
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(
        feature_size=MEL_BINS, chunk_length=OMNI_WINDOW_S, return_attention_mask=True
    ).save_pretrained(folder)
    return _written(folder, Qwen2_5OmniThinkerForConditionalGeneration, config, device=device, dtype=dtype)


def _omni_text(size: Size) -> dict[str, Any]:
    width = size.narrower
    return {
        "hidden_size": 3584 // width,
        "intermediate_size": 18_944 // width,
        "num_hidden_layers": size.layers or 28,
        "num_attention_heads": 28 // width,
        "num_key_value_heads": 4 if width == 1 else 1,
        "max_position_embeddings": 32_768,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    }


def _omni_eyes(size: Size) -> dict[str, Any]:
    width = size.narrower
    return {
        "depth": size.layers or 32,
        "hidden_size": 1280 // width,
        "intermediate_size": 3420 // width,
        "num_heads": 16 // width,
        "out_hidden_size": 3584 // width,
        "fullatt_block_indexes": [0] if size.layers else [7, 15, 23, 31],
    }


def _words(tokenizer: Any) -> dict[str, Any]:
    """What a decoder has to know of its tokenizer."""
    return {
        "vocab_size": len(tokenizer),
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": False,
    }


def _ears(size: Size) -> dict[str, Any]:
    """Measures that both audio encoders have."""
    return {
        "num_mel_bins": MEL_BINS,
        "d_model": 1280 // size.narrower,
        "encoder_layers": size.layers or 32,
        "encoder_attention_heads": 20 if size.narrower == 1 else 4,
        "encoder_ffn_dim": 5120 // size.narrower,
    }


def _written(folder: Path, model_class: Any, config: Any, *, device: str, dtype: torch.dtype) -> RandomModel:
    """The configuration in the folder, and the model made when it is asked for, by its class's own initialisation."""
    config.save_pretrained(folder)
    save_file({}, folder / "model.safetensors", metadata={"format": "pt"})  # a checkpoint has to have a file

    def make() -> Any:
        torch.manual_seed(0)
        with torch.device(device):
            model = model_class._from_config(config, dtype=dtype, attn_implementation="sdpa")
        model.generation_config.eos_token_id = config.get_text_config().eos_token_id
        return model

    return RandomModel(folder, make)
