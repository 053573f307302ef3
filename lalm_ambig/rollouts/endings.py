"""What a greedy response writes from its answer position on: a class name and the closing tag, if it keeps the form.

The distribution is read before the name, where decoding stops. Here it goes on for a few tokens, after the distribution
has been read: no number of the readout depends on it.
"""

from collections.abc import Iterator

import torch

from lalm_ambig.policies.base import Policy
from lalm_ambig.readouts.logits import AnswerTokens
from lalm_ambig.rollouts.decoder import RolloutDecoder
from lalm_ambig.rollouts.generate import GeneratedBatch
from lalm_ambig.rollouts.groups import SPARE_TOKENS


@torch.no_grad()
def completed_ids(
    policy: Policy, answer: AnswerTokens, generated: GeneratedBatch, *, max_new_tokens: int
) -> list[list[int]]:
    """Token ids of greedy responses, those that have reached `<answer>` continued as a sampled one is.

    They end with the closing tag, with the turn, or at the longest length (see `sample_groups`).

    Args:
        policy: The policy.
        answer: Tokens of the class names, and the tags.
        generated: Greedy responses, one per prompt, that were stopped at `<answer>`.
        max_new_tokens: Longest response.
    """
    ids = [list(r.ids) for r in generated.responses]
    most = max(map(len, answer.name_ids)) + SPARE_TOKENS
    limits = [min(max_new_tokens, len(row) + most) for row in ids]
    unfinished = {n for n, r in enumerate(generated.responses) if r.ended == "stop" and r.limit > len(r.ids)}
    with policy.eval_mode():
        for column, tokens in enumerate(_greedy_tokens(policy, generated.decoder)):
            if not unfinished:
                break
            for n in [n for n in unfinished if len(ids[n]) == column]:
                ids[n].append(tokens[n])
                after = policy.tokenizer.decode(ids[n][len(generated.responses[n].ids) :])
                is_closed = answer.tags.answer_close in after or tokens[n] in policy.end_ids
                if is_closed or len(ids[n]) == limits[n]:
                    unfinished.remove(n)
    return ids


def _greedy_tokens(policy: Policy, decoder: RolloutDecoder) -> Iterator[list[int]]:
    """The token of each row, step by step: those that were decoded, even after a row's end, then further ones."""
    yield from [tokens.tolist() for tokens in decoder.fed]
    if not decoder.fed:
        return
    last = decoder.fed[-1].tolist()
    states = decoder.states_after([len(decoder.fed) - 1] * len(last), [[[token]] for token in last])
    hidden = torch.stack([row[0][-1] for row in states])
    while True:
        tokens = policy.logits(hidden).argmax(-1)
        yield tokens.tolist()
        hidden = decoder.step(tokens)
