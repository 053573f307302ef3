"""Files as they are not meant to be: valid ones with a few things broken, and what a reader may then do."""

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from types import FrameType
from typing import Any, TypeVar

from hypothesis import strategies as st

from lalm_ambig.core.errors import InputError

T = TypeVar("T")
CPU_S = 10.0
"""Processor time after which a reader counts as hanging: the slowest needs a thousandth of it."""
ODD = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r\n", b"\r", b"\n\n", b"\t", b" ", b"\x1c", b"\x85", b"\\",
    b"\\ud800", b"\\udc00\\ud800", b"\\u0000", b'"', b"'", b"{", b"}", b"[", b"]", b":", b",", b";", b"(", b"%", b"#",
    b"&a [*a]", b"*a", b"!!python/object/apply:os.getcwd []", b"!!float x", b"!!int x", b"!!set {x}", b"2024-13-45",
    b"<<: ", b"? ", b"- ", b"| ", b"---\n", b"...\n", b"NaN", b"-Infinity", b"1e999", b"-1", b"-0.0", b"5e-324",
    b"0x1f", b"true", b"null", b"9" * 5000, b"1" + b"0" * 400, b"[" * 1200, b'{"a":' * 1200, b"x" * 9000, "١٢".encode(),
    "²".encode(), "İß".encode(), "\u2028".encode(), "\u202e".encode(), "\U0001f9ff".encode(),
    b"__class__", b"/dev/zero",
)  # fmt: skip
"""What is put into a file."""
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 10**400, 10**18, 0.5, -0.5, 1e-320, 1e308, float("nan"), float("inf"), "", " ", "x",
    "0.5", "\0", "a\nb", "\ud800", "é" * 300, [], {}, [[]], [1, "a", None], {"": 1}, {"a": {"b": []}},
    [0.5, 0.5], [1e308] * 2,
)  # fmt: skip
"""What a value of a JSON object is replaced by."""
SEPARATORS = (b";", b",", b"\t", b":", b" ")


@contextmanager
def in_time(seconds: float = CPU_S) -> Iterator[None]:
    """TimeoutError where the block takes more processor time; waiting for others does not count."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"still reading after {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def outcome(read: Callable[[], T]) -> T | None:
    """What a reader returns, or None where it refuses in one line; whatever else it raises is a defect."""
    with in_time():
        try:
            return read()
        except InputError as error:
            assert str(error).strip()
            assert "\n" not in str(error)
            return None


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """One of these files after up to four changes; now and then nothing but noise."""
    if draw(st.integers(0, 30)) == 0:
        return draw(st.binary(max_size=200))
    content = draw(st.sampled_from(seeds))
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=4)):
        content = change(content, draw(st.randoms(use_true_random=False)))
    return content


def _overwrite(content: bytes, random: Any) -> bytes:
    at = random.randrange(len(content) + 1)
    return content[:at] + bytes([random.randrange(256)]) + content[at + 1 :]


def _insert(content: bytes, random: Any) -> bytes:
    at = random.randrange(len(content) + 1)
    return content[:at] + random.choice(ODD) + content[at:]


def _replace_word(content: bytes, random: Any) -> bytes:
    """Put something odd in the place of what stands between two separators."""
    separator = random.choice((*SEPARATORS, b"\n"))
    parts = content.split(separator)
    parts[random.randrange(len(parts))] = random.choice(ODD)
    return separator.join(parts)


def _cut(content: bytes, random: Any) -> bytes:
    start = random.randrange(len(content) + 1)
    return content[:start] + content[start + random.randrange(40) :]


def _truncate(content: bytes, random: Any) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def _repeat_line(content: bytes, random: Any) -> bytes:
    lines = content.split(b"\n")
    lines.insert(random.randrange(len(lines)), random.choice(lines))
    return b"\n".join(lines)


def _drop_line(content: bytes, random: Any) -> bytes:
    lines = content.split(b"\n")
    del lines[random.randrange(len(lines))]
    return b"\n".join(lines)


def _swap_fields(content: bytes, random: Any) -> bytes:
    lines = content.split(b"\n")
    at = random.randrange(len(lines))
    separator = random.choice(SEPARATORS)
    fields = lines[at].split(separator)
    random.shuffle(fields)
    lines[at] = separator.join(fields)
    return b"\n".join(lines)


def _other_ends(content: bytes, random: Any) -> bytes:
    return content.replace(b"\n", random.choice((b"\r\n", b"\r", b"\n\n", b"\0\n")))


CHANGES = (
    _overwrite, _insert, _insert, _replace_word, _replace_word, _cut, _truncate, _repeat_line, _drop_line, _swap_fields,
    _other_ends,
)  # fmt: skip


@st.composite
def mutated_objects(draw: st.DrawFn, rows: Sequence[Any]) -> bytes:
    """These rows as JSON Lines, in which up to three values were replaced, dropped or renamed, then maybe bytes."""
    changed = json.loads(json.dumps(list(rows)))
    random = draw(st.randoms(use_true_random=False))
    for _ in range(draw(st.integers(0, 3))):
        _change_value(changed, random)
    content = "\n".join(json.dumps(row, ensure_ascii=random.random() < 0.5) for row in changed) + "\n"
    data = content.encode("utf-8", "surrogatepass")
    return draw(mutated([data])) if draw(st.integers(0, 2)) == 0 else data


def _change_value(root: Any, random: Any) -> None:
    """Change one value somewhere inside a nest of lists and objects."""
    here = root
    while here:
        key = random.choice(list(here)) if isinstance(here, dict) else random.randrange(len(here))
        deeper = here[key]
        if isinstance(deeper, dict | list) and deeper and random.random() < 0.8:
            here = deeper
            continue
        kind = random.randrange(6)
        if kind == 0:
            del here[key]
        elif kind == 1 and isinstance(here, dict):
            here[random.choice(("", "id", "votes", "\ud800", key.upper()))] = here.pop(key)
        else:
            here[key] = deepcopy(random.choice(VALUES))
        return
