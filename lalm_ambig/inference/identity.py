"""What the answers of a policy depend on, apart from the inputs; and which inputs it was trained on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalm_ambig.audio.inspection import MAX_S, UnusableAudio
from lalm_ambig.audio.windows import array_windows
from lalm_ambig.core.types import Item
from lalm_ambig.corpora.duplicates.contents import contents, sound_content, trained_among
from lalm_ambig.evaluation.trained_items import FILE, TrainedItems, read_trained_items
from lalm_ambig.inference.model import Model
from lalm_ambig.inference.questions import Question
from lalm_ambig.runs.trained_items import record_of_base

DIGITS = 16
BLOCK = 1 << 20


def answers_depend_on(model: Model) -> dict[str, Any]:
    """Policy and options that answers depend on, as JSON. Device and batch size only round.

    Args:
        model: The policy.
    """
    method, encoder = model.method, model.encoder
    prompts = f"{encoder.template}\0{encoder.text_template}"
    trainer = model.loaded.cli.config_init["trainer"]
    return {
        "policy": model.name,
        "model": method.policy.description,
        "weights": _weights(model),
        "classes": list(model.classes),
        "verbalisers": list(model.categories.verbalisers),
        "prompts": hashlib.sha256(prompts.encode()).hexdigest()[:DIGITS],
        "reasoning": method.reasoning,
        "readout": method.readout,
        "scoring": model.loaded.data.scoring,
        "samples": method.generation.samples,
        "max_new_tokens": method.generation.max_new_tokens if method.generates_text else 0,
        "precision": str(trainer["precision"]),
    }


def _weights(model: Model) -> str:
    """A digest of the trained weights; for a base model and a merged one, of the names and sizes of its files."""
    digest = hashlib.sha256()
    adapter = model.loaded.adapter
    if adapter is not None:
        for file in sorted(adapter.glob("*.safetensors")):
            digest.update(file.name.encode())
            with file.open("rb") as opened:
                while block := opened.read(BLOCK):
                    digest.update(block)
        return digest.hexdigest()[:DIGITS]
    base = Path(str(model.method.policy.base.name_or_path))
    digest.update(base.name.encode())
    for file in sorted(base.glob("*.safetensors")) if base.is_dir() else ():
        digest.update(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:DIGITS]


@dataclass(frozen=True)
class Seen:
    """The items that a policy was trained on or chosen by."""

    record: TrainedItems

    @classmethod
    def by(cls, model: Model) -> "Seen":
        """Those of a policy. No corpus is read for it: a run without a record gives none."""
        loaded = model.loaded
        places = () if loaded.run is None else (loaded.run.path, loaded.run.adapter)
        record = next((one for place in places if (one := read_trained_items(place)) is not None), None)
        if record is not None:
            return cls(record)
        if loaded.run is None:
            return cls(record_of_base(loaded.model.policy))
        why = f"whether run {model.name} was trained on an input is not known: it keeps no {FILE}"
        return cls(TrainedItems(unknown=(why,)))

    def notes(self, questions: Sequence[Question]) -> list[str | None]:
        """For each question, a note where it was trained on; None otherwise."""
        said: list[str | None] = [None] * len(questions)
        if not self.record.runs:
            return said
        items = [
            Item(question.id, (), None if question.audio is None else str(question.audio), question.text)
            for question in questions
        ]
        own = [
            content if question.samples is None else _content(question)
            for question, content in zip(questions, contents(items), strict=True)
        ]
        for run in self.record.runs:
            marks = trained_among(items, own, [item.content for item in run.items])
            for place, is_trained in enumerate(marks):
                if is_trained:
                    said[place] = f"run {run.name} was trained on this, or chose its checkpoint by it"
        return said

    def told(self, question: Question) -> str | None:
        """The note on one question; where nothing is known of the policy's past, that; None for an unseen one."""
        [said] = self.notes([question])
        return next(iter(self.record.unknown), None) if said is None else said


def _content(question: Question) -> str:
    """The content of samples in memory; empty where nothing can be heard in them."""
    assert question.samples is not None
    try:
        first = array_windows(question.samples, question.rate_hz, MAX_S, name=question.id)[0]
    except UnusableAudio:
        return ""
    return "" if first.samples is None else sound_content(first.samples.numpy())
