"""Many questions from a command line: sound files, folders, globs, tables of inputs, and standard input."""

import csv
import glob
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lalm_ambig.audio.inspection import SOUND_ENDINGS, is_ignored
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.csv import open_table
from lalm_ambig.files.json_lines import is_missing, json_object, numbered_lines
from lalm_ambig.files.text import open_lines
from lalm_ambig.inference.questions import KEYS, Question, question_of

STDIN = "-"
ROWS = (".jsonl", ".ndjson", ".json")
TABLES = (".csv", ".tsv")
ALIASES = {"audio": ("audio", "file", "path", "filename", "wav"), "text": ("text", "transcript")}
"""Names that a row may have for a key, the first that it has counts."""
DECLARATION = "categories"
"""Key of a first line that declares the classes of a corpus; it is no input."""
SHOWN = 5


@dataclass(frozen=True)
class Refused:
    """An input that has no answer, and why."""

    id: str
    why: str


@dataclass
class Inputs:
    """The questions of a command, in their order, and what could not be read."""

    questions: list[Question] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a user should know of the inputs, one line each."""
    twice: int = 0
    """Inputs that were named again."""
    _by_id: dict[str, Question] = field(default_factory=dict, repr=False)

    def add(self, found: Iterable[Question | Refused]) -> None:
        """Add questions; one that is named again is counted, and another one of the same id is refused."""
        for one in found:
            if isinstance(one, Refused):
                self.refused.append(one)
            elif (other := self._by_id.get(one.id)) is None:
                self._by_id[one.id] = one
                self.questions.append(one)
            elif (other.audio, other.text) == (one.audio, one.text):
                self.twice += 1
            else:
                self.refused.append(Refused(one.id, "another input has this id"))


def read_inputs(words: Sequence[str]) -> Inputs:
    """Read the inputs that a command line names.

    Args:
        words: Sound files, folders (searched whole), globs, files of JSON Lines (.jsonl), tables (.csv, .tsv), and `-`
            for standard input, with one path or JSON object per line.

    Raises:
        InputError: A folder or glob holds no sound file, or a table cannot be read.
    """
    inputs = Inputs()
    for word in words:
        inputs.add(_of_word(word, inputs))
    if inputs.twice:
        inputs.notes.append(f"inputs that were named twice and are answered once: {inputs.twice}")
    return inputs


def _of_word(word: str, inputs: Inputs) -> Iterator[Question | Refused]:
    path = Path(word).expanduser()
    if not word.strip():
        raise InputError("an input is empty: is a variable of the shell not set?", where="predict")
    if word == STDIN:
        return _rows(_stdin_rows(), Path(), inputs, "standard input")
    if path.is_dir():
        return iter(_folder(path))
    if not path.exists() and glob.has_magic(word):
        return _globbed(word, inputs)
    if path.suffix.lower() in ROWS:
        _check_file(path)
        return _rows(_json_rows(path), path.parent, inputs, str(path))
    if path.suffix.lower() in TABLES:
        _check_file(path)
        return _rows(_table_rows(path), path.parent, inputs, str(path))
    return iter([question_of(word)])


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"no such file: {path}", where="predict")


def _folder(folder: Path) -> list[Question]:
    """The sound files of a folder and of those in it, by name."""
    files = [file for file in sorted(folder.rglob("*")) if _is_sound(file)]
    if not files:
        raise InputError(
            f"no sound file in {folder}: none ends with {', '.join(sorted(SOUND_ENDINGS))}.",
            where="predict",
            remedy=f"Name the files, or give a glob ('{folder}/*').",
        )
    return [question_of(file) for file in files]


def _is_sound(file: Path) -> bool:
    return file.suffix.lower() in SOUND_ENDINGS and not is_ignored(file) and file.is_file()


def _globbed(word: str, inputs: Inputs) -> Iterator[Question | Refused]:
    found = sorted(glob.glob(str(Path(word).expanduser()), recursive=True))  # noqa: PTH207  # Path has no root here
    if not found:
        raise InputError(f"no file matches {word!r}.", where="predict", remedy="** matches folders, too.")
    for name in found:
        path = Path(name)
        if path.is_dir():
            yield from (question_of(file) for file in sorted(path.rglob("*")) if _is_sound(file))
        elif not is_ignored(path):
            yield from _of_word(glob.escape(name) if not path.exists() else name, inputs)


Row = tuple[str, Mapping[str, Any] | InputError]
"""Place of a row, and its values or what is wrong with it."""


def _rows(rows: Iterable[Row], folder: Path, inputs: Inputs, name: str) -> Iterator[Question | Refused]:
    """The questions of rows; sound files are beside the file that names them."""
    unused: dict[str, None] = {}
    count = 0
    for place, row in rows:
        count += 1
        try:
            if isinstance(row, InputError):
                raise row
            values = _known(row)
            unused |= dict.fromkeys(key for key in row if key not in _names() and key is not None)
            yield _question(values, folder, place)
        except InputError as error:
            yield Refused(place, str(error))
    if not count:
        raise InputError("it holds no input.", where=name)
    if unused:
        more = ", …" if len(unused) > SHOWN else ""
        inputs.notes.append(f"{name}: not used: {', '.join([*unused][:SHOWN])}{more}")


def _names() -> set[str]:
    return {*KEYS, *(alias for names in ALIASES.values() for alias in names)}


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a question is made of, under their own keys; missing ones are left out."""
    values = {str(key): value for key, value in row.items() if not _is_empty(value)}
    keys: tuple[str, ...] = ("id", "premise", "hypothesis")
    found = {key: values[key] for key in keys if key in values}
    for key, names in ALIASES.items():
        name = next((name for name in names if name in values), None)
        if name is not None:
            found[key] = values[name]
    return found


