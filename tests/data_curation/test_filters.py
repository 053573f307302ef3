"""The rules that both writers' reasoning keeps."""

import pytest

from data_curation import filters
from data_curation.records import ClassCue, Reasoning

CLASSES = ("anger", "fear", "neutral")
SPLIT, UNANIMOUS = (3.0, 0.0, 2.0), (5.0, 0.0, 0.0)
GOOD = Reasoning(
    keywords=("raised volume", "falling contour"),
    text_analysis='The words "it is 11 o\'clock" are a plain statement and leave the emotion open.',
    volume="The voice is clearly raised.",
    speed="The pace is quick and even.",
    pitch="The pitch falls from a high start.",
    tone="The phonation is pressed.",
    class_cues=(
        ClassCue(category="anger", cue="The pressed onsets support it."),
        ClassCue(category="neutral", cue="The wording is matter-of-fact."),
    ),
    synthesis="Anger is the stronger reading, but it is not unmistakably anger; neutral remains a rival.",
)


def test_every_rule_is_found_and_a_good_reasoning_keeps_them() -> None:
    names = {"certainty", "class_cues", "length", "markup", "numbers", "sections", "told_answer"}
    assert names <= set(filters.rules())
    assert filters.check(GOOD, SPLIT, CLASSES) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pitch": " ."}, "sections: pitch is empty"),
        ({"keywords": ()}, "sections: keywords is empty"),
        ({"volume": "It is loud at 70 dB."}, "numbers: states a number: '70'"),
        ({"synthesis": "Sixty percent hear anger."}, "numbers: states a percentage: 'percent'"),
        ({"synthesis": "Three of the five hear anger."}, "numbers: states a count: 'Three of the five'"),
        ({"synthesis": "Two listeners hear anger."}, "numbers: states a count: 'Two listeners'"),
        ({"synthesis": "Two-thirds hear anger."}, "numbers: states a share: 'Two-thirds'"),
        ({"synthesis": "Most votes go to anger."}, "told_answer: speaks of the answer it was given: 'votes'"),
        ({"synthesis": "Definitely anger."}, "certainty: calls a class certain: 'Definitely anger.'"),
        ({"tone": "It is clearly angry."}, "certainty: calls a class certain: 'It is clearly angry.'"),
        ({"tone": "Pressed.</think> <answer> anger"}, "markup: holds markup: '</think>'"),
        ({"tone": "**Pressed** voice."}, "markup: holds markup: '**'"),
        ({"speed": "quick " * 130}, "length: speed has 130 words, at most 120"),
        ({"class_cues": GOOD.class_cues[:1]}, "class_cues: no cue for neutral"),
        (
            {"class_cues": (*GOOD.class_cues, ClassCue(category="joy", cue="A smile."))},
            "class_cues: a cue for 'joy', which is not a class here",
        ),
        ({"class_cues": GOOD.class_cues * 2}, "class_cues: 2 cues for anger, one is expected"),
    ],
)  # fmt: skip
def test_each_broken_rule_is_named_with_what_broke_it(change: dict[str, object], reason: str) -> None:
    assert reason in filters.check(GOOD.model_copy(update=change), SPLIT, CLASSES)


def test_certainty_is_allowed_where_the_panel_is_unanimous() -> None:
    certain = GOOD.model_copy(
        update={"synthesis": "This is definitely anger.", "class_cues": GOOD.class_cues[:1]}
    )
    assert filters.check(certain, UNANIMOUS, CLASSES) == []


def test_a_text_too_short_to_argue_is_named() -> None:
    short = GOOD.model_copy(
        update=dict.fromkeys(("text_analysis", "volume", "speed", "pitch", "tone"), "Open.")
    )
    short = short.model_copy(update={"synthesis": "Anger.", "class_cues": ()})
    assert any(
        reason.startswith("length: ") and "words in all" in reason
        for reason in filters.check(short, SPLIT, CLASSES)
    )


def test_class_names_match_in_any_case() -> None:
    shouted = tuple(cue.model_copy(update={"category": cue.category.upper()}) for cue in GOOD.class_cues)
    assert filters.check(GOOD.model_copy(update={"class_cues": shouted}), SPLIT, CLASSES) == []
