"""The content of an item: a short text by which the item is recognised in another corpus, under any id.

The content of an item with sound is its sound (`sound_sketch`), whatever its transcript. The content of any other item
is its full text (`text_form`). An item with sound and one without are never the same, since hearing a sentence and
reading it are different tasks.

Short texts repeat by chance ("Thank you."). A text below FEWEST_WORDS words and FEWEST_LETTERS letters does not make
two items the same. But if half of a test set's items are texts of another corpus, the test set is a copy of that
corpus.
"""

import hashlib
import html
import json
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

from lalm_ambig.core.categories import UNSEEN
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.duplicates.sound_sketch import (
    VERSION,
    Sketch,
    copies,
    read_sketch,
    sketch_of,
    sketch_of_samples,
)
from lalm_ambig.files.atomic import CannotWrite, write_text
from lalm_ambig.files.places import cache_root

SOUND, TEXT = "sound:", "text:"
"""Prefixes of contents. An empty content is unknown: its sound file cannot be read."""
DIGITS = 24
FEWEST_WORDS, FEWEST_LETTERS = 4, 20
"""A text with so many words, or so many letters and digits, is no chance repetition."""
COPIED_SHARE, COPIED_TEXTS = 0.5, 5
"""From this share of a test set on, and with so many different ones, short texts are no chance repetition either."""
PARTS = ("premise", "hypothesis")
"""Names of a pair's parts, in the order in which their texts are compared, whatever their order in the text."""
LABEL = re.compile(r"\b(premise|hypothesis|sentence ?[12ab]|text ?[12ab]?)\b[\"']*\s*[:=]")
SEPARATOR = re.compile(r"\[sep\]|<sep>|</?s>|<br ?/?>")
WORD = re.compile(r"[^\W_]+")


@lru_cache(maxsize=1)  # an item's text is asked for twice, one after the other
def text_form(text: str) -> str:
    """The words of a text: without case, punctuation, blanks and labels of parts, in one Unicode form.

    The parts of a labelled pair come in one order. A text without a letter or digit is kept, but for blanks.
    """
    plain = html.unescape(text)
    folded = _folded(unicodedata.normalize("NFKC", plain.translate(UNSEEN)) if not plain.isascii() else plain)
    words = WORD.findall(" ".join(_parts(SEPARATOR.sub(" ", folded))))
    return " ".join(words or folded.split())


