"""File names made from names in data, and checks of folder names that a user chooses.

A name in a file that somebody sent (a corpus in metrics.json, a part in config.yaml) can hold anything: `../..`, a
slash, nothing at all. `component` turns it into one name in the folder that was given.
"""

import hashlib
import re
import unicodedata
from collections.abc import Collection

from lalm_ambig.core.errors import InputError

PLAIN = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
"""Names that stay as they are: lower case, so that no two differ in case alone."""
RESERVED = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9])")
"""Names that some systems keep for devices."""
LONGEST = 60
"""Most characters of a name; the file's other words and its suffix fit after them."""
DIGEST = 12
NAME_BYTES = 255
FOLD_BYTES = 24
"""Bytes for what `fit --folds` and `--seeds` append to a run's name."""


def component(*names: str, plain: Collection[tuple[str, ...]] = ()) -> str:
    """Make one part of a path from names in data, such as a corpus and a part of it.

    One plain name stays as it is. So do several that are in `plain`, joined by `_`. Anything else becomes its plain
    letters, `--` and a digest of the names. No two different lists of names get the same result, even where a file
    system ignores case or Unicode forms.

    Args:
        names: As the data has them.
        plain: Lists of several plain names that stay as they are.

    >>> component("crema_d"), component("chaosnli", "mnli", plain={("chaosnli", "mnli")})
    ('crema_d', 'chaosnli_mnli')
    >>> component("../x")
    'x--097c8ec5198e'
    """
    joined = "_".join(names)
    if names in plain or (len(names) == 1 and _is_plain(joined) and joined not in map("_".join, plain)):
        return joined
    digest = hashlib.sha256(
        "\0".join(f"{len(name)} {name}" for name in names).encode("utf-8", "surrogatepass")
    )
    letters = "-".join(filter(None, map(_letters, names)))[:LONGEST].strip("-_") or "name"
    return f"{letters}--{digest.hexdigest()[:DIGEST]}"


def check_folder_name(name: str, *, where: str) -> None:
    """Check that a name is one folder directly below another.

    Raises:
        InputError: It is not; says why.
    """
    wrong = next((why for why, holds in _wrongs(name) if holds), None)
    if wrong is not None:
        raise InputError(
            f"{name!r} {wrong}:",
            where=where,
            remedy="give the name of one folder, as sft_1; run.root says in which folder it is made.",
        )


def _is_plain(name: str) -> bool:
    return bool(PLAIN.fullmatch(name)) and not RESERVED.fullmatch(name) and len(name) <= LONGEST


def _letters(name: str) -> str:
    """Letters and digits of a name without accents, in lower case, with `_` between words."""
    bare = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", bare).strip("_")


def _wrongs(name: str) -> list[tuple[str, bool]]:
    return [
        ("is empty", not name.strip()),
        ("holds a slash, and so names a place elsewhere", "/" in name or "\\" in name),
        ("is no folder of its own", name in (".", "..")),
        ("holds a character that cannot be shown", not name.isprintable()),
        ("begins or ends with a space", name != name.strip()),
        ("begins with a dash, as options do", name.startswith("-")),
        ("is too long for a folder", len(name.encode("utf-8", "replace")) > NAME_BYTES - FOLD_BYTES),
    ]
