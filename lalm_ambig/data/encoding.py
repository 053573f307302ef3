"""Items as batches for a policy: prompts as tokens, sound as mel frames or cached features, curated responses."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lalm_ambig.audio.reading import read_audio
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.rationale_parts import RationalePart
from lalm_ambig.core.types import Audio, Batch, Demonstrations, Item, Tokens
from lalm_ambig.corpora.preparing.prepared import Texts
from lalm_ambig.data.feature_cache import FeatureCache
from lalm_ambig.data.items import Items
from lalm_ambig.files.json_lines import short_repr
from lalm_ambig.policies.base import Policy
from lalm_ambig.prompts import TEXT, Mode, fill_classes, load_glosses, load_prompt, prompt_parts
from lalm_ambig.prompts.annotators import ANNOTATOR, with_annotator
from lalm_ambig.readouts.logits import Scoring, answer_tokens
from lalm_ambig.readouts.verbalised import format_distribution, json_template

Readout = Literal["logits", "verbalised"]
"""`logits`: softmax over the class names where the answer starts (ambiguity-aware LALM, section 3.3.1); `verbalised`:
the response states the distribution as JSON (SHALA-LLM, section 3.2)."""
MODES: dict[tuple[Readout, bool], Mode] = {
    ("logits", True): "reason",
    ("logits", False): "direct",
    ("verbalised", True): "json_reason",
    ("verbalised", False): "json",
}
"""Prompt of each readout, with and without reasoning."""
HEARD: dict[Mode, Mode] = {"reason": "heard", "json_reason": "json_heard"}
"""The prompt that asks for the first part of the reasoning alone."""


@dataclass(frozen=True)
class Elicitation:
    """How a distribution is asked for."""

    prompt: str
    """Stem of a prompt in `lalm_ambig/prompts`, or a file."""
    reasoning: bool
    """Whether a response reasons before it answers."""
    readout: Readout = "logits"
    glosses: str | None = None
    """Stem or file of what each class means; by default the prompt's."""
    scoring: Scoring = "first"
    """Whether the logit readout scores a class name by its first token or as a sequence."""
    prompt_for_texts: str | None = None
    """That of items without sound; None asks about all items in the same words."""
    rationale_part: RationalePart = "all"
    """The part of the reasoning that is asked for."""
    for_annotator: bool = False
    """Whether one annotator's answer is asked for."""

    @property
    def mode(self) -> Mode:
        """The mode of the prompt."""
        mode = MODES[self.readout, self.reasoning]
        return HEARD.get(mode, mode) if self.rationale_part != "all" else mode

    @property
    def about_texts(self) -> "Elicitation":
        """The elicitation for items without sound."""
        return self if self.prompt_for_texts is None else replace(self, prompt=self.prompt_for_texts)


def prompt_template(asked: Elicitation, categories: CategorySet) -> str:
    """Return the prompt with the classes and their meanings filled in.

    Args:
        asked: The prompt and the form of the answer.
        categories: The classes, in the order of the prompt.

    Raises:
        InputError: There is no such prompt or gloss.
    """
    template = load_prompt(asked.prompt, asked.mode)
    template = with_annotator(template) if asked.for_annotator else template
    stem = asked.glosses or Path(asked.prompt).name.split(".")[0]
    meanings = load_glosses(stem, len(categories))
    return fill_classes(template, categories.prompt_names, meanings)


def prompt_notes(asked: Elicitation, categories: CategorySet, *, heard: int, texts: int) -> list[str]:
    """Return what a user should know of a prompt, one line each.

    Args:
        asked: The prompt and the form of the answer.
        categories: The classes.
        heard: Number of items with sound.
        texts: Number of items without.

    Raises:
        InputError: The prompt has no place for what the items hold, so that all would be asked the same.
    """
    if heard:
        prompt_parts(prompt_template(asked, categories), text="", audio=True)
    if not texts:
        return []
    name, template = asked.about_texts.prompt, prompt_template(asked.about_texts, categories)
    if "{text}" not in template:
        remedy = "Put {text} where the text belongs, or leave --data.prompt (--prompt) out."
        what = f"prompt {name} has no {{text}}, but the items are texts."
        raise InputError(what, where="data.prompt", remedy=remedy)
    if "{audio}" not in template:
        return []
    return [
        f"prompt {name} asks about a recording ({{audio}}), but {texts:,} of {heard + texts:,} items have no sound; "
        "without --data.prompt (--prompt) these are asked about a text"
    ]


