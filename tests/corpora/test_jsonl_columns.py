"""Tables of somebody else as a corpus: columns by option, votes in every form, JSON Lines, CSV and parquet."""

import io
import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from lalm_ambig.config.corpus_options import option_values
from lalm_ambig.config.identity import identity_of
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.jsonl.columns import Columns
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.corpora.preparing.prepared import prepare


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


def write(folder: Path, *rows: dict[str, Any], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def csv(folder: Path, text: str, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def votes_of(root: Path, **options: Any) -> dict[str, dict[str, float]]:
    corpus = JsonLines(root, **options)
    names = corpus.categories.names
    return {item.id: dict(zip(names, item.votes, strict=True)) for item in corpus.read()}


COUNTS = {"anger": 2.0, "joy": 1.0}


@pytest.mark.parametrize(
    ("cells", "columns", "options"),
    [
        ({"label_counts": {"anger": 2, "joy": 1}}, {"votes": "label_counts"}, {}),
        ({"n_a": 2, "n_j": 1}, {"votes": {"anger": "n_a", "joy": "n_j"}}, {}),
        ({"anger": 2, "joy": 1}, {"votes": ["anger", "joy"]}, {}),
        ({"anger": 2, "joy": 1}, {"votes": "anger, joy"}, {}),
        ({"who": ["anger", "joy", "anger", None]}, {"votes": "who"}, {}),
        ({"who": "anger,joy, anger"}, {"votes": "who"}, {}),
        (
            {"who": [{"by": 1, "is": "anger"}, {"by": 2, "is": "joy"}, {"by": 3, "is": "anger"}]},
            {"votes": "who.is"},
            {},
        ),
        ({"who": {"is": ["anger", "joy", "anger"]}}, {"votes": "who.is"}, {}),
        (
            {"who": {"Ann1": "anger", "Ann2": "joy", "Ann3": "anger"}},
            {"votes": "who", "votes_as": "labels"},
            {},
        ),
        ({"c": [2, 1]}, {"votes": "c", "votes_as": "counts"}, {"categories": "anger,joy"}),
        ({"c": [0, 1, 0]}, {"votes": "c", "votes_as": "labels", "names": {"0": "anger", "1": "joy"}}, {}),
        ({"c": [0.0, 1.0, 0.0]}, {"votes": "c", "names": {"0": "anger", "1": "joy"}}, {}),
        ({"c": {"0": 2, "1": 1}}, {"votes": "c", "names": {"0": "anger", "1": "joy"}}, {}),
        (
            {"c": {"mad": 1, "furious": 1, "glad": 1}},
            {"votes": "c", "names": {"mad": "anger", "furious": "anger", "glad": "joy"}},
            {},
        ),
    ],
)
def test_votes_in_every_form(
    tmp_path: Path, cells: dict[str, Any], columns: dict[str, Any], options: Any
) -> None:
    path = write(tmp_path, {"id": "a", "text": "x", **cells})
    found = votes_of(path, columns=Columns(**columns), **(options or {"categories": "anger,joy"}))
    assert found == {"a": COUNTS}


@pytest.mark.parametrize(
    ("cells", "columns", "wrong"),
    [
        ({"v": {"anger": 1}}, {"votes": "w"}, r"no column 'w'; the row has id, text, v"),
        (
            {"v": [0, 1, 0]},
            {"votes": "v"},
            r"holds numbers, which may be counts or labels: 0.*votes_as counts or labels",
        ),
        ({"v": [1, 2, 3]}, {"votes": "v", "votes_as": "counts"}, r"3 counts for 2 classes: anger, joy"),
        ({"v": ["anger", "sad"]}, {"votes": "v"}, r"votes for unknown class 'sad': expected anger, joy"),
        (
            {"v": ["anger", "sad"]},
            {"votes": "v", "names": {"anger": "joy"}},
            r"label 'sad' is not among columns.names: anger",
        ),
        ({"v": []}, {"votes": "v"}, r"has no votes: they sum to 0"),
        ({"v": None}, {"votes": "v"}, r"has no votes: they sum to 0"),
        ({"v": "[1, 2"}, {"votes": "v"}, r"column 'v': not JSON"),
        ({"v": "{'anger': 1}"}, {"votes": "v"}, r"column 'v': not JSON.*Python's notation"),
        ({"v": {"anger": "many"}}, {"votes": "v"}, r"votes for 'anger' must be a number from 0 .*got 'many'"),
        ({"v": {"anger": -1}}, {"votes": "v"}, r"votes for 'anger' must be a number from 0 .*got -1"),
        ({"v": [["anger"]]}, {"votes": "v"}, r"column 'v' holds \['anger'\] where a label should be"),
        (
            {"v": {"anger": 1}},
            {},
            r"no column votes; the file has id, text, v: say with columns.votes",
        ),
        ({"v": {"anger": 1}}, {"votes": "v", "speaker": "actor"}, r"no column 'actor'; the row has"),
        ({"v": {"anger": 1}}, {"votes": "v", "text": "{text} {more}"}, r"no column 'more'; the row has"),
        (
            {"v": {"anger": 1}, "more": ""},
            {"votes": "v", "text": "{text} {more}"},
            r"'more' of the text's template holds ''",
        ),
        (
            {"v": {"anger": 1}, "part": "2021"},
            {"votes": "v", "split": "part"},
            r'"split" must be one of train, .*2021',
        ),
    ],
)
def test_what_is_not_understood_is_named_with_its_row(
    tmp_path: Path, cells: dict[str, Any], columns: dict[str, Any], wrong: str
) -> None:
    path = write(tmp_path, {"id": "a", "text": "x", **cells})
    with pytest.raises(InputError, match=rf"rows.jsonl:1: .*{wrong}"):
        votes_of(path, columns=Columns(**columns), categories="anger,joy")


def test_counts_in_a_list_need_the_classes(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "a", "text": "x", "c": [1, 2]})
    with pytest.raises(InputError, match=r"counts without names: the option categories"):
        votes_of(path, columns=Columns(votes="c", votes_as="counts"))


def test_labels_that_yaml_reads_as_numbers_are_the_same_labels(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "a", "text": "x", "l": ["0", 1, 0]})
    corpus = open_corpus("jsonl", path, columns={"votes": "l", "names": {0: "anger", 1: "joy"}})
    assert [item.votes for item in corpus.read()] == [(2, 1)]


