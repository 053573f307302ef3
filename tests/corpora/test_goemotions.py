"""GoEmotions: how raters are counted, who is left out, what is drawn, and every wrong file in one line."""

import csv
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from layouts.goemotions import COMMENTS, row, rows, write, write_csv

from lalm_ambig.core.categories import canonical_key
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.goemotions.corpus import GoEmotions, check_count
from lalm_ambig.corpora.goemotions.rows import EKMAN, LABELS
from lalm_ambig.describe import main as describe
from lalm_ambig.prompts import fill_classes, load_glosses, load_prompt, prompt_parts

VOTES = {  # anger disgust fear joy sadness surprise neutral
    "c00": (1, 0, 0, 0, 2, 0, 0),
    "c01": (2, 1, 0, 0, 0, 0, 0),
    "c02": (0, 0, 0, 4, 0, 1, 1),
    "c03": (0, 0, 0, 0, 0, 2, 1),
    "c05": (0, 0, 0, 1, 0, 0, 2),
    "c06": (0, 0, 0, 2, 0, 0, 1),
    "c07": (0, 0, 3, 0, 0, 0, 0),
    "c08": (0, 3, 0, 0, 0, 0, 0),
    "c09": (0, 0, 0, 0, 0, 0, 3),
}
"""Worked out by hand from COMMENTS; c04 has one rater with a label."""
TABLE_4 = (
    "joy: admiration amusement approval caring desire excitement gratitude joy love optimism pride relief;"
    "sadness: disappointment embarrassment grief remorse sadness; anger: anger annoyance disapproval;"
    "surprise: confusion curiosity realization surprise; fear: fear nervousness; disgust: disgust; neutral: neutral"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "goemotions")


def read(root: Path, **options: Any) -> list[Item]:
    return list(GoEmotions(root, **options).read())


def votes_of(items: Sequence[Item]) -> dict[str, tuple[float, ...]]:
    return {item.id: item.votes for item in items}


def comments(
    count: int, labels: Sequence[str] = ("joy", "joy", "neutral")
) -> dict[str, tuple[str, Sequence[str]]]:
    return {f"n{n:04d}": (f"text {n}", labels) for n in range(count)}


def test_a_rater_counts_once_in_a_class_and_in_every_class_that_the_labels_fall_into(root: Path) -> None:
    items = read(root)
    assert votes_of(items) == VOTES
    texts = {item.id: item.text for item in items}
    assert texts["c01"] == '>quoted\nThey said "never", and then, well…'
    assert all(item.audio is None and item.speaker is None for item in items)


def test_the_grouping_is_that_of_table_4() -> None:
    table = (line.split(":") for line in TABLE_4.split(";"))
    assert {name.strip(): set(labels.split()) for name, labels in table} == {
        name: set(labels) for name, labels in EKMAN.items()
    }
    assert len(set(LABELS)) == len(LABELS) == 28
    assert tuple(EKMAN) == ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")


def test_neither_the_order_of_rows_nor_a_file_read_twice_changes_a_vote(tmp_path: Path) -> None:
    shuffled = [*rows(), *rows()]
    random.Random(0).shuffle(shuffled)
    for number in range(3):
        write_csv(tmp_path / f"goemotions_{number}.csv", shuffled[number::3])
    corpus = GoEmotions(tmp_path)
    assert votes_of(list(corpus.read())) == VOTES
    assert f"{len(rows())} rows repeat a rater and a comment" in " ".join(corpus.notes())


def test_the_labels_of_one_rater_in_several_rows_are_united(tmp_path: Path) -> None:
    said = [row("a", "x", rater=1, labels=labels) for labels in ("joy", "?", "love anger", "anger")]
    path = write_csv(tmp_path / "goemotions_1.csv", said)
    assert read(path, min_raters=1)[0].votes == (1, 0, 0, 1, 0, 0, 0)


def test_comments_with_too_few_raters_who_gave_a_label_are_left_out_and_counted(root: Path) -> None:
    corpus = GoEmotions(root)
    assert "c04" not in votes_of(list(corpus.read()))
    assert list(corpus.notes()) == [
        "10 comments in 33 rows of 2 files (goemotions_1.csv, …)",
        "3 rows without a label (very unclear to their rater): no vote",
        "1 comments left out: the raters with a label are fewer than min_raters (3)",
    ]
    assert set(votes_of(read(root, min_raters=1))) == set(COMMENTS)
    assert set(votes_of(read(root, min_raters=4))) == {"c02"}


def test_where_nobody_has_enough_raters_one_line_says_how_many_there_are(root: Path) -> None:
    expected = (
        r"no comment has 6 raters with a label: 5 is the most, in 33 rows of 2 files .* option min_raters"
    )
    with pytest.raises(InputError, match=expected) as raised:
        read(root, min_raters=6)
    assert "\n" not in str(raised.value)


