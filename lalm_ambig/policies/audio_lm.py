"""Any audio-language model of transformers that has a description in `families`; the checkpoint says which."""

from functools import cached_property
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.audio.side_path import AudioLayers
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.chat.template import TODAY, ChatSettings
from lalm_ambig.policies.families import known_families
from lalm_ambig.policies.families.base import AudioFamily
from lalm_ambig.policies.families.discovered import discover
from lalm_ambig.policies.model_kinds import kinds_of
from lalm_ambig.policies.weights.checkpoint import Attention, DType
from lalm_ambig.policies.weights.contents import model_settings
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.policies.weights.quantised_base import Quantize
from lalm_ambig.readouts.response import TAGS, Tags


class AudioLM(AudioModel):
    """A checkpoint of a family that hears (docs/reference/audio_families.md), from a hub id or a folder."""

    def __init__(  # noqa: PLR0913  # the configuration's keys
        self,
        path: str,
        *,
        adapter: Adapter | None = None,
        dtype: DType = "auto",
        attention: Attention = "sdpa",
        quantize: Quantize | None = None,
        audio_layers: AudioLayers = "last",
        template_arguments: dict[str, Any] | None = None,
        date: str = TODAY,
        system: str | None = None,
        tags: Tags | None = None,
    ) -> None:
        """Args:
        path: Hub id or folder of the checkpoint (safetensors). Its config.json says of which family it is.
        adapter: What is trained; by default LoRA on every linear layer of the decoder's layers.
        dtype: Type of the base weights; `auto` takes the checkpoint's.
        attention: transformers' attention implementation.
        quantize: Base weights of four (`nf4`) or eight bits (`int8`) in the decoder's linear layers, with LoRA beside
            them; by default none. `dtype` is then the type that they are quantised from.
        audio_layers: Layers of the audio encoder that are heard beside the last one (see `Qwen2Audio`).
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
        self.chat_settings = ChatSettings(template_arguments or {}, date, system)
        self.tags = tags or TAGS

    def find_kind(self) -> type[AudioFamily]:
        return self._found

    @cached_property
    def _found(self) -> type[AudioFamily]:
        source = self.checkpoint()
        settings = model_settings(source, self.path, own_adapter=True)
        known = known_families()
        found = [known[name] for name in sorted(kinds_of(settings)) if name in known]
        if not found and (discovered := discover(source, settings)):
            return discovered
        if not found:
            raise InputError(
                f"{source} ({settings['model_type']}) is of no family that hears:",
                where="policy.path",
                remedy=f"its config.json must say one of {', '.join(sorted(known))}.",
            )
        return found[0]
