"""Type checks of a record that was built from a file, however deep it is."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

LARGEST = 2**53
"""Beyond it whole numbers are no longer floats; no count comes near."""


def wrong_fields(record: Any) -> Iterator[str]:
    """Names of the fields of a dataclass whose values are not of their types.

    Types can be built-in ones, unions, literals, `tuple[X, ...]`, `dict[X, Y]` and other dataclasses. An integer counts
    as a float; a truth value counts as neither.
    """
    types = get_type_hints(type(record))
    for field in fields(record):
        if not _fits(getattr(record, field.name), types[field.name]):
            yield field.name


def _fits(value: Any, kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(one, inner[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            _fits(key, inner[0]) and _fits(one, inner[1]) for key, one in value.items()
        )
    if is_dataclass(kind):
        return isinstance(value, kind) and not any(wrong_fields(value))  # type: ignore[arg-type]
    if kind in (int, float):
        small = not isinstance(value, int) or abs(value) <= LARGEST
        return isinstance(value, int | kind) and not isinstance(value, bool) and small
    return isinstance(value, NoneType if kind is None else kind) and not _has_half_a_pair(value)


def _has_half_a_pair(value: Any) -> bool:
    """Whether a text has half of a surrogate pair: JSON can spell it, and no file can hold it."""
    return isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value)
