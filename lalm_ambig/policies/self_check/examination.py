"""The trials of a checkpoint when it is loaded: every way of computing states, against its class's own forward.

The result decides how the checkpoint is used. A way is not taken if its values differ from those of the class's own
forward on the token ids of one text alone. If even one row cannot be computed, the checkpoint is refused. No family is
known by name: recurrent or convolution layers, own attention code, a need of ids beside embeddings, and ignored padding
all show in the values.

There are two kinds of comparison. *Agreement*: states equal those of the class's own forward, up to rounding.
*Invariance*: when another text in the row is exchanged for one of equal length, this one's states must not change,
which no rounding can hide.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.attention.abilities import Abilities, Finding
from lalm_ambig.policies.attention.native_forward import LogitTransform
from lalm_ambig.policies.attention.plain import plain_states
from lalm_ambig.policies.attention.positions import rotary_limit
from lalm_ambig.policies.attention.tree import disable_layout_attention
from lalm_ambig.policies.self_check.adapter import adapter_problems
from lalm_ambig.policies.self_check.cache import cache_key, read_abilities, write_abilities
from lalm_ambig.policies.self_check.plain import find_batching, find_decoding
from lalm_ambig.policies.self_check.probes import (
    BEHIND,
    PolicyWithAbilities,
    ProbeText,
    agreement,
    error_line,
    make_probes,
    run_trial,
    token_ids,
)
from lalm_ambig.policies.self_check.shared import check_shared_row, row_limit


def self_check(policy: Any) -> Abilities:
    """The abilities of a policy whose weights were just read, from the cache or by new trials.

    Raises:
        InputError: The class's own forward of one text cannot be used.
    """
    key = cache_key(policy)
    abilities = read_abilities(key)
    if abilities is None:
        with torch.inference_mode(False), torch.no_grad(), policy.eval_mode():  # a trainer may be predicting
            abilities = examine(policy)
        write_abilities(key, abilities)
    return abilities


def examine(policy: Any) -> Abilities:
    """Run all trials; the policy's attention is the configured one before and after."""
    disable_layout_attention(policy.attention_config)
    probes = make_probes(policy)
    batching, findings = find_batching(policy, probes)
    check_adapter(policy)
    transform, logits = _logit_transform(policy, probes[1])
    abilities = Abilities(
        batching=batching,
        logit_transform=transform,
        rotary_limit=rotary_limit(policy.attention_config),
        findings=(logits, *findings),
    )
    decoding, findings = find_decoding(policy, abilities, probes)
    abilities = replace(abilities, decoding=decoding, findings=(*abilities.findings, *findings))
    shared, limit, reason = check_shared_row(policy, abilities, probes)
    backward = run_trial("gradients reach what is trained", partial(_backward, policy, probes[1]))
    return replace(
        abilities,
        shares=not reason,
        longest_shared=limit,
        longest_row=row_limit(policy.attention_config),
        untrainable="" if backward.ok else backward.detail,
        reason=reason,
        findings=(*abilities.findings, *shared, backward),
    )


def _logit_transform(policy: Any, probe: ProbeText) -> tuple[LogitTransform, Finding]:
    """Fit the class's transform of logits, and check that logits from its states then equal its own.

    Raises:
        InputError: They do not.
    """
    try:
        transform = policy.native_forward.logit_transform(probe.ids[None])
        theirs = policy.native_forward.logits(probe.ids)
        ours = transform(policy.native_forward.head(probe.states).float()).to(theirs.dtype)
        finding = agreement("logits are the class's own", [(ours, theirs.to(probe.states.dtype))])
    except InputError:
        raise
    except Exception as error:  # a class's own code, or logits of another number
        finding = Finding("logits are the class's own", False, error_line(error))
    if not finding.ok:
        raise InputError(
            f"{policy.description} does more behind its head than scaling or capping its logits ({finding.detail}):",
            where="policy.path",
            remedy="choose a model without this.",
        )
    return transform, finding


def check_adapter(policy: Any) -> None:
    """Refuse an adapter that does not do what an adapter must (see `adapter_problems`).

    Raises:
        InputError: The adapter has a problem; the first one is in the message.
    """
    if problems := adapter_problems(policy, token_ids(policy, BEHIND)):
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise InputError(
            f"{problems[0]}{more}:",
            where="policy.adapter",
            remedy="Choose other layers by policy.adapter.targets, or set policy.adapter.method to full.",
        )


def _backward(policy: Any, probe: ProbeText) -> Finding:
    """A backward pass in training mode through every layer, into few weights."""
    name = "gradients reach what is trained"
    trained = _first_trained(policy)
    if not trained:
        return Finding(name, True, "nothing is trained")
    policy.train()
    with torch.enable_grad():
        (states,) = plain_states(PolicyWithAbilities(policy, Abilities()), [probe.text])
        along = torch.randn(states.shape, generator=torch.Generator().manual_seed(0)).to(states.device)
        gradients = torch.autograd.grad((states.float() * along).mean(), trained, allow_unused=True)
    policy.eval()
    arrived = [gradient for gradient in gradients if gradient is not None]
    finite = all(bool(torch.isfinite(gradient).all()) for gradient in arrived)
    moved = any(bool(gradient.any()) for gradient in arrived)
    detail = "they are finite" if finite else "they are not finite"
    return Finding(name, finite and moved, detail if arrived and moved else "none arrives")


def _first_trained(policy: Any) -> list[Tensor]:
    """With LoRA every B (A has no gradient while B is zero); otherwise the first layer's trained weights."""
    trained = [(name, p) for name, p in policy.named_parameters() if p.requires_grad]
    adapters = [p for name, p in trained if "lora_B" in name]
    layer = {id(p) for p in policy.layers[0].parameters()}
    first = [p for _, p in trained if id(p) in layer]
    return adapters or first or [p for _, p in trained[:1]]
