"""IEMOCAP as distributed, on small folders in its layout: what becomes an item, and the folds."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from layouts.iemocap import FIRST, NEUTRAL, TURNS, block, relabel, write, write_dialogue

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.crema_d.votes import CATEGORIES as CREMA_D_CLASSES
from lalm_ambig.corpora.iemocap.corpus import Iemocap
from lalm_ambig.corpora.iemocap.votes import CATEGORIES
from lalm_ambig.describe import main as describe
from lalm_ambig.prompts import fill_classes, load_glosses, load_prompt


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "IEMOCAP_full_release")


def read(root: Path, **options: Any) -> dict[str, Item]:
    return {item.id: item for item in open_corpus("iemocap", root, **options).read()}


def notes(root: Path, **options: Any) -> list[str]:
    corpus = Iemocap(root, **options)
    list(corpus.read())
    return list(corpus.notes())


def test_a_rated_turn_becomes_an_item_with_sound_words_and_speaker(root: Path) -> None:
    items = read(root)
    item = items["Ses03M_impro05a_F000"]
    assert item.votes == (0, 0, 1, 2)
    assert item.text == "Words of F000. [LAUGHTER]"
    assert item.audio == str(root / "Session3/sentences/wav/Ses03M_impro05a/Ses03M_impro05a_F000.wav")
    assert list(items)[:4] == [f"{FIRST}_F000", f"{FIRST}_M000", f"{FIRST}_F002", "Ses01F_script01_3b_F000"]


def test_the_speaker_is_who_speaks_not_who_wears_the_markers(root: Path) -> None:
    items = read(root)
    assert items["Ses01F_impro01_M000"].speaker == "01M"
    assert items["Ses01M_impro05a_F000"].speaker == "01F"
    assert len({item.speaker for item in items.values()}) == 10


@pytest.mark.parametrize(
    ("several_tags", "votes"),
    [
        ("each", {"F000": (0, 0, 1, 2), "M000": (0, 3, 0, 1), "F001": (1, 0, 0, 0), "F002": (3, 0, 0, 0)}),
        ("first", {"F000": (0, 0, 1, 2), "M000": (0, 2, 0, 1), "F001": (1, 0, 0, 0), "F002": (3, 0, 0, 0)}),
        (
            "1/k",
            {"F000": (0, 0, 1, 1.5), "M000": (0, 2, 0, 1), "F001": (0.5, 0, 0, 0), "F002": (2.5, 0, 0, 0)},
        ),
    ],
)
def test_several_tags_of_one_rater_count_as_chosen(
    root: Path, several_tags: str, votes: dict[str, tuple[float, ...]]
) -> None:
    items = read(root, keep="all", several_tags=several_tags)
    assert {ending: items[f"{FIRST}_{ending}"].votes for ending in votes} == votes
    assert f"{FIRST}_M001" not in items


def test_items_are_chosen_by_the_code_of_the_header_and_labelled_by_the_votes(root: Path) -> None:
    blocks = {"F000": "sad", "M000": "xxx", "F001": "hap", "M001": "fea"}
    relabel(root, *(block(f"{FIRST}_{ending}", code, NEUTRAL) for ending, code in blocks.items()))
    found = {name: item for name, item in read(root).items() if name.startswith(FIRST)}
    assert set(found) == {f"{FIRST}_F000", f"{FIRST}_F001"}
    assert {item.votes for item in found.values()} == {(0, 0, 1, 2)}
    assert len([name for name in read(root, keep="all") if name.startswith(FIRST)]) == 4


def test_an_item_without_a_vote_in_the_four_classes_is_dropped_and_counted(root: Path) -> None:
    lines = ["C-E1:\tFrustration; Anger;\t()", "C-E2:\tSurprise;\t()", "C-E3:\t;\t()"]
    relabel(root, block(f"{FIRST}_F000", "ang", lines))
    assert read(root)[f"{FIRST}_F000"].votes == (1, 0, 0, 0)
    assert f"{FIRST}_F000" not in read(root, several_tags="first")
    line = "1 turns without a vote for anger, happiness, sadness, neutral: left out"
    assert line in notes(root, several_tags="first")


def test_self_reports_before_the_evaluators_and_the_last_block_count_as_elsewhere(root: Path) -> None:
    lines = ["C-F1:\tAnger;\t()", "C-M1:\tAnger;\t()", *NEUTRAL]
    relabel(root, block(f"{FIRST}_M000", "neu", lines), block(f"{FIRST}_F001", "neu", lines))
    items = read(root)
    assert items[f"{FIRST}_M000"].votes == items[f"{FIRST}_F001"].votes == (0, 0, 1, 2)


def test_bytes_that_are_not_utf8_and_a_byte_order_mark_do_no_harm(root: Path) -> None:
    path = relabel(root, block(f"{FIRST}_F000", "neu", ["C-E1:\tNeutral;\t(caf\xe9)", *NEUTRAL[1:]]))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace("\xe9".encode(), b"\xe9"))
    assert read(root)[f"{FIRST}_F000"].votes == (0, 0, 1, 2)


def test_what_was_left_out_is_counted_in_notes(root: Path) -> None:
    assert notes(root) == [
        "45 of 5,531 items found (75 rated turns, 15 of 151 dialogues)",
        "30 turns whose code is not ang, hap, exc, sad or neu: left out (option keep=all adds some)",
        "30 tags for other labels dropped: frustration 30",
    ]
    assert notes(root, keep="all") == [
        "60 items found (75 rated turns, 15 of 151 dialogues)",
        "15 turns without a vote for anger, happiness, sadness, neutral: left out",
        "75 tags for other labels dropped: frustration 45, disgust 15, surprise 15",
    ]


def test_an_unknown_tag_is_no_vote_and_is_named(root: Path) -> None:
    relabel(
        root,
        block(f"{FIRST}_F000", "neu", ["C-E1:\tBored;\t()", "C-E2:\tbored; Meh;\t()", "C-E3:\tNeutral;\t()"]),
    )
    assert read(root)[f"{FIRST}_F000"].votes == (0, 0, 0, 1)
    assert "3 tags are no known label, dropped: bored 2, meh 1" in notes(root)


@pytest.mark.parametrize(("fold", "session"), [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (None, 5)])
def test_each_fold_tests_on_one_session_and_validates_on_whole_dialogues_of_the_others(
    root: Path, fold: int | None, session: int
) -> None:
    items = read(root, fold=fold)
    splits: dict[str, set[str]] = {}
    for item in items.values():
        splits.setdefault(item.id[:-5], set()).add(item.split)
    assert all(len(found) == 1 for found in splits.values())
    tests = {dialogue for dialogue, found in splits.items() if found == {"test"}}
    assert tests == {dialogue for dialogue in splits if dialogue.startswith(f"Ses0{session}")}
    assert Counter(min(found) for found in splits.values()) == {"test": 3, "train": 11, "validation": 1}
    speakers = {name: {i.speaker for i in items.values() if i.split == name} for name in ("test", "train")}
    assert speakers["test"] == {f"0{session}F", f"0{session}M"}
    assert not speakers["test"] & speakers["train"]


def test_the_split_is_seeded_and_depends_on_nothing_else(root: Path) -> None:
    def validating(**options: Any) -> set[str]:
        return {item.id[:-5] for item in read(root, **options).values() if item.split == "validation"}

    assert validating() == validating(fold=4) == validating(keep="all") == validating(several_tags="first")
    assert len({frozenset(validating(seed=seed)) for seed in range(6)}) > 1


def test_the_same_scenario_with_the_markers_on_the_other_actor_is_another_dialogue(tmp_path: Path) -> None:
    for session in range(1, 6):
        for letter in "FM":
            write_dialogue(tmp_path, f"Ses0{session}{letter}_impro01")
    items = read(tmp_path)
    validating = {item.id[:-5] for item in items.values() if item.split == "validation"}
    assert len(validating) == 1
    other = validating.pop().translate(str.maketrans("FM", "MF"))
    assert {item.split for name, item in items.items() if name.startswith(other)} == {"train"}


def test_unknown_settings_are_refused(root: Path) -> None:
    with pytest.raises(InputError, match=r"corpus iemocap: keep must be one of consensus, all, got 'some'"):
        Iemocap(root, keep="some")
    with pytest.raises(InputError, match=r"several_tags must be one of each, first, 1/k, got 'last'"):
        Iemocap(root, several_tags="last")


def test_describe_shows_the_corpus_and_its_options_reach_it(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    describe(["--corpus", "iemocap", "--root", str(root), "--check-audio"])
    shown = capsys.readouterr()
    assert "iemocap: 45 of 5,531 items found (75 rated turns, 15 of 151 dialogues)" in shown.err
    for text in ("Corpus iemocap", "sadness", "Noise floor"):
        assert text in shown.out
    describe(
        ["--corpus", "iemocap", "--root", str(root), "--option", "keep=all", "--option", "several_tags=1/k"]
    )
    assert "60 items found" in capsys.readouterr().err


def test_every_emotion_of_the_speech_corpora_has_a_gloss_in_the_prompt() -> None:
    glosses = load_glosses("speech_emotion")
    podcast = ("angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    for mode in ("reason", "direct"):
        for names in (CATEGORIES.names, CREMA_D_CLASSES.names, podcast):
            lines = fill_classes(load_prompt("speech_emotion", mode), names, glosses).split("\n")
            assert [line.partition(": ")[0] for line in lines if line.startswith("- ")] == [
                f"- {n}" for n in names
            ]


def test_the_small_corpus_has_the_traps_it_is_meant_to_have(root: Path) -> None:
    folder = root / "Session1" / "dialog" / "EmoEvaluation"
    assert b"\r\n" in (folder / f"{FIRST}.txt").read_bytes()
    assert not (folder / f"{FIRST}.txt").read_bytes().endswith(b"\n")
    assert (folder / f"._{FIRST}.txt").is_file()
    assert (folder / "Categorical").is_dir()
    assert {code for code, _ in TURNS.values()} == {"neu", "exc", "xxx", "fru", "ang"}
