"""Logit readout (A 3.3.1): softmax over the logits of the category names where the answer starts."""

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
"""`first`: by the logit of a name's first token; `sequence`: by the log-probability of the whole name."""
TextIds = Callable[[str], list[int]]
"""Token ids of a text, nothing added around it."""


@dataclass(frozen=True)
class AnswerTokens:
    """How a tokenizer writes the answer."""

    open_ids: tuple[int, ...]
    """Tokens of `<answer>`."""
    name_ids: tuple[tuple[int, ...], ...]
    """Tokens of each category name as it stands behind `<answer>`, in the category set's order."""
    scoring: Scoring = "first"
    tags: Tags = TAGS
    """Around reasoning and answer, as a response to these prompts writes them."""

    @property
    def first_ids(self) -> tuple[int, ...]:
        """The token by which each name is scored."""
        return tuple(ids[0] for ids in self.name_ids)


def answer_tokens(
    text_ids: TextIds,
    categories: CategorySet,
    *,
    scoring: Scoring = "first",
    tags: Tags = TAGS,
    as_text: Callable[[str], str] = str,
) -> AnswerTokens:
    """The tokens of the answer's place and of each name behind it, which `as_text` makes text (see `Policy.as_text`).

    Raises InputError where the tokenizer merges a name into the tag, where two names begin with the same token (unless
    whole names are scored), or where one name's tokens begin another's: both names and their tokens are in the message.
    """
    opening = text_ids(tags.answer_open)
    names = []
    for name, verbaliser in zip(categories.names, categories.verbalisers, strict=True):
        whole = text_ids(tags.answer_open + as_text(verbaliser))
        if whole[: len(opening)] != opening or len(whole) == len(opening):
            raise InputError(
                f"the tokenizer joins {tags.answer_open!r} and {verbaliser!r} ({name}) into {whole}:",
                where="readout",
                remedy="choose another verbaliser for this class.",
            )
        names.append(tuple(whole[len(opening) :]))
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
    """A name that begins another's could never be less likely than it."""
    for a, short in zip(categories.verbalisers, names, strict=True):
        for b, long in zip(categories.verbalisers, names, strict=True):
            if a != b and long[: len(short)] == short:
                raise InputError(
                    f"{a!r} (tokens {list(short)}) is the beginning of {b!r} (tokens {list(long)}):",
                    where="readout",
                    remedy="choose verbalisers of which none begins another.",
                )


def predicted_dist(category_logits: Float[Tensor, "*batch category"]) -> Float[Tensor, "*batch category"]:
    """p̂: softmax over the category logits, in float32."""
    return torch.softmax(category_logits.float(), dim=-1)


def class_mass(
    category_logits: Float[Tensor, "item category"], all_logits: Float[Tensor, "item vocabulary"]
) -> Float[Tensor, " item"]:
    """Share of the whole next-token probability on the category tokens, in (0, 1] (SPEC 3)."""
    log_share = category_logits.float().logsumexp(-1) - all_logits.float().logsumexp(-1)
    return log_share.exp().clamp(max=1)
