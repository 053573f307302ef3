"""Measures of a model that decide its memory: sizes of decoder and encoder, and bytes of weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from lalm_ambig.audio.inspection import MAX_S
from lalm_ambig.estimation.skeleton import skeleton
from lalm_ambig.policies.audio.side_path import SIDE_PATH
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.quantised_base import BLOCK, Quantize

BESIDE = ("lora_", "modules_to", SIDE_PATH)
"""Parts of the names of weights that are not the base model's."""
QUANTISED_BYTES: dict[Quantize, float] = {"nf4": 0.5 + 4 / BLOCK, "int8": 1.0}
"""Bytes per weight: of nf4 with a float32 scale for each block; of int8 its scales, one per row, are not counted."""


@dataclass(frozen=True)
class DecoderShape:
    """Measures of the language model."""

    layers: int
    hidden: int
    """Channels of a token's state."""
    heads: int
    kv_heads: int
    """Heads of keys and values; fewer than `heads` where several share one (GQA)."""
    head_dim: int
    intermediate: int
    """Channels inside the feed-forward part."""
    vocabulary: int


@dataclass(frozen=True)
class AudioEncoderShape:
    """Measures of the audio encoder."""

    layers: int
    hidden: int
    intermediate: int
    features: int
    """Channels of an audio token before the projector, with those of the side path."""
    longest: int
    """Audio tokens of the longest clip that it hears."""
    states_per_token: int = 2
    """Positions of its layers per audio token."""
    tokens_per_s: float = 25.0
    """Audio tokens per second of sound."""
    fills_window: bool = False
    """Whether every clip takes as many tokens as the longest."""


@dataclass(frozen=True)
class Shapes:
    """Measures of a model with its adapter."""

    decoder: DecoderShape
    encoder: AudioEncoderShape | None
    """None for a text model."""
    parameters: int
    """Number of parameters, with the adapter's."""
    trained: int
    """Parameters that the optimiser updates."""
    weights: int
    """Bytes of the weights outside the adapter, in the type they are loaded in."""
    adapters: int
    """Bytes of the adapter's weights; 0 under full fine-tuning."""
    base_bytes: int
    """Bytes of one parameter of the base model."""
    trained_bytes: int
    """Bytes of one trained parameter."""
    linear: int
    """Parameters of the decoder's linear layers, without the head."""
    head: int
    """Parameters of the head."""
    rank: int
    """LoRA's r; 0 under full fine-tuning."""
    tower: int = 0
    """Parameters of the audio encoder."""
    eyes: int = 0
    """Parameters of a vision encoder, which is never used."""
    placed: int = 0
    """Parameters that are on a GPU (see `on_a_gpu`), with the adapter's."""
    joins: bool = False
    """Whether a layer and its adapter are one product (see `policies.weights.lora_product`)."""
    quantised: bool = False
    """Whether the decoder's linear layers have four or eight bits per weight."""

    def quantise(self, kind: Quantize) -> "Shapes":
        """The model with such weights in its decoder's linear layers (see `policies.weights.quantised_base`)."""
        return replace(
            self,
            weights=self.weights - self.linear * self.base_bytes + round(self.linear * QUANTISED_BYTES[kind]),
            quantised=True,
            joins=False,
        )


def on_a_gpu(shapes: Shapes, *, trains_tower: bool, cached: bool) -> Shapes:
    """The model without the frozen modules that leave a GPU (see `AudioModel.set_aside`).

    Args:
        shapes: The whole model.
        trains_tower: Whether the audio encoder is trained.
        cached: Whether audio features are cached, so that a frozen encoder leaves it.
    """
    gone = (0 if shapes.rank == 0 else shapes.eyes) + (shapes.tower if cached and not trains_tower else 0)
    return replace(shapes, weights=shapes.weights - gone * shapes.base_bytes, placed=shapes.placed - gone)


