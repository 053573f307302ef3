"""Emozionalmente by its documented columns: votes, sound in any folder, and mistakes in one line."""

from pathlib import Path
from typing import Any

import pytest
from layouts.emozionalmente import HEADER, VOTES, rows, write, write_votes

from lalm_ambig import baseline, describe, fit
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.crema_d.votes import CATEGORIES as CREMA_D_CLASSES


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "Emozionalmente")


def read(root: Path, **options: Any) -> list[Item]:
    return list(open_corpus("emozionalmente", root, **options).read())


def test_each_row_is_a_vote_and_evaluators_stay_with_theirs(root: Path) -> None:
    first, second, _ = read(root)
    assert (first.id, first.votes) == ("s1_e1", (3, 1, 0, 0, 1, 0, 0))
    assert first.ratings == (("10", 0), ("11", 0), ("12", 1), ("13", 0), ("14", 4))
    assert (second.votes, second.split, second.speaker) == ((0, 0, 0, 4, 0, 0, 1), "test", None)
    assert second.audio == str(root / "audio" / "s1_e2.wav")


def test_italian_names_and_the_ends_of_lines_of_windows_give_the_same_votes(root: Path) -> None:
    before = read(root)
    italian = {"anger": "Rabbia", "joy": "gioia", "neutrality": "neutralità", "fear": "PAURA"}
    translated = [[*row[:3], italian.get(row[3], row[3])] for row in rows()]
    write_votes(root, translated, end="\r\n", encoding="utf-8-sig")
    assert read(root) == before


def test_six_of_its_classes_are_those_of_crema_d(root: Path) -> None:
    assert open_corpus("emozionalmente", root).categories.unseen_in(CREMA_D_CLASSES) == ("surprise",)


def test_sound_may_be_in_any_folder_but_not_twice(root: Path) -> None:
    before = [item.id for item in read(root)]
    (root / "a" / "b").mkdir(parents=True)
    (root / "audio" / "s1_e1.wav").rename(root / "a" / "b" / "s1_e1.wav")
    assert [item.id for item in read(root)] == before
    (root / "audio" / "s1_e1.wav").write_bytes((root / "a" / "b" / "s1_e1.wav").read_bytes())
    with pytest.raises(InputError, match=r"two sound files for s1_e1: .* Move one of them out of the root"):
        read(root)


def test_sound_in_a_linked_folder_is_read_where_it_may_be_outside(root: Path, tmp_path: Path) -> None:
    before = [item.id for item in read(root)]
    (root / "audio").rename(tmp_path / "elsewhere")
    (root / "audio").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"audio leads to .*elsewhere, outside of .*allow_outside"):
        read(root)
    assert [item.id for item in read(root, allow_outside=True)] == before


def test_a_link_to_the_root_is_not_followed_for_ever(root: Path) -> None:
    before = read(root)
    (root / "metadata" / "again").symlink_to(root)
    (root / "beside").symlink_to(root / "metadata")
    assert read(root) == before


def test_it_is_described_and_answered_by_a_baseline_and_refused_by_fit(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    named = ["--corpus", "emozionalmente", "--root", str(root)]
    assert describe.main(named) == 0
    assert baseline.main(["uniform", *named, "--out", str(tmp_path / "out")]) == 0
    words = ["--policy=tiny", "--data=emozionalmente", "--method=sft_kl_only", f"--data.corpus.root={root}"]
    monkeypatch.setattr("sys.argv", ["fit", *words, f"--run.root={tmp_path}", "--run.name=r"])
    with pytest.raises(
        InputError, match=r"splits train and validation have no items .* no speakers are known"
    ):
        fit.main()


def changed(place: int, value: str) -> list[list[str]]:
    """All rows, with a cell of the second changed."""
    found = rows()
    found[1][place] = value
    return found


MISTAKES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "unknown label": (
        {"rows": changed(3, "boredom")},
        {},
        r"csv:3: column 'emotion_recognized' must be one of anger",
    ),
    "empty label": ({"rows": changed(3, "")}, {}, r"csv:3: column 'emotion_recognized' is empty"),
    "missing label": ({"rows": changed(3, "NaN")}, {}, r"csv:3: column 'emotion_recognized' is empty"),
    "a code": (
        {"rows": changed(3, "2")},
        {},
        r"csv:3: column 'emotion_recognized' must be one of .* got '2'",
    ),
    "no evaluator": ({"rows": changed(1, " ")}, {}, r"csv:3: column 'evaluator' is empty"),
    "no clip": ({"rows": changed(0, "")}, {}, r"csv:3: column 'file_name' is empty"),
    "a path": (
        {"rows": changed(0, "../x.wav")},
        {},
        r"csv:3: column 'file_name' must hold a file's name without",
    ),
    "an evaluator twice": (
        {"rows": [*rows(), rows()[0]]},
        {},
        r"csv:17: second vote of evaluator '10' on 's1_e1.wav'",
    ),
    "a row cut": ({"rows": [*rows(), ["s1_e1.wav", "9"]]}, {}, r"csv:17: 2 columns, but the header has 4"),
    "no header": ({"header": rows()[0]}, {}, r"csv:1: missing column 'file_name'"),
    "a column twice": (
        {"header": [*HEADER[:2], "evaluator", HEADER[3]]},
        {},
        r"column 'evaluator' stands there twice",
    ),
    "UTF-16": ({"encoding": "utf-16"}, {}, r"UTF-16"),
    "empty": ({"rows": [], "header": []}, {}, r"the file is empty"),
    "a header alone": ({"rows": []}, {}, r"evaluations.csv: no row has a vote"),
    "a fold": ({}, {"fold": 1}, r"fold must be null, got 1"),
    "a part": ({}, {"part": "x"}, r"unknown part 'x': expected none, it has no parts"),
}


@pytest.mark.parametrize(("written", "options", "message"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_is_one_line(
    root: Path, written: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    write_votes(root, **{"rows": rows(), **written})
    with pytest.raises(InputError, match=message) as raised:
        read(root, **options)
    assert "\n" not in str(raised.value)


def test_clips_without_sound_are_counted_and_none_at_all_is_an_error(root: Path) -> None:
    (root / "audio" / "s1_e1.wav").unlink()
    corpus = open_corpus("emozionalmente", root)
    assert len(list(corpus.read())) == 2 == len(VOTES) - 1
    assert corpus.notes()[0] == "2 of 3 clips with votes found"
    for path in (root / "audio").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"none of the 3 clips that have votes has a sound file below"):
        read(root)
