"""Base models with an audio encoder, whose features replace placeholder tokens in the prompt.

In every family a clip is encoded on its own frames, not on silence that fills a window. Each row of a batch must hold
as many placeholders as its clips have features: otherwise a model's own forward may shift a neighbour's audio, as
Qwen2.5-Omni's does without an error.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lalm_ambig.audio.inspection import MAX_S
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Audio, Tokens
from lalm_ambig.policies.attention.tree import Segment
from lalm_ambig.policies.audio.mel import (
    RATE_HZ,
    feature_counts,
    padded_window,
    refuse_miscount,
    unpadded_mel,
)
from lalm_ambig.policies.audio.side_path import (
    SIDE_PATH,
    AudioLayers,
    SidePath,
    add_side_path,
    captured,
    check_saved_layers,
    chosen_layers,
    mark_saved,
    pair_means,
    trained_copy,
)
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.chat.chat import Chat
from lalm_ambig.policies.chat.template import ChatSettings
from lalm_ambig.policies.model_kinds import check_audio_model
from lalm_ambig.policies.weights.checkpoint import (
    Attention,
    DType,
    attention_notes,
    checkpoint_errors,
    dtype_to_load,
    locate,
    read_model,
    torch_dtype,
)
from lalm_ambig.policies.weights.contents import check_contents, model_settings, saved_dtype
from lalm_ambig.policies.weights.hub import check_hub
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.policies.weights.quantised_base import Quantize
from lalm_ambig.policies.weights.weight_files import check_weight_files

TOWER = "audio_tower"
"""Name of the audio encoder in the models of transformers."""


class AudioModel(Policy):
    """A checkpoint with an audio encoder and a decoder, from a hub id or a folder (safetensors)."""

    family: str
    """Name of the model family, for messages."""
    model_class: Any
    """The transformers class of the checkpoint."""
    downloads_gb: Mapping[str, float] = {}
    """Download size of the family's hub ids in GB."""
    tail_frames: int = 0
    """Silent mel frames that the encoder needs after a clip."""
    extractor: Any
    """The feature extractor, from samples to log-mel frames."""
    chat_settings: ChatSettings = ChatSettings()
    """Further arguments of the chat template."""
    window_frames: int
    """Longest clip in mel frames: the checkpoint's window, but at most the length that corpora are cut to."""

    def __init__(  # noqa: PLR0913  # the configuration's keys
        self,
        path: str,
        *,
        adapter: Adapter,
        dtype: DType,
        attention: Attention,
        audio_layers: AudioLayers = "last",
        quantize: Quantize | None = None,
    ) -> None:
        super().__init__(adapter, quantize)
        self.path, self.dtype_name, self.attention = path, dtype, attention
        self.side_layers = chosen_layers(audio_layers, trains_all=adapter.method == "full")
        """The encoder's layers that are heard beside the last one."""
        self.aside: dict[str, tuple[nn.Module]] = {}

    @abstractmethod
    def load_front(self, source: str) -> tuple[Any, Any]:
        """Read the tokenizer, with its chat template, and the feature extractor."""

    @abstractmethod
    def encode_last(
        self, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        """Features of the audio encoder's last layer, one tensor per clip."""

    @abstractmethod
    def window_features(
        self, mel: Float[Tensor, "clip mel frame"], mask: Int[Tensor, "clip frame"]
    ) -> list[Float[Tensor, "_ channel"]]:
        """Features by transformers' own encoder from its own input (see `mel.padded_window`).

        Args:
            mel: Log-mel frames of the padded window.
            mask: 1 on a clip's frames, 0 on padding.
        """

    def states_by_clip(
        self, states: Tensor, positions: Int[Tensor, " clip"]
    ) -> Sequence[Float[Tensor, "position channel"]]:
        """A layer's states of several clips, clip by clip; there may be padding after a clip's own positions.

        Args:
            states: What the layer computed.
            positions: The encoder's positions of each clip.
        """
        return states.unbind()

    def encode_audio(
        self, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        with captured(self.tower.layers, self.side_layers) as states:
            last = self.encode_last(frames)
        return self._beside(last, states, [f.shape[-1] - self.tail_frames for f in frames])

    def reference_features(self, clips: Sequence[Float[Tensor, " _"]]) -> list[Float[Tensor, "_ channel"]]:
        """Features by transformers' own path on the padded window; `encode_audio` must equal them."""
        mel, mask = padded_window(self.extractor, clips)
        with captured(self.tower.layers, self.side_layers) as states:
            last = self.window_features(mel.to(self.device), mask.to(self.device))
        return self._beside(last, states, mask.sum(-1).tolist())

    def _beside(
        self, last: list[Float[Tensor, "_ channel"]], states: Mapping[int, Tensor], frames: Sequence[int]
    ) -> list[Float[Tensor, "_ channels"]]:
        """Each clip's features of the last layer, with the pooled states of the side path's layers beside them."""
        if not states:
            return last
        positions, _ = feature_counts(torch.tensor(frames))
        clips = [self.states_by_clip(states[layer], positions) for layer in self.side_layers]
        return [
            torch.cat([row, *(pair_means(layer[n], len(row)).to(row.dtype) for layer in clips)], dim=-1)
            for n, row in enumerate(last)
        ]

    def _layer_channels(self, model: Any) -> int:
        return int(model.model.audio_tower.config.d_model)

    @property
    def side_channels(self) -> int:
        """Channels of an audio token's features that are the side path's, after those of the last layer."""
        return len(self.side_layers) * self._layer_channels(self.base)

    def project(self, features: Float[Tensor, "audio_token channel"]) -> Float[Tensor, "audio_token model"]:
        """Encoder features as input embeddings."""
        if not self.side_layers:
            return self.project_last(features)
        last, beside = features[:, : -self.side_channels], features[:, -self.side_channels :]
        added: Tensor = self.base.model.get_submodule(SIDE_PATH)(beside)
        return self.project_last(last) + added

    def project_last(
        self, features: Float[Tensor, "audio_token channel"]
    ) -> Float[Tensor, "audio_token model"]:
        """The last layer's features as input embeddings."""
        return features

    @property
    def side_path(self) -> SidePath:
        """The side path that is trained. Only a policy with `side_layers` has one."""
        module = trained_copy(self.base.model.get_submodule(SIDE_PATH))
        assert isinstance(module, SidePath)
        return module

    @contextmanager
    def hearing(self, layers: tuple[int, ...]) -> Iterator[None]:
        """Inside, `encode_audio` gives other layers beside the last; without any, the side path is off."""
        before, self.side_layers = self.side_layers, layers
        try:
            yield
        finally:
            self.side_layers = before

    @property
    def needs_moments(self) -> bool:
        return bool(self.side_layers)

    def standardise(self, mean: Float[Tensor, " channel"], deviation: Float[Tensor, " channel"]) -> None:
        """Set the moments of the side path's input."""
        self.side_path.standardise(mean[-self.side_channels :], deviation[-self.side_channels :])

    def standardise_as_saved(self, tensors: Mapping[str, Tensor]) -> None:
        for name, value in tensors.items() if self.side_layers else ():
            for moment in ("mean", "deviation"):
                if name.endswith(f"{SIDE_PATH}.modules_to_save.default.{moment}"):
                    self.side_path.get_buffer(moment).copy_(value)

    def save(self, folder: Path) -> None:
        super().save(folder)
        if self.side_layers:
            mark_saved(folder)

    def load_weights(self, folder: Path) -> None:
        check_saved_layers(folder, self.side_layers)
        super().load_weights(folder)

    def load_base(self) -> tuple[Any, Any]:
        self.aside.clear()
        source = self.checkpoint()
        config = check_contents(source)
        if config:
            check_audio_model(source, config, self.model_class)
        check_weight_files(source)
        dtype = dtype_to_load(self.dtype_name, trained_whole=self.adapter.method == "full")
        with checkpoint_errors(self.family, source):
            tokenizer, self.extractor = self.load_front(source)
        self.chat = Chat(tokenizer, source, self.chat_settings, hears=True)
        self.tags = self.chat.tags(self.tags)
        with checkpoint_errors(self.family, source):
            model = read_model(
                self.model_class, source, dtype=dtype, attention=self.attention, device=self.place
            )
        self.load_notes += attention_notes(model, self.attention)
        self.extractor.padding_side = "right"
        tokenizer.padding_side = "left"
        hop = self.extractor.hop_length
        self.window_frames = min(self.extractor.nb_max_frames, round(MAX_S * RATE_HZ) // hop)
        self.window_s = self.window_frames * hop / RATE_HZ
        self.audio_token_id = int(model.config.audio_token_id)
        self.ends = self.chat.turn_ends(model)
        self._add_side_path(model)
        return tokenizer, model

    def _add_side_path(self, model: Any) -> None:
        add_side_path(model, self.side_layers, channels=self._layer_channels(model))

    def on_meta(self) -> tuple[nn.Module, nn.Module, Any]:
        source = self.checkpoint()
        settings = model_settings(source, self.path)
        dtype = dtype_to_load(self.dtype_name, trained_whole=self.adapter.method == "full")
        with checkpoint_errors("described", source), torch.device("meta"):
            check_audio_model(source, settings, self.model_class)
            config = self.model_class.config_class.from_pretrained(source)
            model = self.model_class._from_config(config, dtype=torch_dtype(dtype, config))
            self._add_side_path(model)
        return model, model.model.language_model, config

    def weights_dtype(self) -> str | None:
        asked = dtype_to_load(self.dtype_name, trained_whole=self.adapter.method == "full")
        return saved_dtype(self.checkpoint()) if asked == "auto" else asked

    def checkpoint(self) -> str:
        """The folder or hub id of the checkpoint."""
        return locate(self.path)

    def check_reachable(self) -> None:
        check_hub(self.checkpoint(), download_gb=self.downloads_gb.get(self.path))

    @property
    def language_model(self) -> nn.Module:
        decoder: nn.Module = self.base.model.language_model
        return decoder

    @property
    def tower(self) -> Any:
        """The audio encoder. It comes back to the device if it was set aside."""
        if held := self.aside.pop(TOWER, None):
            setattr(self.base.model, TOWER, held[0].to(self.device))
        return self.base.model.audio_tower

    def set_aside(self, name: str) -> None:
        """Free a GPU of a frozen module that will hardly be read again; on a CPU nothing would be won."""
        if self.device.type == "cpu" or name in self.aside:
            return
        self.aside[name] = (getattr(self.base.model, name).to("cpu").eval(),)
        setattr(self.base.model, name, nn.Module())

    def set_tower_aside(self) -> None:
        if not self.adapter.trains_tower:
            self.set_aside(TOWER)

    def train(self, mode: bool = True) -> "AudioModel":
        """Set training mode; a frozen encoder stays in evaluation mode, so that its features do not change."""
        super().train(mode)
        if self.loaded and not self.adapter.trains_tower and TOWER not in self.aside:
            self.tower.eval()
        return self

    def prompt_ids(
        self, parts: Sequence[dict[str, str]], *, audio_tokens: int = 0, at_once: bool = False
    ) -> list[int]:
        if audio_tokens == 0 and any(part["type"] == "audio" for part in parts):
            raise InputError("a clip is too short to be heard: it makes no audio token.", where="policy")
        ids: list[int] = []
        for token in self.chat.prompt_ids(parts, at_once=at_once):
            ids.extend([token] * (audio_tokens if token == self.audio_token_id else 1))
        if ids.count(self.audio_token_id) != audio_tokens:
            raise InputError(
                f"the prompt has {ids.count(self.audio_token_id)} audio tokens for {audio_tokens} features:",
                where="policy",
                remedy="it must hold the audio exactly once.",
            )
        return ids

    def native_states(
        self, ids: Int[Tensor, " token"], clip_s: float
    ) -> tuple[Segment, Int[Tensor, " all"], Float[Tensor, "all channel"]]:
        """As `Policy.native_states`; the audio is on the padded window, as transformers prepares it."""
        if not clip_s:
            return super().native_states(ids, clip_s)
        count = round(clip_s * RATE_HZ)
        clip = 0.1 * torch.randn(count, generator=torch.Generator().manual_seed(0))
        frames = self.log_mel(clip).to(self.device)
        placeholders = torch.full((self.audio_tokens(frames),), self.audio_token_id, device=self.device)
        all_ids = torch.cat([ids[:2], placeholders, ids[2:]])
        mel, mask = padded_window(self.extractor, [clip])
        states, _ = self.native_forward(
            input_ids=all_ids[None],
            attention_mask=torch.ones_like(all_ids)[None],
            input_features=mel.to(self.device, self.tower.dtype),
            feature_attention_mask=mask.to(self.device),
            use_cache=False,
        )
        tokens = Tokens(all_ids[None], torch.ones_like(all_ids, dtype=torch.bool)[None])
        with self.hearing(()):
            embeddings = self.embed(tokens, Audio(rows=(0,), frames=(frames,), encoded=False))
        return Segment(embeddings[0]), all_ids, states[0]

    def log_mel(self, samples: Float[Tensor, " sample"]) -> Float[Tensor, "mel frame"]:
        longest = self.window_frames * self.extractor.hop_length
        return unpadded_mel(self.extractor, samples[:longest], tail=self.tail_frames)

    def audio_tokens(self, frames: Float[Tensor, "mel frame"]) -> int:
        return int(feature_counts(torch.tensor([frames.shape[-1] - self.tail_frames]))[1])

    def encoder_fingerprint(self) -> str:
        """Hash of the encoder's weights, their type, the layers that are heard, and the mel settings."""
        digest = hashlib.sha256(repr(sorted(self.extractor.to_dict().items(), key=str)).encode())
        if self.side_layers:
            digest.update(f"layers {self.side_layers}".encode())
        for name, weight in self.tower.state_dict().items():
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
            digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def embed(self, tokens: Tokens, audio: Audio | None = None) -> Float[Tensor, "item token channel"]:
        """Text embeddings, with each clip's features in place of its row's audio tokens.

        Raises:
            InputError: A row has another number of audio tokens than of features.
        """
        embeddings = self.embed_ids(tokens.ids)
        is_audio = tokens.ids == self.audio_token_id
        clips = () if audio is None else audio.frames
        features = list(clips) if audio is None or audio.encoded else self.encode_audio(clips)
        rows = () if audio is None else audio.rows
        refuse_miscount(is_audio, rows, features)
        if not features:
            return embeddings + self._unused_audio() if torch.is_grad_enabled() else embeddings
        in_order = [features[n] for n in sorted(range(len(rows)), key=lambda n: rows[n])]
        projected = self.project(torch.cat(in_order).to(self.device))
        return embeddings.masked_scatter(is_audio.unsqueeze(-1), projected.to(embeddings.dtype))

    def _unused_audio(self) -> Float[Tensor, ""] | float:
        """0, with a gradient of 0 for all that is trained between the sound and the embeddings.

        DDP waits for a gradient of every trained parameter, in batches without sound, too.
        """
        parts = (TOWER, self.projector_name, SIDE_PATH)
        trained = [
            p for name, p in self.base.named_parameters() if p.requires_grad and any(x in name for x in parts)
        ]
        return sum((0 * p.sum() for p in trained), start=0.0)
