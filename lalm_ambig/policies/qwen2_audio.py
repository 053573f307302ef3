"""Qwen2-Audio and everything of its class: an audio encoder, a projector and a Qwen2 or Llama decoder.

Departures from transformers' forward, each tested to be exact: the encoder runs on the clip's own frames instead of
a 30 s window, its features can be cached before the projector, and the decoder is called on embeddings, so that the
head sees only the rows that are asked for.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration
from transformers.masking_utils import create_bidirectional_mask

from lalm_ambig.errors import InputError
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.lora import LANGUAGE_MODEL, UNREADABLE, Adapter
from lalm_ambig.policies.standardised import StandardisedLinear
from lalm_ambig.types import Audio, Tokens

RATE_HZ = 16_000
TAIL_FRAMES = 4
"""Silent mel frames kept behind a clip: the two convolutions look two frames past their last output."""


class Qwen2Audio(Policy):
    """`Qwen2AudioForConditionalGeneration` from a hub id or a folder."""

    layer_pattern = LANGUAGE_MODEL

    def __init__(
        self,
        path: str = "Qwen/Qwen2-Audio-7B-Instruct",
        *,
        adapter: Adapter | None = None,
        dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto",
        attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa",
        standardise_audio: bool = False,
    ) -> None:
        """
        Args:
            path: Hub id or folder of the checkpoint (safetensors).
            adapter: What is trained; paper A's LoRA by default.
            dtype: Of the base weights; `auto` takes the checkpoint's.
            attention: transformers' attention implementation.
            standardise_audio: Train a fresh projector on features with mean 0 and deviation 1 over the training
                clips, at the scale of the token embeddings. Only for a checkpoint whose projector is untrained: it
                replaces its weights. Saved adapters have this folded in and load anywhere.
        """
        super().__init__(adapter or Adapter())
        self.path = path
        self.dtype_name = dtype
        self.attention = attention
        self.standardise_audio = standardise_audio
        if standardise_audio and not (self.adapter.projector or self.adapter.method == "full"):
            raise InputError(
                "standardise_audio starts the projector anew, so it must be trained:",
                where="policy",
                remedy="set adapter.projector to true.",
            )

    def load_base(self) -> tuple[Any, Any]:
        source = self.checkpoint()
        try:
            self.processor = AutoProcessor.from_pretrained(source, trust_remote_code=False)
            model = Qwen2AudioForConditionalGeneration.from_pretrained(
                source, dtype=self.dtype_name, attn_implementation=self.attention, use_safetensors=True
            )
        except UNREADABLE as error:
            reason = str(error).split("\n")[0]
            raise InputError(
                f"no Qwen2-Audio checkpoint can be read from {source!r}: {reason}",
                where="policy.path",
                remedy="Give a folder or a hub id.",
            ) from error
        extractor = self.processor.feature_extractor
        extractor.padding_side = "right"
        self.processor.tokenizer.padding_side = "left"
        self.window_frames = 2 * model.config.audio_config.max_source_positions
        self.window_s = self.window_frames * extractor.hop_length / RATE_HZ
        self.audio_token_id = int(model.config.audio_token_id)
        model.model.multi_modal_projector.float()  # small, and trained more often than not
        return self.processor.tokenizer, model

    def checkpoint(self) -> str:
        """Folder or hub id to read from."""
        return str(Path(self.path).expanduser()) if Path(self.path).expanduser().exists() else self.path

    @property
    def describe(self) -> str:
        return f"qwen2_audio ({Path(self.path).name})"

    @property
    def language_model(self) -> nn.Module:
        decoder: nn.Module = self.base.model.language_model
        return decoder

    @property
    def tower(self) -> Any:
        """The audio encoder."""
        return self.base.model.audio_tower

    def train(self, mode: bool = True) -> "Qwen2Audio":
        """Training mode for what is trained; a frozen encoder stays in evaluation mode, so features stay equal."""
        super().train(mode)
        if self.loaded and not self.adapter.trains_tower:
            self.tower.eval()
        return self

    def prompt_ids(self, parts: Sequence[dict[str, str]], *, audio_tokens: int = 0) -> list[int]:
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": list(parts)}], tokenize=False, add_generation_prompt=True
        )
        ids: list[int] = []
        for token in self.text_ids(text):
            ids.extend([token] * (audio_tokens if token == self.audio_token_id else 1))
        if ids.count(self.audio_token_id) != audio_tokens:
            raise InputError(
                f"the prompt has {ids.count(self.audio_token_id)} audio tokens for {audio_tokens} features:",
                where="policy",
                remedy="it must hold the audio exactly once.",
            )
        return ids

    @property
    def end_ids(self) -> list[int]:
        ends = self.base.generation_config.eos_token_id
        return (
            list(ends)
            if isinstance(ends, list)
            else [int(ends if ends is not None else self.tokenizer.eos_token_id)]
        )

    def listen(self, samples: Float[Tensor, "sample"]) -> Float[Tensor, "mel frame"]:
        """Log-mel frames of the clip and `TAIL_FRAMES` of silence, equal to the first frames of its 30 s window.

        At the window's end the spectrum sees the clip mirrored there, as in the window; frames behind it are fillers.
        """
        extractor = self.processor.feature_extractor
        hop = extractor.hop_length
        samples = samples[: self.window_frames * hop]
        frames = -(-samples.numel() // hop) + TAIL_FRAMES
        heard = min(frames + TAIL_FRAMES, self.window_frames) * hop
        padded = torch.nn.functional.pad(samples, (0, heard - samples.numel()))
        mel = extractor(
            padded.numpy(), sampling_rate=RATE_HZ, padding="longest", truncation=False, return_tensors="pt"
        )
        features: Tensor = mel["input_features"][0][:, :frames]
        return extended(features, frames)

    def audio_tokens(self, frames: Float[Tensor, "mel frame"]) -> int:
        return int(self._lengths(torch.tensor([frames.shape[-1]]))[1])

    def _lengths(self, frames: Int[Tensor, "clip"]) -> tuple[Tensor, Tensor]:
        """Encoder positions and audio tokens of clips, from the frames that `listen` returned."""
        positions = (frames - TAIL_FRAMES - 1) // 2 + 1
        return positions, (positions - 2) // 2 + 1

    def encode_audio(self, frames: Sequence[Tensor]) -> list[Float[Tensor, "audio_token channel"]]:
        """As `Qwen2AudioEncoder.forward`, on as many frames as the longest clip has."""
        tower, device = self.tower, self.device
        longest = max(f.shape[-1] for f in frames)
        # The last frame is silence at the clip's own floor: what the 30 s window would hold there.
        mel = torch.stack([extended(f, longest) for f in frames])
        mel = mel[..., : self.window_frames].to(device=device, dtype=tower.conv1.weight.dtype)
        states = nn.functional.gelu(tower.conv2(nn.functional.gelu(tower.conv1(mel)))).permute(0, 2, 1)
        states = states + tower.embed_positions.weight[: states.shape[1]]
        positions, tokens = self._lengths(torch.tensor([f.shape[-1] for f in frames]))
        seen = torch.arange(states.shape[1])[None] < positions[:, None]
        mask = create_bidirectional_mask(
            config=tower.config, inputs_embeds=states, attention_mask=seen.long().to(device)
        )
        for layer in tower.layers:
            states = layer(states, mask)
        states = tower.layer_norm(tower.avg_pooler(states.permute(0, 2, 1)).permute(0, 2, 1))
        return [row[:n] for row, n in zip(states, tokens.tolist(), strict=True)]

    def encoder_fingerprint(self) -> str:
        """Hash of the encoder's weights, their type and the mel settings."""
        digest = hashlib.sha256(
            repr(sorted(self.processor.feature_extractor.to_dict().items(), key=str)).encode()
        )
        for name, weight in self.tower.state_dict().items():
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
            digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def standardise(self, mean: Float[Tensor, "channel"], deviation: Float[Tensor, "channel"]) -> None:
        """Start the trained projector anew on standardised features, with outputs at the embeddings' scale."""
        embeddings = self.base.get_input_embeddings().weight
        scale = float(embeddings.float().square().mean().sqrt())
        projector = self._trained_projector()
        projector.linear = StandardisedLinear(projector.linear, mean, deviation, scale=scale)

    def _trained_projector(self) -> Any:
        """The projector, or the copy of it that the adapter trains."""
        projector = self.base.model.multi_modal_projector
        return (
            projector.modules_to_save["default"] if isinstance(projector, ModulesToSaveWrapper) else projector
        )

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
            self.processor.save_pretrained(folder)  # a whole checkpoint, which `path` can name

    def embed(self, tokens: Tokens, audio: Audio | None = None) -> Float[Tensor, "item token channel"]:
        """Text embeddings, with each clip's projected features in the places of its audio tokens, row by row."""
        embeddings = self.embed_ids(tokens.ids)
        if audio is None or not audio.frames:
            return embeddings
        features = list(audio.frames) if audio.encoded else self.encode_audio(audio.frames)
        projected = self.base.model.multi_modal_projector(
            torch.cat([f.to(self.device).float() for f in features])
        )
        places = (tokens.ids == self.audio_token_id).unsqueeze(-1)
        return embeddings.masked_scatter(places, projected.to(embeddings.dtype))


def extended(mel: Float[Tensor, "mel frame"], frames: int) -> Float[Tensor, "mel longer"]:
    """The frames, and the last one again up to so many."""
    return torch.cat([mel, mel[:, -1:].expand(-1, frames - mel.shape[-1])], dim=-1)