def test_settings_that_contradict_or_are_unknown_are_refused() -> None:
    with pytest.raises(InputError, match=r"columns: votes_as is about one column"):
        Columns(votes=["a", "b"], votes_as="counts")
    for given, wrong in (
        ({"vote": "x"}, r"columns: unknown key 'vote': expected one of id, text"),
        ({"votes": 3}, r"columns: votes: got 3. Give a column, a list"),
        ({"names": "a"}, r"columns: names: got 'a'. Give an object"),
        (
            {"names": {"0": 1}},
            r"columns: names: 1 is no text. Give an object of label and class",
        ),
        ({"votes": [1, 2]}, r"columns: votes: 1 is no text. Give a column, a list"),
        ({"votes_as": "soft"}, r"columns: votes_as: got 'soft'. Write counts"),
        ("label", r"columns: expected KEY: COLUMN, got 'label'"),
    ):
        with pytest.raises(InputError, match=wrong):
            open_corpus("jsonl", "x.jsonl", columns=given)


def test_text_by_template_speaker_split_and_rationale(tmp_path: Path) -> None:
    row = {
        "uid": 7,
        "p": " A dog. ",
        "h": "It barks.",
        "l": ["e", "n"],
        "set": "dev",
        "who": "s",
        "why": "so",
    }
    other = {**row, "uid": 8, "set": "Train", "why": None}
    columns = Columns(
        id="uid", text="Premise: {p}\nHypothesis: {h}", votes="l", split="set", speaker="who", rationale="why"
    )
    first, second = JsonLines(write(tmp_path, row, other), columns=columns).read()
    assert (first.id, first.text) == ("7", "Premise: A dog.\nHypothesis: It barks.")
    assert (first.split, first.speaker, first.rationale) == ("validation", "s", "so")
    assert (second.split, second.rationale) == ("train", None)