class Encoder:
    """Makes a batch of items. It is the collate function of the data loaders."""

    def __init__(self, policy: Policy, categories: CategorySet, asked: Elicitation) -> None:
        """Args:
        policy: A loaded policy.
        categories: The classes the prompt lists, in order.
        asked: The prompt, and the form of the answer.
        """
        self.policy = policy
        self.categories = categories
        self.reasoning = asked.reasoning
        self.tags = policy.tags if asked.reasoning else policy.tags.at_once()
        """The tags around reasoning and answer in a response to these prompts."""
        self.template = self._template(asked)
        """Prompt of items with sound."""
        self.text_template = self._template(asked.about_texts)
        """Prompt of items without."""
        self.fences = {
            (template, place): policy.fence(*template.partition(place)[::2])
            for template in (self.template, self.text_template)
            for place in (TEXT, ANNOTATOR)
        }
        """The fence around what is filled into each template, by its place (see `TextIds.fence`)."""
        verbalised = asked.readout == "verbalised"
        self.answer = (
            None
            if verbalised
            else answer_tokens(
                policy.text_ids, categories, scoring=asked.scoring, tags=self.tags, as_text=policy.as_text
            )
        )
        """The class names' tokens of the logit readout; None where the distribution is stated in words."""
        self.features: FeatureCache | None = None

    def __call__(self, items: Sequence[Item]) -> Batch:
        sounds, prompts = [], []
        for item in items:
            with _naming(item):
                sounds.append(self._sound(item))
                prompts.append(self._prompt(item, sounds[-1]))
        return Batch(
            items=tuple(items),
            prompt=pad(prompts, self.policy.pad_id, side="left"),
            audio=self._audio(sounds),
            label_dist=torch.tensor([item.label_dist for item in items]),
            curated=self._curated(items),
        )

    def _template(self, asked: Elicitation) -> str:
        whole = prompt_template(asked, self.categories)
        whole = self.policy.tags.retag(whole).replace("{json}", json_template(self.categories))
        return self._names_as_text(whole)

    def _names_as_text(self, whole: str) -> str:
        """A text of ours in which each class name is text, whatever control token it holds."""
        for name in self.categories.prompt_names:
            whole = whole.replace(name, self.policy.as_text(name))
        return whole

    def _sound(self, item: Item) -> Tensor | None:
        if item.audio is None:
            return None
        if self.features is not None:
            return self.features.get(item.audio)
        return self.policy.log_mel(read_audio(item.audio, max_s=self.policy.window_s or None))

    def _prompt(self, item: Item, sound: Tensor | None) -> list[int]:
        if sound is None:
            return self.prompt_ids(item)
        tokens = sound.shape[0] if self.features is not None else self.policy.audio_tokens(sound)
        return self.prompt_ids(item, audio_tokens=tokens)

    def prompt_ids(self, item: Item, *, audio_tokens: int | None = None) -> list[int]:
        """Return the tokens of an item's prompt.

        Args:
            item: The item.
            audio_tokens: Tokens of its sound; None where the policy hears none.
        """
        heard = audio_tokens is not None
        template = self.template if heard else self.text_template
        text = self._fenced(item.text, template, TEXT)
        about = self._fenced(item.about_annotator, template, ANNOTATOR)
        parts = prompt_parts(template, text=text, audio=heard, annotator=about)
        return self.policy.prompt_ids(parts, audio_tokens=audio_tokens or 0, at_once=not self.reasoning)

    def _fenced(self, text: str | None, template: str, place: str) -> str | None:
        """A text of others as it is filled into a place of a template."""
        fence = self.fences[template, place]
        return None if text is None else fence + self.policy.as_text(text) + fence

    def curated_length(self, item: Item) -> int:
        """Tokens of an item's curated response."""
        return len(self._response(item).ids)

    def written_length(self, item: Item) -> int:
        """Tokens of an item's curated response that the policy would write itself.

        A logit readout reads at the end of the reasoning. A verbalised answer is written, too.
        """
        response = self._response(item)
        return len(response.start) + (len(response.answer) if self.answer is None else 0)

    def _audio(self, sounds: Sequence[Tensor | None]) -> Audio | None:
        present = [(row, sound) for row, sound in enumerate(sounds) if sound is not None]
        if not present:
            return None
        rows, frames = zip(*present, strict=True)
        return Audio(rows=rows, frames=frames, encoded=self.features is not None)

    def _curated(self, items: Sequence[Item]) -> Demonstrations | None:
        if self.reasoning and any(item.rationale is None for item in items):
            return None
        responses = []
        for item in items:
            with _naming(item):
                responses.append(self._response(item))
        has_names = self.answer is not None
        return Demonstrations(
            response=pad([response.ids for response in responses], self.policy.pad_id, side="right"),
            is_answer_token=pad(
                [response.answer_marks if has_names else [0] * len(response.ids) for response in responses],
                0,
                side="right",
            ).ids.bool(),
            answer_position=torch.tensor([len(response.start) for response in responses]),
        )

    def _response(self, item: Item) -> "CuratedResponse":
        ids, end = self.policy.text_ids, self.policy.end_ids[:1]
        text = item.rationale if self.reasoning else None
        rationale = None if text is None else self.policy.as_text(text)
        if self.answer is None:
            start = [] if rationale is None else ids(self.tags.curated_thought(rationale))
            stated = self._names_as_text(format_distribution(item.label_dist, self.categories))
            return CuratedResponse(start, ids(stated), end)
        name = list(self.answer.name_ids[item.majority])
        return CuratedResponse(
            ids(self.tags.curated_start(rationale)), name, ids(self.tags.answer_close) + end
        )


