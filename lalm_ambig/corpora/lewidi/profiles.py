"""What the organisers say of each annotator, as one line per person.

The sets of 2025 have `NAME_annotators_meta.json`. Two of these files have commas before closing braces, and MP's has
the numbers of the annotators as keys, without `Ann`. Two sets of 2023 say it in every entry, under `other_info`: ArMIS
by the annotator's name, and HS-Brexit as a list of groups. The other two say nothing.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.json_lines import json_value, short_repr
from lalm_ambig.files.text import read_text

NOT_SAID = frozenset({"", "nan", "none", "data_expired", "consent_revoked", "prefer not to say"})
"""Values that say nothing, in lower case."""
SPARE_COMMA = re.compile(r",(?=\s*[}\]])")
GROUPS = "annotators group"


def profiles_of_file(path: Path) -> dict[str, str]:
    """Annotator → profile, from a file of the organisers.

    Raises:
        InputError: The file is no object with an object per annotator.
    """
    content = json_value(SPARE_COMMA.sub("", read_text(path)), source=str(path))
    if not isinstance(content, dict):
        raise InputError("expected an object with an entry per annotator", where=str(path))
    found = {}
    for key, values in content.items():
        if not isinstance(values, dict):
            wrong = f"annotator {short_repr(key)}: expected an object, got {short_repr(values)}"
            raise InputError(wrong, where=str(path))
        if profile := profile_of(values):
            found[key if key.startswith("Ann") else f"Ann{key}"] = profile
    return found


def profile_of(values: Mapping[str, Any]) -> str:
    """One line of what is said of a person; empty where all is unknown.

    >>> profile_of({"Age": 19.0, "Gender": "Female", "Nationality": "DATA_EXPIRED"})
    'Age: 19; Gender: Female'
    """
    said = ((key, _text(value)) for key, value in values.items())
    return "; ".join(f"{key}: {text}" for key, text in said if text.casefold() not in NOT_SAID)


def profiles_of_entry(values: Mapping[str, Any]) -> dict[str, str]:
    """Annotator → profile, from the `other_info` of one entry of 2023; empty where it says nothing."""
    info, named = values.get("other_info"), values.get("annotators")
    if not isinstance(info, dict) or not isinstance(named, str):
        return {}
    names = [name.strip() for name in named.split(",")]
    groups = str(info.get(GROUPS, "")).split(",")
    found = {name: _text(info[name]).replace("_", ", ") for name in names if _text(info.get(name))}
    if len(groups) == len(names):
        told = {name: _text(info.get(group.strip())) for name, group in zip(names, groups, strict=True)}
        found |= {name: text for name, text in told.items() if text}
    return found


def _text(value: Any) -> str:
    """A value as text: 19.0 is 19; anything that is neither text nor number says nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return " ".join(str(value).split())
