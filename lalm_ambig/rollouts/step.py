"""All responses of an optimiser step in one decode loop, as far as memory allows.

A decode step costs about as much for 64 rows as for 16: it reads all weights, and on a GPU waits for as many launches.
So the prompts of all passes of a step are sampled together. A response depends on its item, the step and the policy
only (see `uniform_noise`), hence not on the loop that it is sampled in.
"""

from collections.abc import Iterator, Sequence

import torch

from lalm_ambig.core.memory import free_bytes
from lalm_ambig.core.types import Batch, Groups
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.engines.base import samples_elsewhere
from lalm_ambig.rollouts.groups import GroupSampling, request_of, sample_groups

MOST_ROWS = 256
"""Most responses in one loop: with more, a step costs in proportion to its rows, even on a GPU."""
USED_SHARE = 0.5
"""Share of the free memory that a loop's keys, values and logits may take."""
KEPT = ("k_proj", "v_proj")
"""Ends of the names of the layers that make keys and values."""
LOGIT_COPIES = 6
"""Copies of a step's logits in four bytes each while a token is chosen: shares, sorted ones, running sums."""


def sample_step(encoder: Encoder, batches: Sequence[Batch], settings: GroupSampling) -> list[Groups]:
    """Sample responses to the prompts of several batches in as few loops as fit the free memory.

    Args:
        encoder: The encoder that made the batches, with its policy.
        batches: The batches of a step's passes. One that does not fit by itself is sampled by itself.
        settings: How responses are sampled.

    Returns:
        The responses to each batch, as if it had been sampled by itself.
    """
    if settings.engine is not None:
        settings.engine.update(encoder.policy, settings.step)
    sampled = []
    for together in _loops(encoder.policy, batches, settings):
        groups = sample_groups(encoder, Batch.joined(together), settings)
        ends = torch.tensor([len(batch.items) for batch in together]).cumsum(0).tolist()
        starts = [0, *ends[:-1]]
        sampled += [groups.part(slice(a, b)) for a, b in zip(starts, ends, strict=True)]
    return sampled


def begin_step(
    encoder: Encoder, batches: Sequence[Batch], settings: GroupSampling, *, weights_of: int
) -> None:
    """Let the engine sample a later step's responses while the present one trains.

    Args:
        encoder: The encoder that made the batches, with its policy.
        batches: The batches of the later step's passes.
        settings: How responses are sampled, at the later step.
        weights_of: The present step, whose weights sample.
    """
    assert settings.engine is not None, "only an engine samples ahead"
    settings.engine.update(encoder.policy, weights_of)
    settings.engine.begin(encoder.policy, batches, request_of(encoder, settings), settings.draw)


def _loops(policy: Policy, batches: Sequence[Batch], settings: GroupSampling) -> Iterator[list[Batch]]:
    """The batches that are sampled together."""
    room = USED_SHARE * free_bytes(policy.device)
    elsewhere = samples_elsewhere(settings.engine)  # an engine in another process divides its work itself
    together: list[Batch] = []
    for batch in batches:
        fits = elsewhere or (
            _bytes(policy, [*together, batch], settings) <= room
            and _rows([*together, batch], settings) <= MOST_ROWS
        )
        if together and not (fits and _is_encoded(batch) == _is_encoded(together[0])):
            yield together
            together = []
        together.append(batch)
    if together:
        yield together


def _rows(batches: Sequence[Batch], settings: GroupSampling) -> int:
    return settings.group_size * sum(len(batch.items) for batch in batches)


def _is_encoded(batch: Batch) -> bool | None:
    """Whether a batch's sound is the encoder's features or frames; None without sound. Only like batches are joined."""
    return None if batch.audio is None else batch.audio.encoded


def _bytes(policy: Policy, batches: Sequence[Batch], settings: GroupSampling) -> int:
    """Bytes that a loop over these batches takes at its end, where every response has its longest length."""
    prompts, rows = sum(len(batch.items) for batch in batches), _rows(batches, settings)
    longest = max(batch.prompt.ids.shape[1] for batch in batches)
    # Shared prompts are held up to twice once finished rows are dropped.
    kept = longest * prompts * (2 if settings.share_prompt else settings.group_size)
    written = settings.sampling.max_new_tokens * rows
    return bytes_per_token(policy) * (kept + 2 * written) + 4 * LOGIT_COPIES * _vocabulary(policy) * rows


def bytes_per_token(policy: Policy) -> int:
    """Bytes of a token's keys and values in all layers, at most: some layers keep fewer.

    A layer whose projections have other names than most counts with as many channels as a token's state.
    """
    weight = policy.base.get_input_embeddings().weight
    channels = 0
    for layer in policy.layers:
        parts = [
            getattr(part, "out_features", 0) for name, part in layer.named_modules() if name.endswith(KEPT)
        ]
        channels += sum(parts) or 2 * weight.shape[1]
    return int(channels * weight.element_size())


def _vocabulary(policy: Policy) -> int:
    return int(policy.base.get_output_embeddings().weight.shape[0])