def test_without_ids_rows_are_named_by_their_place(tmp_path: Path) -> None:
    path = write(tmp_path, *({"text": f"x{n}", "l": ["a", "b"]} for n in range(3)))
    corpus = JsonLines(path, columns=Columns(votes="l"))
    assert [item.id for item in corpus.read()] == ["rows/1", "rows/2", "rows/3"]
    assert "ids: the file's name and the row's number, since no column has any" in corpus.notes()


def test_a_column_that_is_spelt_otherwise_is_not_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "a", "text": "x", "Speaker ": "s", "l": ["a", "b"]})
    with pytest.raises(InputError, match=r"is column 'Speaker ' the speaker\? Say columns.speaker: Speaker"):
        votes_of(path, columns=Columns(votes="l"))
    assert votes_of(path, columns=Columns(votes="l", speaker="Speaker "))


def test_a_table_with_a_row_per_vote_is_refused_also_where_bad_rows_are_left_out(tmp_path: Path) -> None:
    table = csv(tmp_path, "id,rater,label,text\n1,r1,joy,x\n2,r1,joy,y\n1,r2,anger,x\n2,r2,joy,y\n")
    for skip in (False, True):
        with pytest.raises(
            InputError, match=r"rows.csv:4: id '1' comes again .* one row per vote is not read. Count"
        ):
            votes_of(table, columns=Columns(votes="label"), skip_bad_rows=skip)


def test_a_file_whose_name_does_not_tell_its_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"rows.tsv: the name ends with .tsv, .* Save it as one of .parquet, .csv"
    ):
        votes_of(csv(tmp_path, "id\ttext\n", "rows.tsv"), columns=Columns(votes="l"))


def test_a_csv_of_counts_and_what_is_wrong_with_one(tmp_path: Path) -> None:
    good = csv(tmp_path, 'id,text,anger,joy\n1,"Hi, ""you""\nthere",3,\n2,None,0,2.0\n')
    corpus = JsonLines(good, columns=Columns(votes=["anger", "joy"]))
    assert [(item.id, item.text, item.votes) for item in corpus.read()] == [
        ("1", 'Hi, "you"\nthere', (3, 0)),
        ("2", "None", (0, 2)),
    ]
    for text, wrong in (
        ("id,text,anger,joy\n1,x,3,many\n", r"rows.csv:2: votes for 'joy' must be a number .*'many'"),
        ("id,text,anger,joy\n1,x,1e999,1\n", r"rows.csv:2: votes for 'anger' must be a number .*got inf"),
        ("id,text,anger,joy\n1,x,3\n", r"rows.csv:2: 3 columns, but the header has 4"),
        ("id;text;anger;joy\n1;x;3;1\n", r"separated by semicolons"),
        ("id,text,anger,joy,joy\n1,x,3,1,1\n", r"column 'joy' stands there twice"),
        ("id,text,anger\n1,x,3\n", r"rows.csv:2: no column 'joy'; the row has id, text, anger"),
        ("id,text,anger,joy\n1,x,0,0\n", r"rows.csv:2: item '1' has no votes"),
        ("id,text,anger,joy\n1,,1,0\n", r"rows.csv:2: item '1' has neither"),
        ("id,text,anger,joy\n1,x,1,0\n1,y,1,0\n", r"rows.csv:3: id '1' was used before, in line 2"),
        ("", r"rows.csv: the file is empty"),
        ("id,text,anger,joy\n", r"rows.csv"),
    ):
        with pytest.raises(InputError, match=wrong):
            votes_of(csv(tmp_path, text), columns=Columns(votes=["anger", "joy"]))
    with pytest.raises(InputError, match=r"no column votes; the file has id, text, anger: say"):
        votes_of(csv(tmp_path, "id,text,anger\n1,x,3\n"))
    assert votes_of(csv(tmp_path, 'id,text,votes\n1,x,"{""a"": 1, ""b"": 2}"\n')) == {"1": {"a": 1, "b": 2}}


