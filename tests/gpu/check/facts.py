"""The facts that stages find, one JSON object a line, so that nothing is lost when a stage is killed."""

import json
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FRAMES = 4
"""Innermost lines of a traceback that a fact names; the whole is in the stage's log."""


@dataclass(frozen=True)
class Facts:
    """Where one stage writes down what it finds."""

    folder: Path
    stage: str

    def note(self, what: str, value: object, *, failed: bool = False, **more: object) -> None:
        """One fact, and numbers beside it; `failed` where it is not as it should be."""
        row = {"stage": self.stage, "what": what, "value": value, **more}
        if failed:
            row["failed"] = True
        with (self.folder / "results.jsonl").open("a") as file:
            file.write(json.dumps(row, default=str) + "\n")
        print(line_of(row), flush=True)

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Inside, an error is a fact, and what comes after the block is tried all the same."""
        began = time.monotonic()
        try:
            yield
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
            self.note(
                f"FAILED {what}",
                f"{type(error).__name__}: {str(error)[:300]}",
                failed=True,
                at=" > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames),
                seconds=round(time.monotonic() - began, 1),
            )


def read(folder: Path) -> list[dict[str, Any]]:
    """All facts so far; a line that a killed process left unfinished is passed over."""
    file = folder / "results.jsonl"
    found = []
    for line in file.read_text().splitlines() if file.is_file() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def line_of(row: dict[str, Any]) -> str:
    """A fact for people."""
    numbers = " ".join(
        f"{key}={value}" for key, value in row.items() if key not in ("stage", "what", "value")
    )
    return f"{row['stage']:<12} {row['what']:<60} {row['value']}  {numbers}".rstrip()


def write_summary(folder: Path) -> None:
    """All facts as lines, what is not as it should be once more at the end."""
    rows = read(folder)
    wrong = [row for row in rows if row.get("failed")]
    lines = [line_of(row) for row in rows]
    lines += ["", f"{len(wrong)} of {len(rows)} facts are not as they should be", *map(line_of, wrong)]
    (folder / "summary.txt").write_text("\n".join(lines) + "\n")
