"""What a prepared corpus depends on, as short hashes."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from lalm_ambig import sound_files
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.files import contents, csv, json_lines, text
from lalm_ambig.sound_files import is_ignored

DIGITS = 16
"""Hex digits of a fingerprint in a folder's name."""
_SUM_BYTES = 16


def corpus_fingerprint(corpus: Corpus, *, check_audio: bool) -> str:
    """Hash of the corpus's settings, root and label files (by content), and of the code that reads them."""
    digest = hashlib.sha256()
    about = {**corpus.settings(), "root": str(corpus.root), "check_audio": check_audio}
    digest.update(json.dumps(about, sort_keys=True, default=str).encode())
    for path in (*_reading_code(), *corpus.label_files()):
        digest.update(f"\0{path.name}\0".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    digest.update(listing_fingerprint((str(path) for path in corpus.listed_folders()), ("",)).encode())
    return digest.hexdigest()[:DIGITS]


def listing_fingerprint(folders: Iterable[str], suffixes: Iterable[str]) -> str:
    """Hash of name, size and time of every file in the folders that has one of the suffixes, in any order.

    Hashes of single files are added up, so that a folder of 100,000 files takes no memory. A folder that is
    not there counts as an empty one.
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


def _reading_code() -> list[Path]:
    """Of whatever says which items there are: a change of it makes the cached check invalid."""
    readers = (sound_files, contents, csv, json_lines, text)
    return [*(Path(str(reader.__file__)) for reader in readers), *sorted(Path(__file__).parent.glob("*.py"))]
