"""The layers of a decoder that get LoRA: every linear layer of its attention, recurrent and feed-forward parts.

Layers are recognised by their kind, never by a family's names. Five kinds get no LoRA, and a note names them:

1. routers, which choose experts;
2. layers whose weight is read without calling them (Mamba's `dt_proj`): the adapter would have no effect;
3. layers that a forward pass never calls: an adapter there would get no gradient;
4. layers that PEFT refuses for the family;
5. layers whose weight the class changes between training and evaluation (RWKV's): the adapter's effect would change.

Fused experts are one tensor of three axes, not layers. They get no LoRA either, and are named.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.attention.layer_kinds import (
    decoder_blocks,
    expert_counts,
    fused_experts,
    is_router,
    linear_layer_names,
    linear_layers,
    moved_to_experts,
    no_effect_reason,
)

WHERE = "policy.adapter.targets"
PROBE = 8
"""Tokens of the short pass that shows which layers are called."""


@dataclass(frozen=True)
class Targets:
    """The layers of a model that get LoRA, and the linear layers that do not."""

    names: tuple[str, ...]
    """Module names in the model."""
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By reason: module names, or parameter names of fused experts."""
    others: tuple[str, ...] = ()
    """All other linear layers of the decoder."""
    by_weight: frozenset[str] = frozenset()
    """Those of `names` that go to PEFT as weights: as layers it would take them for fused experts."""

    @property
    def pattern(self) -> str:
        """A regular expression that matches these layers' names in full, and no other linear layer of the decoder."""
        names = [name for name in self.names if name not in self.by_weight]
        return _pattern(names, [*self.by_weight, *self.others])

    @property
    def weights(self) -> list[str] | None:
        """Names of the weights of `by_weight`; None if there are none."""
        return [f"{name}.weight" for name in self.names if name in self.by_weight] or None

    @property
    def note(self) -> str | None:
        """One line on the layers that are left out; None if there are none."""
        if not self.left_out:
            return None
        told = "; ".join(f"{', '.join(_short(names))} ({reason})" for reason, names in self.left_out.items())
        return f"without LoRA: {told}"


def find_targets(
    model: Any, decoder: nn.Module, chosen: str | Sequence[str] | None = None, *, probe: bool = True
) -> Targets:
    """Choose the layers of `decoder`, a part of `model`, that get LoRA.

    Args:
        model: A model of transformers.
        decoder: Its language model.
        chosen: A regular expression that a layer's name inside the decoder must match in full, or layer names. By
            default all linear layers of the kinds above.
        probe: Whether a short pass may be made to see which layers are called; not on the meta device.

    Raises:
        InputError: There is no such layer, or a chosen name matches no linear layer.
    """
    decoder = decoder if decoder_blocks(decoder) else model  # a class may call its head the decoder
    linear = linear_layers(decoder)
    called = _called(decoder, linear) if probe else set(linear)
    counts = expert_counts(model)
    wanted = list(linear) if chosen is None else _chosen(linear, chosen)
    left: dict[str, list[str]] = {}
    for name in wanted:
        router = chosen is None and is_router(decoder, name, counts)
        reason = "router" if router else no_effect_reason(model, decoder, name, called=name in called)
        if reason:
            left.setdefault(reason, []).append(name)
    names = [name for name in wanted if not any(name in names for names in left.values())]
    if chosen is None and (fused := fused_experts(decoder, counts)):
        left["fused experts"] = fused
    _refuse(model, names, left, chosen)
    before = _prefix(model, decoder)
    as_experts = {
        leaf for leaf in {name.rpartition(".")[2] for name in names} if moved_to_experts(model, leaf)
    }
    return Targets(
        tuple(before + name for name in names),
        {reason: tuple(before + name for name in names) for reason, names in left.items()},
        tuple(before + name for name in linear if name not in names),
        frozenset(before + name for name in names if name.rpartition(".")[2] in as_experts),
    )


