"""EmoTale: sizes, baselines, languages, scales, and mistakes in one line."""

from pathlib import Path
from typing import Any

import pytest
import torch
from layouts.emotale import HEADER, LABELS, row, rows, write, write_table
from torch import Tensor

from lalm_ambig import baseline, describe, fit
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.distributions import js_divergence
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.crema_d.votes import CATEGORIES as CREMA_D_CLASSES
from lalm_ambig.corpora.emotale.corpus import EmoTale
from lalm_ambig.corpora.emotale.ratings import STEP_WORDS, STEPS
from lalm_ambig.corpora.preparing.prepared import prepare
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.prompts import load_glosses
from lalm_ambig.readouts.logits import answer_tokens


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "EmoTale")


def read(root: Path, **options: Any) -> list[Item]:
    return list(open_corpus("emotale", root, **options).read())


def test_a_clip_has_a_vote_of_each_rater_and_never_the_acted_emotion(root: Path) -> None:
    items = {item.id: item for item in read(root)}
    assert list(items) == [clip for clip in LABELS if clip.startswith("EN")]
    acted_happy = items["EN_001_H_3"]  # anger boredom happiness neutral sadness
    assert acted_happy.votes == (1, 0, 1, 1, 0)
    assert acted_happy.ratings == (("a1", 2), ("a2", 3), ("a3", 0))
    assert (acted_happy.speaker, acted_happy.split, acted_happy.text) == ("001", "test", None)
    assert items["EN_004_S_5"].votes == (0, 2, 0, 0, 1)


def test_the_languages_are_apart_and_a_speaker_of_both_is_one(root: Path) -> None:
    danish = read(root, language="da")
    assert [item.id for item in danish] == ["DK_001_H_1", "DK_002_B_4"]
    assert danish[0].speaker == read(root)[0].speaker == "001"


def test_without_boredom_the_classes_are_those_shared_with_crema_d(root: Path) -> None:
    corpus = EmoTale(root, boredom=False)
    items = {item.id: item for item in corpus.read()}
    assert corpus.categories.unseen_in(CREMA_D_CLASSES) == ()
    assert "EN_001_B_2" not in items and len(items) == 5
    assert items["EN_004_S_5"].votes == (0, 0, 0, 1)
    assert items["EN_004_S_5"].ratings == (("a1", 3),)
    assert "6 votes for boredom left out, and 1 clips that have no other (option boredom)" in corpus.notes()


@pytest.mark.parametrize(("target", "first"), [("arousal", 0), ("valence", 3), ("dominance", 4)])
def test_a_scale_has_nine_ordered_steps(root: Path, target: str, first: int) -> None:
    corpus = EmoTale(root, target=target)
    assert corpus.categories.ordered and corpus.categories.names == STEPS
    item = next(iter(corpus.read()))
    assert item.annotations[0] == {"arousal": 0, "valence": 3, "dominance": 4}[target] == first
    assert sum(item.votes) == 3
    assert set(load_glosses(corpus.prompt)) == set(STEP_WORDS)
    policy = Tiny()
    policy.load()
    answer_tokens(policy.text_ids, corpus.categories)  # refuses words with one first token


def shares(items: list[Item]) -> Tensor:
    return torch.tensor([item.label_dist for item in items], dtype=torch.float64)


def against_the_others(items: list[Item], classes: CategorySet) -> float:
    """Mean divergence of one rater's label and the other raters' distribution, over all votes with another beside."""
    one_hot = torch.eye(len(classes), dtype=torch.float64)
    scores = []
    for item in items:
        votes = torch.tensor(item.votes, dtype=torch.float64)
        for place in item.annotations:
            others = votes - one_hot[place]
            if others.sum():
                scores.append(js_divergence(others / others.sum(), one_hot[place]))
    return float(torch.stack(scores).mean())


@pytest.mark.parametrize(
    ("boredom", "count", "complete", "scores"),
    [(True, 350, 350, (0.513, 0.511, 0.258)), (False, 319, 236, (0.487, 0.479, 0.181))],
)
def test_the_english_part_has_the_published_baselines(
    shared_data: Path, boredom: bool, count: int, complete: int, scores: tuple[float, ...]
) -> None:
    corpus = EmoTale(shared_data / "EmoTale", boredom=boredom)
    items = list(corpus.read())
    target, width = shares(items), len(corpus.categories)
    uniform = js_divergence(target, torch.full_like(target, 1 / width)).mean()
    prior = js_divergence(target, target.mean(0).expand_as(target)).mean()
    one_rater = against_the_others(items, corpus.categories)
    assert len(items) == count and sum(sum(item.votes) == 3 for item in items) == complete
    assert [round(float(score), 3) for score in (uniform, prior, one_rater)] == list(scores)
    assert len({item.speaker for item in items}) == 14


def test_the_real_scales_are_read_and_the_danish_clips_are_asked_for(shared_data: Path) -> None:
    for target in ("arousal", "valence", "dominance"):
        items = read(shared_data / "EmoTale", target=target)
        assert len(items) == 350 and all(len(item.annotations) == 3 for item in items)
    if not list((shared_data / "EmoTale" / "wav").glob("DK_*")):
        with pytest.raises(InputError, match=r"none of the 450 clips with language da .* is in .*wav\."):
            read(shared_data / "EmoTale", language="da")


