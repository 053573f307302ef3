"""The frozen records through which the rooms meet: a batch, a policy's answers to it, and a loss.

Axes have one name each: `item` is a row of the batch, `group` the responses to one item, `rollout` one of them, `token`
a position, `category` a class. The records are frozen; `select` and `to` make new ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from lalm_ambig.core.items import ALL as ALL
from lalm_ambig.core.items import PORTIONS as PORTIONS
from lalm_ambig.core.items import SPLITS as SPLITS
from lalm_ambig.core.items import Item as Item
from lalm_ambig.core.items import Portion as Portion
from lalm_ambig.core.items import Split as Split

MassGradient = Literal["exact", "even"]
"""How the class mass is trained: by its own gradient, which sharpens answers, or by one that is even over classes."""

ExportForm = Literal["adapter", "merged"]
"""Form of exported weights: LoRA by itself, or one plain model."""


@dataclass(frozen=True)
class Tokens:
    """Token sequences of several lengths, padded to a rectangle."""

    ids: Int[Tensor, "item token"]
    mask: Bool[Tensor, "item token"]
    """True where a token counts, False on padding."""

    @classmethod
    def joined(cls, parts: Sequence["Tokens"]) -> "Tokens":
        """The rows of all parts, padded on the left to the longest. What stands in new padding is 0."""
        width = max(part.ids.shape[1] for part in parts)
        missing = [(width - part.ids.shape[1], 0) for part in parts]
        ids, mask = (
            torch.cat([pad(getattr(part, name), more) for part, more in zip(parts, missing, strict=True)])
            for name in ("ids", "mask")
        )
        return cls(ids, mask)

    def select(self, rows: list[int]) -> "Tokens":
        """Those rows, in that order."""
        return Tokens(self.ids[rows], self.mask[rows])

    def to(self, device: torch.device | str) -> "Tokens":
        return replace(self, ids=self.ids.to(device), mask=self.mask.to(device))


@dataclass(frozen=True)
class Audio:
    """The sound of a batch's items: one entry per item that has any, each with its own number of frames."""

    rows: tuple[int, ...]
    """The row of the prompt that each entry belongs to."""
    frames: tuple[Tensor, ...]
    """Log-mel frames [mel, frame], or the encoder's features [audio_token, channel] where `encoded` is true."""
    encoded: bool

    @classmethod
    def joined(cls, parts: Sequence["Audio | None"], counts: Sequence[int]) -> "Audio | None":
        """The sound of several batches of so many rows, as that of one batch; None where they have none."""
        starts = [sum(counts[:n]) for n in range(len(counts))]
        found = [(part, start) for part, start in zip(parts, starts, strict=True) if part is not None]
        if not found:
            return None
        return cls(
            tuple(start + row for part, start in found for row in part.rows),
            tuple(frames for part, _ in found for frames in part.frames),
            found[0][0].encoded,
        )

    def select(self, rows: list[int]) -> "Audio | None":
        """The sound of these rows, in this order and with new row numbers; None where they have none."""
        entries = [(new, self.rows.index(old)) for new, old in enumerate(rows) if old in self.rows]
        if not entries:
            return None
        return Audio(
            tuple(new for new, _ in entries), tuple(self.frames[n] for _, n in entries), self.encoded
        )

    def to(self, device: torch.device | str) -> "Audio":
        return replace(self, frames=tuple(f.to(device) for f in self.frames))


@dataclass(frozen=True)
class Demonstrations:
    """Complete curated responses.

    Logit readout: `<think>…</think><answer>NAME</answer>`, or `<answer>NAME</answer>` without a rationale. Verbalised
    readout: the rationale and after it the JSON of p, or the JSON alone.
    """

    response: Tokens
    """Right-padded, up to and including the end of the turn."""
    is_answer_token: Bool[Tensor, "item token"]
    """True on the tokens of NAME. Preferences and policy gradients leave them out: the distribution is read before the
    name, so no reward depends on it (our decision). False everywhere in a verbalised answer, which is judged itself."""
    answer_position: Int[Tensor, " item"]
    """Column of the answer's first token, which is the number of tokens before it. The distribution is read from the
    hidden state of the token before: of `<answer>`, or of the rationale's last. 0 where a response begins with its
    answer."""

    def select(self, rows: list[int]) -> "Demonstrations":
        """Those rows, in that order."""
        return Demonstrations(
            self.response.select(rows), self.is_answer_token[rows], self.answer_position[rows]
        )

    def ids_before_answer(self) -> list[Int[Tensor, " _"]]:
        """Token ids of each response up to and with `<answer>`, without padding."""
        return [ids[: int(end)] for ids, end in zip(self.response.ids, self.answer_position, strict=True)]

    def to(self, device: torch.device | str) -> "Demonstrations":
        return replace(
            self,
            response=self.response.to(device),
            is_answer_token=self.is_answer_token.to(device),
            answer_position=self.answer_position.to(device),
        )