@dataclass(frozen=True)
class CuratedResponse:
    """Tokens of a curated response, in three parts."""

    start: list[int]
    """Reasoning, up to the answer."""
    answer: list[int]
    """The majority class's name, or the stated distribution."""
    end: list[int]

    @property
    def ids(self) -> list[int]:
        """All of its tokens."""
        return self.start + self.answer + self.end

    @property
    def answer_marks(self) -> list[int]:
        """1 on the tokens of the answer, 0 on others."""
        return [0] * len(self.start) + [1] * len(self.answer) + [0] * len(self.end)


@contextmanager
def _naming(item: Item) -> Iterator[None]:
    """Inside, an InputError also names the item."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error), where=f"item {short_repr(item.id)}") from error


def pad(rows: Sequence[Sequence[int]], value: int, *, side: str) -> Tokens:
    """Return ragged rows as a rectangle.

    Args:
        rows: Token ids.
        value: The id of padding.
        side: Where padding is: `left` for prompts, `right` for responses.
    """
    width = max(len(row) for row in rows)
    ids, mask = torch.full((len(rows), width), value), torch.zeros(len(rows), width, dtype=torch.bool)
    for index, row in enumerate(rows):
        place = slice(width - len(row), width) if side == "left" else slice(0, len(row))
        ids[index, place] = torch.tensor(row, dtype=ids.dtype)
        mask[index, place] = True
    return Tokens(ids, mask)


def approximate_length(item: Item) -> float:
    """Rough number of an item's tokens, for batches of items of like length."""
    characters = sum(len(text or "") for text in (item.text, item.about_annotator, item.rationale))
    return 25 * item.duration_s + characters / 4


def approximate_lengths(items: Items) -> np.ndarray:
    """`approximate_length` of every item; builds none."""
    columns: tuple[Texts, ...] = ("text", "about_annotator", "rationale")
    characters = sum(items.sizes(column)[1] for column in columns)
    lengths: np.ndarray = 25 * items.view.seconds() + characters / 4
    return lengths