def test_it_is_described_and_answered_by_a_baseline_and_refused_by_fit(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    named = ["--corpus", "emotale", "--root", str(root)]
    assert describe.main(named) == 0
    assert baseline.main(["uniform", *named, "--out", str(tmp_path / "out")]) == 0
    assert "6 items of emotale, test split" in capsys.readouterr().out
    words = ["--policy=tiny", "--data=emotale", "--method=sft_kl_only", f"--data.corpus.root={root}"]
    monkeypatch.setattr("sys.argv", ["fit", *words, f"--run.root={tmp_path}", "--run.name=r"])
    with pytest.raises(InputError, match=r"splits train and validation have no items .* evaluation only"):
        fit.main()


def changed(place: int, value: str) -> list[list[str]]:
    """All rows, with a cell of the third changed."""
    found = rows()
    found[2][place] = value
    return found


CATEGORY, AROUSAL, ACTED = HEADER.index("a2_cat"), HEADER.index("a2_A"), HEADER.index("gt_emotion")
MISTAKES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "unknown label": (
        {"rows": changed(CATEGORY, "X")},
        {},
        r"csv:4: column 'a2_cat' must be one of A, B, .*'X'",
    ),
    "empty vote": ({"rows": changed(CATEGORY, "")}, {}, r"csv:4: column 'a2_cat' must be one of .* got ''"),
    "off the scale": (
        {"rows": changed(AROUSAL, "5.5")},
        {"target": "arousal"},
        r"csv:4: column 'a2_A' must be 1 to 5 in steps of 0.5, got '5.5'",
    ),
    "between steps": ({"rows": changed(AROUSAL, "1.25")}, {"target": "arousal"}, r"steps of 0.5, got '1.25'"),
    "slipped rows": (
        {"rows": changed(ACTED, "S")},
        {},
        r"csv:4: gt_emotion is 'S', but clip EN_001_H_3 is acted as",
    ),
    "no clip": ({"rows": changed(0, "clip7.wav")}, {}, r"csv:4: 'clip7' is no clip's name"),
    "a clip twice": ({"rows": [*rows(), rows()[0]]}, {}, r"csv:10: second row for clip EN_001_A_1"),
    "a row cut": ({"rows": [*rows()[:-1], rows()[-1][:9]]}, {}, r"csv:9: 9 columns, but the header has 14"),
    "two raters": (
        {"rows": [[*one[:9], one[-1]] for one in rows()], "header": [*HEADER[:9], HEADER[-1]]},
        {},
        r"csv:1: missing column 'a3_cat'",
    ),
    "a rater twice": (
        {"header": ["a1_cat" if name == "a2_cat" else name for name in HEADER]},
        {},
        r"csv:1: column 'a1_cat' stands there twice",
    ),
    "UTF-16": ({"encoding": "utf-16"}, {}, r"annotations.csv.*UTF-16"),
    "empty": ({"rows": [], "header": []}, {}, r"annotations.csv: the file is empty"),
    "a header alone": ({"rows": []}, {}, r"annotations.csv: no row has labels"),
    "wrong language": ({}, {"language": "de"}, r"language must be one of en, da, got 'de'"),
    "wrong target": ({}, {"target": "anger"}, r"target must be one of emotion, arousal, .* got 'anger'"),
    "a fold": ({}, {"fold": 0}, r"fold must be null, got 0: all items are tested"),
    "boredom in words": ({}, {"boredom": "no"}, r"boredom must be true or false, got 'no'"),
    "boredom of a scale": (
        {},
        {"boredom": False, "target": "valence"},
        r"boredom is a class of target emotion, and the target is valence\. Leave the option boredom out",
    ),
}


@pytest.mark.parametrize(("written", "options", "message"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_is_one_line(
    root: Path, written: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    write_table(root, **{"rows": rows(), **written})
    with pytest.raises(InputError, match=message) as raised:
        read(root, **options)
    assert "\n" not in str(raised.value)


def test_a_missing_table_and_missing_clips_say_what_was_looked_for(root: Path) -> None:
    for clip in (root / "wav").glob("DK_*"):
        clip.unlink()
    with pytest.raises(
        InputError, match=r"none of the 2 clips with language da that annotations.csv rates is"
    ):
        read(root, language="da")
    (root / "annotations.csv").unlink()
    (root / "annotations.csv").mkdir()
    with pytest.raises(
        InputError, match=r"annotations.csv is a folder, and must be a file\. EmoTale is in its"
    ):
        prepare(EmoTale(root), quiet=True)
    (root / "annotations.csv").rmdir()
    with pytest.raises(InputError, match=r"not found: annotations.csv under .*EmoTale\. EmoTale is in its"):
        read(root)


def test_the_ends_of_lines_of_windows_and_rows_that_are_left_out_change_no_other_row(root: Path) -> None:
    before = read(root)
    write_table(root, rows(), end="\r\n", encoding="utf-8-sig")
    assert read(root) == before
    write_table(root, [*rows(), row("EN_018_A_1", "AAQ", 9)])
    corpus = EmoTale(root, skip_bad_rows=True)
    assert list(corpus.read()) == before
    assert any("1 bad rows left out" in note for note in corpus.notes())
