"""The cue of a class that leads: from the best measure there is, and never against the class."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_curation.acoustic.argument import AGAINST, BESIDE, EXPECTED, HINT, argue, evidence
from data_curation.acoustic.terms import (
    NO_PROFILE,
    NOTHING,
    ON_THE_WHOLE,
    TERMS,
    Standing,
    says_nothing,
    voice_of,
)
from data_curation.acoustic.writer import compose
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.types import Item

CLASSES = CategorySet(("anger", "disgust", "fear", "happiness", "neutral", "sadness"))


def cue_of(scores: dict[str, float], *votes: float) -> list[str]:
    """The cues for anger, disgust, … with these votes, in the order of the votes."""
    item = Item(id="x", votes=(*votes, *(0.0,) * (len(CLASSES) - len(votes))), text="It's eleven o'clock")
    standing = Standing(scores, against="speaker", pause_count=0)
    reasoning = compose(item, standing, CLASSES, pick=lambda options: options[0])
    return [cue.cue for cue in reasoning.class_cues]


def filled(template: str, phrase: str) -> str:
    return f"{template.format(phrase)}."


def test_a_leader_is_supported_by_what_fits_then_by_what_leans_its_way_then_by_what_it_leaves_open() -> None:
    against = {"pitch_st": -3.0, "level_db": -1.5}
    assert cue_of({**against, "tilt_db": 0.6}, 3.0) == [filled(HINT[0], "a slightly bright timbre")]
    assert cue_of({**against, "tilt_db": 0.3}, 3.0) == [filled(HINT[0], "a faintly bright timbre")]
    assert cue_of({**against, "tilt_db": -0.3}, 3.0) == [f"{ON_THE_WHOLE[0]}."]
    beside = {**against, "harmonicity_db": -1.3, "pitch_slope_st_s": 0.6}
    assert cue_of(beside, 3.0) == [filled(BESIDE[0], "breathy or rough voice quality")]
    assert cue_of(against, 3.0) == [f"{ON_THE_WHOLE[0]}."]


def test_a_class_behind_the_leader_hears_what_speaks_against_it() -> None:
    against = {"level_db": -1.5, "tilt_db": 0.4}
    opposed = f"{NOTHING[0]}; {AGAINST[0].format('lowered volume')}."
    assert cue_of({"level_db": -1.5}, 2.0, 0.0, 3.0)[1] == opposed
    assert cue_of(against, 2.0, 0.0, 3.0)[1].startswith(NOTHING[0]), "a lean is no cue for a class behind"


def test_classes_that_lead_together_are_both_leaders() -> None:
    tied = cue_of({"level_db": -1.5}, 2.0, 0.0, 0.0, 2.0)
    assert not any(says_against(cue) or cue.startswith(NOTHING) for cue in tied)
    apart = cue_of({"level_db": -1.5}, 2.0, 0.0, 0.0, 1.0)
    assert says_against(apart[1])


def says_against(cue: str) -> bool:
    return any(words.format("") in cue for words in AGAINST)


@given(
    scores=st.dictionaries(st.sampled_from(sorted(TERMS)), st.floats(-5, 5)),
    names=st.permutations(sorted(EXPECTED)),
    leaders=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_no_leading_class_is_contradicted(
    scores: dict[str, float], names: list[str], leaders: int, seed: int
) -> None:
    pick = random.Random(seed).choice
    voice = voice_of(Standing(scores, against="speaker", pause_count=0), pick=pick)
    for cue in argue(names, voice, leaders=leaders, pick=pick)[:leaders]:
        assert not says_against(cue.cue) and not cue.cue.startswith(NOTHING)


@pytest.mark.parametrize("leaders", [1, 2])
def test_a_class_without_a_profile_says_so_wherever_it_stands(leaders: int) -> None:
    voice = voice_of(Standing({"level_db": 3.0}, "corpus", 0), pick=lambda options: options[0])
    cues = argue(["calm", "anger"], voice, leaders=leaders, pick=lambda options: options[0])
    assert cues[0].cue == f"{NO_PROFILE}."


def test_evidence_tells_what_leans_from_what_is_usual_and_what_is_beside_the_profile() -> None:
    scores = {"level_db": 0.3, "pitch_st": 0.2, "tilt_db": -0.3, "harmonicity_db": 0.6, "pause_share": 0.4}
    found = evidence("anger", Standing(scores, "speaker", 0))
    assert (found.fitting, found.leaning, found.opposing) == ((), ("level_db",), ())
    assert found.beside == ("harmonicity_db",), "a faint measure is no cue"
    assert evidence("neutral", Standing({"level_db": -0.4}, "speaker", 0)).fitting == ("level_db",)
    assert evidence("neutral", Standing({"level_db": -0.4}, "speaker", 0)).leaning == ()


def test_a_cue_that_names_nothing_is_counted_as_such() -> None:
    assert all(says_nothing(f"{cue}.") for cue in (*NOTHING, *ON_THE_WHOLE, NO_PROFILE))
    assert not says_nothing(filled(BESIDE[0], "raised volume"))
