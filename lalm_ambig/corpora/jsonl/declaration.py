"""The first line of a JSON Lines file, where it declares the classes."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.class_names import UNKNOWN
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.jsonl.ratings import parse_profiles
from lalm_ambig.files.json_lines import json_object, numbered_lines, short_repr

KEYS = ("categories", "verbalisers", "domain", "ordered", "profiles")
"""Keys of a first line that declares the classes."""
LIKENESS = 0.75
"""A key that is so like one of KEYS, from 0 to 1, is a misspelling of it. Others are the user's own and not read."""


def read_declaration(path: Path) -> CategorySet | None:
    """Read the classes that the first line declares.

    Returns:
        The classes; None where the first line is an ordinary row.

    Raises:
        InputError: The file is empty, or the first line is not a JSON object. The latter is an error even where bad
            rows are left out: the line may be the declaration, and without it the classes would change.
    """
    for where, line in numbered_lines(path):
        try:
            values = json_object(line)
            return _declared(values) if is_declaration(values) else None
        except InputError as error:
            raise InputError(str(error), where=where) from error
    raise InputError("the file is empty", where=str(path))


def read_profiles(path: Path) -> dict[str, str]:
    """Read what the first line says of annotators: name → profile; empty where it says nothing.

    Raises:
        InputError: It is malformed.
    """
    for where, line in numbered_lines(path):
        try:
            values = json_object(line)
            return parse_profiles(values) if is_declaration(values) else {}
        except InputError as error:
            raise InputError(str(error), where=where) from error
    return {}


def is_declaration(values: Mapping[str, Any]) -> bool:
    """Whether a first line declares the classes, and is no row.

    Raises:
        InputError: It has the key in other letters.
    """
    if "votes" in values or "annotators" in values or "categories" in values:
        return "votes" not in values and "annotators" not in values
    for key in values:
        if key.strip().casefold() == "categories":
            raise InputError(f'write the key {short_repr(key)} as "categories"')
    return False


def _declared(values: Mapping[str, Any]) -> CategorySet:
    for key in values:
        if key not in KEYS and (meant := get_close_matches(key.strip().casefold(), KEYS, 1, LIKENESS)):
            raise InputError(f"{short_repr(key)} is no key of the first line: write {json.dumps(meant[0])}")
    parse_profiles(values)
    lists = {key: values.get(key) or [] for key in ("categories", "verbalisers")}
    for key, names in lists.items():
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise InputError(f'"{key}" must be a list of texts')
    domain = values.get("domain") or UNKNOWN
    if not isinstance(domain, str):
        raise InputError(f'"domain" must be a text, got {short_repr(domain)}')
    ordered = values.get("ordered", False)
    if not isinstance(ordered, bool):
        raise InputError(f'"ordered" must be true or false, got {short_repr(ordered)}')
    names, verbalisers = tuple(lists["categories"]), tuple(lists["verbalisers"])
    return CategorySet(names, verbalisers, domain=domain, ordered=ordered)