def test_the_draw_takes_at_most_so_many_of_a_majority_class_by_the_seed_alone(tmp_path: Path) -> None:
    mixed = {**comments(30), "s": ("sad", ["grief"] * 3), "tie": ("tie", ["joy", "fear", "joy fear"])}
    path = write_csv(tmp_path / "goemotions_1.csv", rows(mixed))
    drawn = read(path, per_class=10)
    majorities = Counter(tuple(EKMAN)[item.majority] for item in drawn)
    assert majorities == {"joy": 10, "sadness": 1, "fear": 1}
    backwards = write_csv(tmp_path / "backwards.csv", rows(mixed)[::-1])
    assert {item.id for item in read(backwards, per_class=10)} == {item.id for item in drawn}
    assert {item.id for item in read(path, per_class=10, seed=1)} != {item.id for item in drawn}
    order = [item.id for item in read(path, per_class=None)]
    assert order == list(mixed)
    assert [item.id for item in drawn] == [name for name in order if name in votes_of(drawn)]
    corpus = GoEmotions(path, per_class=10)
    list(corpus.read())
    assert "12 of 32 drawn: at most 10 of a class (option per_class)" in corpus.notes()


def test_by_default_a_thousand_of_a_class_are_drawn(tmp_path: Path) -> None:
    assert len(read(write_csv(tmp_path / "goemotions_1.csv", rows(comments(1001))))) == 1000


def test_the_split_is_70_15_15_and_seeded_and_the_same_text_is_in_one_part(
    tmp_path: Path, root: Path
) -> None:
    path = write_csv(tmp_path / "many.csv", rows(comments(200)))
    items = read(path)
    assert Counter(item.split for item in items) == {"train": 140, "validation": 30, "test": 30}
    assert {item.id: item.split for item in read(path, seed=1)} != {item.id: item.split for item in items}
    tests = [item.id for fold in range(5) for item in read(path, fold=fold) if item.split == "test"]
    assert sorted(tests) == [item.id for item in items]
    for seed in range(20):
        splits = {item.id: item.split for item in read(root, seed=seed)}
        assert splits["c05"] == splits["c06"]


@pytest.mark.parametrize("option", ["min_raters", "per_class"])
def test_wrong_options_are_refused(tmp_path: Path, option: str) -> None:
    expected = f"corpus goemotions: {option} must be a whole number of at least 1, got "
    for wrong in (0, -1, True):
        with pytest.raises(InputError, match=expected):
            GoEmotions(tmp_path, **{option: wrong})
    for other in (1.5, "3", None):  # what a command may pass on, whatever the signature says
        with pytest.raises(InputError, match=expected):
            check_count(option, other)


def test_describe_shows_the_corpus_and_its_options_reach_it(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    describe(
        [
            "--corpus",
            "goemotions",
            "--root",
            str(root),
            "--option",
            "min_raters=1",
            "--option",
            "per_class=null",
        ]
    )
    shown = capsys.readouterr()
    assert "10 comments in 33 rows" in shown.err
    assert re.search(r"items\W+10\b", shown.out)


def test_the_prompt_has_four_parts_and_its_glosses_are_not_the_grouping() -> None:
    glosses = load_glosses("text_emotion")
    assert set(glosses) == {canonical_key(name) for name in EKMAN}
    for mode in ("reason", "direct"):
        prompt = fill_classes(load_prompt("text_emotion", mode), tuple(EKMAN), glosses)
        [part] = prompt_parts(prompt, text="Oh great.", audio=False)
        lines = part["text"].split("\n")
        heads = [line.partition(":")[0] for line in lines if not line.startswith("- ")]
        assert [head for head in heads if head in ("Background", "Comment", "Task", "Form")] == [
            "Background",
            "Task",
            "Form",
            "Comment",
        ]
        assert 'Comment: "Oh great."' in lines
        assert [line.partition(":")[0] for line in lines if line.startswith("- ")] == [
            f"- {n}" for n in EKMAN
        ]
    assert any(
        label not in glosses[canonical_key(name)] for name, labels in EKMAN.items() for label in labels
    )


def test_the_real_rows_are_counted_as_by_a_count_of_its_own(shared_data: Path) -> None:
    folder = shared_data / "GoEmotions"
    corpus = GoEmotions(folder, min_raters=1, per_class=None)
    items = list(corpus.read())
    classes = {label.strip(): name.strip() for name, _, labels in _table() for label in labels.split()}
    chosen: dict[str, set[tuple[str, str]]] = defaultdict(set)
    with (folder / "goemotions_1.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            given = {(line["rater_id"], classes[label]) for label in classes if int(line[label])}
            chosen[line["id"]] |= given
    expected = {
        name: tuple(float(sum(got == wanted for _, got in pairs)) for wanted in EKMAN)
        for name, pairs in chosen.items()
        if pairs
    }
    assert votes_of(items) == expected
    assert len(items) == 4652
    assert Counter(len({rater for rater, _ in pairs}) for pairs in chosen.values()) == {
        0: 51,
        1: 4467,
        2: 185,
    }
    assert "4,703 comments in 4,895 rows of goemotions_1.csv" in corpus.notes()
    with pytest.raises(InputError, match="no comment has 3 raters with a label: 2 is the most"):
        read(folder)


def _table() -> list[tuple[str, str, str]]:
    return [line.partition(":") for line in TABLE_4.split(";")]


def test_each_rater_is_named_with_every_class_that_the_rater_chose(root: Path) -> None:
    corpus = GoEmotions(root)
    for item in corpus.read():
        counted = [0.0] * len(corpus.categories)
        for _, place in item.ratings:
            counted[place] += 1
        assert tuple(counted) == item.votes
    [both] = [item for item in corpus.read() if item.text == "[NAME] made my day 🎉"]
    named = [(name, corpus.categories.names[place]) for name, place in both.ratings]
    assert [label for _, label in named] == ["joy", "joy", "joy", "surprise", "joy", "neutral"]
    assert named[2][0] == named[3][0]
