"""What of a model decides how much memory it takes: the decoder's measures, and bytes of weights by what is trained."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from lalm_ambig.estimation.skeleton import skeleton
from lalm_ambig.policies.base import Policy

TOWER, EYES = "audio_tower", ".visual."
"""In names of the encoders' weights; nothing here looks, so the vision encoder is never trained."""
POSITIONS_PER_TOKEN = 2
"""Positions of an audio encoder for each audio token: it pools two into one."""
MOST_POSITIONS = 1500
"""Those of 30 s, to which clips are cut."""


@dataclass(frozen=True)
class Decoder:
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
class Encoder:
    """Measures of the audio encoder."""

    layers: int
    hidden: int
    intermediate: int
    longest: int
    """Audio tokens of the longest clip that it hears."""


@dataclass(frozen=True)
class Shapes:
    """A model as far as memory is concerned."""

    decoder: Decoder
    encoder: Encoder | None
    """None for a text model."""
    parameters: int
    """All of them, the adapter's included."""
    trained: int
    """Parameters that the optimiser updates."""
    weights: int
    """Bytes of what is not an adapter, in the type it is loaded in."""
    adapters: int
    """Bytes of what is trained beside the model's own weights; 0 under full fine-tuning."""
    base_bytes: int
    """Bytes of one parameter of the model's own."""
    trained_bytes: int
    """Bytes of one trained parameter."""
    decode_copy: int
    """Parameters of the decoder's linear layers and the head."""
    rank: int
    """LoRA's r; 0 under full fine-tuning."""


def shapes_of(policy: Policy) -> Shapes:
    """A policy's measures from its config.json, no weights read. InputError where there is none."""
    model, config = skeleton(policy)
    every = list(model.named_parameters())
    trained = [p for name, p in every if p.requires_grad and EYES not in name]
    own = sum(p.numel() * p.element_size() for p in trained)
    full = policy.adapter.method == "full"
    held = sum(p.numel() * p.element_size() for _, p in every)
    return Shapes(
        decoder=_decoder(config.get_text_config()),
        encoder=_encoder(config),
        parameters=sum(p.numel() for _, p in every),
        trained=sum(p.numel() for p in trained),
        weights=held if full else held - own,
        adapters=0 if full else own,
        base_bytes=max(
            p.element_size() for name, p in every if "lora_" not in name and "modules_to" not in name
        ),
        trained_bytes=max(p.element_size() for p in trained),
        decode_copy=_linear(model),
        rank=0 if full else policy.adapter.rank,
    )


def _linear(model: nn.Module) -> int:
    """Parameters of the linear layers outside the encoders, the head among them, adapters left out."""
    left_out = (TOWER, EYES, "lora_")
    return sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if type(module) is nn.Linear and not any(part in f"{name}." for part in left_out)
    )


def _decoder(config: Any) -> Decoder:
    """Measures under the names that families have for them; a model without attention heads keeps no keys."""
    hidden = _measure(config, "hidden_size", "d_model")
    heads = _measure(config, "num_attention_heads", "attention_heads")
    return Decoder(
        layers=_measure(config, "num_hidden_layers", "num_layers", otherwise=len(_listed(config))),
        hidden=hidden,
        heads=heads or 1,
        kv_heads=_measure(config, "num_key_value_heads", otherwise=heads),
        head_dim=_measure(config, "head_dim", otherwise=hidden // (heads or 1)),
        intermediate=_measure(config, "intermediate_size", "ffn_dim", "n_inner", otherwise=4 * hidden),
        vocabulary=_measure(config, "vocab_size"),
    )


def _measure(config: Any, *names: str, otherwise: int = 0) -> int:
    """The first of these settings that is set, by a family's own name for it; the largest where layers differ."""
    settings = config.to_dict()
    own = [settings.get(name) or settings.get(config.attribute_map.get(name)) for name in names]
    found = next((value for value in own if value), otherwise)
    return int(max(found) if isinstance(found, list | tuple) else found)


def _listed(config: Any) -> list[Any]:
    """The kinds of a decoder's layers, where its settings list them."""
    settings = config.to_dict()
    return list(settings.get("layers_block_type") or settings.get("layer_types") or [])


def _encoder(config: Any) -> Encoder | None:
    settings = config.to_dict().get("audio_config")
    if settings is None:
        return None
    longest = min(settings["max_source_positions"], MOST_POSITIONS) // POSITIONS_PER_TOKEN
    return Encoder(settings["encoder_layers"], settings["d_model"], settings["encoder_ffn_dim"], longest)
