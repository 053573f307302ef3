"""Qwen2-Audio and everything of its class: an audio encoder, a projector and a Qwen2 or Llama decoder.

Departures from transformers' forward, each tested to be exact: the encoder runs on the clip's own frames instead of
a 30 s window, its features can be cached before the projector, and the decoder is called on embeddings, so that the
head sees only the rows that are asked for.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration
from transformers.masking_utils import create_bidirectional_mask

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.audio.mel import extended, feature_counts
from lalm_ambig.policies.audio.side_path import AudioLayers, trained_copy
from lalm_ambig.policies.audio.standardised import StandardisedLinear
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.chat.template import TODAY, ChatSettings
from lalm_ambig.policies.weights.checkpoint import Attention, DType
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.policies.weights.quantised_base import Quantize
from lalm_ambig.readouts.response import TAGS, Tags


class Qwen2Audio(AudioModel):
    """`Qwen2AudioForConditionalGeneration` from a hub id or a folder."""

    family = "Qwen2-Audio"
    model_class = Qwen2AudioForConditionalGeneration
    downloads_gb: Mapping[str, float] = {"Qwen/Qwen2-Audio-7B-Instruct": 17.0, "Qwen/Qwen2-Audio-7B": 17.0}
    tail_frames = 4  # the two convolutions look two frames past their last output

    def __init__(  # noqa: PLR0913  # the configuration's keys
        self,
        path: str = "Qwen/Qwen2-Audio-7B-Instruct",
        *,
        adapter: Adapter | None = None,
        dtype: DType = "auto",
        attention: Attention = "sdpa",
        quantize: Quantize | None = None,
        standardise_audio: bool = False,
        audio_layers: AudioLayers = "last",
        template_arguments: dict[str, Any] | None = None,
        date: str = TODAY,
        system: str | None = None,
        tags: Tags | None = None,
    ) -> None:
        """Args:
        path: Hub id or folder of the checkpoint (safetensors).
        adapter: What is trained; by default the LoRA of the ambiguity-aware LALM.
        dtype: Type of the base weights; `auto` takes the checkpoint's.
        attention: transformers' attention implementation.
        quantize: Base weights of four (`nf4`) or eight bits (`int8`) in the decoder's linear layers, with LoRA beside
            them; by default none. `dtype` is then the type that they are quantised from.
        standardise_audio: Train a fresh projector on features with mean 0 and deviation 1 over the training
            clips, at the scale of the token embeddings. Only for a checkpoint whose projector is untrained, for
            its weights are replaced. Saved adapters contain the standardisation and load anywhere.
        audio_layers: Up to six layers of the audio encoder that are heard beside the last one, through a linear map
            that is added to the projector's output: 0 is the output of the convolutions, n that of the n-th layer.
            `python -m lalm_ambig.baseline probe --layers all` finds good ones. The map starts at zero beside a
            trained projector, and is saved in the adapter, which only this package can then load.
        template_arguments: Further arguments of the chat template, such as {enable_thinking: false}.
        date: Today's date (YYYY-MM-DD), for a chat template that asks for it. It is fixed, so that a run gives
            the same numbers on any day, and is saved with the run's settings.
        system: Text of the system turn; by default the chat template's own.
        tags: The tags around reasoning and answer, for a checkpoint that was trained with others.
        """
        super().__init__(
            path,
            adapter=adapter or Adapter(),
            dtype=dtype,
            attention=attention,
            audio_layers=audio_layers,
            quantize=quantize,
        )
        self.standardise_audio = standardise_audio
        self.chat_settings = ChatSettings(template_arguments or {}, date, system)
        self.tags = tags or TAGS
        if standardise_audio and not (self.adapter.projector or self.adapter.method == "full"):
            raise InputError(
                "standardise_audio starts the projector anew, so it must be trained:",
                where="policy",
                remedy="set adapter.projector to true.",
            )

    def load_front(self, source: str) -> tuple[Any, Any]:
        self.processor = AutoProcessor.from_pretrained(source, trust_remote_code=False)
        tokenizer = self.processor.tokenizer
        tokenizer.chat_template = tokenizer.chat_template or self.processor.chat_template
        return tokenizer, self.processor.feature_extractor

    def load_base(self) -> tuple[Any, Any]:
        tokenizer, model = super().load_base()
        projector = model.model.multi_modal_projector.float()  # small, and trained more often than not
        projector.register_forward_pre_hook(_to_weight_dtype)
        return tokenizer, model

    @property
    def description(self) -> str:
        return f"qwen2_audio ({Path(self.path).name})"

    def encode_last(
        self, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        """As `Qwen2AudioEncoder.forward`, on as many frames as the longest clip has."""
        tower, device = self.tower, self.device
        longest = max(f.shape[-1] for f in frames)
        # The last frame is silence at the clip's own floor: what the 30 s window would hold there.
        mel = torch.stack([extended(f, longest) for f in frames])
        mel = mel[..., : self.window_frames].to(device=device, dtype=tower.conv1.weight.dtype)
        states = nn.functional.gelu(tower.conv2(nn.functional.gelu(tower.conv1(mel)))).permute(0, 2, 1)
        states = states + tower.embed_positions.weight[: states.shape[1]]
        positions, tokens = feature_counts(
            torch.tensor([f.shape[-1] - self.tail_frames for f in frames], device=device)
        )
        mask = self._seeing_first(states, positions)
        for layer in tower.layers:
            states = layer(states, mask)
        states = tower.layer_norm(tower.avg_pooler(states.permute(0, 2, 1)).permute(0, 2, 1))
        return [row[:n] for row, n in zip(states, tokens.tolist(), strict=True)]

    def window_features(
        self, mel: Float[Tensor, "clip mel frame"], mask: Int[Tensor, "clip frame"]
    ) -> list[Float[Tensor, "_ channel"]]:
        mel = mel.to(self.tower.conv1.weight.dtype)
        positions, tokens = feature_counts(mask.sum(-1))
        seen = self._seeing_first(mel.new_zeros(len(mel), mel.shape[-1] // 2, 1), positions)
        states = self.tower(mel, attention_mask=seen).last_hidden_state
        return [row[:n] for row, n in zip(states, tokens.tolist(), strict=True)]

    def _seeing_first(self, states: Float[Tensor, "clip position channel"], positions: Tensor) -> Any:
        """The encoder's attention mask: all positions see the clip's positions and no padding."""
        seen = torch.arange(states.shape[1], device=states.device)[None] < positions[:, None]
        return create_bidirectional_mask(
            config=self.tower.config, inputs_embeds=states, attention_mask=seen.long()
        )

    def project_last(
        self, features: Float[Tensor, "audio_token channel"]
    ) -> Float[Tensor, "audio_token model"]:
        projector = self.base.model.multi_modal_projector
        projected: Tensor = projector(features.to(next(projector.parameters()).dtype))
        return projected

    def standardise(self, mean: Float[Tensor, " channel"], deviation: Float[Tensor, " channel"]) -> None:
        """Set the moments of the side path's input; with `standardise_audio`, restart the trained projector.

        The projector and the side path then start alike, and their sum has the scale of the embeddings.
        """
        if self.side_layers:
            super().standardise(mean, deviation)
        if not self.standardise_audio:
            return
        embeddings = self.base.get_input_embeddings().weight
        scale = float(embeddings.float().square().mean().sqrt())
        channels = len(mean) - self.side_channels
        if self.side_layers:
            self.side_path.draw(scale / len(mean) ** 0.5)
            scale *= (channels / len(mean)) ** 0.5
        self._restart_projector(mean[:channels], deviation[:channels], scale)

    def _restart_projector(self, mean: Tensor, deviation: Tensor, scale: float) -> None:
        projector = self._trained_projector()
        projector.linear = StandardisedLinear(projector.linear, mean, deviation, scale=scale)

    @property
    def needs_moments(self) -> bool:
        return self.standardise_audio or super().needs_moments

    def standardise_as_saved(self, tensors: Mapping[str, Tensor]) -> None:
        super().standardise_as_saved(tensors)
        means, deviations = (
            [value for name, value in tensors.items() if name.endswith(f".linear.{moment}")]
            for moment in ("mean", "deviation")
        )
        if means and deviations:
            self._restart_projector(means[0], deviations[0], 1.0)

    def _trained_projector(self) -> Any:
        """The projector, or the copy of it that the adapter trains."""
        return trained_copy(self.base.model.multi_modal_projector)

    def save(self, folder: Path) -> None:
        projector = self._trained_projector()
        linear = projector.linear
        if isinstance(linear, StandardisedLinear):
            projector.linear = linear.folded()
        try:
            super().save(folder)
        finally:
            projector.linear = linear
        if self.adapter.method == "full":
            self.processor.save_pretrained(folder)  # a complete checkpoint, which `path` can name


def _to_weight_dtype(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Cast a module's inputs to the type of its weights; an encoder of two bytes gives others."""
    dtype = next(module.parameters()).dtype
    return tuple(value.to(dtype) for value in inputs)
