"""Small checkpoints of the families that see as well: their eyes are as small as their classes allow."""

import json
from pathlib import Path

import torch
from family_parts import (
    LORA_R,
    MEL_BINS,
    TEXT,
    WIDTH,
    made,
    save,
    write_adapter,
    write_json,
    write_preprocessor,
)
from family_tokenizers import GEMMA, GEMMA4, PHI4, QWEN, extended_tokenizer
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from small_checkpoints import EARS, EYES, OMNI_WINDOW_S
from transformers import (
    Gemma3nAudioFeatureExtractor,
    Gemma3nConfig,
    Gemma3nForConditionalGeneration,
    Gemma4AudioFeatureExtractor,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4ImageProcessor,
    Gemma4Processor,
    Gemma4VideoProcessor,
    Phi4MultimodalConfig,
    Phi4MultimodalFeatureExtractor,
    Phi4MultimodalForCausalLM,
    Phi4MultimodalImageProcessor,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    SiglipImageProcessor,
    WhisperFeatureExtractor,
)


def _seeing(audio: str, begins: str, ends: str) -> dict[str, str]:
    """What the tokenizers of the Omni models call their control tokens."""
    return {
        "image_token": "<|image_pad|>",
        "video_token": "<|video_pad|>",
        "vision_bos_token": "<|vision_start|>",
        "vision_eos_token": "<|vision_end|>",
        "audio_token": audio,
        "audio_bos_token": begins,
        "audio_eos_token": ends,
    }


def write_qwen2_5_omni(folder: Path) -> None:
    """The Thinker inside the whole model."""
    named = _seeing("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
    new = [token for token in named.values() if "udio" not in token.lower()]
    tokenizer = extended_tokenizer(new, eos_token="<|im_end|>", pad_token="<|endoftext|>", **named)
    ids = tokenizer.convert_tokens_to_ids
    rotary = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}
    text = {key: value for key, value in TEXT.items() if key != "head_dim"}
    config = Qwen2_5OmniThinkerConfig(
        audio_config=EARS,
        vision_config=EYES,
        text_config={**text, "vocab_size": len(tokenizer), "rope_parameters": rotary},
        audio_token_index=ids("<|AUDIO|>"),
        image_token_index=ids("<|image_pad|>"),
        video_token_index=ids("<|video_pad|>"),
        audio_start_token_id=ids("<|audio_bos|>"),
        audio_end_token_id=ids("<|audio_eos|>"),
        vision_start_token_id=ids("<|vision_start|>"),
    )
    template = QWEN.replace("audio_start", "audio_bos").replace("audio_pad", "AUDIO")
    template = template.replace("audio_end", "audio_eos")
    model = made(config, Qwen2_5OmniThinkerForConditionalGeneration)
    save(folder, model, tokenizer, "<|im_end|>", template)
    parts = (
        Qwen2VLImageProcessor(),
        WhisperFeatureExtractor(
            feature_size=MEL_BINS, chunk_length=OMNI_WINDOW_S, return_attention_mask=True
        ),
    )
    write_preprocessor(folder, "Qwen2_5OmniProcessor", *parts)
    Qwen2VLVideoProcessor().save_pretrained(folder)
    _put_inside(folder, "qwen2_5_omni", "Qwen2_5OmniModel", "token2wav", template)