def _refuse(
    model: Any, names: Sequence[str], left: dict[str, list[str]], chosen: str | Sequence[str] | None
) -> None:
    """Refuse a choice without any layer, or with a named layer that can have no adapter."""
    if chosen is None and not names:
        raise InputError(
            f"{type(model).__name__} has no linear layers in its decoder that LoRA could go on:",
            where="policy",
            remedy="set policy.adapter.method to full, or choose another model.",
        )
    if chosen is not None and left and (not names or not isinstance(chosen, str)):
        reason, refused = next(iter(left.items()))
        raise InputError(
            f"LoRA cannot go on {', '.join(_short(refused))}: {reason}.", where=WHERE, remedy="Leave it out."
        )


def parts_for_lora(model: Any, decoder: nn.Module) -> dict[str, list[str]]:
    """Names of the linear layers that may get LoRA, for each part of each decoder layer.

    A part is a direct child of a decoder layer: its attention, its recurrence, its feed-forward part. Parts without any
    such layer are left out, such as one with fused experts. Layers inside an adapter have their original name.
    """
    counts = expert_counts(model)
    parts: dict[str, list[str]] = {}
    for block in decoder_blocks(decoder):
        for name in linear_layer_names(decoder.get_submodule(block)):
            path = f"{block}.{name}"
            if not is_router(decoder, path, counts) and not no_effect_reason(
                model, decoder, path, called=True
            ):
                parts.setdefault(f"{block}.{name.split('.')[0]}", []).append(path)
    return parts


def _prefix(model: nn.Module, decoder: nn.Module) -> str:
    name = next(name for name, module in model.named_modules() if module is decoder)
    return f"{name}." if name else ""


def _chosen(linear: Iterable[str], chosen: str | Sequence[str]) -> list[str]:
    names = list(linear)
    unmatched: list[str]
    if isinstance(chosen, str):
        try:
            matches = [name for name in names if re.fullmatch(chosen, name)]
        except re.error as error:
            raise InputError(f"not a regular expression: {chosen!r} ({error}).", where=WHERE) from error
        unmatched = [] if matches else [chosen]
    else:
        matches = [name for name in names if any(_is_named(name, one) for one in chosen)]
        unmatched = [one for one in chosen if not any(_is_named(name, one) for name in names)]
    if unmatched:
        raise InputError(
            f"{unmatched[0]!r} matches no linear layer of the decoder.",
            where=WHERE,
            remedy=f"There are {', '.join(_short(names))}.",
        )
    return matches


def _is_named(name: str, one: str) -> bool:
    return name == one or name.endswith(f".{one}")


@torch.no_grad()
def _called(decoder: Any, linear: dict[str, nn.Module]) -> set[str]:
    """Names of the layers that a short pass calls; all of them if the decoder cannot run on ids alone."""
    called: set[str] = set()
    hooks = [
        layer.register_forward_hook(lambda *_, name=name: called.add(name)) for name, layer in linear.items()
    ]
    training = decoder.training
    decoder.eval()
    try:
        decoder(
            input_ids=torch.arange(PROBE, device=next(decoder.parameters()).device)[None], use_cache=False
        )
    except (
        Exception
    ):  # the library's own code; the self-check says what is wrong with the model's forward pass
        return set(linear)
    finally:
        decoder.train(training)
        for hook in hooks:
            hook.remove()
    return called


def _pattern(names: Sequence[str], others: Sequence[str]) -> str:
    r"""A pattern of the names, with layer numbers as `\d+` unless that would match one of the others."""
    general = {re.sub(r"(?<=\.)\d+(?=\.)", "#", name) for name in names}
    groups: dict[str, list[str]] = {}
    for name in sorted(general):
        before, _, leaf = name.rpartition(".")
        groups.setdefault(before, []).append(re.escape(leaf))
    parts = [
        re.escape(before).replace(r"\#", r"\d+") + rf"\.({'|'.join(ls)})" for before, ls in groups.items()
    ]
    pattern = f"({'|'.join(parts)})" if len(parts) > 1 else parts[0]
    if any(re.fullmatch(pattern, other) for other in others):
        return f"({'|'.join(re.escape(name) for name in names)})"
    return pattern


def _short(names: Iterable[str]) -> list[str]:
    """Names inside a layer, each once: `model.layers.3.mlp.gate` is `mlp.gate`."""
    return list(dict.fromkeys(re.sub(r"^.*?\.\d+\.", "", name) for name in names))
