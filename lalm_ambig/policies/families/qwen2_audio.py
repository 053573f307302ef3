"""Qwen2-Audio: Whisper's encoder, one linear layer, and a Qwen2 or Llama decoder."""

from collections.abc import Mapping
from typing import Any, ClassVar

from transformers import AutoProcessor

from lalm_ambig.policies.families.whisper import WhisperFamily


class Qwen2AudioFamily(WhisperFamily):
    """`Qwen2AudioForConditionalGeneration`."""

    model_type = "qwen2_audio"
    class_name = "Qwen2AudioForConditionalGeneration"
    title = "Qwen2-Audio"
    float_projector = True  # small, and trained more often than not
    downloads_gb: ClassVar[Mapping[str, float]] = {
        "Qwen/Qwen2-Audio-7B-Instruct": 17.0,
        "Qwen/Qwen2-Audio-7B": 17.0,
    }

    @classmethod
    def load_front(cls, source: str) -> tuple[Any, Any]:
        processor = AutoProcessor.from_pretrained(source, trust_remote_code=False)
        tokenizer = processor.tokenizer
        tokenizer.chat_template = tokenizer.chat_template or processor.chat_template
        return tokenizer, processor.feature_extractor
