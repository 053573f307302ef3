"""Short hashes of everything that a prepared corpus depends on."""

import hashlib
import inspect
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from lalm_ambig.audio import inspection
from lalm_ambig.audio.inspection import is_ignored
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora import base, reading
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.files import contents, csv, json_lines, spool, text

DIGITS = 16
"""Hex digits of a fingerprint in a folder's name."""
_SUM_BYTES = 16
SETTLED_S = 2.0
"""Age from which on a file's time tells of every change: clocks of file systems are coarse."""
_HASHES: dict[tuple[Path, tuple[int, ...]], bytes] = {}


def corpus_fingerprint(corpus: Corpus, *, check_audio: bool) -> str:
    """Hash of the corpus's settings, root and label files (by content), and of the code that reads them.

    Raises:
        InputError: A label file is missing, or is a folder.
    """
    digest = hashlib.sha256()
    about = {**corpus.settings(), "root": str(corpus.root), "check_audio": check_audio}
    digest.update(json.dumps(about, sort_keys=True, default=str).encode())
    for path in (*_reading_code(type(corpus)), *corpus.label_files()):
        if path.is_dir():
            wrong = f"{path} is a folder, and must be a file."
            raise InputError(wrong, where=f"corpus {corpus.name}", remedy=corpus.how_to_obtain)
        digest.update(f"\0{path.name}\0".encode())
        digest.update(_content_hash(path))
    digest.update(listing_fingerprint((str(path) for path in corpus.listed_folders()), ("",)).encode())
    return digest.hexdigest()[:DIGITS]


def _content_hash(path: Path) -> bytes:
    """SHA-256 of a file. A process reads a large file once for it, unless the file was written to just now."""
    status = path.stat()
    if time.time() - status.st_mtime < SETTLED_S:
        return _hash_of(path, None)
    return _hash_of(path, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


def _hash_of(path: Path, stamp: tuple[int, ...] | None) -> bytes:
    if stamp is not None and (path, stamp) in _HASHES:
        return _HASHES[path, stamp]
    with path.open("rb") as file:
        content_hash = hashlib.file_digest(file, "sha256").digest()
    if stamp is not None:
        _HASHES[path, stamp] = content_hash
    return content_hash


def listing_fingerprint(folders: Iterable[str], suffixes: Iterable[str]) -> str:
    """Hash of name, size and time of every file in the folders with one of the suffixes, in any order.

    Hashes of single files are added up, so that a folder of 100,000 files takes no memory. A missing folder counts as
    empty.
    """
    total = 0
    endings = tuple(suffixes)
    for folder in sorted(folders):
        if Path(folder).is_dir():
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(endings) and not is_ignored(entry.name):
                        total += _file_hash(folder, entry)
    return hashlib.sha256(total.to_bytes(_SUM_BYTES * 2, "big")).hexdigest()[:DIGITS]


def _file_hash(folder: str, entry: os.DirEntry[str]) -> int:
    try:
        stat = entry.stat()
    except (
        FileNotFoundError
    ):  # a link to nowhere: the check names it, the listing only has to notice a change
        line = f"{folder}\0{entry.name}"
    else:
        line = f"{folder}\0{entry.name}\0{stat.st_size}\0{stat.st_mtime_ns}"
    return int.from_bytes(hashlib.blake2b(line.encode(), digest_size=_SUM_BYTES).digest(), "big")


def _reading_code(corpus: type[Corpus]) -> list[Path]:
    """Code files that decide which items there are: a change of one makes the cached check invalid.

    Rooms of other corpora are not among them, since they read nothing of this one.
    """
    shared = (inspection, contents, csv, json_lines, spool, text, base, reading)
    rooms = [Path(__file__).parent, Path(inspect.getfile(reading)).parent]
    for cls in corpus.__mro__:
        if issubclass(cls, Corpus) and cls is not Corpus:
            file = Path(inspect.getfile(cls))
            shared_floor = file.parent == Path(inspect.getfile(base)).parent
            rooms.append(file if shared_floor else file.parent)
    files = [path for room in rooms for path in ([room] if room.is_file() else sorted(room.glob("*.py")))]
    return list(dict.fromkeys([*(Path(inspect.getfile(module)) for module in shared), *files]))
