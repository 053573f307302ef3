"""Test-time averaging: the mean distribution of several sampled responses."""

import torch

from lalm_ambig.core.types import Batch, Reading
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.rollouts.groups import GroupSampling, sample_groups
from lalm_ambig.rollouts.sampling import Sampling


@torch.no_grad()
def read_samples(
    encoder: Encoder, batch: Batch, *, max_new_tokens: int, samples: int, share: bool = True
) -> Reading:
    """Mean of p̂ over sampled responses of each item, at temperature 1; unparsable responses are left out.

    If no response of an item can be parsed, its p̂ is uniform, with the first response's reason. The text is the first
    response's; class mass, form and length are means over all of them. Random numbers belong to the item (see
    `uniform_noise`), so the first n responses are the same for any number of samples.

    Args:
        encoder: The encoder that made the batch, with its policy.
        batch: Items with their prompts.
        max_new_tokens: Longest response.
        samples: Responses per item.
        share: Compute each prompt once; if False, every text by itself.
    """
    draw = GroupSampling(
        Sampling(max_new_tokens=max_new_tokens), group_size=samples, step=0, share_prompt=share
    )
    groups = sample_groups(encoder, batch, draw)
    weights = groups.parsed.to(groups.predicted_dist.dtype)
    weights = torch.where(weights.any(-1, keepdim=True), weights, 1)
    mean = (groups.predicted_dist * weights[..., None]).sum(1) / weights.sum(-1, keepdim=True)
    unparsed = None
    if groups.unparsed is not None:
        unparsed = tuple(None if None in reasons else reasons[0] for reasons in groups.unparsed)
    return Reading(
        mean,
        None if groups.class_mass is None else groups.class_mass.mean(-1),
        tuple(texts[0] for texts in groups.texts),
        was_completed=tuple(bool(flag) for flag in groups.was_completed[:, 0]),
        unparsed=unparsed,
        well_formed=None if encoder.answer is None else groups.well_formed.float().mean(-1),
        tokens=None if encoder.answer is None else groups.mask.sum(-1).float().mean(-1),
    )
