"""Checks that an adapter has no effect while it is fresh, and an effect on every layer later.

An adapter can be in place without an effect: its layer is never called, its weight is read without a call, or it is
switched off. The loss would not show that, since the other layers learn.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor

from lalm_ambig.policies.attention.layer_kinds import SENSES, decoder_blocks
from lalm_ambig.policies.weights.lora_targets import parts_for_lora


def adapter_problems(policy: Any, ids: Int[Tensor, " token"]) -> list[str]:
    """Problems of a loaded policy's adapter, one line each; empty if there are none.

    1. An adapter whose B matrices are all zero changes nothing, exactly.
    2. Each layer with an adapter is called in a forward pass of the class's own. An expert may not have been chosen,
       and a layer of an audio tower is not looked at.
    3. An adapter whose B is not zero acts: it is switched on, at a scale that is not zero.
    4. Each part of a decoder layer with linear layers has an adapter, unless the user or a saved adapter chose the
       layers.

    Full fine-tuning has no adapter, and no problems.

    Args:
        policy: Loaded, with its adapter.
        ids: A short text of a few tokens, for the passes of the check.
    """
    if not isinstance(policy.model, PeftModel):
        return []
    layers = _adapted(policy)
    called, states = _pass(policy, ids, layers)
    problems = [f"{name} has an adapter, and no forward pass calls it" for name in _uncalled(layers, called)]
    acting = [name for name, layer in layers.items() if _norm(layer)]
    problems += [f"{name} has an adapter that is switched off" for name in acting if not _is_on(layers[name])]
    if not acting and not _trains_modules(policy):
        with policy.adapter_off():
            _, base = _pass(policy, ids, {})
        if not torch.equal(states, base):
            moved = float((states.float() - base.float()).abs().max())
            problems.append(f"a fresh adapter must have no effect, and moves logits by {moved:.2g}")
    if policy.adapter.targets is None and not acting:
        problems += [f"{part} has linear layers and no adapter" for part in _bare(policy, set(layers))]
    return problems


def _adapted(policy: Any) -> dict[str, Any]:
    """Layers of the decoder that have an adapter, by their names inside it."""
    named = policy.language_model.named_modules()
    return {
        name: module
        for name, module in named
        if isinstance(module, LoraLayer) and name.partition(".")[0] not in SENSES
    }


@torch.no_grad()
def _pass(
    policy: Any, ids: Int[Tensor, " token"], layers: dict[str, Any]
) -> tuple[set[str], Float[Tensor, "1 token vocabulary"]]:
    """The layers that the class's own forward calls, and its logits."""
    called: set[str] = set()
    hooks = [
        layer.register_forward_hook(lambda *_, name=name: called.add(name)) for name, layer in layers.items()
    ]
    try:
        with policy.eval_mode():
            out = policy.base(input_ids=ids[None], use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return called, out.logits


def _uncalled(layers: dict[str, Any], called: set[str]) -> list[str]:
    return [name for name in layers if name not in called and ".experts" not in name]


def _norm(layer: Any) -> float:
    active = [name for name in layer.active_adapters if name in layer.lora_B]
    return sum(float(layer.lora_B[name].weight.detach().float().norm()) for name in active)


def _is_on(layer: Any) -> bool:
    active = [name for name in layer.active_adapters if name in layer.lora_B]
    return not layer.disable_adapters and all(layer.scaling[name] != 0 for name in active)


def _trains_modules(policy: Any) -> bool:
    """Whether modules are trained beside LoRA, such as a projector, which may have changed already."""
    return any(".modules_to_save." in name for name, p in policy.model.named_parameters() if p.requires_grad)


def _bare(policy: Any, adapted: set[str]) -> list[str]:
    """Parts of decoder layers that could have an adapter but have none."""
    decoder = policy.language_model if decoder_blocks(policy.language_model) else policy.base
    parts = parts_for_lora(policy.base, decoder)
    return [part for part, names in parts.items() if not adapted & set(names)]
