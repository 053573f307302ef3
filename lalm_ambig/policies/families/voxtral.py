"""Voxtral: Whisper's encoder over the padded 30 s, four states to a token, and a Llama decoder.

The encoder is not told where a clip ends and hears the silence behind it, so it always computes the whole window: 375
tokens for any clip. On the hub the tokenizer is a tekken.json, which transformers turns into a fast tokenizer; the
checkpoint has no chat template, so one is given here that writes the tokens of its own instruct format.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AutoFeatureExtractor, AutoTokenizer

from lalm_ambig.policies.audio.mel import RATE_HZ
from lalm_ambig.policies.families.base import AudioFamily

AUDIO, BEGIN = "[AUDIO]", "[BEGIN_AUDIO]"
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
"""Tokens that tekken.json has without saying what they are for."""


class VoxtralFamily(AudioFamily):
    """`VoxtralForConditionalGeneration`."""

    model_type = "voxtral"
    class_name = "VoxtralForConditionalGeneration"
    title = "Voxtral"
    tokens_per_s = 12.5
    fills_window = True
    template = (
        "{{ bos_token }}{% for message in messages %}"
        "{% if message['role'] == 'assistant' %}{{ message['content'] + eos_token }}"
        "{% elif message['role'] == 'system' %}{{ raise_exception('its tokenizer takes no system turn beside sound') }}"
        "{% else %}{{ '[INST]' }}{% if message['content'] is string %}{{ message['content'] }}"
        "{% else %}{% for part in message['content'] %}"
        f"{{% if part['type'] == 'audio' %}}{{{{ '{BEGIN}{AUDIO}' }}}}"
        "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ '[/INST]' }}{% endif %}{% endfor %}"
    )

    @classmethod
    def load_front(cls, source: str) -> tuple[Any, Any]:
        """Read a fast tokenizer, from tekken.json too, whether or not mistral-common is installed."""
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, mistral_format=False)
        for name, token in SPECIAL.items():
            if getattr(tokenizer, name) is None:
                setattr(tokenizer, name, token)
        tokenizer.chat_template = tokenizer.chat_template or cls.template
        return tokenizer, AutoFeatureExtractor.from_pretrained(source, trust_remote_code=False)

    @classmethod
    def states_per_token(cls, config: Any) -> int:
        return int(config.audio_config.intermediate_size // config.audio_config.d_model)

    @classmethod
    def feature_channels(cls, config: Any) -> int:
        return int(config.audio_config.intermediate_size)

    def frames(self, samples: Float[Tensor, " sample"]) -> Float[Tensor, "mel frame"]:
        return self._window([samples])[0]

    def tokens(self, frames: Float[Tensor, "mel frame"]) -> int:
        settings = self.config.audio_config
        return int(settings.max_source_positions * settings.d_model // settings.intermediate_size)

    def inputs(self, clips: Sequence[Float[Tensor, " _"]]) -> dict[str, Tensor]:
        return {"input_features": self._window(clips)}

    def _window(self, clips: Sequence[Float[Tensor, " _"]]) -> Float[Tensor, "clip mel frame"]:
        seconds = self.window_s
        mel: Tensor = self.extractor(
            [clip.numpy() for clip in clips],
            sampling_rate=RATE_HZ,
            padding=True,
            truncation=False,
            pad_to_multiple_of=round(seconds * RATE_HZ),
            return_tensors="pt",
        )["input_features"]
        return mel

    def encode(
        self, tower: Any, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        states = tower(torch.stack(list(frames)).to(tower.conv1.weight.device)).last_hidden_state
        return list(states.reshape(len(frames), -1, self.config.audio_config.intermediate_size))
