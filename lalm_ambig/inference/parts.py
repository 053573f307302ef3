"""The parts of a question that a policy answers at once: a text, a clip, or a window of a long recording."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from lalm_ambig.audio.windows import Window, array_windows, file_windows
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Item, Reading
from lalm_ambig.data.encoding import Elicitation, Encoder, prompt_notes, prompt_template
from lalm_ambig.inference.answer import LOW_MASS, Answer
from lalm_ambig.inference.questions import Question, is_pair
from lalm_ambig.methods.base import Method
from lalm_ambig.readouts.response import Tags
from lalm_ambig.runs.batch_checks.long_items import refuse_long

PAIRED = "inference"
"""Stem of the prompt about pairs of sentences."""
LOW = f"the classes hold less than {LOW_MASS:.0%} of the model's next-token probability"
"""Note of an answer whose class mass is low."""


@dataclass(frozen=True)
class PartAnswer:
    """What was read for one part."""

    shares: tuple[float, ...]
    class_mass: float | None
    response: str
    reasoning: str | None
    closed: bool
    unparsed: str | None


@dataclass(eq=False)
class Part:
    """One item for the policy; none for a silent window."""

    item: Item | None
    window: Window | None = None
    mel: Tensor | None = None
    reading: PartAnswer | None = None
    """What the policy answered, once it has been read."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class QuestionForms:
    """Which inputs a prompt can ask about."""

    refusals: Mapping[bool, InputError | None]
    """Why sound (True) or a text alone (False) cannot be asked about; None where it can."""
    notes: Mapping[bool, tuple[str, ...]]
    """What a reader should know of such answers."""
    has_text: bool
    """Whether the prompt of a recording has a place for its words."""
    expects_pair: bool
    """Whether a text is a premise and a hypothesis."""

    @classmethod
    def of(cls, asked: Elicitation, categories: CategorySet) -> "QuestionForms":
        """The forms of a prompt.

        Args:
            asked: The prompt.
            categories: The classes.

        Raises:
            InputError: There is no such prompt, or it can ask about nothing.
        """
        template = prompt_template(asked, categories)
        refusals: dict[bool, InputError | None] = {True: None, False: None}
        notes: dict[bool, tuple[str, ...]] = {True: (), False: ()}
        for heard in (True, False):
            try:
                notes[heard] = tuple(prompt_notes(asked, categories, heard=int(heard), texts=int(not heard)))
            except InputError as error:
                refusals[heard] = error
        if refusals[True] is not None and refusals[False] is not None:
            raise refusals[False]
        stem = asked.about_texts.prompt
        return cls(refusals, notes, has_text="{text}" in template, expects_pair=stem == PAIRED)


class QuestionEncoder(Encoder):
    """Makes batches of questions' parts. Sound has been read before, window by window."""

    def __init__(
        self, method: Method, categories: CategorySet, asked: Elicitation, forms: QuestionForms
    ) -> None:
        """Args:
        method: The method around a loaded policy.
        categories: The classes.
        asked: The prompt.
        forms: Those of the prompt.
        """
        super().__init__(method.policy, categories, asked)
        self.method, self.forms = method, forms
        self.votes = tuple(1.0 for _ in categories.names)  # nobody has judged it
        self.mels: dict[str, Tensor] = {}

    def _sound(self, item: Item) -> Tensor | None:
        return None if item.audio is None else self.mels[item.audio]

    def parts(self, question: Question) -> Iterator[Part]:
        """Yield the parts of a question, as they are read.

        Raises:
            InputError: It cannot be asked about, or its sound cannot be used.
        """
        if not question.has_sound and question.text is None:
            raise InputError("nothing to predict: give a sound file, or a text.", where="predict")
        if (refusal := self.forms.refusals[question.has_sound]) is not None:
            raise refusal
        if not question.has_sound:
            yield self._part(question, None)
            return
        if not self.policy.window_s:
            raise self.policy.text_only_error()
        for window in self._windows(question):
            yield Part(None, window) if window.samples is None else self._part(question, window)

    def _windows(self, question: Question) -> Iterator[Window]:
        if question.audio is not None:
            return file_windows(question.audio, self.policy.window_s)
        assert question.samples is not None
        return iter(array_windows(question.samples, question.rate_hz, self.policy.window_s, name=question.id))

    def _part(self, question: Question, window: Window | None) -> Part:
        mel = None if window is None or window.samples is None else self.policy.log_mel(window.samples)
        item = Item(question.id, self.votes, None if mel is None else question.id, question.text)
        tokens = None if mel is None else self.policy.audio_tokens(mel)
        refuse_long(self.method, self, prompt=len(self.prompt_ids(item, audio_tokens=tokens)))
        return Part(item, window, mel, notes=self._notes(question))

    def _notes(self, question: Question) -> tuple[str, ...]:
        notes = self.forms.notes[question.has_sound]
        if question.has_sound and question.text is not None and not self.forms.has_text:
            notes += ("the prompt has no place for the words of a recording: they were not read",)
        if question.text is not None and self.forms.expects_pair and not is_pair(question.text):
            told = "the policy was trained on pairs (premise and hypothesis), and this text is none"
            notes += (told,)
        return notes

    def batch(self, parts: Sequence[Part]) -> Batch:
        """Return parts as a batch, without silent windows."""
        items, self.mels = [], {}
        for number, part in enumerate(parts):
            assert part.item is not None
            key = None if part.mel is None else str(number)
            if part.mel is not None:
                self.mels[str(number)] = part.mel
            items.append(Item(part.item.id, self.votes, key, part.item.text))
        return self(items)

    def answers(self, parts: Sequence[Part], reading: Reading) -> list[PartAnswer]:
        """What was read for each part.

        Args:
            parts: Of the batch.
            reading: Of the same batch.
        """
        shares = reading.predicted_dist.float().cpu().tolist()
        mass = [None] * len(parts) if reading.class_mass is None else reading.class_mass.float().tolist()
        unparsed = reading.unparsed or (None,) * len(parts)
        return [
            PartAnswer(tuple(row), held, text, self._reasoning(text), closed, why)
            for row, held, text, closed, why in zip(
                shares, mass, reading.responses, reading.was_completed, unparsed, strict=True
            )
        ]

    def _reasoning(self, response: str) -> str | None:
        """The thoughts of a response; None where none are asked for."""
        if not self.reasoning:
            return None
        thought, rest = self.tags.split_thought(response)
        if not thought:
            thought = (
                rest.rpartition("{")[0] if self.answer is None else rest.partition(self.tags.answer_open)[0]
            )
        thought = thought.partition(self.tags.answer_open)[0]
        return thought.partition(self.tags.think_close)[0].strip() or _without_tags(thought, self.tags)


