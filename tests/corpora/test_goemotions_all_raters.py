"""GoEmotions with all raters of a comment in one row: votes, the two samples that are never mixed, and mistakes."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from layouts.goemotions import LABELS

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.duplicates.contents import contents
from lalm_ambig.corpora.goemotions.corpus import GoEmotions
from lalm_ambig.evaluation.trained_items import (
    EvaluatedItems,
    TrainedItems,
    TrainedRun,
    overlap,
    trained_item,
)

HEADER = ["text", "rater_id", "example_very_unclear", *LABELS, "positive", "prob_positive"]
UNCLEAR = "?"
COMMENTS = {
    "That game hurt, and it will hurt for long": [
        "sadness",
        "sadness disappointment",
        "annoyance",
        "neutral",
    ],
    'They said "never", and then they said well': [
        "anger",
        "disapproval anger",
        "disgust",
        UNCLEAR,
        "neutral",
    ],
    "You made my day, and my whole week as well": ["joy", "love joy", "joy", "surprise", "neutral"],
}


def row(text: str, raters: Sequence[str], *, first: int = 1) -> dict[str, str]:
    """A row as the files spell it."""
    cells = {label: [int(label in given.split()) for given in raters] for label in LABELS}
    return {
        "text": text,
        "rater_id": str(list(range(first, first + len(raters)))),
        "example_very_unclear": str([given == UNCLEAR for given in raters]),
        **{label: str(values) for label, values in cells.items()},
        "positive": str([False] * len(raters)),
        "prob_positive": "0.4",
    }


def write(path: Path, rows: Sequence[Mapping[str, str]], *, end: str = "\n", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        lines = csv.DictWriter(file, list(rows[0]), lineterminator=end)
        lines.writeheader()
        lines.writerows(rows)
    return path


def rows() -> list[dict[str, str]]:
    return [row(text, raters) for text, raters in COMMENTS.items()]


def read(root: Path) -> list[Item]:
    return list(GoEmotions(root, per_class=None).read())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_rater_of_a_list_votes_and_an_unclear_one_does_not(tmp_path: Path, end: str) -> None:
    hurt, never, _ = read(write(tmp_path / "goe_rnd.csv", rows(), end=end))
    assert hurt.votes == (1, 0, 0, 0, 2, 0, 1)  # anger disgust fear joy sadness surprise neutral
    assert never.votes == (2, 1, 0, 0, 0, 0, 1)
    assert never.text == 'They said "never", and then they said well'
    assert never.ratings == (("1", 0), ("2", 0), ("3", 1), ("5", 6))
    assert len(hurt.id) == 12


def test_a_folder_of_one_kind_is_one_corpus_and_a_comment_of_two_files_one_item(tmp_path: Path) -> None:
    first, *others = rows()
    write(tmp_path / "goe_positive_dis.csv", [first, *others])
    write(tmp_path / "goe_negative_dis.csv", [first])
    corpus = GoEmotions(tmp_path, per_class=None)
    items = {item.id: item for item in corpus.read()}
    assert len(items) == 3
    assert sorted(sum(item.votes) for item in items.values()) == [4, 4, 5]
    assert "the comments were chosen for their disagreement: no random sample" in corpus.notes()


def test_the_two_samples_are_never_mixed(tmp_path: Path) -> None:
    write(tmp_path / "goe_rnd.csv", rows())
    write(tmp_path / "goe_positive_dis.csv", rows())
    with pytest.raises(
        InputError, match=r"goe_rnd.csv was drawn at random and .* Give one file as the root, as"
    ):
        read(tmp_path)


def test_a_comment_is_recognised_under_the_ids_of_the_release(tmp_path: Path) -> None:
    corpus = GoEmotions(write(tmp_path / "goe_rnd.csv", rows()), per_class=None)
    items = list(corpus.read())
    before = Item("eew5j0j", (1.0,) * 7, text=items[0].text)
    [content] = contents([before])
    run = TrainedRun("release", {"corpus": "goemotions"}, (trained_item(before, content),))
    found = overlap(TrainedItems((run,)), EvaluatedItems(corpus, items, items, speakers_apart=False))
    assert found.items == 1


def mistaken(column: str, value: str) -> list[dict[str, str]]:
    return [rows()[0], {**rows()[1], column: value}, rows()[2]]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (mistaken("joy", "[0, 0, 0, 0]"), r"csv:3: column 'joy' has 4 values, and there are 5 raters"),
        (mistaken("joy", "[0, 0, 2, 0, 0]"), r"csv:3: column 'joy' must be 0 or 1, got '2'"),
        (mistaken("joy", "0"), r"csv:3: column 'joy' must hold a list with a value per rater, got '0'"),
        (mistaken("joy", ""), r"csv:3: column 'joy' must hold a list .* got ''"),
        (mistaken("rater_id", "[1, 2, 2, 4, 5]"), r"csv:3: rater '2' is named twice for one comment"),
        (mistaken("rater_id", "[]"), r"csv:3: column 'rater_id' must hold a list"),
        (mistaken("rater_id", "[1, 2, , 4, 5]"), r"csv:3: column 'rater_id' must hold a list"),
        (
            mistaken("example_very_unclear", "[0, 2, 0, 1, 0]"),
            r"'example_very_unclear' must be True or False, got '2'",
        ),
        (
            mistaken("example_very_unclear", str([True] * 5)),
            r"marked as very unclear and has a label, 'anger'",
        ),
        (mistaken("text", " "), r"csv:3: column 'text' is empty"),
        ([{k: v for k, v in one.items() if k != "joy"} for one in rows()], r"csv:1: missing column 'joy'"),
    ],
)
def test_each_mistake_is_one_line(tmp_path: Path, written: list[dict[str, str]], message: str) -> None:
    path = write(tmp_path / "goe_rnd.csv", written)
    with pytest.raises(InputError, match=message) as raised:
        read(path)
    assert "\n" not in str(raised.value)


def test_another_encoding_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"UTF-16"):
        read(write(tmp_path / "goe_rnd.csv", rows(), encoding="utf-16"))


def test_the_real_files_have_four_or_five_raters_a_comment(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "GoEmotionsAllRaters"
    corpus: Corpus = GoEmotions(folder / "goe_rnd.csv", per_class=None, min_raters=1)
    raters = Counter(len(json.loads(cell)) for cell in column(folder / "goe_rnd.csv", "rater_id"))
    items = list(corpus.read())
    assert len(items) == 1000 and raters == {5: 897, 4: 103}
    assert corpus.notes()[0] == "1,000 comments in 4,897 rows of goe_rnd.csv"
    for path in folder.glob("*_dis.csv"):
        (tmp_path / path.name).symlink_to(path)
    chosen = {item.id for item in GoEmotions(tmp_path, per_class=None, min_raters=1).read()}
    assert (len(chosen), len(chosen - {item.id for item in items})) == (595, 565)
    with pytest.raises(InputError, match="as one corpus they would be a sample of nothing"):
        read(folder)


def column(path: Path, name: str) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return [line[name] for line in csv.DictReader(file)]
