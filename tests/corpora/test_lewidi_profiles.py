"""Profiles of annotators: the organisers' files of 2025, the entries of 2023, and malformed ones."""

import json
from pathlib import Path

import pytest
from layouts import lewidi as layout

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.lewidi.corpus import Lewidi
from lalm_ambig.corpora.lewidi.profiles import profile_of, profiles_of_entry


def written(root: Path, part: str, text: str) -> Lewidi:
    layout.write(root)
    layout.path_of(root, part, "annotators_meta").write_text(text, encoding="utf-8")
    return Lewidi(root, part=part)


def test_a_file_may_have_commas_before_braces_and_numbers_for_names(tmp_path: Path) -> None:
    text = '{"0": {"Age": 19.0, "Gender": "Female",},\n "Ann2": {"Age": "DATA_EXPIRED", "Gender": "Male"},\n}'
    assert written(tmp_path, "mp", text).annotator_profiles() == {
        "Ann0": "Age: 19; Gender: Female",
        "Ann2": "Gender: Male",
    }


def test_what_says_nothing_is_left_out() -> None:
    said = {
        "Age": "nan",
        "Gender": "CONSENT_REVOKED",
        "Nationality": "",
        "Student": None,
        "x": "Prefer not to say",
    }
    assert profile_of(said) == ""
    assert (
        profile_of({"Age": 26, "Degree": 2.5, "Job": "a\n b", "Flag": True})
        == "Age: 26; Degree: 2.5; Job: a b"
    )


def test_an_annotator_of_whom_nothing_is_known_has_no_profile(tmp_path: Path) -> None:
    assert written(tmp_path, "csc", '{"Ann1": {"Age": "nan"}}').annotator_profiles() == {}
    assert Lewidi(tmp_path, part="par").annotator_profiles() == {}  # no file


def test_entries_of_2023_say_it_by_name_or_by_group(tmp_path: Path) -> None:
    named = {"annotators": "Ann1,Ann2", "other_info": {"Ann1": "Moderate_Female", "Ann2": "Liberal_Female"}}
    assert profiles_of_entry(named) == {"Ann1": "Moderate, Female", "Ann2": "Liberal, Female"}
    info = {"annotators group": "group1,group2", "group1": "target group", "group2": "control group"}
    grouped = {"annotators": "Ann1, Ann2", "other_info": info}
    assert profiles_of_entry(grouped) == {"Ann1": "target group", "Ann2": "control group"}
    assert profiles_of_entry({"annotators": "Ann1", "other_info": {"domain": "BLM"}}) == {}
    layout.write(tmp_path)
    entry = {**layout.of_2023("A tweet", "Ann1,Ann2", "0,1"), **named}
    layout.write_entries(tmp_path, "armis", "dev", {"1": entry})
    assert Lewidi(tmp_path, part="armis").annotator_profiles() == profiles_of_entry(named)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected an object with an entry per annotator"),
        ('{"Ann1": "young"}', "annotator 'Ann1': expected an object, got 'young'"),
        ("{", "annotators_meta"),
    ],
)
def test_a_malformed_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        written(tmp_path, "mp", text).annotator_profiles()
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_the_real_sets_have_the_organisers_profiles(shared_data: Path) -> None:
    counts = {
        part: len(Lewidi(shared_data / "LeWiDi", part=part).annotator_profiles())
        for part in ("hs_brexit", "md_agreement", "conv_abuse", "armis", "mp", "csc", "par", "varierr_nli")
    }
    assert counts == {
        "hs_brexit": 6,
        "md_agreement": 0,
        "conv_abuse": 0,
        "armis": 3,
        "mp": 506,
        "csc": 815,
        "par": 4,
        "varierr_nli": 4,
    }
    meta = json.loads((shared_data / "LeWiDi/LeWiDi_3-2025/CSC/CSC_annotators_meta.json").read_text())
    assert len(meta) == 840  # of 25, age and gender are unknown