def _is_empty(value: Any) -> bool:
    return is_missing(value) or (isinstance(value, str) and not value.strip())


def _question(values: dict[str, Any], folder: Path, place: str) -> Question:
    if not {"audio", "text", "premise", "hypothesis"} & set(values):
        raise InputError(
            f"a row needs one of audio, text, or premise and hypothesis: {sorted(values) or 'empty'}"
        )
    audio = values.get("audio")
    if audio is not None:
        if not isinstance(audio, str):
            raise InputError(f"audio is the name of a file, got {audio!r}")
        values.setdefault("id", audio)
        values["audio"] = str(folder / Path(audio).expanduser())
    return question_of(values, name=place)


def _json_rows(path: Path) -> Iterator[Row]:
    for number, (place, line) in enumerate(numbered_lines(path)):
        yield from _json_row(place, line, first=number == 0)


def _json_row(place: str, line: bytes, *, first: bool) -> Iterator[Row]:
    try:
        row = json_object(line)
    except InputError as error:
        yield place, error
        return
    if not (first and DECLARATION in row and "id" not in row):
        yield place, row


def _table_rows(path: Path) -> Iterator[Row]:
    if path.suffix.lower() == ".tsv":
        with open_lines(path) as lines:
            reader = csv.DictReader(lines, delimiter="\t", restkey="")
            for row in reader:
                place = f"{path}:{reader.line_num}"
                wrong = "" in row or None in row.values()
                yield (
                    place,
                    InputError("another number of cells than the header has") if wrong else _lower(row),
                )
        return
    faults = _Faults()
    with open_table(path, multi_line=True) as table:
        for line, cells in table.rows(faults):
            yield from faults.taken()
            yield f"{path}:{line}", _lower(dict(zip(table.names, cells, strict=True)))
        yield from faults.taken()


def _lower(row: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).strip().lower(): value for key, value in row.items()}


@dataclass
class _Faults:
    """Rows of a table that cannot be read."""

    rows: list[Row] = field(default_factory=list)

    def add(self, what: str, *, where: str) -> None:
        self.rows.append((where, InputError(what)))

    def taken(self) -> list[Row]:
        rows, self.rows = self.rows, []
        return rows


def _stdin_rows() -> Iterator[Row]:
    stream: Iterable[bytes] = (
        sys.stdin.buffer if hasattr(sys.stdin, "buffer") else io.BytesIO(sys.stdin.read().encode())
    )
    for number, raw in enumerate(stream, start=1):
        line, place = raw.strip(), f"standard input:{number}"
        if line.startswith(b"{"):
            yield from _json_row(place, line, first=number == 1)
        elif line:
            try:
                yield place, {"audio": line.decode("utf-8")}
            except UnicodeDecodeError:
                yield place, InputError("not UTF-8 text")
