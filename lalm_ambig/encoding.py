"""Items made ready for a policy: prompts as tokens, sound as mel frames or cached features, curated responses."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lalm_ambig.audio import read_audio
from lalm_ambig.categories import CategorySet
from lalm_ambig.features import FeatureCache
from lalm_ambig.policies.base import Policy
from lalm_ambig.prompts import load_glosses, load_prompt, prompt_parts, with_classes
from lalm_ambig.readouts.logits import Scoring, answer_tokens
from lalm_ambig.readouts.response import ANSWER_CLOSE, curated_start
from lalm_ambig.types import Audio, Batch, Demonstrations, Item, Tokens


class Encoder:
    """Turns items into a batch; also the data loaders' collate function."""

    def __init__(
        self,
        policy: Policy,
        categories: CategorySet,
        *,
        prompt: str,
        reasoning: bool,
        glosses: str | None = None,
        scoring: Scoring = "first",
    ) -> None:
        """
        Args:
            policy: A loaded policy.
            categories: The classes the prompt lists, in order.
            prompt: Stem of a prompt in `lalm_ambig/prompts`, or a file.
            reasoning: Whether a response reasons before it answers.
            glosses: Stem or file of what each class means; by default the prompt's.
            scoring: Whether a class name is scored by its first token or as a sequence.
        """
        self.policy = policy
        self.categories = categories
        template = load_prompt(prompt, "reason" if reasoning else "direct")
        meanings = load_glosses(glosses) if glosses else load_glosses(Path(prompt).name.split(".")[0])
        self.template = with_classes(template, categories.prompt_names, meanings)
        self.reasoning = reasoning
        self.answer = answer_tokens(policy.text_ids, categories, scoring=scoring)
        self.features: FeatureCache | None = None

    def __call__(self, items: Sequence[Item]) -> Batch:
        sounds = [self._sound(item) for item in items]
        prompts = [self._prompt(item, sound) for item, sound in zip(items, sounds, strict=True)]
        return Batch(
            items=tuple(items),
            prompt=pad(prompts, self.policy.pad_id, side="left"),
            audio=self._audio(sounds),
            label_dist=torch.tensor([item.label_dist for item in items]),
            curated=self._curated(items),
        )

    def _sound(self, item: Item) -> Tensor | None:
        if item.audio is None:
            return None
        if self.features is not None:
            return self.features.get(item.audio)
        return self.policy.listen(read_audio(item.audio, max_s=self.policy.window_s or None))

    def _prompt(self, item: Item, sound: Tensor | None) -> list[int]:
        parts = prompt_parts(self.template, text=item.text, audio=sound is not None)
        if sound is None:
            return self.policy.prompt_ids(parts)
        tokens = sound.shape[0] if self.features is not None else self.policy.audio_tokens(sound)
        return self.policy.prompt_ids(parts, audio_tokens=tokens)

    def _audio(self, sounds: Sequence[Tensor | None]) -> Audio | None:
        present = [(row, sound) for row, sound in enumerate(sounds) if sound is not None]
        if not present:
            return None
        rows, frames = zip(*present, strict=True)
        return Audio(rows=rows, frames=frames, encoded=self.features is not None)

    def _curated(self, items: Sequence[Item]) -> Demonstrations | None:
        if self.reasoning and any(item.rationale is None for item in items):
            return None
        starts, names, ends = [], [], []
        for item in items:
            starts.append(self.policy.text_ids(curated_start(item.rationale if self.reasoning else None)))
            names.append(list(self.answer.name_ids[item.majority]))
            ends.append(self.policy.text_ids(ANSWER_CLOSE) + self.policy.end_ids[:1])
        rows = [start + name + end for start, name, end in zip(starts, names, ends, strict=True)]
        marks = [
            [0] * len(start) + [1] * len(name) + [0] * len(end)
            for start, name, end in zip(starts, names, ends, strict=True)
        ]
        return Demonstrations(
            response=pad(rows, self.policy.pad_id, side="right"),
            is_name=pad(marks, 0, side="right").ids.bool(),
            readout_at=torch.tensor([len(start) - 1 for start in starts]),
        )


def pad(rows: Sequence[Sequence[int]], value: int, *, side: str) -> Tokens:
    """Ragged rows as a rectangle, padded on the left (prompts) or right (responses)."""
    width = max(len(row) for row in rows)
    ids, mask = torch.full((len(rows), width), value), torch.zeros(len(rows), width, dtype=torch.bool)
    for index, row in enumerate(rows):
        place = slice(width - len(row), width) if side == "left" else slice(0, len(row))
        ids[index, place] = torch.tensor(row, dtype=ids.dtype)
        mask[index, place] = True
    return Tokens(ids, mask)


def approximate_length(item: Item) -> float:
    """Tokens of an item, roughly, to put items of like length into one batch."""
    characters = len(item.text or "") + len(item.rationale or "")
    return 25 * item.duration_s + characters / 4
