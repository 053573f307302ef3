"""The record of trained items: written, read, damaged; and what of a test set is in it."""

import json
from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item, Split
from lalm_ambig.corpora.base import Corpus, open_corpus
from lalm_ambig.corpora.duplicates.contents import contents
from lalm_ambig.corpora.preparing.prepared import prepare
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.trained_items import (
    FILE,
    EvaluatedItems,
    TrainedItem,
    TrainedItems,
    TrainedRun,
    overlap,
    read_trained_items,
    speaker_digest,
    trained_item,
    write_trained_items,
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def rows(
    path: Path, count: int = 40, *, ids: str = "i{}", speakers: int | None = None, says: str = ""
) -> Corpus:
    """A corpus of texts, each of its own."""
    lines: list[object] = [{"categories": ["a", "b"]}]
    for n in range(count):
        row = {
            "id": ids.format(n),
            "text": f"{says} the sentence of number {n} is this one",
            "votes": {"a": 1, "b": n},
        }
        lines.append(row if speakers is None else {**row, "speaker": f"s{n % speakers}"})
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return open_corpus("jsonl", path)


def of(corpus: Corpus, split: Split = "test") -> EvaluatedItems:
    prepared = prepare(corpus, quiet=True)
    apart = corpus.draws_speakers_apart
    return EvaluatedItems(corpus, list(prepared.items(split)), prepared.items(), speakers_apart=apart)


def trained_on(corpus: Corpus, name: str = "r") -> TrainedItems:
    prepared = prepare(corpus, quiet=True)
    items = [*prepared.items("train"), *prepared.items("validation")]
    own = tuple(trained_item(item, content) for item, content in zip(items, contents(items), strict=True))
    return TrainedItems((TrainedRun(name, corpus.settings(), own),))


def test_a_record_is_read_back_as_it_was_written_and_holds_no_speaker(tmp_path: Path) -> None:
    record = trained_on(rows(tmp_path / "rows.jsonl", speakers=8))
    before = TrainedRun("start", {"corpus": "demo", "fold": 2}, (TrainedItem("é", "validation", None, ""),))
    both = TrainedItems((*record.runs, before), ("nothing is known of x",))
    write_trained_items(tmp_path, both)
    assert read_trained_items(tmp_path) == both
    text = (tmp_path / FILE).read_text()
    assert '"s1"' not in text and "sentence" not in text and str(tmp_path) not in text
    assert str(speaker_digest("s1")) in text
    assert read_trained_items(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (1, "{"),
        (1, "[]"),
        (1, '{"trained_items": 1}'),
        (1, '{"trained_items": 1, "runs": [{"name": "r"}], "unknown": []}'),
        (2, '{"run": 7, "id": "a", "split": "train", "speaker": null, "content": ""}'),
        (2, '{"run": 0, "id": 7, "split": "train", "speaker": null, "content": ""}'),
        (2, '{"run": 0, "id": "a", "split": "seen", "speaker": null, "content": ""}'),
        (3, "null"),
        (3, "\udcff"),
    ],
)
def test_a_damaged_record_is_one_line_with_its_place(tmp_path: Path, line: int, text: str) -> None:
    write_trained_items(tmp_path, trained_on(rows(tmp_path / "rows.jsonl")))
    lines = (tmp_path / FILE).read_text().splitlines()
    lines[line - 1] = text
    (tmp_path / FILE).write_text("\n".join(lines), errors="surrogateescape")
    with pytest.raises(InputError, match=rf"{FILE}:{line}: not a record of trained items") as raised:
        read_trained_items(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_later_format_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"trained_items": 2, "runs": [], "unknown": []}\n')
    with pytest.raises(InputError, match="a record of format 2, not 1"):
        read_trained_items(tmp_path)


def test_the_own_test_is_clean_and_another_seed_s_is_not(tmp_path: Path) -> None:
    corpus = rows(tmp_path / "rows.jsonl")
    record = trained_on(corpus)
    assert overlap(record, of(corpus)) == Overlap(0, 0, 8)
    for options in ({"seed": 3}, {"fold": 1}):
        other = of(open_corpus("jsonl", corpus.root, **options))
        own = {item.id for item in of(corpus).items}
        expected = sum(item.id not in own for item in other.items)
        assert expected > 0
        assert overlap(record, other) == Overlap(expected, 0, 8, ("r",))
    for split, count in (("train", 28), ("validation", 4)):
        assert overlap(record, of(corpus, split)).items == count  # type: ignore[arg-type]


def test_the_same_file_elsewhere_is_the_same_corpus_and_a_copy_under_other_ids_is_matched_by_text(
    tmp_path: Path,
) -> None:
    record = trained_on(rows(tmp_path / "rows.jsonl"))
    assert not overlap(record, of(rows(tmp_path / "moved.jsonl"))).is_leaky
    copied = of(rows(tmp_path / "copy.jsonl", ids="z{}"))
    expected = sum(int(item.id[1:]) not in numbers(tmp_path) for item in copied.items)
    assert overlap(record, copied).items == expected > 0


