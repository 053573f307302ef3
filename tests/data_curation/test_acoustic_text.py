"""The acoustic writer's text is true of the measurement, graded like the votes, and free of numbers."""

import random
import re
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data_curation.acoustic.synthesis import (
    ALONE,
    FOLLOWING,
    FOLLOWING_MANY,
    LEADING,
    TIED,
    joined,
    level_of,
    synthesise,
)
from data_curation.acoustic.terms import NOTHING, TERMS, Standing, voice_of
from data_curation.acoustic.wording import remark_on
from data_curation.acoustic.writer import compose
from data_curation.filters import check
from data_curation.records import Reasoning
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.distributions import js_divergence
from lalm_ambig.core.types import Item

EMOTIONS = CategorySet(("anger", "disgust", "fear", "happiness", "neutral", "sadness"))


def says(subject: str, words: str, *, verb: str = "is ") -> str:
    """Matches `raised volume` and `volume is somewhat raised`."""
    return rf"\b(?:{words}) {subject}\b(?! range)|\b{subject} {verb}(?:\w+ )?(?:{words})\b"


MEANING = {
    "level_db": (says("volume", "raised|loud"), says("volume", "lowered|soft")),
    "level_range_db": (
        says("intensity", "uneven|varied", verb=""),
        says("intensity", "flat", verb=""),
    ),
    "rate_syl_s": (r"\b(brisk|fast)\b", r"\b(slow|unhurried)\b"),
    "pitch_st": (says("pitch", "raised|high"), says("pitch", "lowered|low")),
    "pitch_range_st": (r"\b(wide|broad)\b", r"\b(narrow|compressed)\b"),
    "pitch_slope_st_s": (r"\b(rising|rises|climbs)\b", r"\b(falling|falls|descends)\b"),
    "tilt_db": (r"\b(bright|tense)\b", r"\b(dark|lax)\b"),
    "harmonicity_db": (
        says("voice quality", "clear|resonant", verb=""),
        says("voice quality", "breathy or rough|noisy", verb=""),
    ),
    "pause_share": (r"\b(noticeable|audible) pausing\b", r"\babsent pausing\b"),
}
"""Patterns of this test's own: text that claims that a measure is above and below the usual."""

scores = st.fixed_dictionaries(
    {}, optional={name: st.floats(-4, 4) for name in TERMS if name != "level_db"}
).flatmap(lambda some: st.floats(-4, 4).map(lambda level: {"level_db": level, **some}))
panels = st.lists(st.integers(0, 9), min_size=6, max_size=6).filter(any)


def reasoning_of(scores: dict[str, float], votes: Sequence[float], *, seed: int = 0) -> Reasoning:
    if "pause_share" in scores:
        scores = {**scores, "pause_share": abs(scores["pause_share"])}
    scores = complete(scores)
    item = Item(id="x", votes=tuple(map(float, votes)), text="It's eleven o'clock")
    pauses = int(scores.get("pause_share", 0) > 0)
    standing = Standing(scores=scores, against="speaker", pause_count=pauses)
    return compose(item, standing, EMOTIONS, pick=random.Random(seed).choice)


def complete(scores: dict[str, float]) -> dict[str, float]:
    """Measures that are only ever measured together."""
    for group in (("pitch_st", "pitch_range_st", "level_range_db", "tilt_db", "harmonicity_db"),):
        if not all(name in scores for name in group):
            scores = {
                name: score for name, score in scores.items() if name not in (*group, "pitch_slope_st_s")
            }
    return scores


@given(scores=scores, votes=panels, seed=st.integers(0, 10_000))
def test_every_claim_about_the_voice_has_the_sign_of_its_measurement(
    scores: dict[str, float], votes: list[int], seed: int
) -> None:
    reasoning = reasoning_of(scores, votes, seed=seed)
    text = reasoning.as_text().casefold()
    for name, (above, below) in MEANING.items():
        score = scores.get(name, 0.0)
        if name == "pause_share":
            score = abs(score)
        if re.search(above, text):
            assert score >= 0.25, f"{name} {score}: {text}"
        if re.search(below, text):
            assert score <= -0.25, f"{name} {score}: {text}"


