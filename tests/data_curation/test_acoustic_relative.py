"""A clip's scores against other clips."""

from dataclasses import replace

import pytest

from data_curation.acoustic.argument import EXPECTED, evidence
from data_curation.acoustic.measure import Measurement
from data_curation.acoustic.relative import SMALLEST_SCALE, standing_among
from data_curation.acoustic.terms import TERMS, Standing, direction, grade, lean

CLIP = Measurement(
    level_db=-30.0,
    level_range_db=10.0,
    rate_syl_s=5.0,
    pause_count=0,
    pause_share=0.0,
    pitch_hz=200.0,
    pitch_st=12.0,
    pitch_range_st=6.0,
    pitch_slope_st_s=-3.0,
    tilt_db=-10.0,
    harmonicity_db=6.0,
)


def others(*levels: float) -> list[Measurement]:
    return [replace(CLIP, level_db=level) for level in levels]


def test_a_score_is_the_distance_to_the_median_in_robust_deviations() -> None:
    # Median -30, absolute deviations 0 2 2 4 10: their median 2, times 1.4826.
    clips = others(-30.0, -28.0, -32.0, -34.0, -20.0)
    score = standing_among(replace(CLIP, level_db=-24.0), clips, against="speaker").scores["level_db"]
    assert score == pytest.approx(6 / (2 * 1.4826))


def test_a_very_even_speaker_is_measured_with_the_least_scale() -> None:
    score = standing_among(
        replace(CLIP, level_db=-29.5), others(-30.0, -30.0, -30.0, -30.0), against="speaker"
    ).scores["level_db"]
    assert score == pytest.approx(0.5 / SMALLEST_SCALE["level_db"])


def test_contour_and_pauses_are_judged_by_themselves() -> None:
    scores = standing_among(
        replace(CLIP, pause_share=0.24, pause_count=1), others(-30.0, -30.0), against="corpus"
    ).scores
    assert scores["pitch_slope_st_s"] == pytest.approx(-1.0)
    assert scores["pause_share"] == pytest.approx(2.0)


def test_what_was_not_measured_has_no_score() -> None:
    mute = replace(CLIP, pitch_st=None, pitch_slope_st_s=None, tilt_db=None)
    scores = standing_among(mute, others(-30.0, -31.0), against="speaker").scores
    assert not {"pitch_st", "pitch_slope_st_s", "tilt_db"} & set(scores)
    assert "level_db" in scores


def test_every_score_has_a_term_and_every_expectation_a_score() -> None:
    measured = set(standing_among(CLIP, others(-30.0, -31.0), against="speaker").scores)
    assert measured == set(TERMS)
    assert {name for profile in EXPECTED.values() for name in profile} <= measured


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.0, "usual"), (-0.24, "usual"), (0.25, "faint"), (-0.49, "faint"), (-0.5, "slight"),
        (1.2, "clear"), (-2.2, "far"), (3.39, "far"), (3.4, "extreme"), (-9.0, "extreme"),
    ],
)  # fmt: skip
def test_grades_follow_the_stated_thresholds(score: float, expected: str) -> None:
    assert grade(score) == expected
    sign = 1 if score > 0 else -1
    assert direction(score) == (0 if expected in ("usual", "faint") else sign)
    assert lean(score) == (0 if expected == "usual" else sign)


def test_evidence_for_a_class_goes_its_way_and_prefers_what_is_not_yet_used() -> None:
    standing = Standing(
        scores={"level_db": 2.0, "pitch_st": 1.6, "tilt_db": -1.0}, against="speaker", pause_count=0
    )
    assert evidence("anger", standing).fitting == ("level_db", "pitch_st")
    assert evidence("anger", standing, used={"level_db"}).fitting == ("pitch_st", "level_db")
    assert evidence("anger", standing).opposing == ("tilt_db",)
    assert evidence("sadness", standing).fitting == ("tilt_db",)
    assert evidence("neutral", standing).fitting == ()
    assert evidence("neutral", standing).opposing[0] == "level_db"
    assert evidence("entailment", standing).fitting == evidence("entailment", standing).opposing == ()
