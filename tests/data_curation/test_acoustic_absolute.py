"""Grades on fixed scales: the same sound gets the same word, whoever speaks."""

import random
import re

import pytest

from data_curation.acoustic.absolute import SCALES, absolute
from data_curation.acoustic.prosody import pitch_sentence, speed_sentence, volume_sentence
from data_curation.acoustic.terms import TERMS, Standing, voice_of

VALUES = {"level_db": -20.0, "rate_syl_s": 5.1, "pitch_hz": 207.0, "pitch_range_st": 6.0}


@pytest.mark.parametrize(
    ("measure", "value", "word"),
    [
        ("level_db", -60.0, "hushed"),
        ("level_db", -36.01, "hushed"),
        ("level_db", -36.0, "quiet"),
        ("level_db", -18.0, "strong"),
        ("level_db", -1.0, "booming"),
        ("rate_syl_s", 3.19, "dragging"),
        ("rate_syl_s", 3.2, "measured"),
        ("rate_syl_s", 4.99, "steady"),
        ("rate_syl_s", 5.0, "quick"),
        ("rate_syl_s", 7.9, "racing"),
        ("pitch_hz", 84.0, "bass"),
        ("pitch_hz", 119.0, "deep"),
        ("pitch_hz", 120.0, "mid-deep"),
        ("pitch_hz", 160.0, "mid-high"),
        ("pitch_hz", 254.0, "high"),
        ("pitch_hz", 340.0, "piercing"),
        ("pitch_range_st", 2.4, "tiny"),
        ("pitch_range_st", 15.0, "huge"),
    ],
)
def test_a_word_begins_at_its_own_value(measure: str, value: float, word: str) -> None:
    assert SCALES[measure].word(value) == word


def test_no_word_is_that_of_another_scale_or_of_the_comparison() -> None:
    words = [word for scale in SCALES.values() for word in scale.words]
    compared = {word for term in TERMS.values() for word in (*term.high, *term.low)}
    assert len(words) == len(set(words))
    assert not compared & (set(words) - {"high"}), "only a register is high in itself, and a pitch compared"


def test_the_sentences_state_the_value_beside_the_comparison() -> None:
    standing = Standing(dict.fromkeys(TERMS, -1.5), against="speaker", pause_count=0, values=VALUES)
    voice, pick = voice_of(standing, pick=random.Random(1).choice), random.Random(1).choice
    assert re.search(
        r"volume is \w+ (lowered|soft) at a full level and intensity", volume_sentence(voice, pick=pick)
    )
    assert re.search(r"is \w+ (slow|unhurried) at a quick rate, ", speed_sentence(voice, pick=pick))
    pitch = pitch_sentence(voice, pick=pick)
    assert re.search(r"is \w+ (lowered|low) in a mid-high register, its range", pitch)
    assert re.search(
        r"(narrow|compressed) over a medium span, and the contour \w+ (clearly|markedly)\.$", pitch
    )


def test_another_speaker_changes_the_comparison_only() -> None:
    usual, marked = (
        Standing(dict.fromkeys(TERMS, score), against="speaker", pause_count=0, values=VALUES)
        for score in (0.0, 2.5)
    )
    first, second = (
        volume_sentence(voice_of(standing, pick=lambda options: options[0]), pick=lambda options: options[0])
        for standing in (usual, marked)
    )
    assert first != second
    assert "at a full level" in first and "at a full level" in second


def test_what_was_not_measured_has_no_phrase() -> None:
    assert absolute({}, "pitch_hz", preposition="in") == ""
    voice = voice_of(Standing({"level_db": 0.0}, "speaker", 0), pick=lambda options: options[0])
    assert volume_sentence(voice, pick=lambda options: options[0]) == (
        "Against this speaker's other clips, volume is usual."
    )
