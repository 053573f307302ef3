"""Lengths of a run's texts, from the corpus where it was checked before, or else assumed; a line says which."""

from dataclasses import dataclass
from typing import Any

from lalm_ambig.config.estimate_option import Assumptions
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.preparing.prepared import ItemView, load_prepared
from lalm_ambig.corpora.rationales import cut_for
from lalm_ambig.data.annotators import EACH
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.data.encoding import Elicitation
from lalm_ambig.estimation.shapes import AudioEncoderShape
from lalm_ambig.estimation.workload import Lengths
from lalm_ambig.methods.base import Method
from lalm_ambig.prompts import load_glosses, load_prompt

CHARACTERS_PER_TOKEN = 4
ASSUMED_PROMPT = "speech_emotion"
"""The prompt where the corpus cannot be read to choose one."""
CHAT_TOKENS = 30
"""Tokens of the chat template around a prompt."""
TEXT_TOKENS = 40
"""Tokens of an item's text, where the corpus is not known."""
RATIONALE_TOKENS = 200
"""Tokens of a rationale, where the corpus is not known."""
ANSWER_TOKENS = {"logits": 16, "verbalised": 80}
"""Tokens of tags and class name, or of a distribution in JSON."""


@dataclass(frozen=True)
class CorpusTexts:
    """Lengths of a corpus's longest texts."""

    text: int
    """Tokens of an item's text."""
    rationale: int
    clip_s: float
    measured: bool
    """Whether they were measured on the corpus, rather than assumed."""


def lengths_of(
    method: Method, data: DataModule, encoder: AudioEncoderShape | None, assumptions: Assumptions
) -> tuple[Lengths, str]:
    """Lengths of the longest prompt and curated response, and a line that says where they come from."""
    texts = _texts(data)
    prompt = _prompt(data)
    asked = Elicitation(prompt, method.reasoning, readout=method.readout, rationale_part=data.rationale_part)
    template = load_prompt(prompt, asked.mode)
    heard = encoder is not None and "{audio}" in template
    glosses = load_glosses(data.glosses or prompt.rpartition("/")[2].split(".")[0])
    explained = sum(len(name) + len(meaning) + 4 for name, meaning in glosses.items())
    instruction = (len(template) + explained) // CHARACTERS_PER_TOKEN
    written = round(assumptions.prompt_tokens or instruction + CHAT_TOKENS + texts.text)
    audio = 0
    if encoder is not None and heard:
        of_clip = round(encoder.tokens_per_s * (assumptions.clip_s or texts.clip_s))
        audio = encoder.longest if encoder.fills_window else min(encoder.longest, of_clip)
    reasoning = texts.rationale if method.reasoning else 0
    curated = round(assumptions.curated_tokens or reasoning + ANSWER_TOKENS[method.readout])
    source = "the corpus's longest" if texts.measured else "assumed, since the corpus was not checked yet"
    line = f"lengths ({source}): prompt {written + audio} tokens, {audio} of them sound; curated response {curated}"
    common = min(written, _beginning(template, explained) // CHARACTERS_PER_TOKEN)
    return Lengths(written + audio, audio, curated, common), line


def _beginning(template: str, explained: int) -> int:
    """Characters of a prompt before the first that is an item's own; the classes' explanation has so many."""
    before = min((template.partition(own)[0] for own in ("{audio}", "{text}")), key=len)
    return len(before) + (explained if "{glosses}" in before else 0)


def _prompt(data: DataModule) -> str:
    try:
        return data.prompt
    except InputError:  # labels that are not there yet cannot say whether items have sound
        return ASSUMED_PROMPT


def _texts(data: DataModule) -> CorpusTexts:
    try:
        prepared = load_prepared(data.corpus)
    except InputError:  # labels that are not there yet: an estimate needs none
        prepared = None
    if prepared is None:
        return CorpusTexts(TEXT_TOKENS, RATIONALE_TOKENS, clip_s=30.0, measured=False)
    items: ItemView = prepared.items("train")
    longest: Any = items.durations_s().max() if len(items) else 0.0
    rationale = _longest_rationale(items, data) // CHARACTERS_PER_TOKEN
    earlier = data.annotator_examples if data.annotators == EACH else 0
    return CorpusTexts(
        (1 + earlier) * items.longest("text") // CHARACTERS_PER_TOKEN,
        rationale or RATIONALE_TOKENS,
        clip_s=float(longest),
        measured=True,
    )


def _longest_rationale(items: ItemView, data: DataModule) -> int:
    """Characters of the longest rationale of a corpus's own, or of what is learnt of it; 0 where there is none."""
    cut = cut_for(data.rationale_part, data.corpus.heard_part)
    if cut is None:
        return items.longest("rationale")
    parts = (cut.part(item.rationale, None) for item in items if item.rationale)
    return max((len(part or "") for part in parts), default=0)
