"""Where the heard part of a rationale ends."""

import pytest

from lalm_ambig.core.rationale_parts import cue_label, heard_part, keywords_part

CLASSES = ("anger", "Very Happy", "neutral")
HEARD = "Keywords: low pitch.\nText: Neutral: they say little.\nAudio: Volume is low. Pitch, too."


def test_it_ends_before_the_first_cue_of_a_class_in_the_section_audio() -> None:
    whole = f"{HEARD} Neutral: low pitch. Anger: nothing.\nSynthesis: Neutral leads."
    assert heard_part(whole, CLASSES) == HEARD
    assert heard_part(f"{HEARD} Very happy: a smile.\nSynthesis: All.", CLASSES) == HEARD


def test_without_sections_of_sound_it_ends_before_the_synthesis_or_a_cue() -> None:
    assert heard_part("The voice falls.\nSynthesis: anger leads.", CLASSES) == "The voice falls."
    assert heard_part("The voice falls. Anger: it falls.\nSynthesis: x", CLASSES) == "The voice falls."


@pytest.mark.parametrize(
    "text",
    [
        "It is quiet, so most hear neutral.",
        "A word about Synthesis: this is in a line.",
        f"{HEARD} Fear: of another set of classes.\nSynthesis: Fear leads.",
        "Synthesis: neutral leads.",
        "Anger: loud.\nSynthesis: anger leads.",
        "The stranger: Non-Anger: no label of a class.",
        "",
    ],
)
def test_a_text_without_a_mark_or_without_a_first_part_has_none(text: str) -> None:
    assert heard_part(text, CLASSES) is None


def test_keywords_are_the_first_line_that_has_some() -> None:
    assert keywords_part(f"{HEARD} Fear: x.\nSynthesis: Fear leads.") == "Keywords: low pitch."
    assert (
        keywords_part("Text: calm.\n  Keywords: no.\nKeywords:\tslow, low \nKeywords: b")
        == "Keywords:\tslow, low"
    )
    assert keywords_part("Keywords: «(sighs)», slow") == "Keywords: «(sighs)», slow"


@pytest.mark.parametrize(
    "text",
    ["", "Keywords:", "Keywords: \nAudio: low.", "Keywords: , .", "keywords: low", "Its Keywords: low"],
)
def test_without_a_keyword_there_is_no_such_part(text: str) -> None:
    assert keywords_part(text) is None


def test_a_label_is_the_class_with_a_capital() -> None:
    assert [cue_label(name) for name in CLASSES] == ["Anger:", "Very happy:", "Neutral:"]