def sound(hz: float) -> bytes:
    memory = io.BytesIO()
    soundfile.write(memory, 0.3 * np.sin(hz * np.arange(8000)), 16_000, format="FLAC")
    return memory.getvalue()


def parquet(path: Path, rows: list[dict[str, Any]], features: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=datasets.Features(features).arrow_schema), path)
    return path


def test_parquet_with_sound_inside_and_named_labels(tmp_path: Path) -> None:
    features = {
        "audio": datasets.Audio(decode=False),
        "label": datasets.List(datasets.ClassLabel(names=["anger", "joy"])),
        "who": datasets.Value("string"),
    }
    rows: list[dict[str, Any]] = [
        {"audio": {"bytes": sound(0.1 + n / 20), "path": "x.flac"}, "label": [0, 1, 0], "who": f"s{n}"}
        for n in range(4)
    ]
    path = parquet(tmp_path / "data" / "train-00000-of-00001.parquet", rows, features)
    corpus = JsonLines(path, columns=Columns(votes="label", speaker="who"))
    prepared = prepare(corpus, quiet=True)
    items = list(prepared.items())
    assert [item.id for item in items] == [f"train-00000-of-00001/{n}" for n in range(1, 5)]
    assert dict(zip(prepared.categories.names, items[0].votes, strict=True)) == COUNTS
    clips = [Path(str(item.audio)) for item in items]
    assert [clip.read_bytes() for clip in clips] == [row["audio"]["bytes"] for row in rows]
    assert {clip.suffix for clip in clips} == {".flac"}
    assert items[0].duration_s == 0.5
    assert prepare(JsonLines(path, columns=Columns(votes="label", speaker="who")), quiet=True).from_cache


def test_a_folder_has_a_file_per_split_and_one_split_alone_says_nothing(tmp_path: Path) -> None:
    features = {
        "text": datasets.Value("string"),
        "v": {"a": datasets.Value("int64"), "b": datasets.Value("int64")},
    }
    row = {"text": "x", "v": {"a": 1, "b": 2}}
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001", "test"):
        parquet(tmp_path / "set" / "data" / f"{name}.parquet", [row, row], features)
    corpus = JsonLines(tmp_path / "set", columns=Columns(votes="v"))
    splits = [item.split for item in corpus.read()]
    assert (splits.count("train"), splits.count("validation"), splits.count("test")) == (4, 2, 2)
    assert not corpus.draws_splits
    for n in range(2):
        parquet(tmp_path / "one" / f"train-{n}.parquet", [row] * 6, features)
    alone = JsonLines(tmp_path / "one", columns=Columns(votes="v"))
    assert alone.draws_splits
    assert {item.split for item in alone.read()} == {"train", "validation", "test"}


def test_folders_that_do_not_say_what_to_read_are_refused(tmp_path: Path) -> None:
    row = {"id": "a", "text": "x", "votes": {"a": 1}}
    write(tmp_path / "mixed", row, name="train.jsonl")
    csv(tmp_path / "mixed", "id,text,a\n", name="test.csv")
    write(tmp_path / "unnamed", row, name="one.jsonl")
    write(tmp_path / "unnamed", row, name="two.jsonl")
    write(tmp_path / "deep" / "raw" / "x", row, name="train.jsonl")
    (tmp_path / "none").mkdir()
    for name, wrong in (
        ("mixed", r"files of several kinds in .*: test.csv, train.jsonl. Name one file"),
        ("unnamed", r"not all are called train, validation or test: one.jsonl, two.jsonl. Name one file"),
        ("deep", r"has no file that ends with .*; give one of its folders: raw/x"),
        ("none", r"has no file that ends with .parquet, .csv, .jsonl, .json"),
    ):
        with pytest.raises(InputError, match=wrong):
            votes_of(tmp_path / name)


