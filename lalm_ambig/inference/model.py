"""A policy that answers: `load` reads it from a run, an export or a hub, and `Model.predict` asks it."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, overload

import torch

from lalm_ambig.config.devices import lack_of
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.data.annotators import EACH
from lalm_ambig.data.datamodule import AUTO, DEFAULT_EVAL_BATCH
from lalm_ambig.data.encoding import Elicitation, Readout
from lalm_ambig.evaluation.cross_domain import check_mapping, mapping_note
from lalm_ambig.inference.answer import Answer
from lalm_ambig.inference.parts import Part, QuestionEncoder, QuestionForms, merged
from lalm_ambig.inference.questions import Question, question_of, questions_of
from lalm_ambig.inference.sources import folder_of
from lalm_ambig.methods.base import Method
from lalm_ambig.prompts import FOR_TEXTS
from lalm_ambig.runs.loading import Loaded, PolicyChoice
from lalm_ambig.runs.loading import load as load_policy
from lalm_ambig.runs.processes.launch import prediction_settings, quiet_libraries

GPU_BATCH = 32
"""Inputs in a batch on a GPU, to begin with; it is halved where the memory does not suffice."""
Result = tuple[Question, Answer | InputError]
"""A question, and its answer or the reason why it has none."""


@dataclass(frozen=True)
class Asking:
    """What is asked, where it is not as the policy was trained."""

    classes: str | None = None
    """Class names with commas; None for those that the policy was trained on."""
    prompt: str | None = None
    """Stem of a prompt in `lalm_ambig/prompts`, or a .txt file; None for the policy's own."""
    samples: int | None = None
    """Sampled responses whose mean is taken; None as trained."""


