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
FEWEST_ROWS = 8
"""With no more rows than these a step costs as much for fewer of them."""
FINISHED_SHARE = {"cpu": 0.125}
"""By the kind of device, the share of a loop's rows that must be finished before they are dropped from it. That copies
the state of the others. On a CPU a step's cost is in proportion to its rows."""
FINISHED_SHARE_ELSEWHERE = 0.5
"""That share on a GPU, where a step costs little less with fewer rows, and recorded steps are recorded anew."""


@dataclass(frozen=True)
class Sequel:
    """What is recorded of a response beyond its stop text."""

    stop: str
    """Text that ends it; it stays in it."""
    max_tokens: int
    """Most tokens, within the response's own limit."""


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
    sequel: Sequel | None = None
    """What is recorded after a stop text; None for nothing."""
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
    further: list[int] = field(default_factory=list)
    """Tokens after the stop text, if the request has a sequel: no part of the response."""
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
                if (kept := loop.worth_keeping()) and (places := take.keep(kept)) is not None:
                    tokens, log_probs = tokens[places], log_probs[places]
                    loop.keep(decoder.rows)
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
        self.decoded = list(range(len(self.rows)))
        """Numbers of the rows that are decoded."""
        self.waiting: list[int] = []
        """Rows whose anchor's last token was just chosen; the next step gives their state."""
        self.followed: set[int] = set()
        """Rows that have ended, and whose sequel is being recorded."""
        self.states: dict[int, Tensor] = {}
        self.log_probs: list[Tensor] = []
        """Of each step since `decoded` changed, one per row of it, on the device until the end."""
        self.parts: list[tuple[list[int], Tensor]] = []
        """Rows that were decoded together, and their log-probabilities [row, step]."""

    @property
    def done(self) -> bool:
        return not self._unfinished()

    def _unfinished(self) -> list[int]:
        """Places in `decoded` of the rows of which something is still to come."""
        needed = {*self.waiting, *self.followed}
        return [place for place, row in enumerate(self.decoded) if not self.rows[row].ended or row in needed]

    def worth_keeping(self) -> list[int]:
        """The unfinished rows' places, if so few are left that the others are worth dropping; otherwise none."""
        if len(self.decoded) <= FEWEST_ROWS:
            return []
        left = self._unfinished()
        share = FINISHED_SHARE.get(self.policy.device.type, FINISHED_SHARE_ELSEWHERE)
        return left if len(left) <= (1 - share) * len(self.decoded) else []

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        self._collect()
        self.decoded = list(rows)

    def _collect(self) -> None:
        if self.log_probs:
            self.parts.append((self.decoded, torch.stack(self.log_probs, dim=1)))
        self.log_probs = []

    def append(self, tokens: Sequence[int], log_probs: Float[Tensor, " row"]) -> None:
        """Append the next token of each row that has not ended."""
        self.log_probs.append(log_probs)
        for number, token in zip(self.decoded, tokens, strict=True):
            row = self.rows[number]
            if row.ended or len(row.ids) >= row.limit:
                row.ended = row.ended or "length"
                if number in self.followed:
                    self._follow(number, row, token)
                continue
            row.ids.append(token)
            self._update(number, row)

    def finish(self) -> None:
        """Give each row its log-probabilities, which come from the device in one copy per part of the loop."""
        self._collect()
        for rows, log_probs in self.parts:
            for number, values in zip(rows, log_probs.tolist(), strict=True):
                self.rows[number].log_probs += values
        for row in self.rows:
            del row.log_probs[len(row.ids) :]

    def _follow(self, number: int, row: Response, token: int) -> None:
        """Record the next token after a row's stop text."""
        sequel = self.request.sequel
        assert sequel is not None
        row.further.append(token)
        closed = token in self.ends or sequel.stop in self.policy.tokenizer.decode(row.further)
        if closed or len(row.further) == min(sequel.max_tokens, row.limit - len(row.ids)):
            self.followed.remove(number)

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
            if self.request.sequel is not None and len(row.ids) < row.limit:
                self.followed.add(number)
        elif len(row.ids) >= self._longest(row):
            row.ended = "length"

    def _longest(self, row: Response) -> int:
        """Most tokens of the row, given whether it has reached the anchor."""
        if self.request.max_tokens_after_anchor is None or row.anchor_end < 0:
            return row.limit
        return min(row.limit, row.anchor_end + self.request.max_tokens_after_anchor)

    def capture(self, hidden: Float[Tensor, "row channel"]) -> None:
        """Store the states of the waiting rows."""
        if self.waiting:
            places = {row: place for place, row in enumerate(self.decoded)}
            self.states |= {row: hidden[places[row]] for row in self.waiting}
            self.waiting.clear()

    def anchor_states(self, decoder: RolloutDecoder) -> Tensor | None:
        """The state after each row's anchor; rows that lack it get it in one more pass."""
        for row in self.rows:
            row.ended = row.ended or "length"
            content = row.ids[:-1] if row.ended == "end" else row.ids
            row.text = self.policy.tokenizer.decode(content)
            if self.request.anchor is not None:
                self._lead_to_anchor(row, content, fed=decoder.steps)
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