@dataclass(frozen=True)
class StepPlace:
    """The place of a batch in its optimiser step.

    A step is a number of passes, each over one batch per process. Rollouts, deviations and normalisers belong to the
    whole step. So the first pass brings the batches of the others, and everything is sampled then.
    """

    number: int
    """Which pass it is, from 0."""
    passes: int
    items: int
    """Items of the step, over all processes and passes."""
    later: tuple["Batch", ...] = ()
    """In the first pass of a method that samples: this process's batches of the other passes."""
    ahead: tuple["Batch", ...] = ()
    """In the first pass of a method that samples ahead: this process's batches of the next step. None at the end of
    an epoch."""

    def to(self, device: torch.device | str) -> "StepPlace":
        later, ahead = (tuple(batch.to(device) for batch in part) for part in (self.later, self.ahead))
        return replace(self, later=later, ahead=ahead)


@dataclass(frozen=True)
class Batch:
    """Items as a policy takes them: prompts, sound, targets and, where training needs them, curated responses."""

    items: tuple[Item, ...]
    prompt: Tokens
    """Left-padded: the next token of every row comes after its last column."""
    audio: Audio | None
    label_dist: Float[Tensor, "item category"]
    curated: Demonstrations | None = None
    """Present where every item of the batch has one."""
    step: StepPlace | None = None
    """In training; None for a batch that is a step by itself."""

    @classmethod
    def joined(cls, batches: Sequence["Batch"]) -> "Batch":
        """The items of several batches as one, without curated responses: what sampling needs."""
        if len(batches) == 1:
            return batches[0]
        return cls(
            items=tuple(item for batch in batches for item in batch.items),
            prompt=Tokens.joined([batch.prompt for batch in batches]),
            audio=Audio.joined([batch.audio for batch in batches], [len(batch.items) for batch in batches]),
            label_dist=torch.cat([batch.label_dist for batch in batches]),
        )

    @property
    def of_step(self) -> tuple["Batch", ...]:
        """This batch and, in a step's first pass, this process's batches of the other passes."""
        return (self,) if self.step is None else (self, *self.step.later)

    @property
    def ahead(self) -> tuple["Batch", ...]:
        """This process's batches of the next step, in the first pass of a step that brings them."""
        return () if self.step is None else self.step.ahead

    def select(self, rows: list[int]) -> "Batch":
        """Those rows, in that order."""
        if rows == list(range(len(self.items))):
            return self
        return Batch(
            items=tuple(self.items[row] for row in rows),
            prompt=self.prompt.select(rows),
            audio=None if self.audio is None else self.audio.select(rows),
            label_dist=self.label_dist[rows],
            curated=None if self.curated is None else self.curated.select(rows),
        )

    def to(self, device: torch.device | str) -> "Batch":
        return replace(
            self,
            prompt=self.prompt.to(device),
            audio=None if self.audio is None else self.audio.to(device),
            label_dist=self.label_dist.to(device),
            curated=None if self.curated is None else self.curated.to(device),
            step=None if self.step is None else self.step.to(device),
        )


@dataclass(frozen=True)
class AnswerPlaces:
    """Where the distribution of each response of a group is read, so that a training pass can read it again."""

    position: Int[Tensor, "group rollout"]
    """Number of the response's own tokens before the answer, or before the closing."""
    closing: Int[Tensor, "group rollout closing_token"]
    """Tokens that were appended after them to reach the answer, padded on the right."""
    closing_mask: Bool[Tensor, "group rollout closing_token"]
    """True on appended tokens; none where the response reaches its answer by itself."""

    def __getitem__(self, groups: slice) -> "AnswerPlaces":
        """Some of the groups, padded to the longest of their own closings."""
        longest = int(self.closing_mask[groups].sum(-1).max())
        closing, mask = self.closing[groups, :, :longest], self.closing_mask[groups, :, :longest]
        return AnswerPlaces(self.position[groups], closing, mask)


PER_TOKEN = ("ids", "mask", "is_answer_token", "log_probs")
"""Fields of `Groups` with a value for each token."""


