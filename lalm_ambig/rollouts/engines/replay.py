"""Tokens that an engine has sampled, as the response that the policy's own decode loop would have made of them."""

from collections.abc import Sequence

from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.generate import TAG_TOKENS, Request, Response


class Replay:
    """Goes through sampled tokens: where the response ends, and how it leads to its answer.

    An engine may go on for longer than the decode loop, which counts tokens after the anchor. The rest is cut off.
    """

    def __init__(self, policy: Policy, request: Request) -> None:
        self.policy, self.request = policy, request
        self.decode = policy.tokenizer.decode
        self.ends = frozenset(policy.end_ids)

    def response(self, ids: Sequence[int], log_probs: Sequence[float], *, limit: int) -> Response | None:
        """The response; None where the tokens break off before it has ended.

        Args:
            ids: Sampled tokens.
            log_probs: Log-probability of each, in nats.
            limit: Longest response in tokens.
        """
        row = Response(limit)
        for token, log_prob in zip(ids, log_probs, strict=True):
            if row.ended or len(row.ids) >= limit:
                break
            row.ids.append(token)
            row.log_probs.append(log_prob)
            self._update(row)
        if len(row.ids) >= limit:
            row.ended = row.ended or "length"
        if row.ended is None:
            return None
        content = row.ids[:-1] if row.ended == "end" else row.ids
        row.text = self.decode(content)
        if self.request.anchor is not None:
            self._lead_to_anchor(row, content, anchor=self.request.anchor)
        return row

    def _update(self, row: Response) -> None:
        """Whether the newest token ends the row or completes the anchor."""
        if row.ids[-1] in self.ends:
            row.ended = "end"
            return
        request, text = self.request, self.decode(row.ids[-TAG_TOKENS:])
        texts = [*request.stop, *([request.anchor] if request.anchor else [])]
        if request.tags.opened and any(one in text for one in texts):
            text = request.tags.outside_thought(self.decode(row.ids))
        if request.anchor and row.anchor_end < 0 and text.endswith(request.anchor):
            row.anchor_end = len(row.ids)
        longest = row.limit
        if request.max_tokens_after_anchor is not None and row.anchor_end >= 0:
            longest = min(longest, row.anchor_end + request.max_tokens_after_anchor)
        if any(one in text for one in request.stop):
            row.ended = "stop"
        elif len(row.ids) >= longest:
            row.ended = "length"

    def _lead_to_anchor(self, row: Response, content: Sequence[int], *, anchor: str) -> None:
        """Set prefix and closing. A token that holds the anchor's end and more is left out, and written again."""
        if row.anchor_end >= 0:
            row.prefix = row.anchor_end
            return
        outside = self.request.tags.outside_thought
        row.was_completed, row.prefix = anchor not in outside(row.text), len(content)
        if not row.was_completed:
            row.prefix = next(
                n for n in range(len(content)) if anchor in outside(self.decode(content[: n + 1]))
            )
        before = self.decode(content[: row.prefix])
        row.closing = tuple(self.policy.text_ids(self.request.tags.completion_to_answer(before)))
