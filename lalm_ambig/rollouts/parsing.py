"""Distributions that responses state in words: the verbalised readout of sampled or greedy text."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.types import Batch, Reading
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.readouts.verbalised import Unparsed, parse
from lalm_ambig.rollouts.generate import Request, generate
from lalm_ambig.rollouts.sampling import Sampling


def parse_responses(
    texts: Sequence[str], categories: CategorySet
) -> tuple[Float[Tensor, "row category"], tuple[str | None, ...]]:
    """Parse the distribution that each text states.

    Returns:
        The distributions, uniform for an unparsable text; and per text the reason why it is unparsable, or None.
    """
    parsed = [parse(text, categories) for text in texts]
    uniform = (1 / len(categories),) * len(categories)
    dist = torch.tensor([uniform if isinstance(one, Unparsed) else one for one in parsed])
    return dist, tuple(one.reason if isinstance(one, Unparsed) else None for one in parsed)


@torch.no_grad()
def read_stated(encoder: Encoder, batch: Batch, *, max_new_tokens: int, share: bool = True) -> Reading:
    """Read the distributions that the policy's greedy responses state.

    Args:
        encoder: The encoder that made the batch, with its policy.
        batch: Items with their prompts.
        max_new_tokens: Longest response.
        share: Compute each prompt once; if False, every text by itself.
    """
    greedy = Request(Sampling(max_new_tokens=max_new_tokens, temperature=0.0), share_prompt=share)
    texts = [r.text for r in generate(encoder.policy, batch, greedy).responses]
    dist, unparsed = parse_responses(
        [encoder.tags.split_thought(text)[1] for text in texts], encoder.categories
    )
    was_completed = (False,) * len(texts)
    return Reading(
        dist.to(encoder.policy.device), None, tuple(texts), was_completed=was_completed, unparsed=unparsed
    )
