"""Where things that can be made again are kept, and how they get there whole."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_root() -> Path:
    """Folder for what can be made again: `$XDG_CACHE_HOME/lalm_ambig`, by default under `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lalm_ambig"


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """A new folder to fill: it takes the name `final` once the block ends well, and vanishes otherwise.

    Where another process has finished the same folder in the meantime, that one stays.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".unfinished-{final.name}-"))
    try:
        yield unfinished
        unfinished.chmod(0o755)
        try:
            unfinished.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".unfinished-{path.name}-") as folder:
        unfinished = Path(folder, path.name)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
