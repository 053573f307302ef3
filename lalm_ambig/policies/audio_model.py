"""Base models with an audio encoder, whose features replace placeholder tokens in the prompt.

In every family a clip is encoded on its own frames, not on silence that fills a window. Each row of a batch must hold
as many placeholders as its clips have features: otherwise a model's own forward may shift a neighbour's audio, as
Qwen2.5-Omni's does without an error.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Audio, Tokens
from lalm_ambig.policies.attention.tree import Segment
from lalm_ambig.policies.audio.hearing import Hearing
from lalm_ambig.policies.audio.mel import RATE_HZ, refuse_miscount
from lalm_ambig.policies.audio.side_path import (
    SIDE_PATH,
    AudioLayers,
    add_side_path,
    check_saved_layers,
    chosen_layers,
    mark_saved,
)
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.chat.chat import Chat
from lalm_ambig.policies.chat.template import ChatSettings
from lalm_ambig.policies.families.base import AudioFamily
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


class AudioModel(Hearing, Policy):
    """A checkpoint with an audio encoder and a decoder, from a hub id or a folder (safetensors).

    What differs between families of checkpoints is in their descriptions (see `families.base`).
    """

    extractor: Any
    """The feature extractor, from samples to the encoder's input."""
    audio_is_outside: bool
    """Whether the audio token has no row among the embeddings of tokens (Granite Speech's)."""
    chat_settings: ChatSettings = ChatSettings()
    """Further arguments of the chat template."""

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
        self.aside: dict[str, tuple[nn.Module]] = {}

    def save(self, folder: Path) -> None:
        super().save(folder)
        if self.side_layers:
            mark_saved(folder)
        if self.adapter.method == "full":  # a complete checkpoint, which `path` can name
            self.family.save_front(self.checkpoint(), folder)

    def load_weights(self, folder: Path) -> None:
        check_saved_layers(folder, self.side_layers)
        super().load_weights(folder)

    @abstractmethod
    def find_kind(self) -> type[AudioFamily]:
        """The description of the checkpoint's family."""

    def load_base(self) -> tuple[Any, Any]:
        self.aside.clear()
        source, kind = self.checkpoint(), self.find_kind()
        config = check_contents(source, own_adapter=kind.own_adapter)
        if config:
            check_audio_model(source, config, kind)
            kind.check_settings(source, config)
        check_weight_files(source)
        self._check_adapter(kind)
        dtype = dtype_to_load(self.dtype_name, trained_whole=self.adapter.method == "full")
        with checkpoint_errors(kind.title, source):
            tokenizer, self.extractor = kind.load_front(source)
        self.chat = Chat(tokenizer, source, self.chat_settings, hears=True, marker=kind.marker)
        self.tags = self.chat.tags(self.tags)
        with checkpoint_errors(kind.title, source):
            model = read_model(
                kind.model_class(),
                source,
                dtype=dtype,
                attention=self.attention,
                device=self.place,
                prepare=partial(self._prepare, kind, source),
            )
        self.load_notes += attention_notes(model, self.attention)
        self.extractor.padding_side = "right"
        tokenizer.padding_side = "left"
        self.family = kind(model, tokenizer, self.extractor)
        self.window_s = self.family.window_s
        self.audio_token_id = kind.token_id(model.config)
        self.audio_is_outside = self.audio_token_id >= model.get_input_embeddings().weight.shape[0]
        self.ends = self.chat.turn_ends(model)
        self._float_projector(model)
        self._add_side_path(model, kind)
        return tokenizer, model

    def load(self, place: torch.device | str = "cpu") -> None:
        """As `Policy.load`; modules that are not used for text or sound stay frozen under full fine-tuning, too."""
        if self.loaded:
            return
        super().load(place)
        for name in self.unused_names:
            self.base.get_submodule(name).requires_grad_(False)
            stays = name in self.family.stays or name.startswith(f"{self.family.tower}.")
            if self.adapter.method == "lora" and not stays:  # a fully tuned model is saved with it
                self.set_aside(name)

    def _prepare(self, kind: type[AudioFamily], source: str, model: Any) -> None:
        self.load_notes += kind.prepare(model, source)
        if not kind.tested:
            self.load_notes.append(
                f"{kind.title} was found by the methods of its class, and no test of this project knows it: only the "
                "self-check has compared it with the class's own forward"
            )

    def _check_adapter(self, kind: type[AudioFamily]) -> None:
        if self.adapter.projector and not kind.projectors:
            raise InputError(
                f"{kind.title} has no projector of its own; its audio encoder ends in the language model's channels:",
                where="policy.adapter",
                remedy="set projector to false, and audio_tower to true if the encoder is to be trained.",
            )

    def _float_projector(self, model: Any) -> None:
        """Compute the projector in float32 where it is trained; an encoder of two bytes gives it others."""
        if self.family.float_projector or self.adapter.projector:
            for name in self.family.projectors:
                projector = model.get_submodule(name).float()
                projector.register_forward_pre_hook(_to_weight_type, with_kwargs=True)
            model.get_submodule(self.family.tower).register_forward_pre_hook(
                _to_weight_type, with_kwargs=True
            )

    def _add_side_path(self, model: Any, kind: type[AudioFamily]) -> None:
        if not self.side_layers:
            return
        channels = kind.layer_channels(model.config)
        layers = model.get_submodule(f"{kind.tower}.{kind.layers}")
        add_side_path(model, self.side_layers, channels=channels, depth=len(layers))

    def on_meta(self) -> tuple[nn.Module, nn.Module, Any]:
        source, kind = self.checkpoint(), self.find_kind()
        settings = model_settings(source, self.path, own_adapter=kind.own_adapter)
        dtype = dtype_to_load(self.dtype_name, trained_whole=self.adapter.method == "full")
        with checkpoint_errors("described", source), torch.device("meta"):
            check_audio_model(source, settings, kind)
            kind.check_settings(source, settings)
            config = kind.model_class().config_class.from_pretrained(source)
            model = kind.model_class()._from_config(config, dtype=torch_dtype(dtype, config))
            self._add_side_path(model, kind)
        return model, model.get_submodule(kind.decoder), config

    def weights_dtype(self) -> str | None:
        asked = dtype_to_load(self.dtype_name, trained_whole=self.adapter.method == "full")
        return saved_dtype(self.checkpoint(), own_adapter=True) if asked == "auto" else asked

    def checkpoint(self) -> str:
        """The folder or hub id of the checkpoint."""
        return locate(self.path)

    def check_reachable(self) -> None:
        check_hub(self.checkpoint(), download_gb=self.find_kind().downloads_gb.get(self.path))

    @property
    def description(self) -> str:
        return f"{self.find_kind().model_type} ({Path(self.path).name})"

    @property
    def language_model(self) -> nn.Module:
        decoder: nn.Module = self.base.get_submodule(self.family.decoder)
        return decoder

    @property
    def projector_names(self) -> tuple[str, ...]:
        return tuple(name.rpartition(".")[2] for name in self.find_kind().projectors)

    @property
    def tower_name(self) -> str:
        return self.find_kind().tower

    @property
    def unused_names(self) -> tuple[str, ...]:
        names = self.find_kind().unused
        if not self.loaded:
            return names
        return tuple(name for name in names if _has(self.base, name))

    @property
    def tower(self) -> Any:
        """The audio encoder. It comes back to the device if it was set aside."""
        name = self.family.tower
        if held := self.aside.pop(name, None):
            self.base.set_submodule(name, held[0].to(self.device))
        return self.base.get_submodule(name)

    def set_aside(self, name: str) -> None:
        """Free a GPU of a frozen module that will hardly be read again; on a CPU nothing would be won."""
        if self.device.type == "cpu" or name in self.aside:
            return
        self.aside[name] = (self.base.get_submodule(name).to("cpu").eval(),)
        self.base.set_submodule(name, nn.Module())

    def set_tower_aside(self) -> None:
        if not self.adapter.trains_tower:
            self.set_aside(self.family.tower)

    def train(self, mode: bool = True) -> "AudioModel":
        """Set training mode; what hears stays in evaluation mode, but for the dropout of an adapter on it.

        Its dropout and running statistics would otherwise give other features in training than in sampling.
        """
        super().train(mode)
        if not self.loaded:
            return self
        names = list(self.family.projectors)
        names += [] if self.family.tower in self.aside else [self.family.tower]
        for module in (self.base.get_submodule(name) for name in names):
            module.eval()
            for name, part in module.named_modules():
                if "lora_dropout" in name:
                    part.train(mode)
        return self

    def prompt_ids(
        self, parts: Sequence[dict[str, str]], *, audio_tokens: int = 0, at_once: bool = False
    ) -> list[int]:
        if audio_tokens == 0 and any(part["type"] == "audio" for part in parts):
            raise InputError("a clip is too short to be heard: it makes no audio token.", where="policy")
        ids: list[int] = []
        mark = self.tokenizer.convert_ids_to_tokens(self.audio_token_id)
        prompt = self.chat.prompt(parts, at_once=at_once).replace(mark, self.family.wrapped(mark))
        for token in self.chat.text_ids.from_start(prompt):
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
        states, _ = self.native_forward(
            input_ids=all_ids[None],
            attention_mask=torch.ones_like(all_ids)[None],
            use_cache=False,
            **self.native_audio([clip]),
        )
        tokens = Tokens(all_ids[None], torch.ones_like(all_ids, dtype=torch.bool)[None])
        with self.hearing(()):
            embeddings = self.embed(tokens, Audio(rows=(0,), frames=(frames,), encoded=False))
        return Segment(embeddings[0], None, all_ids if self.takes_ids else None), all_ids, states[0]

    @property
    def own_lora(self) -> str | None:
        return self.find_kind().own_lora(self.checkpoint())

    @property
    def takes_ids(self) -> bool:
        return self.find_kind().takes_ids

    def embed_ids(self, ids: Int[Tensor, "*item token"]) -> Float[Tensor, "*item token channel"]:
        return self.family.embed_ids(ids)

    def rotary_positions(self, positions: Int[Tensor, "item token"]) -> Tensor:
        return self.family.positions(positions)

    def decoded(
        self,
        embeddings: Float[Tensor, "row token channel"],
        ids: Int[Tensor, "row token"] | None,
        **settings: Any,
    ) -> tuple[Float[Tensor, "row token channel"], dict[str, Any]]:
        """As `Policy.decoded`, with what a family derives from token ids."""
        if not self.takes_ids:
            return super().decoded(embeddings, ids, **settings)
        assert ids is not None, "this decoder needs token ids beside embeddings"
        return super().decoded(embeddings, ids, **settings, **self.family.decoder_inputs(ids))

    def encoder_fingerprint(self) -> str:
        """Hash of the encoder's weights, their type, the layers that are heard, and the mel settings."""
        digest = hashlib.sha256(repr(sorted(self.extractor.to_dict().items(), key=str)).encode())
        if self.side_layers:
            digest.update(f"layers {self.side_layers}".encode())
        for name, weight in [*self.tower.state_dict().items(), *self.family.other_weights().items()]:
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
            digest.update(weight.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def embed(self, tokens: Tokens, audio: Audio | None = None) -> Float[Tensor, "item token channel"]:
        """Text embeddings, with each clip's features in place of its row's audio tokens.

        Raises:
            InputError: A row has another number of audio tokens than of features.
        """
        is_audio = tokens.ids == self.audio_token_id
        ids = tokens.ids.masked_fill(is_audio, 0) if self.audio_is_outside else tokens.ids
        embeddings = self.embed_ids(ids)
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
        parts = (self.tower_name, *self.projector_names, SIDE_PATH)
        trained = [
            p for name, p in self.base.named_parameters() if p.requires_grad and any(x in name for x in parts)
        ]
        return sum((0 * p.sum() for p in trained), start=0.0)


def _has(model: nn.Module, path: str) -> bool:
    """Whether a model has a module; a family's checkpoint may come without eyes."""
    return any(name == path for name, _ in model.named_modules())


def _to_weight_type(
    module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Cast the numbers that a module is given to the type of its weights."""
    dtype = next(module.parameters()).dtype
    return tuple(_cast(value, dtype) for value in inputs), {k: _cast(v, dtype) for k, v in named.items()}


def _cast(value: Any, dtype: torch.dtype) -> Any:
    is_number = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(dtype) if is_number else value
