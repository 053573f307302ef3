"""One vector per item from a frozen policy: of its audio encoder for a clip, of its decoder for a text."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

from lalm_ambig.baselines.base import Features
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.data.encoding import Encoder, approximate_length
from lalm_ambig.data.feature_cache import encoded
from lalm_ambig.policies.attention.tree_pass import tree_states
from lalm_ambig.rollouts.decoder import prompt_segments

BATCH_SIZE = 32
"""Texts whose states are computed at once: what all of their prompts begin with, the instruction, is computed once."""


class PooledFeatures(Features):
    """Means over tokens, with the adapter off.

    Of a clip, they are the audio encoder's features before the projector, from the cache if there is one. Of a text
    item, they are the last hidden states of its prompt.
    """

    def __init__(self, encoder: Encoder, items: Sequence[Item]) -> None:
        """Args:
            encoder: An encoder with a loaded policy.
            items: All items that will be looked at.

        Raises:
            InputError: Some items have audio, and some have none.
        """
        with_sound = [item for item in items if item.has_sound]
        without = [item for item in items if not item.has_sound]
        if with_sound and without:
            raise InputError(
                f"item {with_sound[0].id} has audio and item {without[0].id} has none:",
                where="probe",
                remedy="their features would come from different parts of the policy and cannot be compared.",
            )
        self.encoder, self.sound = encoder, bool(with_sound)

    @property
    def meaning(self) -> str:
        policy = self.encoder.policy.description
        if self.sound:
            layers = self.encoder.policy.side_layers
            beside = f", layers {', '.join(map(str, layers))} beside the last" if layers else ""
            return f"audio encoder's features of {policy}{beside}, mean over a clip's tokens"
        return f"last hidden states of {policy}, adapter off, mean over the prompt's tokens"

    def __call__(self, items: Sequence[Item]) -> Float[Tensor, "item feature"]:
        return self._of_clips(items) if self.sound else self._of_texts(items)

    def _of_clips(self, items: Sequence[Item]) -> Float[Tensor, "item feature"]:
        cache, clips = self.encoder.features, [str(item.audio) for item in items]
        policy = self.encoder.policy
        if cache is not None:
            return torch.stack([policy.sounding(cache.get(clip)).double().mean(0) for clip in clips])
        with policy.eval_mode():
            features = encoded(policy, sorted(set(clips)))
            means = {clip: policy.sounding(rows).double().mean(0) for clip, rows in features}
        return torch.stack([means[clip] for clip in clips])

    @torch.inference_mode()
    def _of_texts(self, items: Sequence[Item]) -> Float[Tensor, "item feature"]:
        policy = self.encoder.policy
        order = sorted(range(len(items)), key=lambda n: approximate_length(items[n]))
        batches = [order[i : i + BATCH_SIZE] for i in range(0, len(order), BATCH_SIZE)]
        means: dict[int, Tensor] = {}
        with policy.eval_mode(), policy.adapter_off():
            for rows in track(batches, description=f"states of {len(items)} texts", transient=True):
                batch = self.encoder([items[n] for n in rows]).to(policy.device)
                states = tree_states(policy, prompt_segments(policy, batch))
                means.update((n, s.cpu().double().mean(0)) for n, s in zip(rows, states, strict=True))
        return torch.stack([means[n] for n in range(len(items))])


class Remembered(Features):
    """Features that are computed once per item, for several tables of one policy."""

    def __init__(self, features: Features) -> None:
        self.features = features
        self.vectors: dict[str, Float[Tensor, " feature"]] = {}

    @property
    def meaning(self) -> str:
        return self.features.meaning

    def __call__(self, items: Sequence[Item]) -> Float[Tensor, "item feature"]:
        missing = [item for item in items if item.id not in self.vectors]
        if missing:
            ids = (item.id for item in missing)
            self.vectors.update(zip(ids, self.features(missing), strict=True))
        return torch.stack([self.vectors[item.id] for item in items])
