"""What transformers' own processor, forward and `generate` make of a clip and a text: the oracle of each family."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from family_tokenizers import TEKKEN
from jaxtyping import Float
from torch import Tensor
from transformers import (
    AudioFlamingo3ForConditionalGeneration,
    AutoFeatureExtractor,
    AutoProcessor,
    AutoTokenizer,
    Gemma3nForConditionalGeneration,
    Gemma4ForConditionalGeneration,
    GenerationMixin,
    GraniteSpeechForConditionalGeneration,
    Phi4MultimodalForCausalLM,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioForConditionalGeneration,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    VoxtralForConditionalGeneration,
    VoxtralProcessor,
)

CLASSES = {
    "audioflamingo3": AudioFlamingo3ForConditionalGeneration,
    "gemma3n": Gemma3nForConditionalGeneration,
    "gemma4": Gemma4ForConditionalGeneration,
    "granite_speech": GraniteSpeechForConditionalGeneration,
    "phi4_multimodal": Phi4MultimodalForCausalLM,
    "qwen2_5_omni": Qwen2_5OmniThinkerForConditionalGeneration,
    "qwen2_5_omni_thinker": Qwen2_5OmniThinkerForConditionalGeneration,
    "qwen2_audio": Qwen2AudioForConditionalGeneration,
    "qwen3_omni_moe": Qwen3OmniMoeThinkerForConditionalGeneration,
    "qwen3_omni_moe_thinker": Qwen3OmniMoeThinkerForConditionalGeneration,
    "voxtral": VoxtralForConditionalGeneration,
}
OF_THE_TOKENIZER = ("voxtral", "granite_speech", "phi4_multimodal")
"""Kinds whose chat template is the tokenizer's: their processors take none."""
ALONE = ("granite_speech", "gemma3n", "phi4_multimodal", "qwen3_omni_moe", "qwen3_omni_moe_thinker")
"""Kinds whose own batches change a shorter clip: silence behind it is heard, so each clip must be asked alone.

Granite's encoder has no mask; Gemma 3n's convolutions see frames of silence in the place of padding; Phi-4 adds its
mask to the attention's scores as 0 and 1, which hides nothing; Qwen3-Omni pads a clip under a second to the longest of
the batch before convolutions with a bias, and its last frame sees silence instead of the clip mirrored.
"""
RATE_HZ = 16_000


def voice(seconds: float, *, seed: int) -> Float[Tensor, " sample"]:
    """Tones whose pitch and loudness change: two voices differ more than two pieces of noise."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(round(seconds * RATE_HZ)) / RATE_HZ
    rate, depth, start = (torch.rand(3, generator=generator) + 0.2).tolist()
    pitch = 90 + 200 * start + 60 * depth * torch.sin(6 * rate * time)
    phase = 2 * torch.pi * pitch.cumsum(0) / RATE_HZ
    tones = sum(torch.sin(k * phase) * float(torch.rand((), generator=generator)) for k in range(1, 9))
    breath = 0.02 * torch.randn(len(time), generator=generator)
    return 0.1 * tones * (1 + torch.sin(9 * rate * time)) + breath


def kind_of(folder: Path) -> str:
    """The checkpoint's `model_type`."""
    return str(json.loads((folder / "config.json").read_text())["model_type"])


@lru_cache(maxsize=16)
def own_model(folder: Path) -> Any:
    """The model as its family's page loads it, with the checkpoint's own speech adapter on where it has one."""
    kind = kind_of(folder)
    model = CLASSES[kind].from_pretrained(folder, dtype="float32", attn_implementation="eager").eval()
    if (folder / "speech-lora").is_dir():
        # Named "speech", as its page does, the report of loading lists projectors with this word as missing.
        model.load_adapter(folder, adapter_name="hub", adapter_kwargs={"subfolder": "speech-lora"})
    return model


@lru_cache(maxsize=16)
def own_processor(folder: Path) -> Any:
    """The family's processor, read from the folder."""
    if (
        kind_of(folder) == "voxtral"
    ):  # AutoProcessor finds the chat template, too, which this class does not take
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return VoxtralProcessor(AutoFeatureExtractor.from_pretrained(folder), tokenizer)
    return AutoProcessor.from_pretrained(folder)


def prompt_text(folder: Path, text: str) -> str:
    """The chat of one turn, a clip before a text, by the processor's own template; one placeholder for the clip."""
    processor = own_processor(folder)
    template = processor.tokenizer if kind_of(folder) in OF_THE_TOKENIZER else processor
    content: Any = [{"type": "audio"}, {"type": "text", "text": text}]
    if kind_of(folder) == "granite_speech":
        content = "<|audio|>" + text
    turns = [{"role": "user", "content": content}]
    return str(template.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))


