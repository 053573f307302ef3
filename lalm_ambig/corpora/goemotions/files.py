"""Finds the rater rows of GoEmotions: CSV files as released, a dataset in the hub's layout, or all raters in a row."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.goemotions.all_raters import (
    PATTERN,
    check_not_mixed,
    has_all_raters,
    read_all_raters,
)
from lalm_ambig.corpora.goemotions.hub import BUILDERS, JSON, read_dataset, read_json
from lalm_ambig.corpora.goemotions.rows import AGGREGATED, Cells, RaterRow, parse_row, read_csv
from lalm_ambig.corpora.reading.bad_rows import BadRows

HOW_TO_OBTAIN = (
    "GoEmotions (CC BY 4.0) is at github.com/google-research/google-research under goemotions: give the folder "
    "that holds goemotions_1.csv to goemotions_3.csv, or a copy of the hub's dataset "
    "google-research-datasets/go_emotions with its configuration `raw`."
)
CSV_FOLDERS = ("", "data/full_dataset", "full_dataset")
CSV_PATTERN = "goemotions_*.csv"
HUB_FOLDERS = ("raw", "raw/train", "", "train", "data", "simplified", "simplified/train")
"""Folders of a copy of the hub's dataset, of one that `datasets` has saved, and of its cache.

The first that holds data is read. `simplified` is listed so that it is refused by name."""
HUB_PATTERNS = ("*.parquet", "*.arrow", "*.jsonl", "train*.json")
SUFFIXES = (".csv", *BUILDERS, *JSON)
AGGREGATED_FILES = ("train.tsv", "data/train.tsv")


def find_files(root: Path) -> list[Path]:
    """Find the files of rater rows under a root.

    Args:
        root: A folder, or one such file.

    Returns:
        CSV files where there are any, else the files of one dataset; empty where there is neither.

    Raises:
        InputError: The root is a file of another kind, or holds aggregated labels only, or samples of two kinds.
    """
    if root.is_file():
        if root.suffix.lower() not in SUFFIXES:
            wrong = f"expected a folder or a file that ends with {', '.join(SUFFIXES)}, got {root}."
            raise InputError(wrong, remedy=HOW_TO_OBTAIN)
        return [root]
    patterns = [*((folder, CSV_PATTERN) for folder in CSV_FOLDERS), ("", PATTERN)]
    patterns += [(folder, pattern) for folder in HUB_FOLDERS for pattern in HUB_PATTERNS]
    for folder, pattern in patterns:
        if files := [path for path in (root / folder).glob(pattern) if _holds_rows(path)]:
            check_not_mixed(files if pattern == PATTERN else [])
            return sorted(files, key=lambda path: (len(path.name), path.name))
    for name in AGGREGATED_FILES:
        if (root / name).is_file():
            raise InputError(f"{AGGREGATED}.", where=str(root / name), remedy=HOW_TO_OBTAIN)
    return []


def _holds_rows(path: Path) -> bool:
    """False for files beside the data: hidden ones, and results that `datasets` caches."""
    return path.is_file() and not path.name.startswith((".", "cache-"))


def read_rows(files: Sequence[Path], *, bad_rows: BadRows) -> Iterator[RaterRow]:
    """Yield every good row of the files, in their order."""
    for path in files:
        with bad_rows.reading(path) as reading:
            good = 0
            for cells in _cells(path, bad_rows):
                try:
                    row = parse_row(cells)
                except InputError as error:
                    bad_rows.add(str(error), where=cells.where)
                    continue
                yield row
                good += 1
            reading.good = good


def _cells(path: Path, bad_rows: BadRows) -> Iterator[Cells]:
    suffix = path.suffix.lower()
    if suffix in BUILDERS:
        return read_dataset(path, remedy=HOW_TO_OBTAIN)
    if suffix == ".csv" and has_all_raters(path):
        return read_all_raters(path, bad_rows=bad_rows)
    reader = read_json if suffix in JSON else read_csv
    return reader(path, bad_rows=bad_rows, remedy=HOW_TO_OBTAIN)
