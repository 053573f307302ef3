"""The eight sets: their folders, classes, labels, prompts and texts.

VariErrNLI lets an annotator choose several labels. Its classes are therefore the *label sets* that annotators chose:
three single labels and three pairs. Each annotator then has one vote, and no vote is lost. The share of people who
chose a label is the sum over the label sets that contain it (`yes_shares`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Split

FILE_SPLITS: Mapping[str, Split] = {"train": "train", "dev": "validation", "test": "test"}
"""End of a file's name → split."""
ORDINAL_METRICS = ("wasserstein", "rps", "mae_mean", "manhattan", "accuracy")
"""The columns of tables of a set with ordered classes."""
NOMINAL_METRICS = ("manhattan", "soft_accuracy", "js_div_bits", "accuracy", "f1_macro")
"""The columns of tables of the other sets."""
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
"""Words for the steps of a scale in prompts. Their first tokens differ, which those of `-5` and `-4` do not."""
LABELS = ("contradiction", "entailment", "neutral")
"""The labels of VariErrNLI, in the organisers' order."""
LABEL_SETS = (
    ("contradiction",),
    ("entailment",),
    ("neutral",),
    ("contradiction", "entailment"),
    ("contradiction", "neutral"),
    ("entailment", "neutral"),
)
"""Each class of VariErrNLI as the labels in it."""
SET_WORDS = (*LABELS, "ambiguous", "unlikely", "likely")
"""The word for each of LABEL_SETS in prompts and answers; the glosses say what it means."""


@dataclass(frozen=True)
class Part:
    """What is particular to one set."""

    folder: str
    """Its folder under the repository."""
    stem: str
    """Beginning of its files' names."""
    categories: CategorySet
    codes: Mapping[str, int]
    """Label in the files → position of its class."""
    soft_keys: tuple[str, ...]
    """Keys of the soft label, in the order of the classes; of VariErrNLI, its labels."""
    prompt: str
    """Stem of its prompts."""
    text: Callable[[Any], str]
    """The item's text from the value of `text`."""
    has_train: bool = True
    """False where the set is also read without its train file, which copies of the organisers' repository can lack."""
    shared_field: str | None = None
    """Field of `text` that several items have in common: the post of several replies. None where there is none."""

    def shared_text(self, text: Any) -> str | None:
        """What an item has in common with others, from the value of `text`; None where a set has no such field."""
        return None if self.shared_field is None else _line(text, self.shared_field)

    @property
    def is_multilabel(self) -> bool:
        """True where an annotator may choose several labels."""
        return self.soft_keys == LABELS


def yes_shares(dist: Sequence[float]) -> tuple[float, ...]:
    """The share of annotators who chose each of LABELS, in [0, 1], from a distribution over LABEL_SETS.

    >>> yes_shares([0.25, 0.0, 0.5, 0.0, 0.25, 0.0])
    (0.5, 0.0, 0.75)
    """
    return tuple(
        float(sum(share for share, labels in zip(dist, LABEL_SETS, strict=True) if label in labels))
        for label in LABELS
    )


def label_code(text: str) -> str:
    """A label of a file in the form of `Part.codes`: blanks removed, and several labels in one order.

    >>> label_code(" 1"), label_code("neutral, entailment")
    ('1', 'entailment,neutral')
    """
    return ",".join(sorted(label.strip() for label in text.split(",")))


def _plain(text: Any) -> str:
    """A text of one field."""
    if not isinstance(text, str) or not text.strip():
        raise InputError('"text" must be a text that is not empty')
    return text.strip()


def _fields(**names: str) -> Callable[[Any], str]:
    """A function that writes each field on a line of its own, after its name."""

    def written(text: Any) -> str:
        if not isinstance(text, dict):
            raise InputError(f'"text" must be an object of {", ".join(names)}')
        return "\n".join(f"{title}: {_line(text, field)}" for field, title in names.items())

    return written


def _line(text: Mapping[str, Any], field: str) -> str:
    value = text.get(field)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f'"text" needs a "{field}" that is a text')
    return " ".join(value.split())