def write_qwen3_omni_thinker(folder: Path) -> None:
    """The Thinker by itself."""
    named = _seeing("<|audio_pad|>", "<|audio_start|>", "<|audio_end|>")
    tokenizer = extended_tokenizer(
        list(named.values()), eos_token="<|im_end|>", pad_token="<|endoftext|>", **named
    )
    ids = tokenizer.convert_tokens_to_ids
    rotary = {
        "rope_type": "default",
        "rope_theta": 1e6,
        "mrope_section": [2, 3, 3],
        "mrope_interleaved": True,
    }
    moe = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
    config = Qwen3OmniMoeThinkerConfig(
        audio_config={
            "num_mel_bins": MEL_BINS,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 48,
            "d_model": 32,
            "output_dim": WIDTH,
            "downsample_hidden_size": 8,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        },
        text_config={**TEXT, **moe, "vocab_size": len(tokenizer), "rope_parameters": rotary},
        audio_token_id=ids("<|audio_pad|>"),
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        audio_start_token_id=ids("<|audio_start|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        user_token_id=ids("<|im_start|>"),
    )
    save(folder, made(config, Qwen3OmniMoeThinkerForConditionalGeneration), tokenizer, "<|im_end|>", QWEN)
    parts = (
        Qwen2VLImageProcessor(patch_size=16),
        WhisperFeatureExtractor(feature_size=MEL_BINS, chunk_length=300, return_attention_mask=True),
    )
    write_preprocessor(folder, "Qwen3OmniMoeProcessor", *parts)
    Qwen2VLVideoProcessor(patch_size=16).save_pretrained(folder)


def write_qwen3_omni(folder: Path) -> None:
    """The Thinker inside the whole model, as on the hub: `thinker.` before its weights' names, a talker beside it."""
    write_qwen3_omni_thinker(folder)
    _put_inside(folder, "qwen3_omni_moe", "Qwen3OmniMoeForConditionalGeneration", "code2wav", QWEN)


def _put_inside(folder: Path, kind: str, model: str, vocoder: str, template: str) -> None:
    """Lay a Thinker out as the hub does: inside the whole model, with the chat template in a file of the time."""
    weights = {f"thinker.{name}": value for name, value in load_file(folder / "model.safetensors").items()}
    weights |= {"talker.codec_head.weight": torch.zeros(2, 2), f"{vocoder}.bias": torch.zeros(2)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    content = {
        "architectures": [model],
        "model_type": kind,
        "enable_audio_output": True,
        "thinker_config": json.loads((folder / "config.json").read_text()),
        "talker_config": {"model_type": f"{kind}_talker"},
        f"{vocoder}_config": {"model_type": f"{kind}_{vocoder}"},
    }
    write_json(folder / "config.json", **content)
    (folder / "chat_template.jinja").unlink()
    write_json(folder / "chat_template.json", chat_template=template)


GEMMA_TEXT = {
    **TEXT,
    "num_hidden_layers": 4,
    "num_kv_shared_layers": 2,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "sliding_window": 64,
    "hidden_size_per_layer_input": 8,
    "final_logit_softcapping": 30.0,
}
"""Four layers, of which two take the keys and values of the others."""


def write_gemma3n(folder: Path) -> None:
    """Vision's and audio's hard tokens have ids above the text's, as in the real vocabulary."""
    text = ["<bos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<start_of_audio>"]
    seen = ["<end_of_image>", "<image_soft_token>", "<unused_seen_0>", "<unused_seen_1>"]
    heard = ["<end_of_audio>", "<audio_soft_token>", "<unused_heard_0>", "<unused_heard_1>"]
    tokenizer = extended_tokenizer(
        text + seen + heard,
        begins=True,
        bos_token="<bos>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        image_token="<image_soft_token>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
        audio_token="<audio_soft_token>",
        boa_token="<start_of_audio>",
        eoa_token="<end_of_audio>",
    )
    ids = tokenizer.convert_tokens_to_ids
    config = Gemma3nConfig(
        text_config={
            **GEMMA_TEXT,
            "vocab_size": len(tokenizer),
            "vocab_size_per_layer_input": ids(seen[0]),
            "laurel_rank": 4,
            "altup_num_inputs": 3,
            "activation_sparsity_pattern": [0.9, 0.0, 0.9, 0.0],
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": tokenizer.bos_token_id,
        },
        vision_config={
            "architecture": "test_efficientnet.r160_in1k",
            "hidden_size": 32,
            "vocab_size": len(seen),
            "vocab_offset": ids(seen[0]),
        },
        audio_config={
            "vocab_size": len(heard),
            "vocab_offset": ids(heard[0]),
            "input_feat_size": MEL_BINS,
            "hidden_size": 32,
            "conf_num_attention_heads": 2,
            "conf_num_hidden_layers": 2,
            "sscp_conv_channel_size": [8, 4],
        },
        boi_token_id=ids("<start_of_image>"),
        eoi_token_id=ids("<end_of_image>"),
        image_token_id=ids("<image_soft_token>"),
        boa_token_id=ids("<start_of_audio>"),
        eoa_token_id=ids("<end_of_audio>"),
        audio_token_id=ids("<audio_soft_token>"),
    )
    save(folder, made(config, Gemma3nForConditionalGeneration), tokenizer, "<end_of_turn>", GEMMA)
    parts = (SiglipImageProcessor(), Gemma3nAudioFeatureExtractor(feature_size=MEL_BINS))
    write_preprocessor(folder, "Gemma3nProcessor", *parts)
    counts = {"audio_seq_length": 188, "image_seq_length": 256}
    write_json(folder / "processor_config.json", processor_class="Gemma3nProcessor", **counts)


def write_gemma4(folder: Path) -> None:
    named = {
        "image_token": "<|image|>",
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "audio_token": "<|audio|>",
        "boa_token": "<|audio>",
        "eoa_token": "<audio|>",
    }
    tokenizer = extended_tokenizer(
        ["<bos>", "<|turn>", "<turn|>", *named.values(), "<|video|>"],
        begins=True,
        bos_token="<bos>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        **named,
    )
    ids = tokenizer.convert_tokens_to_ids
    config = Gemma4Config(
        text_config={
            **GEMMA_TEXT,
            "global_head_dim": 32,
            "use_double_wide_mlp": True,
            "vocab_size": len(tokenizer),
            "vocab_size_per_layer_input": len(tokenizer),
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": tokenizer.bos_token_id,
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "position_embedding_size": 16,
        },
        audio_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "subsampling_conv_channels": [
                MEL_BINS,
                4,
            ],  # the class takes the first for the number of mel bins
            "output_proj_dims": 48,
        },
        boi_token_id=ids("<|image>"),
        eoi_token_id=ids("<image|>"),
        image_token_id=ids("<|image|>"),
        video_token_id=ids("<|video|>"),
        boa_token_id=ids("<|audio>"),
        eoa_token_index=ids("<audio|>"),
        audio_token_id=ids("<|audio|>"),
    )
    save(folder, made(config, Gemma4ForConditionalGeneration), tokenizer, "<turn|>", GEMMA4)
    extractor = Gemma4AudioFeatureExtractor(feature_size=MEL_BINS)
    parts = (extractor, Gemma4ImageProcessor(), tokenizer, Gemma4VideoProcessor())
    Gemma4Processor(*parts, chat_template=GEMMA4).save_pretrained(folder)


def write_phi4(folder: Path) -> None:
    """With the speech adapter in a folder of its own, as on the hub."""
    controls = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|image|>", "<|audio|>"]
    tokenizer = extended_tokenizer(
        controls,
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        image_token="<|image|>",
        audio_token="<|audio|>",
    )
    ids = tokenizer.convert_tokens_to_ids
    factors = {
        "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5],
        "long_factor": [2.0, 2.1, 2.2, 2.3, 2.4, 2.5],
    }
    config = Phi4MultimodalConfig(
        **{key: value for key, value in TEXT.items() if key not in ("head_dim", "max_position_embeddings")},
        max_position_embeddings=131_072,
        original_max_position_embeddings=4096,
        sliding_window=262_144,
        vocab_size=len(tokenizer),
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10_000.0,
            "partial_rotary_factor": 0.75,
            "original_max_position_embeddings": 4096,
            **factors,
        },
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=[tokenizer.eos_token_id, ids("<|end|>")],
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 28,
            "crop_size": 28,
            "image_token_id": ids("<|image|>"),
        },
        audio_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_blocks": 2,
            "num_attention_heads": 2,
            "ext_pw_out_channel": 32,
            "depthwise_separable_out_channel": 32,
            "nemo_conv_channels": 8,
            "input_size": MEL_BINS,
            "audio_token_id": ids("<|audio|>"),
        },
    )
    model = made(config, Phi4MultimodalForCausalLM)
    save(folder, model, tokenizer, "<|end|>", PHI4)
    parts = (Phi4MultimodalImageProcessor(), Phi4MultimodalFeatureExtractor(feature_size=MEL_BINS))
    write_preprocessor(folder, "Phi4MultimodalProcessor", *parts)
    write_json(folder / "processor_config.json", processor_class="Phi4MultimodalProcessor")
    targets = r".*\.layers\.\d+\.(self_attn\.(qkv|o)_proj|mlp\.(gate_up|down)_proj)"
    write_adapter(folder / "speech-lora", model, LoraConfig(r=LORA_R, lora_alpha=8, target_modules=targets))
