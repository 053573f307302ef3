r"""Logit readout: a softmax over the scores of the category names at the answer position.

From the ambiguity-aware LALM, section 3.3.1. Scoring whole names (`scoring: sequence`) is ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.readouts.response import TAGS, Tags

Scoring = Literal["first", "sequence"]
"""Score of a name: `first`, the logit of its first token; `sequence`, the log-probability of all of its tokens."""
TextIds = Callable[[str], list[int]]
"""Token ids of a text, without special tokens around it."""


@dataclass(frozen=True)
class AnswerTokens:
    """The answer in a tokenizer's tokens."""

    open_ids: tuple[int, ...]
    """Tokens of `<answer>`."""
    name_ids: tuple[tuple[int, ...], ...]
    """Tokens of each category name after `<answer>`, in the category set's order."""
    scoring: Scoring = "first"
    tags: Tags = TAGS
    """The tags around reasoning and answer in responses to these prompts."""

    @property
    def first_ids(self) -> tuple[int, ...]:
        """First token of each name, by which `scoring: first` scores it."""
        return tuple(ids[0] for ids in self.name_ids)


def answer_tokens(
    text_ids: TextIds,
    categories: CategorySet,
    *,
    scoring: Scoring = "first",
    tags: Tags = TAGS,
    as_text: Callable[[str], str] = str,
) -> AnswerTokens:
    """The tokens of `<answer>` and of each name after it.

    Args:
        text_ids: The tokenizer, without special tokens.
        categories: The classes; their verbalisers are the names.
        scoring: How names are scored.
        tags: The tags around reasoning and answer.
        as_text: Breaks control tokens in a name (see `Policy.as_text`).

    Raises:
        InputError: The tokenizer merges a name into the tag; two names begin with the same token under `scoring:
            first`; or one name's tokens begin another's. Both names and their tokens are in the message.
    """
    opening = text_ids(tags.answer_open)
    names = []
    for name, verbaliser in zip(categories.names, categories.verbalisers, strict=True):
        ids = text_ids(tags.answer_open + as_text(verbaliser))
        if ids[: len(opening)] != opening or len(ids) == len(opening):
            raise InputError(
                f"the tokenizer joins {tags.answer_open!r} and {verbaliser!r} ({name}) into {ids}:",
                where="readout",
                remedy="choose another verbaliser for this class.",
            )
        names.append(tuple(ids[len(opening) :]))
    if scoring == "first":
        _refuse_collisions(categories, names)
    _refuse_prefixes(categories, names)
    return AnswerTokens(tuple(opening), tuple(names), scoring, tags)


def _refuse_collisions(categories: CategorySet, names: list[tuple[int, ...]]) -> None:
    first: dict[int, int] = {}
    for index, ids in enumerate(names):
        other = first.setdefault(ids[0], index)
        if other != index:
            a, b = categories.verbalisers[other], categories.verbalisers[index]
            raise InputError(
                f"{a!r} (tokens {list(names[other])}) and {b!r} (tokens {list(ids)}) begin with the same token, so "
                "their first tokens cannot tell them apart:",
                where="readout",
                remedy="choose verbalisers that differ in their first token, or set data.scoring to sequence.",
            )


def _refuse_prefixes(categories: CategorySet, names: list[tuple[int, ...]]) -> None:
    """Refuse a name whose tokens begin another's: it could never be less likely than the other."""
    for a, short in zip(categories.verbalisers, names, strict=True):
        for b, long in zip(categories.verbalisers, names, strict=True):
            if a != b and long[: len(short)] == short:
                raise InputError(
                    f"{a!r} (tokens {list(short)}) is the beginning of {b!r} (tokens {list(long)}):",
                    where="readout",
                    remedy="choose verbalisers of which none begins another.",
                )


def predicted_dist(category_logits: Float[Tensor, "*batch category"]) -> Float[Tensor, "*batch category"]:
    r"""Predicted distribution $\hat p = \mathrm{softmax}(z)$ of category scores $z$, in float32; it sums to 1.

    >>> predicted_dist(torch.tensor([0.0, 0.0])).tolist()
    [0.5, 0.5]
    """
    return torch.softmax(category_logits.float(), dim=-1)


def class_mass(
    category_logits: Float[Tensor, "item category"], all_logits: Float[Tensor, "item vocabulary"]
) -> Float[Tensor, " item"]:
    r"""Share of the next-token probability that is on the category tokens, in (0, 1].

    $\sum_c e^{z_c} / \sum_v e^{z_v}$ with $c$ over the categories and $v$ over the vocabulary. A small share says that
    the policy would rather write something else. The measure is ours.

    >>> round(class_mass(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0, 0.0]])).item(), 4)
    0.5
    """
    log_share = category_logits.float().logsumexp(-1) - all_logits.float().logsumexp(-1)
    return log_share.exp().clamp(max=1)
