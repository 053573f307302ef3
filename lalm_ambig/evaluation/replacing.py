"""Writing a text file so that a reader sees the old one or the whole new one, never a part."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def replace_text(path: Path | str, lines: Iterable[str]) -> Path:
    """Write `lines` to a temporary name beside `path`, then rename it there. Folders are made; a failure
    leaves neither a partial file nor the temporary one. Returns the path."""
    path = Path(path).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path