def own_inputs(folder: Path, clips: Sequence[Float[Tensor, " _"]], texts: Sequence[str]) -> dict[str, Tensor]:
    """The processor's inputs of a left-padded batch of chats with one turn, a clip and a text each."""
    processor = own_processor(folder)
    prompts = [prompt_text(folder, text) for text in texts]
    sounds = [clip.numpy() for clip in clips]
    if kind_of(folder) == "voxtral":
        return _voxtral_inputs(processor, prompts, sounds)
    settings = {"padding": True, "padding_side": "left", "add_special_tokens": False, "return_tensors": "pt"}
    audio = {} if kind_of(folder) == "granite_speech" else {"sampling_rate": RATE_HZ}
    inputs = processor(text=prompts, audio=sounds, text_kwargs=settings, audio_kwargs=audio)
    return {key: torch.as_tensor(value) for key, value in inputs.convert_to_tensors("pt").items()}


def _voxtral_inputs(processor: Any, prompts: Sequence[str], sounds: Sequence[Any]) -> dict[str, Tensor]:
    """As `VoxtralProcessor.apply_chat_template`, but for mistral-common's part, whose tokens the template writes."""
    settings = {key: value for key, value in processor.audio_kwargs.items() if key != "max_source_positions"}
    features = [
        processor._retrieve_input_features(
            [sound], processor.audio_kwargs["max_source_positions"], **settings
        )
        for sound in sounds
    ]
    tokens = TEKKEN[24]
    per_window = processor.audio_kwargs["max_source_positions"] // 8
    filled = [
        prompt.replace(tokens, tokens * (per_window * len(windows)))
        for prompt, windows in zip(prompts, features, strict=True)
    ]
    inputs = processor.tokenizer(filled, padding=True, add_special_tokens=False, return_tensors="pt")
    return {
        "input_ids": inputs["input_ids"],
        "attention_mask": inputs["attention_mask"],
        "input_features": torch.cat(features),
    }


@torch.no_grad()
def own_embeddings(
    folder: Path, clips: Sequence[Float[Tensor, " _"]], texts: Sequence[str]
) -> Float[Tensor, "item token channel"]:
    """What the decoder's first layer is given: text's embeddings and the sound's in their places."""
    model = own_model(folder)
    given: list[Tensor] = []

    def note(_: Any, __: Any, named: dict[str, Tensor]) -> None:
        given.append(named["inputs_embeds"])

    def note_made(_: Any, __: Any, made: Tensor) -> None:
        given.append(made)

    if decoder := getattr(model.model, "language_model", None):
        hook = decoder.register_forward_pre_hook(note, with_kwargs=True)
    else:
        hook = model.model.embed_tokens_extend.register_forward_hook(note_made)
    with hook:
        model(**own_inputs(folder, clips, texts), use_cache=False)
    return given[0]


@torch.no_grad()
def own_logits(
    folder: Path, clips: Sequence[Float[Tensor, " _"]], texts: Sequence[str]
) -> Float[Tensor, "item vocabulary"]:
    """Logits of each answer's first token."""
    return own_model(folder)(**own_inputs(folder, clips, texts), use_cache=False).logits[:, -1]


@torch.no_grad()
def own_greedy(
    folder: Path, clips: Sequence[Float[Tensor, " _"]], texts: Sequence[str], n: int
) -> list[list[int]]:
    """The ids of greedy answers of at most `n` tokens, without what follows an end."""
    model, inputs = own_model(folder), own_inputs(folder, clips, texts)
    # Granite's own `generate` turns its adapter on first, which it is, by a function that asks for PEFT 0.22.
    answers = GenerationMixin.generate(model, **inputs, do_sample=False, max_new_tokens=n)
    answers = answers[:, inputs["input_ids"].shape[1] :]
    ends = model.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    cut = []
    for row in answers.tolist():
        stop = next((k for k, token in enumerate(row) if token in ends), len(row))
        cut.append(row[:stop])
    return cut


@torch.no_grad()
def own_log_probs(
    folder: Path, clip: Float[Tensor, " sample"], text: str, response: Sequence[int]
) -> Float[Tensor, " token"]:
    """Log-probability in nats of each token of a given response."""
    inputs = own_inputs(folder, [clip], [text])
    ids = torch.tensor([response])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], ids], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    for kinds in ("token_type_ids", "mm_token_type_ids"):
        if kinds in inputs:
            inputs[kinds] = torch.cat([inputs[kinds], torch.zeros_like(ids)], dim=1)
    logits = own_model(folder)(**inputs, use_cache=False).logits[0, -len(response) - 1 : -1]
    return logits.log_softmax(-1).gather(1, ids[0, :, None])[:, 0]