def shapes_of(policy: Policy) -> Shapes:
    """Measures of a policy, from its config.json. No weights are read.

    Raises:
        InputError: There is no config.json that can be read.
    """
    model, config = skeleton(policy)
    every = list(model.named_parameters())
    trained = [p for name, p in every if p.requires_grad and not _within(name, policy.unused_names)]
    bytes_trained = sum(p.numel() * p.element_size() for p in trained)
    full = policy.adapter.method == "full"
    total_bytes = sum(p.numel() * p.element_size() for _, p in every)
    linear, head = _linear(policy, model)
    shapes = Shapes(
        decoder=_decoder(config.get_text_config()),
        encoder=_encoder(policy, config),
        parameters=sum(p.numel() for _, p in every),
        trained=sum(p.numel() for p in trained),
        weights=total_bytes if full else total_bytes - bytes_trained,
        adapters=0 if full else bytes_trained,
        base_bytes=max(p.element_size() for name, p in every if not any(part in name for part in BESIDE)),
        trained_bytes=max(p.element_size() for p in trained),
        linear=linear,
        head=head,
        tower=sum(p.numel() for name, p in every if _within(name, [policy.tower_name])),
        eyes=sum(p.numel() for name, p in every if _within(name, policy.unused_names)),
        placed=sum(p.numel() for _, p in every),
        rank=0 if full else policy.adapter.rank,
        joins=not full and not policy.adapter.dropout,
    )
    return shapes if policy.quantize is None else shapes.quantise(policy.quantize)


def _within(name: str, modules: Sequence[str]) -> bool:
    """Whether a weight's name, in a model with or without an adapter, is inside one of these modules."""
    return any(f"{module}." in name for module in modules if module)


def _linear(policy: Policy, model: Any) -> tuple[int, int]:
    """Numbers of parameters of the decoder's linear layers and of the head, without adapters."""
    left_out = (policy.tower_name or "lora_", *policy.unused_names, *policy.projector_names, "lora_")
    layers = {
        id(module): module.weight.numel()
        for name, module in model.named_modules()
        if type(module) is nn.Linear and not any(part in f"{name}." for part in left_out)
    }
    head = layers.pop(id(model.get_output_embeddings()), 0)
    return sum(layers.values()), head


def _decoder(config: Any) -> DecoderShape:
    """Measures of the decoder, whose names differ between families. A model without attention heads keeps no keys."""
    hidden = _measure(config, "hidden_size", "d_model")
    heads = _measure(config, "num_attention_heads", "attention_heads")
    return DecoderShape(
        layers=_measure(config, "num_hidden_layers", "num_layers", otherwise=len(_listed(config))),
        hidden=hidden,
        heads=heads or 1,
        kv_heads=_measure(config, "num_key_value_heads", otherwise=heads),
        head_dim=_measure(config, "head_dim", otherwise=hidden // (heads or 1)),
        intermediate=_measure(config, "intermediate_size", "ffn_dim", "n_inner", otherwise=4 * hidden),
        vocabulary=_measure(config, "vocab_size"),
    )


def _measure(config: Any, *names: str, otherwise: int = 0) -> int:
    """The first of these settings that is set, by the family's name for it; the largest value where layers differ."""
    settings = config.to_dict()
    values = [settings.get(name) or settings.get(config.attribute_map.get(name)) for name in names]
    setting = next((value for value in values if value), otherwise)
    return int(max(setting) if isinstance(setting, list | tuple) else setting)


def _listed(config: Any) -> list[Any]:
    """Kinds of the decoder's layers, where its settings list them."""
    settings = config.to_dict()
    return list(settings.get("layers_block_type") or settings.get("layer_types") or [])


def _encoder(policy: Policy, config: Any) -> AudioEncoderShape | None:
    """Measures of the encoder, with the layers that are heard beside its last; None for a text model."""
    if not isinstance(policy, AudioModel) or not policy.find_kind().tested:
        return None
    kind = policy.find_kind()
    sizes, settings = kind.sizes, getattr(config, kind.sizes.part)
    hidden = int(getattr(settings, sizes.hidden))
    inner = int(sizes.inner) if sizes.inner.isdigit() else int(getattr(settings, sizes.inner))
    share = kind.states_per_token(config)
    window_s = min(MAX_S, kind.longest_s(config))
    return AudioEncoderShape(
        layers=int(getattr(settings, sizes.layers)),
        hidden=hidden,
        intermediate=inner * hidden if inner < hidden else inner,
        features=kind.feature_channels(config) + len(policy.side_layers) * hidden,
        longest=round(kind.tokens_per_s * window_s),
        states_per_token=share,
        tokens_per_s=kind.tokens_per_s,
        fills_window=kind.fills_window,
    )
