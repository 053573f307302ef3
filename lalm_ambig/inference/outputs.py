"""Answers in a file that the same command goes on with: rows appended as they come, a table made of them at the end."""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.atomic import replacing, replacing_text, write_bytes, write_text
from lalm_ambig.files.json_lines import json_object, json_value, numbered_lines
from lalm_ambig.files.locks import locked
from lalm_ambig.files.places import check_folder
from lalm_ambig.inference.questions import Question
from lalm_ambig.runs.logs import append_rows

SUFFIXES = (".jsonl", ".csv", ".parquet")
FIRST, LAST = ("id", "top"), ("entropy_bits", "class_mass", "response", "notes")
"""Columns of a table before and after those of the classes."""
EDGE = 1 << 16
"""Bytes at both ends of a sound file that tell whether it is another one."""
DIGITS = 16
ROOM = "Make room or allow writing. The same command goes on."
FORMAT = 1


@dataclass
class AnswerFile:
    """The answers of one command, by the policy and options that `about` describes."""

    out: Path
    classes: Sequence[str]
    about: Mapping[str, Any]
    """Everything that an answer depends on, apart from the input."""
    answered: dict[str, str] = field(default_factory=dict)
    """Id → digest of the input, of the rows that are there."""

    @property
    def rows(self) -> Path:
        """JSON Lines with a row per answer, in the order in which they were given."""
        return self.out if self.out.suffix == ".jsonl" else self.out.with_name(f"{self.out.name}.rows.jsonl")

    @property
    def record(self) -> Path:
        """What the answers depend on, as JSON."""
        return self.out.with_name(f"{self.out.name}.about.json")

    @classmethod
    def opened(cls, out: Path, classes: Sequence[str], about: Mapping[str, Any]) -> "AnswerFile":
        """A new file, or one that an earlier start of the same command has begun.

        Args:
            out: The file; its suffix says what is written.
            classes: The classes, in order.
            about: The policy and options; JSON.

        Raises:
            InputError: The file holds answers of another policy or other options, or something else.
        """
        file = cls(out, classes, json.loads(json.dumps(about)))
        present = [
            path for path in (file.out, file.rows) if path.exists() and path.is_file() and path.stat().st_size
        ]
        if file.record.is_file():
            file._check_record()
        elif present:
            raise InputError(
                f"{present[0]} is there and was not begun by predict: it is left as it is.",
                where="--out",
                remedy="Name another file, or move it away.",
            )
        if file.rows.is_file():
            file._read_rows()
        write_text(
            file.record,
            json.dumps({"predict": FORMAT, "about": file.about}, indent=2, ensure_ascii=False) + "\n",
        )
        return file

    def _check_record(self) -> None:
        values = json_value(self.record.read_text(encoding="utf-8"), source=str(self.record))
        if not isinstance(values, dict) or "predict" not in values:
            raise InputError(
                f"{self.record} is not a record of predict.", where="--out", remedy="Name another file."
            )
        before = values.get("about")
        before = before if isinstance(before, dict) else {}
        keys = [key for key in {**before, **self.about} if before.get(key) != self.about.get(key)]
        if keys:
            raise InputError(
                f"{self.out} has answers of another policy or by other options ({', '.join(keys)}).",
                where="--out",
                remedy="Name another file, or give the same options.",
            )

    def _read_rows(self) -> None:
        """Read what is answered; a line that a power cut has broken is taken away."""
        content = self.rows.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            write_bytes(self.rows, whole)
        for place, row in self._lines():
            if not isinstance(row.get("id"), str) or not isinstance(row.get("content"), str):
                raise InputError("not a row of predict.", where=place, remedy="Name another --out.")
            self.answered[row["id"]] = row["content"]

    def _lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for place, line in numbered_lines(self.rows):
            try:
                yield place, json_object(line)
            except InputError as error:
                raise InputError(str(error), where=place) from error

    def is_answered(self, question: Question) -> bool:
        """Whether a question has an answer.

        Raises:
            InputError: Its sound or text is another one than the answer was given to.
        """
        before = self.answered.get(question.id)
        if before is None:
            return False
        if before != digest_of(question):
            raise InputError(
                "it has changed since it was answered.", where=question.id, remedy="Name another --out."
            )
        return True

    def append(self, rows: Iterable[tuple[Question, Mapping[str, Any]]]) -> None:
        """Add answers, and let the system write them to the disk.

        Raises:
            InputError: They cannot be written.
        """
        full = [{**row, "content": digest_of(question)} for question, row in rows]
        if full:
            append_rows(self.rows, full, remedy=ROOM)
        self.answered |= {str(row["id"]): str(row["content"]) for row in full}

    def finish(self, order: Sequence[str]) -> None:
        """Write the table, where the file is one: the answers of these ids in their order.

        Args:
            order: Ids of the inputs.
        """
        if self.out.suffix == ".jsonl":
            return
        by_id = {row["id"]: row for _, row in self._lines()} if self.rows.is_file() else {}
        rows = [self._cells(by_id[name]) for name in order if name in by_id]
        if self.out.suffix == ".csv":
            with replacing_text(self.out) as text:
                writer = csv.writer(text)
                writer.writerow(self.columns)
                writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
            return
        self._write_parquet(rows)

    @property
    def columns(self) -> list[str]:
        """Names of a table's columns. A class with the name of another column has `class ` before it."""
        fixed = (*FIRST, *LAST)
        return [*FIRST, *(f"class {name}" if name in fixed else name for name in self.classes), *LAST]

    def _cells(self, row: Mapping[str, Any]) -> list[Any]:
        shares = row["distribution"] or {}
        told = {**row, "notes": "; ".join(row["notes"])}
        return [*(told[key] for key in FIRST), *map(shares.get, self.classes), *(told[key] for key in LAST)]

    def _write_parquet(self, rows: Sequence[Sequence[Any]]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        texts = {*FIRST, "response", "notes"}
        types = [pa.string() if name in texts else pa.float64() for name in self.columns]
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
        arrays = [pa.array(values, kind) for values, kind in zip(columns, types, strict=True)]
        with replacing(self.out) as unfinished:
            pq.write_table(pa.Table.from_arrays(arrays, names=self.columns), unfinished)


def check_out(out: Path) -> None:
    """Refuse a name that no answers can be written to, before anything is loaded.

    Raises:
        InputError: Its suffix is unknown, it is a folder, or its folder cannot be written to.
    """
    if out.suffix not in SUFFIXES:
        raise InputError(f"expected a name that ends with {', '.join(SUFFIXES)}, got {out}", where="--out")
    if out.is_dir():
        raise InputError(f"{out} is a folder.", where="--out", remedy="Name a file.")
    check_folder(out.absolute().parent, where="--out")


def sole_writer(out: Path) -> AbstractContextManager[None]:
    """Hold the lock of a file of answers for the time of a block.

    Raises:
        InputError: Another process writes answers to the file.
    """
    busy = InputError(
        f"another predict writes to {out}.", where="--out", remedy="Wait for it, or name another file."
    )
    return locked(out.with_name(f"{out.name}.lock"), busy=busy)


def digest_of(question: Question) -> str:
    """A digest of a question's text and of its sound file's size and both ends."""
    digest = hashlib.sha256(repr(question.text).encode(errors="surrogatepass"))
    if question.audio is not None:
        with question.audio.open("rb") as file:
            size = question.audio.stat().st_size
            digest.update(f"{size}".encode() + file.read(EDGE))
            if size > 2 * EDGE:
                file.seek(-EDGE, 2)
            digest.update(file.read(EDGE))
    return digest.hexdigest()[:DIGITS]