def test_audio_by_path_stays_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "set" / "clips").mkdir(parents=True)
    (tmp_path / "set" / "clips" / "a.flac").write_bytes(sound(0.1))
    (tmp_path / "secret.flac").write_bytes(sound(0.1))
    path = write(tmp_path / "set", {"file_name": "clips/a.flac", "l": ["a", "b"]}, name="metadata.jsonl")
    columns = Columns(audio="file_name", votes="l")
    (item,) = JsonLines(path, columns=columns).read()
    assert item.audio == str(tmp_path / "set" / "clips" / "a.flac")
    for outside in ("../secret.flac", str(tmp_path / "secret.flac")):
        write(tmp_path / "set", {"file_name": outside, "l": ["a", "b"]}, name="metadata.jsonl")
        with pytest.raises(InputError, match=r"is not inside the file's folder"):
            list(JsonLines(path, columns=columns).read())


def test_options_of_a_command_line_reach_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path, {"key": "a", "s": "x", "l": ["a", "b"]})
    words = ["columns.votes=l", "columns.id=key", "columns.text=s", 'categories=["a", "b"]']
    corpus = open_corpus("jsonl", path, **option_values(words))
    assert [item.id for item in corpus.read()] == ["a"]
    assert corpus.settings()["columns"] == {"votes": "l", "id": "key", "text": "s"}
    with pytest.raises(InputError, match=r"--option: columns.id is a part of columns"):
        option_values(["columns=3", "columns.id=x"])


def test_columns_count_in_a_runs_identity_only_where_they_are_given() -> None:
    def identity(**init_args: Any) -> str:
        return identity_of(
            {"data": {"corpus": {"class_path": "JsonLines", "init_args": {"seed": 0, **init_args}}}}
        )

    assert identity(columns=None) == identity(ordered=False) == identity() != identity(ordered=True)
    assert len({identity(), identity(columns={"votes": "a"}), identity(columns={"votes": "b"})}) == 3


def test_a_changed_column_is_another_corpus_and_damaged_parquet_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, *({"id": n, "text": "x", "l": ["a", "b"], "m": ["b", "b"]} for n in range(3)))
    for column, votes in (("l", (1, 1)), ("m", (0, 2))):
        corpus = JsonLines(path, columns=Columns(votes=column), categories="a,b")
        assert prepare(corpus, quiet=True).items()[0].votes == votes
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match=r"x.parquet: cannot be read as parquet"):
        votes_of(tmp_path / "x.parquet")


def test_labels_may_be_fractions_where_they_are_said_to_be_labels(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    rows = [
        {"id": "a", "text": "x", "ann": [-1.0, 0.0, 0.5]},
        {"id": "b", "text": "y", "ann": [0.5, 0.5, 0.0]},
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    names = ["-1", "0", "0.5"]
    given: dict[str, Any] = {"categories": names, "ordered": True}
    labels = Columns(votes="ann", votes_as="labels")
    assert votes_of(path, columns=labels, **given) == {
        "a": {"-1": 1, "0": 1, "0.5": 1},
        "b": {"-1": 0, "0": 1, "0.5": 2},
    }
    with pytest.raises(
        InputError, match=r"which may be counts or labels.*what labels mean\. So are all 2 rows\.$"
    ):
        votes_of(path, columns=Columns(votes="ann"), **given)
    renamed = Columns(votes="ann", names={"-1": "less", "0": "same", "0.5": "more"})
    assert votes_of(path, columns=renamed)["b"] == {"less": 0, "more": 2, "same": 1}