@given(level=st.floats(-4, 4), seed=st.integers(0, 10_000))
def test_a_marked_level_is_always_named_with_its_grade(level: float, seed: int) -> None:
    text = reasoning_of({"level_db": level}, [1, 0, 0, 0, 3, 0], seed=seed).volume
    words = {"usual": r"usual|ordinary", "faint": r"faintly|minimally", "slight": r"slightly|somewhat"}
    words |= {"clear": r"clearly|markedly|distinctly", "far": r"strikingly|exceptionally"}
    words |= {"extreme": r"extremely|enormously"}
    least = {"usual": 0.0, "faint": 0.25, "slight": 0.5, "clear": 1.2, "far": 2.2, "extreme": 3.4}
    expected = [name for name, size in least.items() if abs(level) >= size][-1]
    assert [name for name, pattern in words.items() if re.search(pattern, text)] == [expected]


@given(scores=scores, votes=panels, seed=st.integers(0, 10_000))
def test_no_number_no_markup_and_every_class_with_votes_has_a_cue(
    scores: dict[str, float], votes: list[int], seed: int
) -> None:
    reasoning = reasoning_of(scores, votes, seed=seed)
    assert check(reasoning, [float(vote) for vote in votes], EMOTIONS.names) == []
    assert not re.search(r"\d", reasoning.as_text())
    assert not re.search(
        r"\b(one|two|three|four|five|half|third|percent|votes?)\b", reasoning.as_text().casefold()
    )


@given(scores=scores, first=panels, second=panels)
def test_the_votes_change_nothing_in_the_description_of_the_voice(
    scores: dict[str, float], first: list[int], second: list[int]
) -> None:
    a, b = reasoning_of(scores, first), reasoning_of(scores, second)
    for field in ("keywords", "text_analysis", "volume", "speed", "pitch", "tone"):
        assert getattr(a, field) == getattr(b, field)


def test_a_class_that_nothing_supports_gets_an_honest_word() -> None:
    usual = dict.fromkeys(TERMS, 0.0)
    cues = {cue.category: cue.cue for cue in reasoning_of(usual, [1, 1, 1, 1, 5, 1]).class_cues}
    assert next(iter(cues)) == "neutral"
    assert re.search(r"usual|ordinary", cues["neutral"])
    assert all(cues[name].startswith(NOTHING) for name in ("anger", "fear", "happiness", "sadness"))


def test_a_class_without_a_known_vocal_pattern_says_so() -> None:
    classes = CategorySet(("calm", "anger"))
    standing = Standing(scores={"level_db": 3.0}, against="corpus", pause_count=0)
    reasoning = compose(Item(id="x", votes=(2.0, 1.0)), standing, classes, pick=random.Random(0).choice)
    assert reasoning.class_cues[0].cue == "no settled vocal pattern is known for it."
    assert "speaker" not in reasoning.volume


def first_of(options: Sequence[str]) -> str:
    return options[0]


def last_of(options: Sequence[str]) -> str:
    return options[-1]


SCALES = {"leading": LEADING, "tied": TIED, "following": FOLLOWING, "following many": FOLLOWING_MANY}


def test_no_wording_of_a_level_stands_within_that_of_another() -> None:
    levels = [[w.format("X") for w in ALONE]]
    levels += [[w.format("X") for w in wordings] for scale in (LEADING, TIED) for _, wordings in scale]
    levels += [
        [w.format("X") for w in (*one[1], *many[1])]
        for one, many in zip(FOLLOWING, FOLLOWING_MANY, strict=True)
    ]
    for i, mine in enumerate(levels):
        for j, theirs in enumerate(levels):
            if i != j:
                assert not [(a, b) for a in mine for b in theirs if a in b]


@pytest.mark.parametrize("scale", SCALES.values(), ids=list(SCALES))
def test_a_larger_share_never_gets_a_weaker_word(scale: tuple[tuple[float, tuple[str, ...]], ...]) -> None:
    ranks = [level_of(share / 100, scale) for share in range(101)]
    assert ranks == sorted(ranks, reverse=True)
    assert set(ranks) == set(range(len(scale)))


