"""The generation engine: responses to a batch of prompts in one decode loop, and the state at each one's anchor.

An *anchor* is a text, such as `<answer>`, after which the hidden state is wanted. The engine also knows stop texts and
how tokens are chosen, but no method, reward or corpus.
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
from lalm_ambig.policies.decoding_layers import decoding_layers
from lalm_ambig.readouts.response import TAGS, Tags
from lalm_ambig.rollouts.decoder import Continuations, PlainDecoder, RolloutDecoder, SharedDecoder
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.rollouts.stepping import stepping

Ended = Literal["stop", "end", "length"]
"""Why a response ended: a stop text, the end of the model's turn, or its longest length."""
PREPARE_FROM = 8
"""Fewest steps for which preparing the linear layers saves time."""
APPENDED_TOKENS = 32
"""Upper bound of the tokens that are appended to a response to read an answer."""
TAG_TOKENS = 12
"""Upper bound of a tag's tokens: how far back a text is searched for."""


@dataclass(frozen=True)
class Request:
    """Settings of one call of `generate`."""

    sampling: Sampling
    group_size: int = 1
    """Responses per prompt, K."""
    stop: tuple[str, ...] = ()
    """Texts that end a response; they stay in it."""
    anchor: str | None = None
    """Text after whose first occurrence the hidden state is wanted; None for no state."""
    max_tokens_after_anchor: int | None = None
    """Most tokens after the anchor; None for no limit but the response's."""
    limits: tuple[int, ...] | None = None
    """Longest response per prompt in tokens, if prompts differ."""
    share_prompt: bool = True
    """Compute each prompt once; if False, every row by itself."""
    tags: Tags = TAGS
    """Tags of the responses: in a thought that the prompt has opened, neither stop texts nor the anchor count."""


@dataclass
class Response:
    """One row of the decode loop."""

    limit: int
    ids: list[int] = field(default_factory=list)
    """Sampled tokens, the end of the turn included."""
    log_probs: list[float] = field(default_factory=list)
    """Log-probability of each sampled token in nats, under the tempered policy."""
    text: str = ""
    """The response without the end of the turn."""
    ended: Ended | None = None
    anchor_end: int = -1
    """Tokens up to and including the anchor's last; −1 if it was not reached, or ends inside a token."""
    prefix: int = 0
    """Number of tokens before the closing."""
    closing: tuple[int, ...] = ()
    """Tokens that lead from the prefix to the anchor; none if the response has the anchor at a token's end."""
    was_completed: bool = False
    """Whether the response lacked the anchor, so that the closing had to be appended."""


@dataclass(frozen=True)
class GeneratedBatch:
    """Responses, of which row g·K + k is response k to prompt g, and the state to continue them from."""

    responses: list[Response]
    anchor_states: Float[Tensor, "row channel"] | None
    """Hidden state after the anchor, or after the closing if the anchor was missing."""
    decoder: RolloutDecoder

    def continue_from_anchor(self, continuations: Continuations) -> list[list[Tensor]]:
        """Hidden states [token, channel] of token lists that follow the anchor of each row."""
        rows = list(zip(self.responses, continuations, strict=True))
        lists = [[[*r.closing, *tokens] for tokens in options] for r, options in rows]
        states = self.decoder.states_after([r.prefix for r in self.responses], lists)
        return [
            [after[len(r.closing) :] for after in options]
            for r, options in zip(self.responses, states, strict=True)
        ]


@torch.no_grad()
def generate(
    policy: Policy, batch: Batch, request: Request, *, noise: Float[Tensor, "row token"] | None = None
) -> GeneratedBatch:
    """Generate `request.group_size` responses to each prompt of the batch.

    Args:
        policy: The policy; it is in evaluation mode meanwhile.
        batch: Items with left-padded prompts.
        request: Sampling, number and ends of the responses.
        noise: Uniform numbers in [0, 1), see `uniform_noise`; None for greedy decoding.

    Returns:
        The responses, with K rows per prompt, and the states after their anchors.

    Raises:
        ValueError: The temperature is above 0, and there is no noise.
    """
    if noise is None and request.sampling.temperature > 0:
        raise ValueError(
            f"temperature {request.sampling.temperature} needs noise; only greedy decoding does without"
        )
    longest = int(batch.prompt.mask.sum(-1).max()) + max(request.limits or (request.sampling.max_new_tokens,))
    row = int(batch.prompt.mask.sum())
    shares = request.share_prompt and policy.abilities.shares_texts_of(longest + APPENDED_TOKENS, row=row)
    kind = SharedDecoder if shares else PlainDecoder
    with policy.eval_mode():
        decoder = kind(policy, batch, group_size=request.group_size)
        loop = _Loop(policy, request, prompts=len(batch.items))
        steps = max(row.limit for row in loop.rows)
        noise = torch.zeros(len(loop.rows), steps) if noise is None else noise[:, :steps]
        # On the device once, for a copy in a step would be waited for; the last choice is not used.
        columns = torch.nn.functional.pad(noise, (0, 1)).T.contiguous().to(policy.device)
        take = stepping(policy, decoder, request.sampling, columns)
        tokens, log_probs = take.start()
        with (
            decoding_layers(policy, rows=len(loop.rows), merge=request.sampling.merge_adapter)
            if steps >= PREPARE_FROM
            else nullcontext()
        ):
            for _ in range(steps):
                loop.append(tokens.tolist(), log_probs)  # the step's only wait for the device
                if loop.done:
                    break
                hidden, tokens, log_probs = take.after(tokens)
                loop.capture(hidden)
        take.finish()
        loop.finish()
        return GeneratedBatch(loop.rows, loop.anchor_states(decoder), decoder)