def numbers(tmp_path: Path) -> set[int]:
    return {int(item.id[1:]) for item in of(open_corpus("jsonl", tmp_path / "rows.jsonl")).items}


def test_equal_ids_of_another_file_mean_nothing(tmp_path: Path) -> None:
    record = trained_on(rows(tmp_path / "rows.jsonl"))
    other = of(open_corpus("jsonl", rows(tmp_path / "other.jsonl", says="elsewhere").root, seed=3))
    assert overlap(record, other) == Overlap(0, 0, 8)


def test_duplicates_of_the_own_split_are_no_overlap(tmp_path: Path) -> None:
    path = rows(tmp_path / "rows.jsonl").root
    path.write_text(path.read_text().replace("of number", "of").replace(" 1 is", " 2 is"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines[1:]:
        line["text"] = "all say the very same long sentence"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    corpus = open_corpus("jsonl", path)
    assert overlap(trained_on(corpus), of(corpus)) == Overlap(0, 0, 8)


def test_speakers_of_trained_items_count_where_the_split_is_drawn_by_speaker(tmp_path: Path) -> None:
    corpus = rows(tmp_path / "rows.jsonl", speakers=10)
    record = trained_on(corpus)
    [run] = record.runs
    few = TrainedItems((TrainedRun("r", run.settings, run.items[:7]),))  # one item a training speaker
    other = of(open_corpus("jsonl", corpus.root, seed=3))
    heard = {item.speaker for item in run.items[:7]}
    trained = sum(item.id in {one.id for one in run.items[:7]} for item in other.items)
    spoken = sum(speaker_digest(item.speaker) in heard for item in other.items) - trained
    assert spoken > 0
    found = overlap(few, other)
    assert found == Overlap(trained, spoken, 8, ("r",))
    given = [json.loads(line) for line in corpus.root.read_text().splitlines()]
    for n, line in enumerate(given[1:]):
        line["split"] = ("train", "test", "validation")[n // 10 % 3]
    corpus.root.write_text("".join(f"{json.dumps(line)}\n" for line in given))
    corpus = open_corpus("jsonl", corpus.root)
    assert not overlap(
        trained_on(corpus), of(corpus)
    ).is_leaky  # as the file has it: counted elsewhere, not refused


def test_every_run_that_it_goes_on_from_counts_and_is_named(tmp_path: Path) -> None:
    corpus = rows(tmp_path / "rows.jsonl")
    other = open_corpus("jsonl", corpus.root, seed=3)
    chain = trained_on(corpus, "dpo").and_also(trained_on(other, "sft"))
    assert overlap(chain, of(corpus)).runs == ("sft",)
    assert overlap(chain, of(open_corpus("jsonl", corpus.root, seed=5))).runs == ("dpo", "sft")
    assert not chain.is_of_one_split and trained_on(corpus).is_of_one_split


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    corpus = rows(tmp_path / "rows.jsonl")
    found = overlap(TrainedItems(unknown=("nothing is known of x",)), of(corpus))
    assert found == Overlap(0, 0, 8, unchecked=("nothing is known of x",))
    assert found.notes == ("nothing is known of x",) and not found.is_leaky
    silent = TrainedRun("r", {"corpus": "crema_d"}, (TrainedItem("a", "train", None, ""),))
    [line] = overlap(TrainedItems((silent,)), of(corpus)).notes
    assert line.startswith("the sound of 1 of the 1 items of run r was not at hand")


@pytest.mark.parametrize(
    ("found", "mark", "what"),
    [
        (Overlap(0, 0, 9), "", ""),
        (Overlap(3, 0, 9, ("r",)), "3 of 9 items trained on", "run r trained on 3 of the 9 items"),
        (
            Overlap(0, 9, 9, ("r", "s")),
            "9 of 9 items by trained speakers",
            "9 of the 9 items are by speakers that runs r, s",
        ),
        (
            Overlap(1, 2, 9, ("r",)),
            "1 of 9 items trained on, 2 of 9 items by trained speakers",
            "2 other items are by",
        ),
    ],
)
def test_an_overlap_says_how_many_items_and_which_runs(found: Overlap, mark: str, what: str) -> None:
    assert found.mark == mark
    assert what in found.what
    assert found.is_leaky is bool(mark)
    assert [note.startswith("NOT A TEST: ") for note in found.notes] == ([True] if mark else [])


def test_an_item_is_by_the_same_speaker_whatever_its_id() -> None:
    one, other = (trained_item(Item(n, (1.0,), text="x", speaker="Ann"), "") for n in "ab")
    assert one.speaker == other.speaker != trained_item(Item("c", (1.0,), speaker="Bo"), "").speaker
