"""Qwen2.5-Omni's Thinker; what it does in its own way is in `families.qwen2_5_omni`."""

from typing import Any

from lalm_ambig.policies.audio.side_path import AudioLayers
from lalm_ambig.policies.audio_lm import AudioLM
from lalm_ambig.policies.chat.template import TODAY
from lalm_ambig.policies.families.base import AudioFamily
from lalm_ambig.policies.families.qwen2_5_omni import Qwen2_5OmniFamily
from lalm_ambig.policies.weights.checkpoint import Attention, DType
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.policies.weights.quantised_base import Quantize


class Qwen2_5Omni(AudioLM):
    """`Qwen2_5OmniThinkerForConditionalGeneration` from a hub id or a folder, with or without the talker beside it."""

    kind: type[AudioFamily] = Qwen2_5OmniFamily

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
            adapter=adapter,
            dtype=dtype,
            attention=attention,
            quantize=quantize,
            audio_layers=audio_layers,
            template_arguments=template_arguments,
            date=date,
            system=system,
        )
        self._check_adapter(self.kind)

    def find_kind(self) -> type[AudioFamily]:
        return self.kind
