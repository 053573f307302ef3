"""Qwen2-Audio and everything of its class: an audio encoder, a projector and a Qwen2 or Llama decoder.

What it does in its own way is in `families.qwen2_audio`. Here is the fresh start of an untrained projector.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.audio.side_path import AudioLayers, trained_copy
from lalm_ambig.policies.audio.standardised import StandardisedLinear
from lalm_ambig.policies.audio_lm import AudioLM
from lalm_ambig.policies.chat.template import TODAY
from lalm_ambig.policies.families.base import AudioFamily
from lalm_ambig.policies.families.qwen2_audio import Qwen2AudioFamily
from lalm_ambig.policies.weights.checkpoint import Attention, DType
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.policies.weights.quantised_base import Quantize
from lalm_ambig.readouts.response import Tags


class Qwen2Audio(AudioLM):
    """`Qwen2AudioForConditionalGeneration` from a hub id or a folder."""

    kind: type[AudioFamily] = Qwen2AudioFamily

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
            adapter=adapter,
            dtype=dtype,
            attention=attention,
            quantize=quantize,
            audio_layers=audio_layers,
            template_arguments=template_arguments,
            date=date,
            system=system,
            tags=tags,
        )
        self.standardise_audio = standardise_audio
        if standardise_audio and not (self.adapter.projector or self.adapter.method == "full"):
            raise InputError(
                "standardise_audio starts the projector anew, so it must be trained:",
                where="policy",
                remedy="set adapter.projector to true.",
            )

    def find_kind(self) -> type[AudioFamily]:
        return self.kind

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