class _Loop:
    """The bookkeeping of the decode loop: which rows continue, and whose anchor state is still to come."""

    def __init__(self, policy: Policy, request: Request, *, prompts: int) -> None:
        self.policy, self.request = policy, request
        limits = request.limits or (request.sampling.max_new_tokens,) * prompts
        self.rows = [Response(limit) for limit in limits for _ in range(request.group_size)]
        self.ends = set(policy.end_ids)
        self.waiting: list[int] = []
        """Rows whose anchor's last token was just chosen; the next step gives their state."""
        self.states: dict[int, Tensor] = {}
        self.log_probs: list[Tensor] = []
        """Of each step, one per row, on the device until the end."""

    @property
    def done(self) -> bool:
        return not self.waiting and all(row.ended for row in self.rows)

    def append(self, tokens: Sequence[int], log_probs: Float[Tensor, " row"]) -> None:
        """Append the next token of each row that has not ended."""
        self.log_probs.append(log_probs)
        for number, (row, token) in enumerate(zip(self.rows, tokens, strict=True)):
            if row.ended or len(row.ids) >= row.limit:
                row.ended = row.ended or "length"
                continue
            row.ids.append(token)
            self._update(number, row)

    def finish(self) -> None:
        """Give each row its log-probabilities, which come from the device in one copy."""
        if self.log_probs:
            for row, values in zip(self.rows, torch.stack(self.log_probs, dim=1).tolist(), strict=True):
                row.log_probs = values[: len(row.ids)]

    def _update(self, number: int, row: Response) -> None:
        """Update a row after its newest token: whether it ended, and whether it reached the anchor."""
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
        """Most tokens of the row, given whether it has reached the anchor."""
        if self.request.max_tokens_after_anchor is None or row.anchor_end < 0:
            return row.limit
        return min(row.limit, row.anchor_end + self.request.max_tokens_after_anchor)

    def capture(self, hidden: Float[Tensor, "row channel"]) -> None:
        """Store the states of the waiting rows."""
        self.states |= {number: hidden[number] for number in self.waiting}
        self.waiting.clear()

    def anchor_states(self, decoder: RolloutDecoder) -> Tensor | None:
        """The state after each row's anchor; rows that lack it get it in one more pass."""
        for row in self.rows:
            row.ended = row.ended or "length"
            content = row.ids[:-1] if row.ended == "end" else row.ids
            row.text = self.policy.tokenizer.decode(content)
            if self.request.anchor is not None:
                self._lead_to_anchor(row, content, fed=len(decoder.fed))
        if self.request.anchor is None:
            return None
        missing = [n for n in range(len(self.rows)) if n not in self.states]
        if missing:
            lists = [[row.closing] if n in missing else [] for n, row in enumerate(self.rows)]
            completed = decoder.states_after([row.prefix for row in self.rows], lists)
            self.states |= {n: completed[n][0][-1] for n in missing}
        return torch.stack([self.states[n] for n in range(len(self.rows))])

    def _lead_to_anchor(self, row: Response, content: Sequence[int], *, fed: int) -> None:
        """Set the prefix and closing by which the row reaches the anchor; the decoder has seen `fed` of its tokens."""
        anchor = str(self.request.anchor)
        row.prefix, closing = row.anchor_end, []
        if row.anchor_end < 0:
            row.was_completed = anchor not in self.request.tags.outside_thought(row.text)
            # Where the tag's end and what follows it share a token, go back to before that token.
            row.prefix = len(content) if row.was_completed else self._tokens_before(content, anchor)
            text = self.policy.tokenizer.decode(content[: row.prefix])
            closing = self.policy.text_ids(self.request.tags.completion_to_answer(text))
        unseen = [*content[fed : row.prefix]]
        row.prefix = min(row.prefix, fed)
        row.closing = (*unseen, *closing)

    def _tokens_before(self, ids: Sequence[int], anchor: str) -> int:
        """Number of tokens before the one that completes the anchor."""
        decode, tags = self.policy.tokenizer.decode, self.request.tags
        return next(n for n in range(len(ids)) if anchor in tags.outside_thought(decode(ids[: n + 1])))
