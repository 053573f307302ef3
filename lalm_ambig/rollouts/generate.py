"""The generation engine: responses to a batch of prompts in one decode loop, and the state from which each is read.

It knows no method, reward or corpus: texts that end a response, a text behind which the state is wanted, and how tokens
are chosen.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.types import Batch
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.merged_weights import merged_for_decoding
from lalm_ambig.readouts.response import TAGS, Tags
from lalm_ambig.rollouts.decoder import Continuations, PlainDecoder, RolloutDecoder, SharedDecoder
from lalm_ambig.rollouts.sampling import Sampling, choose_tokens

Ended = Literal["stop", "end", "length"]
"""A response ends with a stop text, with the end of the model's turn, or because it is too long."""
MERGE_FROM = 8
"""Steps from which folding the adapter into the weights costs less than it saves."""
BEHIND_TOKENS = 32
"""More tokens than are ever put behind a response to read an answer there."""
TAG_TOKENS = 12
"""More tokens than any tokenizer takes for a tag: how far back a text is looked for."""


@dataclass(frozen=True)
class Request:
    """What is to be generated."""

    sampling: Sampling
    group_size: int = 1
    """Responses to each prompt, K."""
    stop: tuple[str, ...] = ()
    """Texts that end a response; they stay in it."""
    anchor: str | None = None
    """Text behind whose first occurrence the hidden state is wanted; None where none is."""
    max_tokens_after_anchor: int | None = None
    """Most tokens behind the anchor; None for as many as the response may have."""
    limits: tuple[int, ...] | None = None
    """Longest response to each prompt, in tokens, where it is not the same for all."""
    share_prompt: bool = True
    """Compute each prompt once; False is the plain way."""
    tags: Tags = TAGS
    """Of the responses: in a thought that the prompt has opened, neither stop nor anchor counts."""


@dataclass
class Response:
    """One row of the decode loop."""

    limit: int
    ids: list[int] = field(default_factory=list)
    """Sampled tokens, the end of the turn included."""
    log_probs: list[float] = field(default_factory=list)
    """Of each sampled token, in nats, under the tempered policy."""
    text: str = ""
    """Without the end of the turn."""
    ended: Ended | None = None
    anchor_end: int = -1
    """Tokens up to and with the anchor's last; −1 where it was not reached, or inside a token."""
    prefix: int = 0
    """Tokens that the closing follows."""
    closing: tuple[int, ...] = ()
    """Tokens that lead from the prefix to the anchor; none where the response has it at a token's end."""
    was_completed: bool = False
    """Whether the response lacked the anchor."""


@dataclass(frozen=True)
class GeneratedBatch:
    """Responses, row g·K + k being response k to prompt g, and what they can be continued from."""

    responses: list[Response]
    anchor_states: Float[Tensor, "row channel"] | None
    """Hidden state behind the anchor, or behind the closing where it was missing."""
    decoder: RolloutDecoder

    def continue_from_anchor(self, continuations: Continuations) -> list[list[Tensor]]:
        """Hidden states [token, channel] of token lists that follow the anchor of each row."""
        rows = list(zip(self.responses, continuations, strict=True))
        whole = [[[*r.closing, *tokens] for tokens in options] for r, options in rows]
        states = self.decoder.states_after([r.prefix for r in self.responses], whole)
        return [
            [found[len(r.closing) :] for found in options]
            for r, options in zip(self.responses, states, strict=True)
        ]


@torch.no_grad()
def generate(
    policy: Policy, batch: Batch, request: Request, *, noise: Float[Tensor, "row token"] | None = None
) -> GeneratedBatch:
    """`request.group_size` responses to each prompt of the batch.

    Args:
        policy: Put into evaluation mode for the time.
        batch: Its prompts are left-padded.
        request: What is to be generated.
        noise: Uniform numbers in [0, 1), see `uniform_noise`; only greedy decoding does without.
    """
    if noise is None and request.sampling.temperature > 0:
        raise ValueError(
            f"temperature {request.sampling.temperature} needs noise; only greedy decoding does without"
        )
    longest = int(batch.prompt.mask.sum(-1).max()) + max(request.limits or (request.sampling.max_new_tokens,))
    row = int(batch.prompt.mask.sum())
    shares = request.share_prompt and policy.abilities.shares_texts_of(longest + BEHIND_TOKENS, row=row)
    kind = SharedDecoder if shares else PlainDecoder
    with policy.eval_mode():
        decoder = kind(policy, batch, group_size=request.group_size)
        loop = _Loop(policy, request, prompts=len(batch.items))
        hidden = decoder.start()
        steps = max(row.limit for row in loop.rows)
        with merged_for_decoding(policy, rows=len(loop.rows)) if steps >= MERGE_FROM else nullcontext():
            for step in range(steps):
                column = torch.zeros(len(hidden)) if noise is None else noise[:, step]
                tokens, log_probs = choose_tokens(policy.logits(hidden), request.sampling, column)
                loop.take(tokens.tolist(), log_probs.tolist())
                if loop.done:
                    break
                hidden = decoder.step(tokens)
                loop.capture(hidden)
        return GeneratedBatch(loop.rows, loop.anchor_states(decoder), decoder)


