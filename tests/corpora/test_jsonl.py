"""JSON Lines: classes, splits, audio paths."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.jsonl.corpus import JsonLines

ROW = {"id": "a", "text": "hello", "votes": {"yes": 2, "no": 1}}


def write(folder: Path, *rows: object) -> Path:
    path = folder / "items.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(path: Path, **options: Any) -> list[Item]:
    return list(JsonLines(path, **options).read())


def test_declared_classes_give_order_and_verbalisers(tmp_path: Path) -> None:
    path = write(tmp_path, {"categories": ["yes", "no", "?"], "verbalisers": [" y", " n", " q"]}, "", ROW)
    corpus = JsonLines(path)
    assert corpus.categories.names == ("yes", "no", "?")
    assert corpus.categories.verbalisers == (" y", " n", " q")
    assert [item.votes for item in corpus.read()] == [(2, 1, 0)]
    assert corpus.notes()[0] == "classes: yes, no, ? (declared in the file)"


def test_an_option_gives_the_classes_where_the_file_does_not(tmp_path: Path) -> None:
    path = write(tmp_path, ROW)
    for names in ("yes, no,maybe", ["yes", "no", "maybe"]):
        corpus = JsonLines(path, categories=names)
        assert corpus.categories.names == ("yes", "no", "maybe")
        assert "the given ones" in corpus.notes()[0]
    declared = write(tmp_path, {"categories": ["no", "yes"]}, ROW)
    with pytest.raises(
        InputError, match=r"items\.jsonl:1: option categories is yes, no, but the file has no, yes"
    ):
        read(declared, categories="yes,no")


def test_otherwise_the_classes_are_the_sorted_union_and_a_note_says_so(tmp_path: Path) -> None:
    corpus = JsonLines(write(tmp_path, ROW, {"id": "b", "text": "x", "votes": {"maybe": 1.5}}))
    assert corpus.categories.names == ("maybe", "no", "yes")
    assert [item.votes for item in corpus.read()] == [(0, 1, 2), (1.5, 0, 0)]
    assert corpus.notes()[0] == "classes: maybe, no, yes (the names that votes have, sorted)"


def test_given_splits_are_kept(tmp_path: Path) -> None:
    rows = [{**ROW, "id": str(n), "split": split} for n, split in enumerate(("test", "train", "validation"))]
    corpus = JsonLines(write(tmp_path, *rows))
    assert [item.split for item in corpus.read()] == ["test", "train", "validation"]
    assert corpus.notes()[1] == "split: as the file says"
    with pytest.raises(InputError, match=r"fold 1 was asked for, but the rows have a split"):
        read(corpus.root, fold=1)


def test_seeded_splits_keep_a_speaker_together_and_cut_lone_items_70_10_20(
    jsonl_root: Path, tmp_path: Path
) -> None:
    by_speaker = {(item.speaker, item.split) for item in read(jsonl_root)}
    assert len(by_speaker) == 10
    assert Counter(split for _, split in by_speaker) == {"train": 7, "validation": 1, "test": 2}
    alone = write(tmp_path, *({**ROW, "id": str(n)} for n in range(50)))
    assert Counter(item.split for item in read(alone)) == {"train": 35, "validation": 5, "test": 10}


def test_audio_is_relative_to_the_file_and_text_items_have_none(jsonl_root: Path) -> None:
    first, second, *_ = read(jsonl_root)
    assert first.audio is None
    assert second.audio == str(jsonl_root.parent / "clips" / "1.wav")


@pytest.mark.parametrize("audio", ["../a.wav", "clips/../../a.wav", "/etc/a.wav"])
def test_audio_outside_the_folder_needs_the_option(tmp_path: Path, audio: str) -> None:
    path = write(tmp_path, {**ROW, "audio": audio})
    with pytest.raises(
        InputError, match=r"items\.jsonl:1: audio .* is not inside the file's folder.*allow_outside"
    ):
        read(path)
    assert str(read(path, allow_outside=True)[0].audio).endswith("/a.wav")


def test_a_relative_root_works_and_still_keeps_paths_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {**ROW, "audio": "a.wav"})
    monkeypatch.chdir(tmp_path)
    assert read(Path("items.jsonl"))[0].audio == str(tmp_path / "a.wav")
    write(tmp_path, {**ROW, "audio": "../a.wav"})
    with pytest.raises(InputError, match=r"not inside the file's folder"):
        read(Path("items.jsonl"))


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ({"categories": "yes"}, 'items.jsonl:1: "categories" must be a list of texts'),
        ({"categories": ["yes"]}, "items.jsonl:1: a category set needs at least 2 classes"),
        ({"categories": ["yes", "no"], "verbalisers": ["y"]}, "items.jsonl:1: 2 classes but 1 verbalisers"),
    ],
)
def test_a_wrong_declaration_is_an_error(tmp_path: Path, first: object, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(write(tmp_path, first, ROW))


def test_unknown_keys_are_noted_and_an_empty_file_or_folder_is_an_error(tmp_path: Path) -> None:
    corpus = JsonLines(write(tmp_path, {**ROW, "gender": "f"}))
    assert corpus.notes()[-1] == "keys without a meaning here: gender"
    with pytest.raises(InputError, match=r"items\.jsonl: the file is empty"):
        read(write(tmp_path))
    (tmp_path / "items.jsonl").unlink()
    with pytest.raises(InputError, match=r"corpus jsonl: .* has no file that ends with"):
        read(tmp_path)
