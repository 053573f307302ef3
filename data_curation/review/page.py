"""`review`: writes a folder with `index.html` and `data.js`, which any browser opens from the disk, offline.

The content of rows never becomes markup: it is stored as JSON, and the script inserts it as text only. The page's
content policy allows no script but the two that are written here.
"""

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch

from data_curation.records import CurationRow
from data_curation.rows import read_rows
from lalm_ambig.core.distributions import AMBIGUITY_LEVELS, ambiguity_level, normalised_entropy
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.reading.paths import Enclosure
from lalm_ambig.files.atomic import write_lines, write_text
from lalm_ambig.files.kinds import check_replaceable, mark_of, marked
from lalm_ambig.files.places import check_folder

PAGE, DATA = "index.html", "data.js"
BEGIN = "window.REVIEW = {"
MARKS = {PAGE: mark_of("review"), DATA: BEGIN}
"""The mark of each file, by which it is recognised as written by `review`."""
SCRIPT = re.compile(r"<script id=\"page\">(.*?)</script>", re.S)


def write_review(path: Path, out: Path, *, audio_root: Path | None) -> None:
    """Write the page of a curation file.

    Args:
        path: The curation file.
        out: Folder of the page. It is created if need be; `index.html` and `data.js` in it are replaced.
        audio_root: The corpus's folder. Clips are linked, not copied. None for a page without sound.

    Raises:
        InputError: A row is malformed (the message has file and line), or a path is not a folder.
    """
    if audio_root is not None and not audio_root.is_dir():
        raise InputError(f"no such folder: {audio_root}", where="review --root")
    if out.exists() and not out.is_dir():
        raise InputError(f"not a folder: {out}", where="review --out")
    check_folder(out, where="review --out")
    for name, mark in MARKS.items():
        check_replaceable(out / name, marked("what review writes", mark), where="review --out")
    rows = [_shown(row, _audio_link(row, audio_root, out=out)) for row in read_rows(path)]
    if not rows:
        raise InputError("no rows.", where=str(path), remedy="Write some with python -m data_curation write.")
    write_lines(out / DATA, _script_lines(path.name, rows, with_audio=audio_root is not None))
    write_text(out / PAGE, _page(path.name))
    print(f"{out / 'index.html'}: {len(rows):,} rows")


def _page(name: str) -> str:
    """The template with its title, and with the hash that allows its script."""
    template = files("data_curation.review").joinpath("template.html").read_text(encoding="utf-8")
    script = SCRIPT.search(template)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script.group(1).encode()).digest()).decode()
    page = template.replace("{{title}}", html.escape(name)).replace("{{script_hash}}", digest)
    return f"{page}<!-- {mark_of('review')} -->\n"


def _script_lines(name: str, rows: list[dict[str, Any]], *, with_audio: bool) -> Iterator[str]:
    yield f"{BEGIN}file: {_json(name)}, withAudio: {_json(with_audio)}, rows: ["
    for row in rows:
        yield f"{_json(row)},"
    yield "]};"


def _json(value: object) -> str:
    """JSON in ASCII that cannot end a script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _shown(row: CurationRow, audio: str | None) -> dict[str, Any]:
    """The parts of a row that the page shows."""
    shares = torch.tensor(row.votes, dtype=torch.float64) / sum(row.votes)
    return {
        "id": row.id,
        "writer": row.writer,
        "model": row.model,
        "outcome": row.outcome,
        "reasons": row.reasons,
        "text": row.text,
        "audio": audio,
        "classes": row.categories,
        "votes": row.votes,
        "validated": row.validated_dist,
        "js": row.js_bits,
        "ambiguity": round(float(normalised_entropy(shares)), 3),
        "level": AMBIGUITY_LEVELS[int(ambiguity_level(shares))],
        "reasoning": None if row.reasoning is None else row.reasoning.model_dump(),
        "measurements": row.measurements,
        "attempts": row.attempts,
    }


def _audio_link(row: CurationRow, root: Path | None, *, out: Path) -> str | None:
    """Address of the clip relative to the page; None where the clip is missing or outside the corpus."""
    if root is None or row.audio is None:
        return None
    folder = root.resolve()
    clip = Path(os.path.normpath(folder / row.audio))
    if not clip.is_file() or Enclosure(folder).target(str(clip)) is not None:
        return None
    return "./" + quote(Path(os.path.relpath(clip, out.resolve())).as_posix())
