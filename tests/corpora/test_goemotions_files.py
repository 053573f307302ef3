"""Where GoEmotions is found, and its rows through `datasets`: the same as from CSV, without a network."""

import json
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import datasets
import pytest
from layouts.goemotions import row, rows, write

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.goemotions.corpus import GoEmotions
from lalm_ambig.corpora.goemotions.rows import COLUMNS

FLAG = "example_very_unclear"


def read(root: Path, **options: Any) -> list[Item]:
    return list(GoEmotions(root, **options).read())


@pytest.fixture
def expected(tmp_path: Path) -> list[Item]:
    """The items of the small corpus, from CSV."""
    return read(write(tmp_path / "csv"))


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test of this file may reach for a network or leave anything in the user's cache."""

    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a network was asked for")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


def dataset(**changes: object) -> datasets.Dataset:
    """The small corpus as the hub has it: numbers as numbers, the flag as a truth value."""
    numbers = [{**values, "rater_id": int(str(values["rater_id"])), **changes} for values in rows()]
    return datasets.Dataset.from_list(numbers)


def simplified() -> datasets.Dataset:
    return datasets.Dataset.from_list([{"text": "hello", "labels": [27], "id": "a"}])


def two_parquet_files(root: Path) -> None:
    """A copy of the hub's repository, with both of its configurations."""
    for folder in ("simplified", "raw"):
        (root / folder).mkdir(parents=True)
        (root / folder / "._train-00000-of-00001.parquet").write_bytes(b"\x00macOS")
    simplified().to_parquet(root / "simplified" / "train-00000-of-00001.parquet")
    for part in range(2):
        shard = dataset().shard(2, part, contiguous=True)
        shard.to_parquet(root / "raw" / f"train-0000{part}-of-00002.parquet")


def cached(root: Path) -> None:
    """What `load_dataset` leaves in its cache."""
    source = root.parent / "source.parquet"
    dataset().to_parquet(source)
    loaded = datasets.load_dataset(
        "parquet", data_files=str(source), split="train", cache_dir=str(root.parent / "hub")
    )
    place = Path(loaded.cache_files[0]["filename"])
    place.parent.rename(root)


def json_lines(root: Path) -> None:
    root.mkdir()
    dataset().to_json(root / "raw.jsonl")
    (root / "dataset_info.json").write_text("{}")


def json_of_a_split(root: Path) -> None:
    root.mkdir()
    dataset().to_json(root / "train-00000-of-00001.json")


def arrow_with_cache(root: Path) -> None:
    """A saved dataset, beside it a result that `datasets` has cached."""
    dataset().save_to_disk(root)
    (root / "cache-1f2e.arrow").write_bytes(b"of no use")


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "repository": two_parquet_files,
    "saved": arrow_with_cache,
    "saved by split": lambda root: datasets.DatasetDict(train=dataset()).save_to_disk(root),
    "cache": cached,
    "json lines": json_lines,
    "json": json_of_a_split,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_dataset_gives_the_same_items_as_the_csv_files(
    tmp_path: Path, expected: list[Item], layout: str
) -> None:
    LAYOUTS[layout](tmp_path / "root")
    assert read(tmp_path / "root") == expected


@pytest.mark.parametrize("name", ["rows.parquet", "rows.jsonl"])
def test_one_file_of_a_dataset_may_be_the_root(tmp_path: Path, expected: list[Item], name: str) -> None:
    write_file = dataset().to_parquet if name.endswith("parquet") else dataset().to_json
    write_file(tmp_path / name)
    assert read(tmp_path / name) == expected


