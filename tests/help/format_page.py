"""The generated part of docs/reference/file_formats.md: the fields of files that one record class describes."""

import ast
import inspect
import re
import textwrap
import types
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from page_markdown import cell, code, table

from data_curation.records import CurationRow
from lalm_ambig.evaluation.about import About
from lalm_ambig.evaluation.effort import Effort
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import Results
from lalm_ambig.runs.checkpoints.selection import Selection

WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}
FILES: dict[str, tuple[tuple[type[Any], ...], str]] = {
    "predictions.jsonl": (
        (Prediction,),
        "One line per item: what `fit --test`, `evaluate` and `baseline` answered.",
    ),
    "metrics.json": (
        (About, Results),
        "Beside `predictions.jsonl`: the scores. A value that is infinite or undefined is null.",
    ),
    "selection.json": ((Selection,), "In a run folder: how the best weights were chosen."),
    "training.json": ((Effort,), "In a run folder: what training took."),
    "rationales.jsonl": (
        (CurationRow,),
        "What `curate write` appends, one line per outcome; the file has the name of `--out`.",
    ),
}
"""Files with their classes; the fields of several are on one level."""
HEAD = ("field", "type", "meaning")
APART = {"by_item", "about"}
"""Fields whose own fields are on the level above, and those that are in no file."""


def formats_part() -> str:
    """Markdown of all files, each with its fields and those of the objects in them."""
    lines: list[str] = []
    for name, (classes, about) in FILES.items():
        rows, below = _fields(classes)
        lines += [f"## {name}", "", about, "", *table(HEAD, rows), ""]
        names = _names(below)
        done: list[type[Any]] = []
        while waiting := [cls for cls in names if cls not in done]:
            cls = waiting[0]
            rows, below = _fields((cls,))
            for inner, of in _names(below).items():
                names[inner] = sorted({*names.get(inner, ()), *of})
            title = ", ".join(code(one) for one in names[cls])
            lines += [f"### In {name}: {title}", "", *table(HEAD, rows), ""]
            done.append(cls)
    return "\n".join(lines).rstrip() + "\n"


def _names(below: list[tuple[str, type[Any]]]) -> dict[type[Any], list[str]]:
    """The fields that hold objects of each class."""
    names: dict[type[Any], list[str]] = {}
    for name, cls in below:
        names.setdefault(cls, []).append(name)
    return names


def _fields(classes: tuple[type[Any], ...]) -> tuple[list[list[str]], list[tuple[str, type[Any]]]]:
    """A row per field of some classes, and the classes of objects among the fields, each with the field's name."""
    rows, below = [], []
    for cls in classes:
        meanings = dict(_texts(cls))
        for name, kind in get_type_hints(cls).items():
            if name in APART or name.startswith("_") or name == "model_config":
                continue
            below += [(name, found) for found in _classes(kind)]
            said = re.sub(r"\bNone\b", "null", meanings.get(name, ""))
            rows.append([code(name), _type(kind), cell(said)])
    return rows, below


def _type(kind: Any) -> str:
    """A type in words."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(code(str(part)) for part in parts)
    if origin in (Union, types.UnionType):
        named = [_type(part) for part in parts if part is not types.NoneType]
        return " or ".join([*named, *(["null"] if types.NoneType in parts else [])])
    if origin is tuple:
        return f"list: {_type(parts[0])}"
    if origin in (dict, Mapping) or (inspect.isclass(origin) and issubclass(origin, Mapping)):
        return f"object: name to {_type(parts[1])}"
    return WORDS.get(kind, "object")


def _classes(kind: Any) -> Iterator[type[Any]]:
    """The classes of objects in a type."""
    if (
        inspect.isclass(kind)
        and kind not in WORDS
        and get_origin(kind) is None
        and kind.__module__ != "builtins"
    ):
        yield kind
    for part in get_args(kind):
        yield from _classes(part) if get_origin(kind) is not Literal else ()


def _texts(cls: type[Any]) -> Iterator[tuple[str, str]]:
    """Name and meaning of each field that has a text below it."""
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith(("lalm_ambig", "data_curation")):
            continue
        [body] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        for one, following in pairwise(body.body if isinstance(body, ast.ClassDef) else []):
            is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and is_text:
                yield one.target.id, " ".join(str(following.value.value).split())
