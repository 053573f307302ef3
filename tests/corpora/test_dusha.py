"""Dusha by its documented columns: votes, both forms of the files, speakers, and mistakes in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from layouts.dusha import HEADER, PARTS, Row, rows, write, write_podcasts, write_rows, write_sound

from lalm_ambig import baseline, describe
from lalm_ambig.config.corpus_options import option_values
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import named_part, open_corpus
from lalm_ambig.corpora.crema_d.votes import CATEGORIES as CREMA_D_CLASSES
from lalm_ambig.corpora.dusha.corpus import Dusha


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "Dusha")


def read(root: Path, **options: Any) -> dict[str, Item]:
    return {item.id: item for item in open_corpus("dusha", root, **options).read()}


def notes(root: Path, **options: Any) -> list[str]:
    corpus = open_corpus("dusha", root, **options)
    list(corpus.read())
    return list(corpus.notes())


def rewrite(root: Path, change: Callable[[list[Row]], Any], *, part: str = "crowd_train") -> None:
    """Write the rows of a part anew, changed in place."""
    changed = rows(part)
    change(changed)
    write_rows(root, part, changed)


def test_each_row_is_a_vote_and_annotators_stay_with_theirs(root: Path) -> None:
    items = read(root)
    first = items["c1"]
    assert first.votes == (3, 1, 1, 0)
    assert first.ratings == (("a0", 0), ("a1", 0), ("a2", 1), ("a3", 0), ("a4", 2))
    assert (first.text, first.speaker, first.part) == ("Включи свет", "crowd-s1", "crowd")
    assert first.audio == str(root / "crowd_train" / "wavs" / "c1.wav")
    assert items["c3"].text is None
    assert list(items) == ["c1", "c2", "c3", "c5", "c6", "t1", "t2"]


def test_what_the_actor_was_asked_for_and_the_duration_change_nothing(root: Path) -> None:
    before = read(root)
    rewrite(root, lambda all_rows: [row.update(speaker_emo="angry", duration=None) for row in all_rows])
    assert read(root) == before


def test_a_table_with_tabs_and_no_quotes_gives_the_same_items(root: Path) -> None:
    rewrite(root, lambda all_rows: [row.update(speaker_text='Он сказал: "да') for row in all_rows])
    before = read(root)
    for part in PARTS:
        (root / part / f"raw_{part}.jsonl").unlink()
    for ending in ("\n", "\r\n"):
        for part in PARTS:
            text = 'Он сказал: "да' if part == "crowd_train" else "Включи свет"
            path = write_rows(root, part, [{**row, "speaker_text": text} for row in rows(part)], ending="tsv")
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", ending.encode()))
        assert read(root) == before
    assert "votes from raw_crowd_train.tsv, raw_crowd_test.tsv" in notes(root)[0]


def test_numbers_and_nan_of_pandas_are_ids_and_gaps(root: Path) -> None:
    def as_numbers(all_rows: list[Row]) -> None:
        for row in all_rows:
            row["annotator_id"] = float(row["annotator_id"][1:])
            row["source_id"] = float(row["source_id"][1:]) if row["source_id"] else float("nan")
            row["golden_emo"] = row["golden_emo"] or float("nan")

    before = read(root)
    rewrite(root, as_numbers)
    items = read(root)
    assert {name: item.votes for name, item in items.items()} == {n: i.votes for n, i in before.items()}
    assert items["c1"].speaker == "crowd-1" and items["c1"].annotators[:2] == ("0", "1")
    assert items["c6"].speaker is None


def test_a_vote_for_other_leaves_the_clip_out_or_is_dropped(root: Path) -> None:
    assert not {"c4", "c7"} & set(read(root))
    assert "2 clips have a vote for other: left out (option other=ignore drops such votes instead)" in notes(
        root
    )
    ignoring = read(root, other="ignore")
    assert ignoring["c4"].votes == (0, 1, 1, 0) and ignoring["c4"].ratings == (("a0", 1), ("a2", 2))
    assert "c7" not in ignoring
    lines = notes(root, other="ignore")
    assert {"1 votes for other dropped", "1 clips have votes for other alone: left out"} <= set(lines)
    assert Dusha(root, other="ignore").full_name == "dusha (crowd, votes for other ignored)"


def test_control_tasks_are_left_out_whatever_else_their_rows_say(root: Path) -> None:
    def repeat(all_rows: list[Row]) -> None:
        control = next(row for row in all_rows if row["hash_id"] == "g1")
        all_rows += [control, {**control, "golden_emo": "", "annotator_id": "z"}]

    rewrite(root, repeat)
    assert "g1" not in read(root)
    assert "1 clips are control tasks (golden_emo): left out" in notes(root)


def test_a_tenth_of_the_speakers_of_the_train_part_validates_and_those_unknown_never_do(root: Path) -> None:
    many = [
        {**rows()[0], "hash_id": f"m{n}", "audio_path": f"wavs/m{n}.wav", "source_id": f"s{n % 40}"}
        for n in range(80)
    ]
    nameless = [
        {**row, "hash_id": f"u{n}", "audio_path": f"wavs/u{n}.wav", "source_id": ""}
        for n, row in enumerate(many)
    ]
    write_rows(root, "crowd_train", [*many, *nameless])
    for row in (*many, *nameless):
        (root / "crowd_train" / row["audio_path"]).write_bytes(
            (root / "crowd_train/wavs/c1.wav").read_bytes()
        )
    for seed in range(3):
        items = read(root, seed=seed)
        speakers = {
            split: {i.speaker for i in items.values() if i.split == split}
            for split in ("train", "validation")
        }
        assert len(speakers["validation"]) == 4
        assert not speakers["train"] & speakers["validation"]
        assert {item.split for name, item in items.items() if name.startswith("u")} == {"train"}
        assert {item.split for name, item in items.items() if name.startswith("t")} == {"test"}
    assert read(root, seed=1) != read(root, seed=2)
    found = notes(root)
    assert any(line.startswith("80 items of a train part have no speaker (source_id)") for line in found)
    assert any(
        line.startswith("2 speakers of a train part are in a test part, too") for line in found
    )  # s1, s8


def test_a_subset_of_the_sound_is_split_as_the_whole(root: Path) -> None:
    whole = {name: item.split for name, item in read(root).items()}
    (root / "crowd_train" / "wavs" / "c2.wav").unlink()
    assert {name: item.split for name, item in read(root).items()} == {
        n: s for n, s in whole.items() if n != "c2"
    }
    assert "1 clips have no sound file: left out (the first: c2)" in notes(root)


def test_podcasts_have_no_sound_and_change_nothing_of_the_crowd(root: Path) -> None:
    crowd = read(root)
    with pytest.raises(
        InputError, match=r"not found: podcast_train/raw_podcast_train\.jsonl under .* no sound"
    ):
        read(root, part="podcast")
    write_podcasts(root)
    assert read(root, part=None) == crowd
    with pytest.raises(InputError, match=r"none of the 9 clips .*: 7 have no sound file, the first pc1"):
        read(root, part="podcast")
    for kind in ("train", "test"):
        write_sound(root, f"crowd_{kind}")
        (root / f"podcast_{kind}" / "wavs").mkdir()
        for path in (root / f"crowd_{kind}" / "wavs").glob("[a-z]*.wav"):
            (root / f"podcast_{kind}" / "wavs" / f"p{path.name}").write_bytes(path.read_bytes())
    both = read(root, part=None)
    assert {name: both[name] for name in crowd} == crowd
    assert (both["pc1"].part, both["pc1"].speaker) == ("podcast", "podcast-s1")
    assert option_values(["part=null"]) == {"part": None}


def test_its_classes_are_four_of_crema_d(root: Path) -> None:
    assert Dusha(root).categories.positions_in(CREMA_D_CLASSES) == (0, 5, 4, 3)


def test_tables_name_part_and_target_and_the_part_is_found_in_them() -> None:
    assert [named_part(Dusha, name) for name in ("crowd", "crowd, votes for other ignored", None)] == [
        "crowd",
        "crowd",
        None,
    ]
    assert named_part(Dusha, "votes for other ignored") is None
    assert named_part(None, "x") == "x"


def put(column: str, value: object) -> Callable[[list[Row]], Any]:
    """Changes a cell of the second row, which is of clip c2."""
    return lambda all_rows: all_rows[1].update({column: value})


def again(column: str, value: object) -> Callable[[list[Row]], Any]:
    """Changes a cell of the second row of clip c1."""
    return lambda all_rows: [row for row in all_rows if row["hash_id"] == "c1"][1].update({column: value})


MISTAKES: dict[str, tuple[Callable[[list[Row]], Any], str]] = {
    "a label": (put("annotator_emo", "happy"), r"jsonl:2: annotator_emo must be one of angry, .*, other, got 'happy'"),
    "no label": (put("annotator_emo", None), r"jsonl:2: annotator_emo is empty"),
    "no annotator": (put("annotator_id", " "), r"jsonl:2: annotator_id is empty"),
    "no clip": (put("hash_id", ""), r"jsonl:2: hash_id is empty"),
    "a list": (put("hash_id", ["c2"]), r"jsonl:2: \"hash_id\" must be a text, got \['c2'\]"),
    "true": (put("source_id", True), r"jsonl:2: \"source_id\" must be a text, got True"),
    "out of the part": (put("audio_path", "../wavs/t1.wav"), r"audio_path must be .* got '\.\./"),
    "an absolute path": (put("audio_path", "/etc/passwd"), r"jsonl:2: audio_path must be a path below"),
    "a Windows path": (put("audio_path", "wavs\\c2.wav"), r"jsonl:2: audio_path must be a path below"),
    "a folder": (put("audio_path", "wavs/"), r"jsonl:2: audio_path must be a path below"),
    "no key": (lambda all_rows: all_rows[1].pop("golden_emo"), r"jsonl:2: a row needs the key \"golden_emo\"; this"),
    "a second vote": (again("annotator_id", "a0"), r"jsonl:9: second vote of annotator 'a0' on clip 'c1'"),
    "another speaker": (again("source_id", "s9"), r"jsonl:9: source_id of clip 'c1' is 's9', and an earlier row 's1'"),
    "another sound": (again("audio_path", "wavs/c2.wav"), r"jsonl:9: audio_path of clip 'c1' is 'wavs/c2"),
    "another text": (again("speaker_text", "Нет"), r"jsonl:9: speaker_text of clip 'c1' is 'Нет'"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), MISTAKES.values(), ids=MISTAKES)
def test_each_bad_row_is_one_line_or_left_out(
    root: Path, change: Callable[[list[Row]], Any], message: str
) -> None:
    rewrite(root, change)
    with pytest.raises(InputError, match=rf"{message}.*skip_bad_rows") as raised:
        read(root)
    assert "\n" not in str(raised.value)
    left = read(root, skip_bad_rows=True)
    assert sum(left["c1"].votes) + sum(left["c2"].votes) == 7
    assert any("1 bad rows left out" in line for line in notes(root, skip_bad_rows=True))


def test_one_sound_for_two_clips_and_a_clip_in_two_parts_are_refused(root: Path) -> None:
    def one_sound(all_rows: list[Row]) -> None:
        for row in all_rows:
            row["audio_path"] = row["audio_path"].replace("c2", "c1")

    rewrite(root, one_sound)
    with pytest.raises(InputError, match=r"jsonl:2: clips 'c1' and 'c2' have one sound file: wavs/c1\.wav"):
        read(root)
    assert "c2" not in read(root, skip_bad_rows=True)
    write_rows(root, "crowd_train", rows())
    rewrite(root, lambda all_rows: all_rows.append(rows()[0]), part="crowd_test")
    with pytest.raises(
        InputError,
        match=r"raw_crowd_test\.jsonl:9: clip 'c1' is in another part, too: .*crowd_train\.jsonl:1",
    ):
        read(root)
    assert read(root, skip_bad_rows=True)["c1"].split != "test"
    write_rows(root, "crowd_test", rows())
    with pytest.raises(
        InputError, match=r"is in another part, too: .*; so are .* of .* rows\. Mend the file"
    ):
        read(root, skip_bad_rows=True)


FILES: dict[str, tuple[str, str, str]] = {
    "commas": (
        ".tsv",
        ",".join(HEADER) + "\nc1,wavs/c1.wav\n",
        r"tsv:1: its columns are not separated by tabs",
    ),
    "no header": (
        ".tsv",
        "c1\twavs/c1.wav\t1.0\n",
        r"tsv:1: missing column 'hash_id'; the file has c1, wavs",
    ),
    "a column twice": (
        ".tsv",
        "\t".join([*HEADER, "hash_id"]) + "\n",
        r"tsv:1: column 'hash_id' stands there twice",
    ),
    "a header alone": (".tsv", "\t".join(HEADER) + "\n", r"raw_crowd_train\.tsv: no row has a vote"),
    "rows cut": (
        ".tsv",
        "\t".join(HEADER) + "\nc1\twavs\n",
        r"tsv:2: 2 columns, but the header has 9: is the row cut",
    ),
    "empty": (".jsonl", "", r"raw_crowd_train\.jsonl: no row has a vote"),
    "an array": (".jsonl", '[\n{"hash_id": "c1"}\n]', r"a JSON array in place of JSON Lines"),
    "a table named jsonl": (".jsonl", "\t".join(HEADER) + "\n", r"jsonl:1: not JSON"),
    "numbers": (".jsonl", "1\n2\n", r"jsonl:1: a row must be a JSON object, got int"),
}


@pytest.mark.parametrize(("ending", "text", "message"), FILES.values(), ids=FILES)
def test_each_wrong_file_is_one_line(root: Path, ending: str, text: str, message: str) -> None:
    path = root / "crowd_train" / "raw_crowd_train.jsonl"
    path.unlink()
    path.with_suffix(ending).write_text(text)
    with pytest.raises(InputError, match=message) as raised:
        read(root)
    assert "\n" not in str(raised.value)


def test_a_broken_byte_in_a_table_is_the_fault_of_its_row(root: Path) -> None:
    (root / "crowd_train" / "raw_crowd_train.jsonl").unlink()
    path = write_rows(root, "crowd_train", rows(), ending="tsv")
    path.write_bytes(path.read_bytes().replace("Включи".encode(), b"\xff", 1))
    with pytest.raises(InputError, match=r"tsv:2: not UTF-8: a broken byte at character"):
        read(root)
    assert sum(read(root, skip_bad_rows=True)["c1"].votes) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"other": "drop"}, r"other must be one of leave_out, ignore, got 'drop'"),
        ({"fold": 1}, r"fold must be null, got 1: the corpus says which clips are tested"),
        ({"part": "crowd_train"}, r"unknown part 'crowd_train': expected one of crowd, podcast"),
        ({"domain": "crowd"}, r"unknown option 'domain'"),
    ],
)
def test_each_wrong_option_is_one_line(root: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read(root, **options)
    assert "\n" not in str(raised.value)


def test_a_missing_part_sound_elsewhere_and_too_few_speakers_are_one_line(root: Path, tmp_path: Path) -> None:
    (root / "crowd_test").rename(tmp_path / "crowd_test")
    with pytest.raises(
        InputError, match=r"not found: crowd_test/raw_crowd_test\.jsonl under .*unpack crowd\.tar"
    ):
        read(root)
    (tmp_path / "crowd_test").rename(root / "crowd_test")
    rewrite(root, lambda all_rows: [row.update(source_id="s1") for row in all_rows])
    with pytest.raises(
        InputError, match=r"crowd_train has 1 speaker with a source_id, and needs two: a tenth"
    ):
        read(root)
    write_rows(root, "crowd_train", rows())
    (root / "crowd_train" / "wavs").rename(tmp_path / "wavs")
    (root / "crowd_train" / "wavs").symlink_to(tmp_path / "wavs")
    with pytest.raises(InputError, match=r"wavs leads to .*, outside of .*allow_outside") as raised:
        read(root)
    assert "skip_bad_rows" not in str(raised.value)
    assert len(read(root, allow_outside=True)) == 7


def test_it_is_described_and_answered_by_baselines(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    named = ["--corpus", "dusha", "--root", str(root)]
    assert describe.main([*named, "--json", str(tmp_path / "about.json"), "--check-audio"]) == 0
    about = json.loads((tmp_path / "about.json").read_text())
    assert (about["title"], about["splits"]["test"]) == ("dusha (crowd)", 2)
    assert about["agreement"]["annotators"] == 5
    for name in ("prior", "panel"):
        assert baseline.main([name, *named, "--out", str(tmp_path / name)]) == 0


def test_speakers_of_both_kinds_of_part_are_counted_and_unknown_ones_are_nobody(root: Path) -> None:
    def forget(all_rows: list[Row]) -> None:
        for row in all_rows:
            row["source_id"] = None if row["hash_id"] == "t1" else row["source_id"]

    rewrite(root, forget, part="crowd_test")
    assert any(note.startswith("1 speakers of a train part are in a test part") for note in notes(root))
