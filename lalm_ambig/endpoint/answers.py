"""`answers.jsonl`: what an endpoint has answered, a line for each question, so that nothing is asked twice.

A line's key is a hash of the model, the path and the question with its settings, without the address: a server that has
moved is the same server. The API key is in no line.
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.endpoint.limits import Usage
from lalm_ambig.files.failures import as_cannot_write
from lalm_ambig.files.json_lines import json_object, numbered_lines
from lalm_ambig.files.kinds import check_replaceable, rows_with
from lalm_ambig.files.locks import takes_lock

NAME = "answers.jsonl"
ANSWERS = rows_with("a file of an endpoint's answers", "key", "path")


def key_of(model: str, path: str, body: Mapping[str, Any]) -> str:
    """The key of a question: 32 hexadecimal digits."""
    content = json.dumps([model, path, body], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Answers:
    """The answers of a folder. One process at a time may add to them.

    Args:
        folder: It is made where it is missing.

    Raises:
        InputError: The file is something else, or damaged, or another process has it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        check_replaceable(self.path, ANSWERS, where="--out")
        with as_cannot_write(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = self.path.open("ab")
        if not takes_lock(self._file.fileno()):
            self._file.close()
            remedy = "Wait for it, or name another folder."
            raise InputError(f"another evaluate writes to {self.path}.", where="--out", remedy=remedy)
        self._lock = threading.Lock()
        self._cut()
        self._rows = {row["key"]: row for row in self._read()}

    def _cut(self) -> None:
        """Remove a last line without an end, which a killed process has left."""
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            self._file.truncate(content.rfind(b"\n") + 1)

    def _read(self) -> list[dict[str, Any]]:
        rows = []
        for where, line in numbered_lines(self.path):
            try:
                row = json_object(line)
                if not isinstance(row["key"], str):
                    raise InputError("'key' is no text")
                usage_in(row)
            except (InputError, KeyError, TypeError) as error:
                remedy = "Remove that line; the question is then asked again."
                raise InputError(f"not an answer: {error}.", where=where, remedy=remedy) from error
            rows.append(row)
        return rows

    @property
    def usage(self) -> Usage:
        """Tokens of all answers."""
        return sum(map(usage_in, self._rows.values()), Usage())

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str) -> dict[str, Any] | None:
        """The row of a question; None where it was not answered yet."""
        return self._rows.get(key)

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row, in the file first. Workers may call it at once."""
        line = json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        with self._lock, as_cannot_write(self.path):
            self._file.write(line)
            self._file.flush()
            self._rows[row["key"]] = row

    def __enter__(self) -> "Answers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._file.close()


def usage_in(row: Mapping[str, Any]) -> Usage:
    """The tokens of a row."""
    counts = row.get("usage") or {}
    return Usage(**{name: int(count) for name, count in counts.items()})