def read_back(text: str) -> list[float]:
    """The distribution that a reader takes from a synthesis: the middle of each wording's range, rescaled."""
    shares = [0.0] * len(EMOTIONS)
    for part in text.split("; "):
        names = [i for i, name in enumerate(EMOTIONS.names) if re.search(rf"\b{name}\b", part)]
        for scale in (LEADING, TIED, FOLLOWING, FOLLOWING_MANY):
            bounds = [1.0 if scale is LEADING else 0.5, *(least for least, _ in scale)]
            for (least, wordings), above in zip(scale, bounds[:-1], strict=True):
                cores = [max((piece.strip() for piece in w.split("{}")), key=len) for w in wordings]
                if any(core in part for core in cores):
                    for i in names:
                        shares[i] = (max(least, 0.2 if scale in (LEADING, TIED) else 0.03) + above) / 2
        if "unanimous" in part and "nearly" not in part:
            shares[names[0]] = 1.0
    return [value / sum(shares) for value in shares]


@given(votes=panels, seed=st.integers(0, 1000))
def test_a_reader_who_knows_the_scale_recovers_the_distribution(votes: list[int], seed: int) -> None:
    total = sum(votes)
    shares = sorted(
        ((name, vote / total) for name, vote in zip(EMOTIONS.names, votes, strict=True) if vote),
        key=lambda pair: -pair[1],
    )
    text = synthesise(shares, pick=random.Random(seed).choice)
    target = torch.tensor([vote / total for vote in votes])
    assert float(js_divergence(target, torch.tensor(read_back(text)))) < 0.06, text


@pytest.mark.parametrize("pick", [first_of, last_of])
def test_unanimity_near_unanimity_and_even_splits_read_differently(
    pick: Callable[[Sequence[str]], str],
) -> None:
    alone = synthesise([("fear", 1.0)], pick=pick)
    near = synthesise([("fear", 0.9), ("anger", 0.1)], pick=pick)
    split = synthesise([("fear", 0.5), ("anger", 0.5)], pick=pick)
    assert "unanimous" in alone and ";" not in alone
    assert "nearly" in near and "small following" in near
    assert "fear and anger" in split and "even" in split


def test_lists_are_joined_as_in_prose() -> None:
    assert [joined(["a"]), joined(["a", "b"]), joined(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        (None, "no transcript"),
        ("  ", "no transcript"),
        ("Where were you?", "question"),
        ("Go home!", "exclamation"),
        ("Don't forget a jacket", "reminder"),
        ("Maybe tomorrow it will be cold", "hedged wording"),
        ("I wonder what this is about", "musing"),
        ("The surface is slick", "plain statement"),
        ("What a wonderful day", "charged wording"),
        ("It is not wonderful", "plain statement"),
    ],
)
def test_a_remark_on_the_words_follows_their_form(text: str | None, keyword: str) -> None:
    assert remark_on(text, EMOTIONS.keys, pick=first_of).keyword == keyword


def test_a_charged_word_points_only_to_a_class_at_hand() -> None:
    remark = remark_on("What a wonderful day", ("anger", "neutral"), pick=first_of)
    assert remark.keyword == "plain statement"
    quoted = remark_on("What a wonderful day", EMOTIONS.keys, pick=first_of).sentence
    assert '"wonderful" suggests happiness' in quoted


def test_one_clip_is_spoken_of_in_the_same_words_throughout() -> None:
    standing = Standing(scores=dict.fromkeys(TERMS, 1.5), against="speaker", pause_count=1)
    voice = voice_of(standing, pick=random.Random(5).choice)
    assert voice.words["level_db"] in voice.adjective("level_db")
    assert voice.words["level_db"] in voice.phrase("level_db")


def test_one_class_and_several_are_graded_at_the_same_shares() -> None:
    assert [least for least, _ in FOLLOWING] == [least for least, _ in FOLLOWING_MANY]
    assert len(FOLLOWING) == 6