def _folded(text: str) -> str:
    """The text without case, in one Unicode form."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text.casefold())


def _parts(text: str) -> list[str]:
    """The text before the first label, and the text after each label."""
    if ":" not in text and "=" not in text:  # a label ends with one
        return [text]
    before, *rest = LABEL.split(text)
    pairs = list(zip(rest[::2], rest[1::2], strict=True))
    if sorted(name for name, _ in pairs) == sorted(PARTS):
        pairs.sort(key=lambda pair: PARTS.index(pair[0]))
    return [before, *(part for _, part in pairs)]


def is_substantial(text: str) -> bool:
    """True for a text so long that another item with it is the same item."""
    form = text_form(text)
    return len(form.split()) >= FEWEST_WORDS or len(form.replace(" ", "")) >= FEWEST_LETTERS


def text_content(text: str) -> str:
    """The content of an item without sound."""
    return TEXT + hashlib.sha256(text_form(text).encode()).hexdigest()[:DIGITS]


def contents(items: Sequence[Item]) -> list[str]:
    """The content of each item. Sounds are read once, in parallel, and cached by path, size and time."""
    sounds = sound_contents(items)
    return [content_of(item, sounds) for item in items]


def sound_contents(items: Iterable[Item]) -> dict[str, str]:
    """Path → content of every sound file of the items, as `contents` reads them."""
    return _sketches({item.audio for item in items if item.audio is not None})


def content_of(item: Item, sounds: Mapping[str, str]) -> str:
    """The content of one item.

    Args:
        item: The item.
        sounds: The result of `sound_contents` for it and for others.
    """
    return sounds[item.audio] if item.audio is not None else text_content(item.text or "")


def sound_content(samples: np.ndarray) -> str:
    """The content of a clip in memory.

    Args:
        samples: Its first `MAX_S` seconds as 16 kHz mono.
    """
    return f"{SOUND}{sketch_of_samples(samples)}"


def trained_among(items: Sequence[Item], item_contents: Sequence[str], trained: Sequence[str]) -> list[bool]:
    """Which items, with these contents, are among the trained contents (see the head of this file)."""
    clips, heard = sounds_among(item_contents), [sketch for _, sketch in sounds_among(trained)]
    texts = {content for content in trained if content.startswith(TEXT)}
    alike = [content in texts for content in item_contents]
    repeated = {content for content, same in zip(item_contents, alike, strict=True) if same}
    is_copied = sum(alike) >= COPIED_SHARE * len(item_contents) and len(repeated) >= COPIED_TEXTS
    pairs = zip(items, alike, strict=True)
    is_trained = [same and (is_copied or is_substantial(item.text or "")) for item, same in pairs]
    for (at, _), place in zip(clips, copies([clip for _, clip in clips], heard), strict=True):
        is_trained[at] = place is not None
    return is_trained


def sounds_among(item_contents: Sequence[str]) -> list[tuple[int, Sketch]]:
    """Position and sketch of each content that is a sound."""
    sounds = ((at, content) for at, content in enumerate(item_contents) if content.startswith(SOUND))
    return [(at, read_sketch(content.removeprefix(SOUND))) for at, content in sounds]


def first_alike(content: str, others: Sequence[str]) -> int | None:
    """Position among `others` of a content of the same item; None where there is none, or the content is unknown."""
    if content.startswith(TEXT):
        return others.index(content) if content in others else None
    clips, heard = sounds_among([content]), sounds_among(others)
    places = copies([clip for _, clip in clips], [clip for _, clip in heard])
    return None if places in ([], [None]) else heard[places[0] or 0][0]


def same_content(one: str, other: str) -> bool:
    """True for two contents of one item. An unknown content counts as the same, since nothing contradicts it."""
    sketches = [sketch for _, sketch in sounds_among((one, other))]
    if len(sketches) < 2:
        return one == other or "" in (one, other)
    return copies(sketches[:1], sketches[1:]) != [None]


def _sketches(paths: Iterable[str]) -> dict[str, str]:
    """Path → content of a sound file; empty for one that cannot be read."""
    by_folder: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        by_folder[str(Path(path).parent)].append(path)
    by_path: dict[str, str] = {}
    for folder, files in by_folder.items():
        by_path |= _of_folder(folder, files)
    return by_path


def _of_folder(folder: str, files: Sequence[str]) -> dict[str, str]:
    cache_file = (
        cache_root() / f"sounds-{VERSION}" / f"{hashlib.sha256(folder.encode()).hexdigest()[:DIGITS]}.json"
    )
    rows = _kept_rows(cache_file)
    stamps = {path: _stamp(path) for path in files}
    missing = [path for path in files if rows.get(path, [None])[0] != stamps[path]]
    if missing:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            computed = dict(zip(missing, pool.map(_content, missing), strict=True))
        rows |= {path: [stamps[path], content] for path, content in computed.items() if content}
        with suppress(CannotWrite):  # a cache that cannot be written costs time, nothing else
            write_text(cache_file, json.dumps(rows))
        return {path: computed[path] if path in computed else rows[path][1] for path in files}
    return {path: rows[path][1] for path in files}


def _kept_rows(path: Path) -> dict[str, list[str]]:
    """Path → stamp and content from an earlier reading; empty where the file is missing or damaged."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        for _, content in rows.values():
            read_sketch(content.removeprefix(SOUND))
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    else:
        return dict(rows)


def _stamp(path: str) -> str:
    try:
        about = Path(path).stat()
    except OSError:
        return ""
    return f"{about.st_size}/{about.st_mtime_ns}"


def _content(path: str) -> str:
    try:
        sketch: Sketch = sketch_of(path)
    except InputError:
        return ""
    return f"{SOUND}{sketch}"


def premise_form(text: str) -> str | None:
    """The words of a labelled pair's premise; None for any other text."""
    if text.isascii() and PARTS[0] not in text.lower():
        return None
    folded = unicodedata.normalize("NFKC", text.translate(UNSEEN)).casefold()
    _, *rest = LABEL.split(folded)
    parts = dict(zip(rest[::2], rest[1::2], strict=True))
    return " ".join(WORD.findall(parts[PARTS[0]])) if sorted(parts) == sorted(PARTS) else None