def test_a_bad_row_of_a_dataset_is_named_by_its_number(tmp_path: Path) -> None:
    good = [{**row("a", "fine", rater=0, labels="joy"), "rater_id": rater} for rater in range(1200)]
    path = tmp_path / "rows.parquet"
    datasets.Dataset.from_list([*good, {**good[0], "fear": None}]).to_parquet(path)
    with pytest.raises(InputError, match=rf"{path}, row 1201: column 'fear' must be 0 or 1, got ''"):
        read(path)
    corpus = GoEmotions(path, skip_bad_rows=True)
    assert [item.votes for item in corpus.read()] == [(0, 0, 0, 1200, 0, 0, 0)]
    assert "1 bad rows left out (1,200 kept):" in corpus.notes()


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow"])
def test_a_dataset_cut_short_is_one_line_with_its_file_and_nothing_beside_it(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / name
    if name.endswith("arrow"):
        dataset().save_to_disk(tmp_path / "saved")
        (tmp_path / "saved" / "data-00000-of-00001.arrow").rename(path)
    else:
        dataset().to_parquet(path)
    content = path.read_bytes()
    library = logging.getLogger("datasets")
    library.addHandler(caplog.handler)
    for end in (len(content) // 3, len(content) // 2):
        path.write_bytes(content[:end])
        with pytest.raises(InputError, match=rf"{path}: cannot be read as (parquet|arrow): ") as raised:
            read(path, skip_bad_rows=True)
        assert "\n" not in str(raised.value)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=rf"{path}: the file is empty"):
        read(path)
    library.removeHandler(caplog.handler)
    assert not caplog.records


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("null", "a row must be a JSON object, got NoneType"),
        ('{"text": "cut in mid', "not JSON: "),
        ('{"text": "no more"}', "column 'id' is empty"),
        ({"text": ["x"]}, "a column holds a list or an object"),
        ({"joy": 0.5}, "column 'joy' must be 0 or 1, got '0.5'"),
        ({"joy": True}, "column 'joy' must be 0 or 1, got 'True'"),
    ],
)
def test_a_bad_line_of_json_is_named_or_left_out(tmp_path: Path, line: Any, reason: str) -> None:
    good = row("a", "fine", rater=1, labels="joy")
    path = tmp_path / "rows.jsonl"
    bad = line if isinstance(line, str) else json.dumps({**good, "rater_id": 2, **line})
    path.write_text(json.dumps(good) + "\n\n" + bad + "\n")
    with pytest.raises(InputError, match=rf"{path}:3: {reason}"):
        read(path, min_raters=1)
    assert [item.votes for item in read(path, min_raters=1, skip_bad_rows=True)] == [(0, 0, 0, 1, 0, 0, 0)]


def test_a_path_may_have_the_signs_of_a_pattern(tmp_path: Path, expected: list[Item]) -> None:
    root = tmp_path / "odd [1] *root"
    root.mkdir()
    dataset().to_parquet(root / "tr[a]in.parquet")
    assert read(root) == read(root / "tr[a]in.parquet") == expected


def test_the_simplified_configuration_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "hub" / "simplified").mkdir(parents=True)
    simplified().to_parquet(tmp_path / "hub" / "simplified" / "train-00000-of-00001.parquet")
    datasets.DatasetDict(train=simplified(), test=simplified()).save_to_disk(tmp_path / "saved")
    for root in (tmp_path / "hub", tmp_path / "saved", tmp_path / "hub" / "simplified"):
        with pytest.raises(
            InputError, match=r"simplified form .* not each rater's.* configuration `raw`"
        ) as raised:
            read(root)
        assert "\n" not in str(raised.value)


def test_a_dataset_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    dataset().remove_columns("rater_id").to_parquet(path)
    with pytest.raises(InputError, match=rf"{path}: missing column 'rater_id'; the file has text, id"):
        read(path, skip_bad_rows=True)
    dataset().select_columns([name for name in COLUMNS if name != FLAG]).to_json(tmp_path / "rows.jsonl")
    with pytest.raises(InputError, match=rf"rows.jsonl: missing column '{FLAG}'"):
        read(tmp_path / "rows.jsonl", skip_bad_rows=True)


def test_csv_files_come_before_a_dataset(tmp_path: Path, expected: list[Item]) -> None:
    write(tmp_path / "both")
    (tmp_path / "both" / "raw").mkdir()
    simplified().to_parquet(tmp_path / "both" / "raw" / "train.parquet")
    assert read(tmp_path / "both") == expected


@pytest.mark.parametrize("folder", ["", "data/full_dataset", "full_dataset"])
def test_the_files_are_found_where_the_release_puts_them(
    tmp_path: Path, expected: list[Item], folder: str
) -> None:
    write(tmp_path / folder)
    (tmp_path / folder / "._goemotions_1.csv").write_bytes(b"\x00macOS")
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "train.tsv").write_text("My favourite food\t27\teebbqej\n")
    assert read(tmp_path) == expected
    assert [path.name for path in GoEmotions(tmp_path).label_files()] == [
        "goemotions_1.csv",
        "goemotions_2.csv",
    ]


def test_aggregated_labels_are_refused_with_the_reason(tmp_path: Path) -> None:
    reason = "it has the labels that raters agreed on, not each rater's, so no distribution can be counted"
    (tmp_path / "goemotions_1.csv").write_text("text,labels,id\nhello,[27],a\n")
    with pytest.raises(InputError, match=reason):
        read(tmp_path)
    (tmp_path / "goemotions_1.csv").unlink()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.tsv").write_text("hello\t27\ta\n")
    with pytest.raises(InputError, match=rf"data/train.tsv: .*{reason}.*configuration `raw`"):
        read(tmp_path)


def test_a_folder_without_rows_and_a_file_of_another_kind_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "emotions.txt").write_text("joy\n")
    with pytest.raises(
        InputError, match=rf"not found: goemotions_\*.csv under {tmp_path}. GoEmotions \(CC BY 4.0\)"
    ):
        read(tmp_path)
    with pytest.raises(InputError, match=r"expected a folder or a file that ends with \.csv, \.parquet"):
        read(tmp_path / "emotions.txt")