def _without_tags(thought: str, tags: Tags) -> str:
    """What is left of a thought that closes before it begins."""
    return thought.replace(tags.think_close, "").strip()


@dataclass
class _Mean:
    """Means over windows, weighted by length."""

    weights: list[float] = field(default_factory=list)

    def of(self, values: Sequence[float]) -> float:
        return sum(w * v for w, v in zip(self.weights, values, strict=True)) / sum(self.weights)


def merged(
    question: Question, parts: Sequence[Part], categories: CategorySet, *, never_trained: tuple[str, ...]
) -> Answer:
    """The answer to a question: of a long recording, the mean over its windows, weighted by their length.

    Windows whose response could not be read do not count; if none could, there is no distribution.

    Args:
        question: The question.
        parts: Its parts, which have been read.
        categories: The classes.
        never_trained: Those that the policy was not trained on.
    """
    read = [(part, part.reading) for part in parts if part.reading is not None]
    parsed = [(part, answer) for part, answer in read if answer.unparsed is None]
    mean = _Mean([1.0 if part.window is None else part.window.length_s for part, _ in parsed])
    shares = (
        [mean.of([answer.shares[n] for _, answer in parsed]) for n in range(len(categories))]
        if parsed
        else []
    )
    masses = [answer.class_mass for _, answer in parsed if answer.class_mass is not None]
    mass = mean.of(masses) if parsed and len(masses) == len(parsed) else None
    notes = [*read[0][0].notes, *_window_notes(parts, len(read) - len(parsed) if parsed else 0)]
    if mass is not None and mass < LOW_MASS:
        notes.append(LOW)
    if never_trained:
        notes.append(f"never trained: {', '.join(never_trained)}")
    reasons = [answer.unparsed for _, answer in read]
    if not parsed:
        notes.append(f"no distribution can be read from the response: {reasons[0]}")
    return Answer(
        question.id,
        dict(zip(categories.names, shares, strict=False)),
        mass,
        _texts([(part, answer.response) for part, answer in read]),
        None
        if read[0][1].reasoning is None
        else _texts([(part, answer.reasoning or "") for part, answer in read]),
        never_trained,
        tuple(notes),
        closed=any(answer.closed for _, answer in read),
        unparsed=None if parsed else reasons[0],
        windows=len(read),
    )


def _window_notes(parts: Sequence[Part], unread: int) -> list[str]:
    if len(parts) == 1:
        return []
    last = parts[-1].window
    assert last is not None
    notes = [f"{last.end_s:.1f} s heard in {len(parts)} windows: their mean, weighted by length"]
    if silent := sum(part.item is None for part in parts):
        notes.append(f"{silent} of the windows {'is' if silent == 1 else 'are'} silent and left out")
    if unread:
        notes.append(
            f"{unread} of the windows could not be read and {'is' if unread == 1 else 'are'} left out"
        )
    return notes


def _texts(texts: Sequence[tuple[Part, str]]) -> str:
    """The texts of windows, each with its seconds; of a single part, its text."""
    if len(texts) == 1:
        return texts[0][1]
    return "\n".join(
        f"[{part.window.start_s:.0f}–{part.window.end_s:.0f} s] {text}" if part.window else text
        for part, text in texts
    )