class _Loop:
    """The bookkeeping of the decode loop: which rows go on, and whose state is still waited for."""

    def __init__(self, policy: Policy, request: Request, *, prompts: int) -> None:
        self.policy, self.request = policy, request
        limits = request.limits or (request.sampling.max_new_tokens,) * prompts
        self.rows = [Response(limit) for limit in limits for _ in range(request.group_size)]
        self.ends = set(policy.end_ids)
        self.waiting: list[int] = []
        """Rows whose anchor's last token was just chosen: the next step gives their state."""
        self.states: dict[int, Tensor] = {}

    @property
    def done(self) -> bool:
        return not self.waiting and all(row.ended for row in self.rows)

    def take(self, tokens: Sequence[int], log_probs: Sequence[float]) -> None:
        """Append each live row's token."""
        for number, (row, token, log_prob) in enumerate(zip(self.rows, tokens, log_probs, strict=True)):
            if row.ended or len(row.ids) >= row.limit:
                row.ended = row.ended or "length"
                continue
            row.ids.append(token)
            row.log_probs.append(log_prob)
            self._look(number, row)

    def _look(self, number: int, row: Response) -> None:
        """What the newest token of a row changes."""
        if row.ids[-1] in self.ends:
            row.ended = "end"
            return
        tail = self.policy.tokenizer.decode(row.ids[-TAG_TOKENS:])
        anchor, tags = self.request.anchor, self.request.tags
        if tags.opened and any(text in tail for text in (anchor or "", *self.request.stop) if text):
            tail = tags.outside_thought(self.policy.tokenizer.decode(row.ids))
        if anchor and row.anchor_end < 0 and tail.endswith(anchor):
            row.anchor_end = len(row.ids)
            self.waiting.append(number)
        if any(text in tail for text in self.request.stop):
            row.ended = "stop"
        elif len(row.ids) >= self._longest(row):
            row.ended = "length"

    def _longest(self, row: Response) -> int:
        """Tokens that the row may have, given what it has reached."""
        if self.request.max_tokens_after_anchor is None or row.anchor_end < 0:
            return row.limit
        return min(row.limit, row.anchor_end + self.request.max_tokens_after_anchor)

    def capture(self, hidden: Tensor) -> None:
        """Keep the states of the rows that wait for one."""
        self.states |= {number: hidden[number] for number in self.waiting}
        self.waiting.clear()

    def anchor_states(self, decoder: RolloutDecoder) -> Tensor | None:
        """The state behind each row's anchor, in one more pass for the rows that lack it."""
        for row in self.rows:
            row.ended = row.ended or "length"
            spoken = row.ids[:-1] if row.ended == "end" else row.ids
            row.text = self.policy.tokenizer.decode(spoken)
            if self.request.anchor is not None:
                self._lead_to_anchor(row, spoken, fed=len(decoder.fed))
        if self.request.anchor is None:
            return None
        missing = [n for n in range(len(self.rows)) if n not in self.states]
        if missing:
            lists = [[row.closing] if n in missing else [] for n, row in enumerate(self.rows)]
            found = decoder.states_after([row.prefix for row in self.rows], lists)
            self.states |= {n: found[n][0][-1] for n in missing}
        return torch.stack([self.states[n] for n in range(len(self.rows))])

    def _lead_to_anchor(self, row: Response, spoken: Sequence[int], *, fed: int) -> None:
        """From which prefix, by which tokens, the row gets to the anchor; the decoder has seen `fed` of its tokens."""
        anchor = str(self.request.anchor)
        row.prefix, closing = row.anchor_end, []
        if row.anchor_end < 0:
            row.was_completed = anchor not in self.request.tags.outside_thought(row.text)
            # Where the tag's end and what follows it share a token, go back to before that token.
            row.prefix = len(spoken) if row.was_completed else self._tokens_before(spoken, anchor)
            text = self.policy.tokenizer.decode(spoken[: row.prefix])
            closing = self.policy.text_ids(self.request.tags.completion_to_answer(text))
        unseen = [*spoken[fed : row.prefix]]
        row.prefix = min(row.prefix, fed)
        row.closing = (*unseen, *closing)

    def _tokens_before(self, ids: Sequence[int], anchor: str) -> int:
        """How many tokens come before the one that completes the anchor."""
        decode, tags = self.policy.tokenizer.decode, self.request.tags
        return next(n for n in range(len(ids)) if anchor in tags.outside_thought(decode(ids[: n + 1])))