def _conversation(text: Any) -> str:
    """The turns of a conversation, written as JSON in a text; `_` is a turn that was not said."""
    try:
        turns = json.loads(text)
    except (TypeError, ValueError) as error:
        raise InputError('"text" must be a text that holds JSON, as {"prev_agent": …, "user": …}') from error
    speakers = {"prev_agent": "Agent", "prev_user": "User", "agent": "Agent", "user": "User"}
    if not isinstance(turns, dict) or not all(isinstance(turns.get(name), str) for name in speakers):
        raise InputError(f'"text" must have {", ".join(speakers)}')
    said = [(who, " ".join(turns[name].split())) for name, who in speakers.items()]
    return "\n".join(f"{who}: {words}" for who, words in said if words not in ("", "_")) or "User: _"


def _binary(domain: str) -> dict[str, Any]:
    """Classes and labels of a set that is judged with yes and no."""
    classes = CategorySet(("no", "yes"), domain=domain)
    return {"categories": classes, "codes": {"0": 0, "1": 1}, "soft_keys": ("0", "1")}


def _scale(domain: str, labels: Sequence[int], words: Sequence[str]) -> dict[str, Any]:
    """Classes and labels of a set that is judged on a scale."""
    names = tuple(map(str, labels))
    verbalisers = tuple(f" {word}" for word in words)
    classes = CategorySet(names, verbalisers, tuple(words), domain, ordered=True)
    return {
        "categories": classes,
        "codes": {name: place for place, name in enumerate(names)},
        "soft_keys": names,
    }


_ABUSE = {**_binary("abuse"), "codes": {"-3": 1, "-2": 1, "-1": 1, "0": 0, "1": 0}}
"""ConvAbuse is judged from −3 to 1; the organisers fold it, so that below 0 is abusive."""

PARTS: Mapping[str, Part] = {
    "hs_brexit": Part(
        "LeWiDi_2-2023/HS-Brexit_dataset",
        "HS-Brexit",
        **_binary("hate speech"),
        prompt="hate",
        text=_plain,
    ),
    "md_agreement": Part(
        "LeWiDi_2-2023/MD-Agreement_dataset",
        "MD-Agreement",
        **_binary("offensiveness"),
        prompt="offensiveness",
        text=_plain,
    ),
    "conv_abuse": Part(
        "LeWiDi_2-2023/ConvAbuse_dataset", "ConvAbuse", **_ABUSE, prompt="abuse", text=_conversation
    ),
    "armis": Part(
        "LeWiDi_2-2023/ArMIS_dataset", "ArMIS", **_binary("misogyny"), prompt="misogyny", text=_plain
    ),
    "mp": Part(
        "LeWiDi_3-2025/MP",
        "MP",
        **_binary("irony"),
        prompt="irony",
        text=_fields(post="Post", reply="Reply"),
        has_train=False,
        shared_field="post",
    ),
    "csc": Part(
        "LeWiDi_3-2025/CSC",
        "CSC",
        **_scale("sarcasm", range(1, 7), NUMBERS[1:7]),
        prompt="sarcasm",
        text=_fields(context="Situation", response="Response"),
        has_train=False,
        shared_field="context",
    ),
    "par": Part(
        "LeWiDi_3-2025/Paraphrase",
        "Paraphrase",
        **_scale("paraphrase", range(-5, 6), NUMBERS),
        prompt="paraphrase",
        text=_fields(Question1="Question 1", Question2="Question 2"),
    ),
    "varierr_nli": Part(
        "LeWiDi_3-2025/VariErrNLI",
        "VariErrNLI",
        CategorySet(
            tuple("+".join(labels) for labels in LABEL_SETS),
            tuple(f" {word}" for word in SET_WORDS),
            SET_WORDS,
            domain="inference",
        ),
        {",".join(labels): place for place, labels in enumerate(LABEL_SETS)},
        LABELS,
        prompt="inference_sets",
        text=_fields(context="Premise", statement="Hypothesis"),
    ),
}
"""Name of each set, as the option `part` takes it."""
