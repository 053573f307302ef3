"""Qwen2.5-Omni's Thinker, which takes audio and text and writes text. Talker and vocoder are never loaded.

Its encoder works on chunks of two seconds and sees no padding. Positions have three axes, which are equal without
pictures. Its own forward does not compare the number of audio tokens with that of features, and shifts the next item's
audio if they differ: `embed` refuses that.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import AutoFeatureExtractor, AutoTokenizer, Qwen2_5OmniThinkerForConditionalGeneration
from transformers.processing_utils import ProcessorMixin

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.audio.mel import feature_counts
from lalm_ambig.policies.audio.side_path import AudioLayers
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.chat.template import TODAY, ChatSettings
from lalm_ambig.policies.weights.checkpoint import Attention, DType
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.policies.weights.quantised_base import Quantize


class Qwen2_5Omni(AudioModel):
    """`Qwen2_5OmniThinkerForConditionalGeneration` from a hub id or a folder, with or without the talker beside it."""

    family = "Qwen2.5-Omni"
    model_class = Qwen2_5OmniThinkerForConditionalGeneration
    downloads_gb: Mapping[str, float] = {"Qwen/Qwen2.5-Omni-7B": 22.0}  # the talker, too, which is not read

    def __init__(  # noqa: PLR0913  # the configuration's keys
        self,
        path: str = "Qwen/Qwen2.5-Omni-7B",
        *,
        adapter: Adapter | None = None,
        dtype: DType = "auto",
        attention: Attention = "sdpa",
        quantize: Quantize | None = None,
        audio_layers: AudioLayers = "last",
        template_arguments: dict[str, Any] | None = None,
        date: str = TODAY,
        system: str | None = None,
    ) -> None:
        """Args:
        path: Hub id or folder of the checkpoint (safetensors).
        adapter: What is trained. `full` (SHALA-LLM) trains the language model and the audio encoder, never the
            vision encoder, which is not used here.
        dtype: Type of the base weights; `auto` takes the checkpoint's.
        attention: transformers' attention implementation.
        quantize: Base weights of four (`nf4`) or eight bits (`int8`) in the decoder's linear layers, with LoRA beside
            them; by default none. `dtype` is then the type that they are quantised from.
        audio_layers: Layers of the audio encoder that are heard beside the last one (see `Qwen2Audio`).
        template_arguments: Further arguments of the chat template, such as {enable_thinking: false}.
        date: Today's date (YYYY-MM-DD), for a chat template that asks for it. It is fixed, so that a run gives
            the same numbers on any day, and is saved with the run's settings.
        system: Text of the system turn; by default the chat template's own.
        """
        super().__init__(
            path,
            adapter=adapter or Adapter(),
            dtype=dtype,
            attention=attention,
            audio_layers=audio_layers,
            quantize=quantize,
        )
        self.chat_settings = ChatSettings(template_arguments or {}, date, system)
        if self.adapter.projector:
            raise InputError(
                "Qwen2.5-Omni has no projector of its own; its audio encoder ends in the language model's channels:",
                where="policy.adapter",
                remedy="set projector to false, and audio_tower to true if the encoder is to be trained.",
            )

    def load_front(self, source: str) -> tuple[Any, Any]:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        if tokenizer.chat_template is None:  # kept with the processor, which also wants eyes
            tokenizer.chat_template = ProcessorMixin.get_processor_dict(source)[0].get("chat_template")
        return tokenizer, AutoFeatureExtractor.from_pretrained(source, trust_remote_code=False)

    def load(self, place: torch.device | str = "cpu") -> None:
        """As `Policy.load`; modules that are not used for text or sound stay frozen under full fine-tuning, too."""
        if self.loaded:
            return
        super().load(place)
        for unused in (self.base.model.visual, self.tower.audio_bos_eos_token):
            unused.requires_grad_(False)
        if self.adapter.method == "lora":  # a fully tuned model is saved with it
            self.set_aside("visual")

    @property
    def description(self) -> str:
        return f"qwen2_5_omni ({Path(self.path).name})"

    def rotary_positions(self, positions: Int[Tensor, "item token"]) -> Int[Tensor, "3 item token"]:
        return positions.expand(3, *positions.shape)

    def encode_last(
        self, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        """The encoder's own forward on the concatenated clips."""
        lengths = torch.tensor([f.shape[-1] for f in frames], device=self.device)
        mel = torch.cat([f.to(self.device) for f in frames], dim=-1)
        states = self.tower(mel, feature_lens=lengths).last_hidden_state
        return list(states.split(feature_counts(lengths)[1].tolist()))

    def states_by_clip(
        self, states: Tensor, positions: Int[Tensor, " clip"]
    ) -> Sequence[Float[Tensor, "position channel"]]:
        """The encoder keeps the clips' own positions one after another."""
        return torch.split(states, positions.tolist())

    def window_features(
        self, mel: Float[Tensor, "clip mel frame"], mask: Int[Tensor, "clip frame"]
    ) -> list[Float[Tensor, "_ channel"]]:
        encoded = self.base.model.get_audio_features(mel, feature_attention_mask=mask)
        return list(encoded.last_hidden_state.split(feature_counts(mask.sum(-1))[1].tolist()))

    def save(self, folder: Path) -> None:
        super().save(folder)
        if self.adapter.method == "full":
            self.extractor.save_pretrained(folder)  # a complete checkpoint, which `path` can name
