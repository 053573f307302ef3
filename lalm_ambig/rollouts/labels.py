"""The third readout, `sampled`: the share of each class among one-label answers that a policy has sampled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import one_hot

from lalm_ambig.core.types import Batch, Reading, Tokens
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.readouts.labels import class_named
from lalm_ambig.rollouts.generate import Request, generate
from lalm_ambig.rollouts.groups import GroupSampling, sample_groups
from lalm_ambig.rollouts.sampling import Sampling, uniform_noise


@dataclass(frozen=True)
class LabelSampling:
    """How one-label answers are sampled."""

    samples: int
    """Answers per item."""
    temperature: float
    """Divides the logits."""
    max_new_tokens: int
    """Longest response in tokens, where the policy reasons before it answers."""
    share_prompt: bool = True


@torch.no_grad()
def read_labels(encoder: Encoder, batch: Batch, settings: LabelSampling) -> Reading:
    """The share of each class among the answers to each item that name one (see `class_named`).

    If no answer of an item names a class, its p̂ is uniform, with the first response's reason. The text is the first
    response's. Random numbers belong to the item (see `uniform_noise`), so the first n answers are the same for any
    number of samples.

    Args:
        encoder: The encoder that made the batch, with its policy.
        batch: Items with prompts that ask for a class name.
        settings: Number, temperature and length of the responses.
    """
    if not encoder.reasoning:
        return _shares(encoder, _named_at_once(encoder, batch, settings))
    sampling = Sampling(settings.max_new_tokens, settings.temperature)
    draw = GroupSampling(sampling, settings.samples, step=0, share_prompt=settings.share_prompt)
    groups = sample_groups(encoder, batch, draw)
    return replace(
        _shares(encoder, groups.texts),
        well_formed=groups.well_formed.float().mean(-1),
        tokens=groups.mask.sum(-1).float().mean(-1),
    )


def _named_at_once(encoder: Encoder, batch: Batch, settings: LabelSampling) -> list[list[str]]:
    """Responses without reasoning: `<answer>` is given, and only the name is sampled, up to its last token."""
    policy, answer, count = encoder.policy, encoder.answer, settings.samples
    assert answer is not None, "the encoder of a prompt that asks for a class name"
    opening = torch.tensor(
        policy.text_ids(answer.tags.completion_to_answer("")), device=batch.prompt.ids.device
    )
    begun = opening.expand(len(batch.items), -1)
    prompt = Tokens(
        torch.cat([batch.prompt.ids, begun], dim=1),
        torch.cat([batch.prompt.mask, torch.ones_like(begun, dtype=torch.bool)], dim=1),
    )
    longest = max(map(len, answer.name_ids))
    noise = uniform_noise([i.id for i in batch.items], seed=0, step=0, group_size=count, tokens=longest)
    request = Request(
        Sampling(longest, settings.temperature),
        group_size=count,
        stop=tuple(verbaliser.strip() for verbaliser in encoder.categories.verbalisers),
        share_prompt=settings.share_prompt,
    )
    rows = generate(policy, replace(batch, prompt=prompt), request, noise=noise).responses
    texts = [answer.tags.answer_open + row.text for row in rows]
    return [texts[n : n + count] for n in range(0, len(texts), count)]


def _shares(encoder: Encoder, texts: Sequence[Sequence[str]]) -> Reading:
    """Shares of the classes that each item's responses name."""
    width = len(encoder.categories)
    named = [[class_named(text, encoder.categories, encoder.tags) for text in row] for row in texts]
    labels = [[label for label in row if isinstance(label, int)] for row in named]
    counts = torch.stack([one_hot(torch.tensor(row, dtype=torch.long), width).sum(0) for row in labels])
    total = counts.sum(-1)
    shares = torch.where(total[:, None] > 0, counts / total[:, None].clamp_min(1), 1 / width)
    device = encoder.policy.device
    return Reading(
        shares.to(device),
        None,
        tuple(row[0] for row in texts),
        was_completed=(False,) * len(texts),
        unparsed=tuple(None if read else str(row[0]) for read, row in zip(labels, named, strict=True)),
        labels=total.to(device),
    )
