"""Checks of a policy's weights and class tokens, of its adapter, and of the base model as reference."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lalm_ambig.checks.outcome import CheckResult, check_result
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Tokens
from lalm_ambig.data.encoding import pad
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.lora import trained_parameters
from lalm_ambig.readouts.logits import answer_tokens

SENTENCE = "Which emotion do listeners hear? The voice is quiet."
SAME = 0.05
"""Largest difference of logits that rounding in bfloat16 explains, as a share of their deviation."""
WEIGHT_SHIFT = 0.02
"""Added to every trained weight to see whether the adapter has an effect."""


def check_forward(policy: Policy) -> Iterator[CheckResult]:
    """Check that embeddings, hidden states and head, called one by one, give the logits of the model's forward."""
    tokens = _sentence(policy)
    with torch.no_grad():
        ours = policy.logits(policy.hidden(policy.embed(tokens), tokens.mask, ids=tokens.ids))
        theirs = policy.base(input_ids=tokens.ids, attention_mask=tokens.mask.long()).logits
    moved, scale = _change(ours, theirs), float(theirs.float().std())
    yield check_result(
        "logits = the model's own",
        moved <= SAME * scale,
        f"differ by {moved:.2g}, their deviation is {scale:.2g}",
        remedy="do not train this model here: it does more behind its head, or takes positions in another way",
    )


def check_abilities(policy: Policy) -> Iterator[CheckResult]:
    """Report the findings of the policy's self-check: each shortcut that was tried, and the alternative."""
    for finding in policy.abilities.findings:
        detail = finding.detail if finding.ok else f"no ({finding.detail}), so it is not done"
        yield CheckResult(finding.name, True, detail)
    if policy.abilities.untrainable:
        yield CheckResult(
            "it can be trained", False, policy.abilities.untrainable, "evaluate only, or another checkpoint"
        )


def check_tokens(policy: Policy, categories: CategorySet, *, corpus: str) -> Iterator[CheckResult]:
    """Report the first token of each class, or why there is none."""
    try:
        answer = answer_tokens(policy.text_ids, categories)
    except InputError as error:
        yield CheckResult(
            f"class tokens of {corpus}", False, str(error), "choose other verbalisers in the corpus's file"
        )
        return
    first = [repr(policy.tokenizer.decode([token])) for token in answer.first_ids]
    shown = ", ".join(f"{word} {list(ids)}" for word, ids in zip(first, answer.name_ids, strict=True))
    yield check_result(f"class tokens of {corpus}", True, shown, remedy="")


def check_adapter(policy: Policy) -> Iterator[CheckResult]:
    """Check that a new adapter has no effect, a changed one has, and none when it is off. Weights are restored."""
    if policy.adapter.method == "full":
        yield check_result("adapter", True, "none: full fine-tuning, which keeps no reference", remedy="")
        return
    with policy.adapter_off():
        base = _states(policy)
    fresh = _states(policy)
    yield check_result(
        "a fresh adapter has no effect",
        torch.equal(fresh, base),
        f"hidden states move by {_change(fresh, base):.2g}",
        remedy="every lora_B must be 0 at the start (ZeRO-3 inside configure_model leaves it random)",
    )
    moved, off = _states_after_shift(policy)
    yield check_result(
        "a moved adapter has an effect",
        _change(moved, base) > 0,
        f"hidden states move by {_change(moved, base):.2g}",
        remedy="no adapter layer is used: choose others by policy.adapter.targets",
    )
    yield check_result(
        "adapter off = base (the reference)",
        torch.equal(off, base),
        f"hidden states move by {_change(off, base):.2g}",
        remedy="the base's own weights were changed: is the adapter merged, or a base layer trained?",
    )


def _states_after_shift(policy: Policy) -> tuple[Tensor, Tensor]:
    """Hidden states with every trained weight shifted, and the same with the adapter off."""
    weights = [(parameter, parameter.detach().clone()) for _, parameter in trained_parameters(policy)]
    try:
        with torch.no_grad():
            for parameter, _ in weights:
                parameter.add_(WEIGHT_SHIFT)
        moved = _states(policy)
        with policy.adapter_off():
            return moved, _states(policy)
    finally:
        with torch.no_grad():
            for parameter, before in weights:
                parameter.copy_(before)


def _sentence(policy: Policy) -> Tokens:
    ids = policy.prompt_ids([{"type": "text", "text": SENTENCE}])
    return pad([ids], policy.pad_id, side="left").to(policy.device)


@torch.no_grad()
def _states(policy: Policy) -> Tensor:
    tokens = _sentence(policy)
    return policy.hidden(policy.embed(tokens), tokens.mask, ids=tokens.ids)


def _change(one: Tensor, other: Tensor) -> float:
    return float((one.float() - other.float()).abs().max())