@dataclass(eq=False)
class Model:
    """A policy on its device, with the prompt and classes that it is asked with. Threads take turns."""

    loaded: Loaded
    categories: CategorySet
    """The classes of its answers."""
    encoder: QuestionEncoder
    context: Callable[[], AbstractContextManager[Any]]
    """Context of the precision in which it computes."""
    notes: tuple[str, ...] = ()
    """What a user should know of it, one line each."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _batch: int = 0

    @property
    def name(self) -> str:
        """Name of the run that trained it; `base` for a base model."""
        return self.loaded.label

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.method.policy.device

    @property
    def method(self) -> Method:
        """The method around the policy."""
        return self.loaded.model

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the distributions."""
        return self.categories.names

    @property
    def never_trained(self) -> tuple[str, ...]:
        """Classes that it was not trained on; none for a base model."""
        return self.categories.unseen_in(self.loaded.data.categories) if self.loaded.is_trained else ()

    @property
    def window_s(self) -> float:
        """Longest recording in seconds that it hears at once; 0 for a model of texts."""
        return self.method.policy.window_s

    @property
    def samples(self) -> int:
        """Sampled responses whose mean is taken; 1 for the greedy one."""
        return self.method.generation.samples

    @overload
    def predict(
        self, value: list[Any], *, text: Any = None, samples: int | None = None, batch_size: Any = AUTO
    ) -> list[Answer]: ...

    @overload
    def predict(
        self, value: Any = None, *, text: Any = None, samples: int | None = None, batch_size: Any = AUTO
    ) -> Answer: ...

    def predict(
        self,
        value: Any = None,
        *,
        text: str | Sequence[str | None] | None = None,
        samples: int | None = None,
        batch_size: int | Literal["auto"] = AUTO,
    ) -> Answer | list[Answer]:
        """Estimate how people would divide over the classes.

        Args:
            value: A sound file of any format that soundfile reads, `(samples, rate_hz)`, or a dictionary with `audio`,
                `text`, or `premise` and `hypothesis`, and perhaps an `id`; a list of these; or None with `text` alone.
            text: The words of the recording, or the text to be judged; of a list, one for each.
            samples: Mean of so many sampled responses; by default as the policy was trained.
            batch_size: Inputs that are computed at once; `auto` fits it to the GPU.

        Returns:
            The answer; of a list, the answers in its order. A recording longer than `window_s` is heard in windows.

        Raises:
            InputError: An input cannot be used; the line names it.

        >>> model = load("runs/x")                                               # doctest: +SKIP
        >>> model.predict("a.wav", text="It is eleven o'clock.").distribution    # doctest: +SKIP
        """
        is_list = isinstance(value, list)
        questions = questions_of(value, text) if is_list else [question_of(value, text=_single(text))]
        answers = []
        for _, answer in self.answers(questions, samples=samples, batch_size=batch_size):
            if isinstance(answer, InputError):
                raise answer
            answers.append(answer)
        return answers if is_list else answers[0]

    def answers(
        self,
        questions: Iterable[Question],
        *,
        samples: int | None = None,
        batch_size: int | Literal["auto"] = AUTO,
    ) -> Iterator[Result]:
        """Yield each question with its answer, or with the reason why it has none, in their order.

        Args:
            questions: The inputs; they are read as they are needed.
            samples: As for `predict`.
            batch_size: As for `predict`.

        Raises:
            InputError: A setting is wrong.
        """
        size, reader = self._size(batch_size), self._sampling(samples)
        waiting: deque[tuple[Question, list[Part] | InputError]] = deque()
        parts: list[Part] = []
        for question in questions:
            made: list[Part] = []
            waiting.append((question, made))
            try:
                for part in self.encoder.parts(question):
                    made.append(part)
                    parts += [] if part.item is None else [part]
                    if len(parts) >= size:
                        self._read(reader, parts, size)
                        parts = []
            except InputError as error:
                parts = [part for part in parts if part not in made]
                waiting[-1] = (question, error)
            while waiting and _is_read(waiting[0][1]):
                yield self._result(waiting.popleft())
        if parts:
            self._read(reader, parts, size)
        yield from map(self._result, waiting)

    def _size(self, batch_size: int | Literal["auto"]) -> int:
        if batch_size != AUTO:
            if batch_size < 1:
                raise InputError(f"batch_size must be at least 1, got {batch_size}.", where="predict")
            return batch_size
        return self._batch or (DEFAULT_EVAL_BATCH if self.device.type == "cpu" else GPU_BATCH)

    def _sampling(self, samples: int | None) -> Any:
        """The reader of so many samples; None for the policy's own."""
        if samples is None:
            return None
        if samples < 1:
            raise InputError(f"samples must be at least 1, got {samples}.", where="predict")
        before = self.method.generation
        with self._lock:
            self.method.generation = replace(before, samples=samples)
            try:
                self.method.check_samples()
                return self.method.reader
            finally:
                self.method.generation = before

    def _read(self, reader: Any, parts: list[Part], size: int) -> None:
        """Read the answers of some parts. If a GPU's memory does not suffice, smaller batches are read."""
        with self._lock:
            start, size = 0, min(size, self._batch or size)
            while start < len(parts):
                some = parts[start : start + size]
                try:
                    self._read_batch(reader, some)
                except torch.OutOfMemoryError:
                    if size == 1:
                        raise
                    torch.cuda.empty_cache()
                    size = self._batch = max(1, size // 2)
                else:
                    start += len(some)

    def _read_batch(self, reader: Any, parts: Sequence[Part]) -> None:
        with torch.inference_mode(), self.context():
            batch = self.encoder.batch(parts).to(self.device)
            reading = self.method.read(batch, reader)
        for part, answer in zip(parts, self.encoder.answers(parts, reading), strict=True):
            part.reading, part.mel = answer, None

    def _result(self, waiting: tuple[Question, list[Part] | InputError]) -> Result:
        question, made = waiting
        if isinstance(made, InputError):
            return question, made
        return question, merged(question, made, self.categories, never_trained=self.never_trained)


def load(  # noqa: PLR0913  # what a user may want otherwise than it was trained
    source: str | Path,
    *,
    policy_path: str | Path | None = None,
    device: str = AUTO,
    precision: str | None = None,
    classes: str | Sequence[str] | None = None,
    prompt: str | Path | None = None,
    reasoning: bool | None = None,
    readout: Readout | None = None,
    max_new_tokens: int | None = None,
    revision: str | None = None,
    token: str | None = None,
    allow_any_class: bool = False,
) -> Model:
    """Load a trained policy, to ask it.

    Args:
        source: A run folder of fit, a folder of export, or OWNER/NAME of an export on the hub, which is fetched once.
        policy_path: Folder or hub id of the base model, if it is not where the run had it.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: As Lightning's trainer takes it, such as `bf16-mixed`; by default the run's.
        classes: Names of the classes; by default those of the run.
        prompt: Stem of a prompt in `lalm_ambig/prompts`, or a .txt file; by default the run's.
        reasoning: Whether it reasons before it answers; by default as it was trained.
        readout: `logits` or `verbalised`; by default as it was trained.
        max_new_tokens: Longest reasoning or verbalised answer.
        revision: Branch, tag or commit on the hub.
        token: Token for the hub; by default the one that `hf auth login` or HF_TOKEN has set.
        allow_any_class: Let a run's configuration name classes of other packages. It is a program then: read it first.

    Returns:
        The policy on its device.

    Raises:
        InputError: There is no such run, export or base model; it does not fit; or a setting is wrong.

    >>> from lalm_ambig import load                    # doctest: +SKIP
    >>> load("runs/x").predict(["a.wav", "b.wav"])     # doctest: +SKIP
    """
    quiet_libraries()
    choice = PolicyChoice(
        run=folder_of(source, revision=revision, token=token),
        policy_path=None if policy_path is None else str(policy_path),
        reasoning=reasoning,
        readout=readout,
        max_new_tokens=max_new_tokens,
        precision=precision,
        allow_any_class=allow_any_class,
    )
    names = classes if isinstance(classes, str) or classes is None else ",".join(classes)
    return open_model(choice, Asking(names, None if prompt is None else str(prompt)), device=device)


def open_model(choice: PolicyChoice, asking: Asking, *, device: str = AUTO) -> Model:
    """Load a policy, to ask it. What can be wrong is checked before any weights are read.

    Args:
        choice: The policy.
        asking: What it is asked.
        device: As for `load`.

    Raises:
        InputError: The policy, its prompt, classes and device do not go together.
    """
    loaded = load_policy(choice)
    method = loaded.model
    if asking.samples is not None:
        method.generation = replace(method.generation, samples=asking.samples)
    method.check_samples()
    categories = _categories(asking.classes, loaded)
    if loaded.data.annotators == EACH:
        raise InputError(
            f"{loaded.label} answers for one annotator at a time (data.annotators each), and an input names none.",
            where="predict",
            remedy="Have it answer a corpus that names its annotators: lalm-ambig evaluate --run RUN --corpus NAME.",
        )
    asked = _elicitation(loaded, asking, is_base=choice.policy is not None)
    forms = QuestionForms.of(asked, categories)
    trainer = _trainer(loaded, device)
    policy = method.policy
    policy.load(trainer.strategy.root_device)
    method.check_abilities(training=False)
    if loaded.adapter is not None:
        policy.load_weights(loaded.adapter)
    encoder = QuestionEncoder(method, categories, asked, forms)
    method.attach(encoder)
    method.eval()
    notes = list(policy.notes)
    if loaded.is_trained and categories != loaded.data.categories:
        note = mapping_note(categories, loaded.data.categories, trained_on=loaded.data.corpus.name)
        notes.append(f"{note[0].upper()}{note[1:]}.")
    return Model(loaded, categories, encoder, trainer.precision_plugin.predict_step_context, tuple(notes))


def _is_read(parts: list[Part] | InputError) -> bool:
    """Whether a question has its answer, or never will."""
    return isinstance(parts, InputError) or all(
        part.item is None or part.reading is not None for part in parts
    )


def _single(text: Any) -> str | None:
    if text is not None and not isinstance(text, str):
        raise InputError(f"one input has one text, got {type(text).__name__}.", where="predict")
    return text


def _categories(classes: str | None, loaded: Loaded) -> CategorySet:
    """Return the classes of `classes`, in the words that a run has learnt; by default the run's classes."""
    trained = loaded.data.categories if loaded.is_trained else None
    if not classes:
        return trained or open_corpus("crema_d", ".").categories
    asked = CategorySet(tuple(name.strip() for name in classes.split(",")))
    if trained is None:
        return asked
    asked = asked if asked.domain else replace(asked, domain=trained.domain)
    check_mapping(asked, trained, where="--classes")
    return asked.with_words_of(trained)


def _elicitation(loaded: Loaded, asking: Asking, *, is_base: bool) -> Elicitation:
    """Return how a policy is asked: as its run was, unless a prompt is given for all inputs.

    A text gets the prompt for texts, unless the run or configuration sets one prompt for all items.
    """
    data, model = loaded.data, loaded.model
    asked = data.elicitation(reasoning=model.reasoning, readout=model.readout)
    if asking.prompt is not None:
        return replace(asked, prompt=asking.prompt, prompt_for_texts=asking.prompt, glosses=None)
    if is_base:
        return replace(asked, prompt_for_texts=FOR_TEXTS.get(data.prompt, data.prompt))
    return asked


def _trainer(loaded: Loaded, device: str) -> Any:
    """Return a trainer, which knows device and precision. It runs nothing."""
    settings = dict(prediction_settings())
    kind, _, number = device.partition(":")
    if device != AUTO:
        kind = "cuda" if kind == "gpu" else kind
        if kind not in ("cpu", "cuda", "mps") or (number and not number.isdecimal()):
            raise InputError(f"expected auto, cpu, cuda, cuda:1 or mps, got {device!r}.", where="device")
        if reason := lack_of(kind):
            raise InputError(reason, where="device")
        settings["accelerator"] = kind
    devices = [int(number)] if number and kind != "cpu" else 1
    return loaded.cli.make_trainer(
        strategy="auto", devices=devices, num_nodes=1, enable_progress_bar=False, **settings
    )
