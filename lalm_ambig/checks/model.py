"""Checks of a policy's weights and words: class tokens, effect of the adapter, the base as reference."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lalm_ambig.checks.outcome import Outcome, outcome
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Tokens
from lalm_ambig.data.encoding import pad
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.lora import trained_parameters
from lalm_ambig.readouts.logits import answer_tokens

SENTENCE = "Which emotion do listeners hear? The voice is quiet."
SAME = 0.05
"""Largest difference of logits, as a share of their deviation, that rounding in bfloat16 explains."""
SHOVE = 0.02
"""Added to every trained weight, to see whether the adapter acts."""


def check_forward(policy: Policy) -> Iterator[Outcome]:
    """Logits from embeddings, hidden states and the head, one by one, are those of the model's own forward."""
    tokens = _sentence(policy)
    with torch.no_grad():
        ours = policy.logits(policy.hidden(policy.embed(tokens), tokens.mask, ids=tokens.ids))
        theirs = policy.base(input_ids=tokens.ids, attention_mask=tokens.mask.long()).logits
    moved, scale = _change(ours, theirs), float(theirs.float().std())
    yield outcome(
        "logits = the model's own",
        moved <= SAME * scale,
        f"differ by {moved:.2g}, their deviation is {scale:.2g}",
        remedy="do not train this model here: it does more behind its head, or takes positions in another way",
    )


def check_abilities(policy: Policy) -> Iterator[Outcome]:
    """What the policy's self-check has found when it was loaded: each way that was tried, and what is done instead."""
    for finding in policy.abilities.findings:
        detail = finding.detail if finding.ok else f"no ({finding.detail}), so it is not done"
        yield Outcome(finding.name, True, detail)
    if policy.abilities.untrainable:
        yield Outcome(
            "it can be trained", False, policy.abilities.untrainable, "evaluate only, or another checkpoint"
        )


def check_tokens(policy: Policy, categories: CategorySet, *, corpus: str) -> Iterator[Outcome]:
    """The class-token table: one line a class, or the one line that says why there is none."""
    try:
        answer = answer_tokens(policy.text_ids, categories)
    except InputError as error:
        yield Outcome(
            f"class tokens of {corpus}", False, str(error), "choose other verbalisers in the corpus's file"
        )
        return
    first = [repr(policy.tokenizer.decode([token])) for token in answer.first_ids]
    shown = ", ".join(f"{word} {list(ids)}" for word, ids in zip(first, answer.name_ids, strict=True))
    yield outcome(f"class tokens of {corpus}", True, shown, remedy="")


def check_adapter(policy: Policy) -> Iterator[Outcome]:
    """A fresh adapter does nothing, a moved one something, and with it off the base is back. Weights are restored."""
    if policy.adapter.method == "full":
        yield outcome("adapter", True, "none: full fine-tuning, which keeps no reference", remedy="")
        return
    with policy.adapter_off():
        base = _states(policy)
    fresh = _states(policy)
    yield outcome(
        "a fresh adapter has no effect",
        torch.equal(fresh, base),
        f"hidden states move by {_change(fresh, base):.2g}",
        remedy="every lora_B must be 0 at the start (ZeRO-3 inside configure_model leaves it random)",
    )
    moved, off = _shoved(policy)
    yield outcome(
        "a moved adapter has an effect",
        _change(moved, base) > 0,
        f"hidden states move by {_change(moved, base):.2g}",
        remedy="no adapter layer is used: choose others by policy.adapter.targets",
    )
    yield outcome(
        "adapter off = base (the reference)",
        torch.equal(off, base),
        f"hidden states move by {_change(off, base):.2g}",
        remedy="the base's own weights were changed: is the adapter merged, or a base layer trained?",
    )


def _shoved(policy: Policy) -> tuple[Tensor, Tensor]:
    """States with every trained weight moved, and the same with the adapter off."""
    kept = [(parameter, parameter.detach().clone()) for _, parameter in trained_parameters(policy)]
    try:
        with torch.no_grad():
            for parameter, _ in kept:
                parameter.add_(SHOVE)
        moved = _states(policy)
        with policy.adapter_off():
            return moved, _states(policy)
    finally:
        with torch.no_grad():
            for parameter, before in kept:
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
