"""The ways in which a policy's distributions are read in validation and evaluation: one small class per way.

A `Reader` turns a batch into a `Reading`, and names its needs. `evaluated_reader` chooses the one whose numbers count,
`validation_readers` all that a validation runs.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Reading
from lalm_ambig.data.encoding import Encoder, Readout
from lalm_ambig.methods.generation import Generation
from lalm_ambig.readouts.logits import AnswerTokens
from lalm_ambig.rollouts.labels import LabelSampling, read_labels
from lalm_ambig.rollouts.parsing import read_stated
from lalm_ambig.rollouts.reading import read_curated, read_generated
from lalm_ambig.rollouts.samples import read_samples


class Reader(ABC):
    """A way to read one distribution per item."""

    name: str
    """In logs: its metrics are called NAME/METRIC."""
    generates_text: bool
    """Whether the policy writes text of its own, which takes time."""
    needs_rationale: ClassVar[bool] = False
    """Whether items need a curated response."""

    @abstractmethod
    def read(self, encoder: Encoder, batch: Batch, *, share: bool) -> Reading:
        """The distribution of each item.

        Args:
            encoder: The encoder that made the batch, with its policy.
            batch: Items; with curated responses where the reader needs them.
            share: Compute what several texts have in common once, where the policy can.
        """


@dataclass(frozen=True)
class Direct(Reader):
    """The class names' logits right after the prompt, without reasoning."""

    name: str = "direct"
    generates_text: bool = False

    def read(self, encoder: Encoder, batch: Batch, *, share: bool) -> Reading:
        return read_generated(encoder.policy, batch, _answer(encoder), max_new_tokens=0, share=share)


@dataclass(frozen=True)
class Generated(Reader):
    """The class names' logits after the policy's own greedy reasoning."""

    max_new_tokens: int
    """Longest reasoning in tokens."""
    name: str = "generated"
    generates_text: bool = True

    def read(self, encoder: Encoder, batch: Batch, *, share: bool) -> Reading:
        return read_generated(
            encoder.policy, batch, _answer(encoder), max_new_tokens=self.max_new_tokens, share=share
        )


@dataclass(frozen=True)
class Curated(Reader):
    """The class names' logits after the curated reasoning, which costs no generation."""

    name: str = "curated"
    generates_text: bool = False
    needs_rationale: ClassVar[bool] = True

    def read(self, encoder: Encoder, batch: Batch, *, share: bool) -> Reading:
        return read_curated(encoder.policy, batch, _answer(encoder), share=share)


@dataclass(frozen=True)
class Verbalised(Reader):
    """The distribution that the policy's own greedy response states as JSON."""

    name: str
    max_new_tokens: int
    """Longest response in tokens."""
    generates_text: bool = True

    def read(self, encoder: Encoder, batch: Batch, *, share: bool) -> Reading:
        return read_stated(encoder, batch, max_new_tokens=self.max_new_tokens, share=share)


@dataclass(frozen=True)
class AveragedSamples(Reader):
    """The mean distribution of several sampled responses per item, at temperature 1."""

    name: str
    samples: int
    """Responses per item, at least 2."""
    max_new_tokens: int
    """Longest response in tokens."""
    generates_text: bool = True

    def read(self, encoder: Encoder, batch: Batch, *, share: bool) -> Reading:
        """Average the distributions of each item's samples.

        Raises:
            InputError: The policy writes no text, so that all samples would be the same.
        """
        if not self.generates_text:
            raise same_samples()
        return read_samples(
            encoder, batch, max_new_tokens=self.max_new_tokens, samples=self.samples, share=share
        )


@dataclass(frozen=True)
class SampledLabels(Reader):
    """The share of each class among several one-label answers per item: the readout `sampled`."""

    name: str
    samples: int
    """Answers per item, at least 1."""
    temperature: float
    """Divides the logits that answers are sampled from."""
    max_new_tokens: int
    """Longest response in tokens."""
    generates_text: bool = True

    def read(self, encoder: Encoder, batch: Batch, *, share: bool) -> Reading:
        return read_labels(
            encoder, batch, LabelSampling(self.samples, self.temperature, self.max_new_tokens, share)
        )


def evaluated_reader(generation: Generation, *, reasoning: bool, readout: Readout) -> Reader:
    """The reader whose distributions are evaluated.

    Args:
        generation: How responses are written.
        reasoning: Whether a response reasons before it answers.
        readout: Where the distribution is read from.
    """
    name = "generated" if reasoning else "direct"
    tokens = generation.max_new_tokens
    writes = reasoning or readout == "verbalised"
    if generation.samples > 1:
        return AveragedSamples(name, generation.samples, tokens, generates_text=writes)
    if readout == "verbalised":
        return Verbalised(name, tokens)
    return Generated(tokens) if reasoning else Direct()


def validation_readers(evaluated: Reader, *, reasoning: bool, readout: Readout) -> tuple[Reader, ...]:
    """All readers of a validation: logits after reasoning are also read after the curated one."""
    return (Curated(), evaluated) if reasoning and readout == "logits" else (evaluated,)


def rows_read(reader: Reader, batch: Batch, *, before: int, written: int) -> list[int]:
    """Rows of a batch that a reader reads in validation.

    Text is generated for the loader's first items only, counted over all processes. The data module has put a sample
    of the split there.

    Args:
        reader: The reader.
        batch: The batch.
        before: Items of this process in the batches before.
        written: Items for which text is generated, over all processes.
    """
    if reader.needs_rationale and batch.curated is None:
        return []
    rows = range(len(batch.items))
    if not reader.generates_text:
        return list(rows)
    world_size = distributed.world_size()
    first = distributed.rank() + world_size * before
    return [row for row in rows if first + world_size * row < written]


def same_samples() -> InputError:
    """The refusal of several samples that would all be the same."""
    return InputError(
        "without reasoning every sample is the same:",
        where="model.generation",
        remedy="set samples to 1, or reasoning to true.",
    )


def _answer(encoder: Encoder) -> AnswerTokens:
    assert encoder.answer is not None, "the logit readout's encoder holds the class names' tokens"
    return encoder.answer
