"""Small random checkpoints of every family of audio-language models, laid out as the hub's repositories are.

`write_family` writes one in a second or two. Every parameter is random, those too that a class sets to zero or one, so
that a term that is left out shows. The processors of the families that see need torchvision, and Gemma 3n's eyes timm.
"""

from collections.abc import Callable
from pathlib import Path

from family_parts import (
    LORA_R,
    MEL_BINS,
    TEXT,
    WHISPER,
    made,
    save,
    write_adapter,
    write_json,
    write_preprocessor,
)
from family_tokenizers import FLAMINGO, GRANITE, TEKKEN, VOXTRAL, extended_tokenizer, write_tekken
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from small_checkpoints import chat_tokenizer
from small_seeing_families import (
    write_gemma3n,
    write_gemma4,
    write_phi4,
    write_qwen2_5_omni,
    write_qwen3_omni,
    write_qwen3_omni_thinker,
)
from transformers import (
    AudioFlamingo3Config,
    AudioFlamingo3ForConditionalGeneration,
    AudioFlamingo3Processor,
    AutoTokenizer,
    GraniteSpeechConfig,
    GraniteSpeechFeatureExtractor,
    GraniteSpeechForConditionalGeneration,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    VoxtralConfig,
    VoxtralForConditionalGeneration,
    WhisperFeatureExtractor,
)


def write_family(folder: Path, family: str) -> Path:
    """Write a checkpoint of that family (a name in `WRITERS`) to a new folder, and give the folder back."""
    folder.mkdir(parents=True)
    WRITERS[family](folder)
    return folder


def write_voxtral(folder: Path) -> None:
    """With tekken.json alone, as on the hub."""
    write_tekken(folder, MEL_BINS)
    write_json(folder / "config.json", model_type="voxtral")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = VoxtralConfig(
        audio_config=WHISPER,
        text_config={**TEXT, "vocab_size": len(tokenizer), "bos_token_id": 1, "eos_token_id": 2},
        audio_token_id=TEKKEN.index("[AUDIO]"),
    )
    model = made(config, VoxtralForConditionalGeneration)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = 2, TEKKEN.index("<pad>")
    model.save_pretrained(folder)
    extractor = WhisperFeatureExtractor(feature_size=MEL_BINS)
    write_preprocessor(folder, "VoxtralProcessor", extractor)


def write_voxtral_converted(folder: Path) -> None:
    """With tokenizer.json and a chat template that write what tekken.json's own tokenizer does."""
    write_voxtral(folder)
    tokenizer = AutoTokenizer.from_pretrained(
        folder, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>", padding_side="left"
    )
    tokenizer.chat_template = VOXTRAL
    tokenizer.save_pretrained(folder)
    (folder / "tekken.json").unlink()


def write_qwen2_audio(folder: Path) -> None:
    tokenizer = chat_tokenizer()
    text = {"model_type": "qwen2", **{key: value for key, value in TEXT.items() if key != "head_dim"}}
    whisper = {
        "num_mel_bins": MEL_BINS,
        "d_model": 32,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 48,
    }
    config = Qwen2AudioConfig(
        audio_config=whisper,
        text_config={**text, "vocab_size": len(tokenizer)},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    model = made(config, Qwen2AudioForConditionalGeneration)
    processor = Qwen2AudioProcessor(WhisperFeatureExtractor(feature_size=MEL_BINS), tokenizer)
    save(folder, model, tokenizer, "<|im_end|>", processor.chat_template)
    processor.save_pretrained(folder)


def write_flamingo(folder: Path) -> None:
    tokenizer = extended_tokenizer(
        ["<sound>"], eos_token="<|im_end|>", pad_token="<|endoftext|>", audio_token="<sound>"
    )
    config = AudioFlamingo3Config(
        audio_config=WHISPER,
        text_config={
            **{key: value for key, value in TEXT.items() if key != "head_dim"},
            "vocab_size": len(tokenizer),
        },
        audio_token_id=tokenizer.convert_tokens_to_ids("<sound>"),
    )
    save(folder, made(config, AudioFlamingo3ForConditionalGeneration), tokenizer, "<|im_end|>", FLAMINGO)
    extractor = WhisperFeatureExtractor(feature_size=MEL_BINS, return_attention_mask=True)
    AudioFlamingo3Processor(extractor, tokenizer, chat_template=FLAMINGO).save_pretrained(folder)


def write_granite(folder: Path) -> None:
    _granite(folder, None)


def write_granite_lora(folder: Path) -> None:
    """With the checkpoint's own adapter beside it, without which it hears badly."""
    _granite(folder, LoraConfig(r=LORA_R, lora_alpha=8, target_modules=["q_proj", "v_proj"]))


def _granite(folder: Path, adapter: LoraConfig | None) -> None:
    controls = ["<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|audio|>"]
    tokenizer = extended_tokenizer(
        controls, bos_token="<|end_of_text|>", eos_token="<|end_of_text|>", pad_token="<|end_of_text|>"
    )
    scales = {"embedding_multiplier": 0.7, "residual_multiplier": 1.3, "attention_multiplier": 0.2}
    text = {key: value for key, value in TEXT.items() if key != "head_dim"} | scales
    eos = tokenizer.eos_token_id
    special = {"bos_token_id": eos, "eos_token_id": eos, "pad_token_id": eos}
    config = GraniteSpeechConfig(
        text_config={
            "model_type": "granite",
            **text,
            **special,
            "logits_scaling": 2.0,
            "vocab_size": len(tokenizer),
        },
        encoder_config={
            "input_dim": 160,
            "num_layers": 2,
            "hidden_dim": 32,
            "feedforward_mult": 2,
            "num_heads": 2,
            "output_dim": 7,
            "context_size": 20,
            "max_pos_emb": 32,
            "conv_kernel_size": 5,
        },
        projector_config={
            "model_type": "blip_2_qformer",
            "hidden_size": 32,
            "encoder_hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 48,
            "cross_attention_frequency": 1,
        },
        audio_token_index=tokenizer.convert_tokens_to_ids("<|audio|>"),
        has_lora_adapter=adapter is not None,
    )
    model = made(config, GraniteSpeechForConditionalGeneration)
    save(folder, model, tokenizer, "<|end_of_text|>", GRANITE)
    extractor = GraniteSpeechFeatureExtractor()  # saves no other number of mel bins than 80
    write_preprocessor(folder, "GraniteSpeechProcessor", extractor)
    write_json(
        folder / "processor_config.json", audio_token="<|audio|>", processor_class="GraniteSpeechProcessor"
    )
    if adapter:
        write_adapter(folder, model, adapter)
        file = folder / "adapter_model.safetensors"
        renamed = {
            name.replace("model.language_model.layers", "language_model.model.layers"): value
            for name, value in load_file(file).items()
        }
        save_file(
            renamed, file, metadata={"format": "pt"}
        )  # as the hub's, which is older than the class's names


WRITERS: dict[str, Callable[[Path], None]] = {
    "qwen2_audio": write_qwen2_audio,
    "qwen2_5_omni": write_qwen2_5_omni,
    "voxtral": write_voxtral_converted,
    "voxtral_tekken": write_voxtral,
    "audioflamingo3": write_flamingo,
    "qwen3_omni_moe": write_qwen3_omni,
    "qwen3_omni_moe_thinker": write_qwen3_omni_thinker,
    "granite_speech": write_granite,
    "granite_speech_lora": write_granite_lora,
    "gemma3n": write_gemma3n,
    "gemma4": write_gemma4,
    "phi4_multimodal": write_phi4,
}
"""Names of families and of their layouts, with what writes them."""