@dataclass(frozen=True)
class Groups:
    """K responses of the policy to each prompt of a batch, and the distribution that was read after each."""

    ids: Int[Tensor, "group rollout token"]
    """Sampled tokens, padded on the right."""
    mask: Bool[Tensor, "group rollout token"]
    """True on sampled tokens."""
    is_answer_token: Bool[Tensor, "group rollout token"]
    """True on the tokens of the class name. The reward does not depend on the name that was sampled."""
    log_probs: Float[Tensor, "group rollout token"]
    """Log-probability in nats of each sampled token, under the policy and temperature that sampled it."""
    predicted_dist: Float[Tensor, "group rollout category"]
    """Uniform where the response could not be read (`parsed` False)."""
    category_logits: Float[Tensor, "group rollout category"] | None
    """Logits whose softmax is `predicted_dist`; None where the response states the distribution in words."""
    well_formed: Bool[Tensor, "group rollout"]
    """True where the response keeps the prescribed form to its end."""
    was_completed: Bool[Tensor, "group rollout"]
    """True where the missing tokens up to the answer were appended, so that it could be read."""
    truncated: Bool[Tensor, "group rollout"]
    """True where the response reached the longest length before its answer."""
    texts: tuple[tuple[str, ...], ...]
    """Responses of each group, as sampled."""
    unparsed: tuple[tuple[str | None, ...], ...] | None = None
    """Why each response could not be read, None where it could. None as a whole for a readout that cannot fail."""
    class_mass: Float[Tensor, "group rollout"] | None = None
    """Share of the next-token probability that falls on the class tokens, in (0, 1]; None where no logits are read."""
    answers: AnswerPlaces | None = None
    """Where each distribution was read; None where the response states it in words."""
    importance: Float[Tensor, "group rollout"] | None = None
    """π(z)/π_engine(z) of what comes before each answer, without gradients and truncated; None where the policy itself
    has sampled."""
    labels: Int[Tensor, "group rollout"] | None = None
    """Index of the class that each response names, −1 where it names none (see `readouts/labels.py`). None where the
    response states a distribution."""

    def part(self, groups: slice) -> "Groups":
        """Some of the groups, padded to the longest of their own responses."""
        longest = max(1, int(self.mask[groups].sum(-1).max()))
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        parts: dict[str, Any] = {
            name: None if value is None else value[groups] for name, value in values.items()
        }
        return replace(self, **parts | {name: parts[name][..., :longest] for name in PER_TOKEN})

    @property
    def parsed(self) -> Bool[Tensor, "group rollout"]:
        """True on the responses that could be read."""
        if self.unparsed is None:
            return torch.ones_like(self.was_completed)
        flags = [[reason is None for reason in row] for row in self.unparsed]
        return torch.tensor(flags, device=self.was_completed.device)


@dataclass(frozen=True)
class Reading:
    """A policy's answer to a batch: one distribution per item, and the response that it was read after."""

    predicted_dist: Float[Tensor, "item category"]
    """Uniform where the response could not be read (`unparsed`)."""
    class_mass: Float[Tensor, " item"] | None
    """Share of the next-token probability that falls on the class tokens, in (0, 1], as a mean over the item's
    responses. None where no logits are read."""
    responses: tuple[str, ...]
    """The text before the answer, without the prompt."""
    was_completed: tuple[bool, ...]
    """True where the missing end of the response had to be appended."""
    unparsed: tuple[str | None, ...] | None = None
    """Why each response could not be read, None where it could. None as a whole for a readout that cannot fail."""
    well_formed: Float[Tensor, " item"] | None = None
    """Share of the item's responses that keep the prescribed form to their end, in [0, 1]. None where the policy writes
    none of its own, or an answer in words."""
    tokens: Float[Tensor, " item"] | None = None
    """Mean number of tokens of these responses, the answer included; None where `well_formed` is."""
    labels: Int[Tensor, " item"] | None = None
    """Number of sampled answers that named a class, where `predicted_dist` is their share; None for other readouts."""

    @property
    def parsed(self) -> Bool[Tensor, " item"]:
        """True on the items whose response could be read."""
        reasons = self.unparsed or (None,) * len(self.responses)
        return torch.tensor([reason is None for reason in reasons], device=self.predicted_dist.device)

    @property
    def measures(self) -> dict[str, Float[Tensor, " item"]]:
        """What is known of the responses beside the distributions, by name in the log.

        It is some of `class_mass`, `well_formed`, `tokens`, and `parsed`, which is 1 where a response could be read.
        """
        named = {"class_mass": self.class_mass, "well_formed": self.well_formed, "tokens": self.tokens}
        if self.unparsed is not None:
            named["parsed"] = self.parsed.float()
        return {name: values for name, values in named.items() if values is not None}


@dataclass(frozen=True)
class Loss:
    """A loss to be minimised, and the parts of it that are logged."""

    total: Float[Tensor, ""]
    """A mean over the batch's items."""
    parts: dict[str, Float[Tensor, ""]]
    units: dict[str, Int[Tensor, ""]] = field(default_factory=dict)
    """Number of values that a part is the mean of, where these are not the items. It weights the means of several
    processes."""
    terms: dict[str, Float[Tensor, ""]] = field(default_factory=dict)
    """The weighted terms that the total is the sum of, with gradients."""


class Objective(Protocol):
    """A pure function of an experience, with its coefficients as fields: one frozen dataclass per file."""

    def __call__(self, experience: Any) -> Loss: ...
