"""What all rows of a file say together. It is put on disk, so that a later start need not read the rows for it."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.jsonl.rows import ItemRow
from lalm_ambig.corpora.jsonl.table_rows import place_name
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.atomic import CannotWrite, write_text
from lalm_ambig.files.places import cache_root
from lalm_ambig.files.spool import Spool


@dataclass(frozen=True)
class Scan:
    """Facts about all rows of the file together."""

    names: list[str]
    """Every class that some row's votes name, sorted."""
    ignored: list[str]
    """Keys of rows without a meaning, sorted."""
    gives_splits: bool
    has_sound: bool
    """True where a row has audio."""
    named_by_place: bool
    """True where rows had no id, and got the place as theirs."""
    bad_notes: list[str]
    """Notes about the rows that were left out."""


def scanned(rows: Iterable[ItemRow], bad_rows: BadRows, *, where: str) -> tuple[Scan, frozenset[str]]:
    """Read all rows once.

    Args:
        rows: The good rows.
        bad_rows: The others, once the good ones are read.
        where: Name of the file or folder.

    Returns:
        The facts, and what a draw of splits keeps together: nothing where rows have splits.

    Raises:
        InputError: Only some rows have a split, or no row is good.
    """
    names, groups, ignored, with_split = set[str](), set[str](), set[str](), set[bool]()
    count, has_sound, named_by_place = 0, False, False
    for row in rows:
        count += 1
        has_sound = has_sound or row.audio is not None
        named_by_place = named_by_place or ("/" in row.id and row.id == place_name(row.where))
        names.update(row.votes)
        if row.split is None:
            groups.add(row.group)
        ignored.update(row.ignored)
        with_split.add(row.split is not None)
        if len(with_split) > 1:
            raise InputError(
                "some rows have a split and some have none: give it to all or none", where=row.where
            )
    if bad_rows.lines and not count:
        wrong = f"all {len(bad_rows.lines):,} rows are bad; the first: {bad_rows.lines[0]}"
        raise InputError(wrong, where=where)
    scan = Scan(
        names=sorted(names),
        ignored=sorted(ignored),
        gives_splits=with_split == {True},
        has_sound=has_sound,
        named_by_place=named_by_place,
        bad_notes=bad_rows.notes(good=count),
    )
    return scan, frozenset(groups)


def put_aside(rows: Iterable[ItemRow], spool: Spool) -> Iterator[ItemRow]:
    """Yield rows, and add each to a spool.

    Args:
        rows: The rows.
        spool: Gets them as plain tuples.
    """
    for row in rows:
        spool.add((*row,))
        yield row


def save_scan(fingerprint: str, scan: Scan) -> None:
    """Put a scan on disk.

    Args:
        fingerprint: Of the files, the settings and the code that it comes from.
        scan: The scan.
    """
    with suppress(CannotWrite):  # a later start then reads the rows again
        write_text(_file(fingerprint), json.dumps(asdict(scan)))


def load_scan(fingerprint: str) -> Scan | None:
    """The scan of an earlier start; None where there is none.

    Args:
        fingerprint: As for `save_scan`.
    """
    file = _file(fingerprint)
    return Scan(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def _file(fingerprint: str) -> Path:
    return cache_root() / "corpora" / f"jsonl-{fingerprint}-scan.json"
