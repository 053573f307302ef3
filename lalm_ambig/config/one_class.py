"""The rule that method, policy and corpus have one class each: two files that name different classes are refused.

Without this rule, settings of the first class would stay in force for same-named settings of the second.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from lalm_ambig.config.class_names import class_path_of
from lalm_ambig.config.trust_places import LOADER
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.base import Policy

KINDS: dict[str, type[Any]] = {"model": Method, "policy": Policy, "data.corpus": Corpus}
"""Keys with one class per run, each with the base class."""
Documents = Sequence[tuple[Path, str]]
"""Files in the order in which they were read, each with its content."""


def conflict(old: str, new: str, documents: Documents) -> str | None:
    """Return the mistake in replacing one class by another.

    Args:
        old: Class path that was set first.
        new: Class path that is set now.
        documents: Files that were read so far.

    Returns:
        A line with both classes and their places. None if the class may be replaced.
    """
    kind = _kind_of(old, new)
    if kind is None:
        return None
    one, other = (f"{_name(path)} by {_place(kind, path, documents)}" for path in (old, new))
    return f"{kind} is set twice, to {one} and to {other}."


def remedy(old: str, new: str) -> str:
    """Return the remedy for a conflict of two classes.

    Args:
        old: Class path that was set first.
        new: Class path that is set now.

    Returns:
        One sentence or two.
    """
    return f"Keep one of the two; {_name(old)}'s settings are not {_name(new)}'s."


def _kind_of(old: str, new: str) -> str | None:
    """Return the key that both classes belong to. None for the same class, and for a kind that may change."""
    one, other = _imported(old), _imported(new)
    if one is None or other is None or one is other:
        return None
    same = (kind for kind, base in KINDS.items() if all(_is_a(cls, base) for cls in (one, other)))
    return next(same, None)


def _is_a(cls: Any, base: type[Any]) -> bool:
    return isinstance(cls, type) and issubclass(cls, base) and cls is not base


def _place(kind: str, path: str, documents: Documents) -> str:
    """Return where a class was set, `FILE:LINE` or the option. The newest file is searched first."""
    for file, content in reversed(documents):
        for line in _names(kind, content, path):
            return f"{file}:{line}"
    return f"--{kind}"


def _names(kind: str, content: str, path: str) -> Iterator[int]:
    """Yield the numbers of the lines at which a document sets this class for a kind."""
    try:
        root = yaml.compose(content, Loader=LOADER)
    except yaml.YAMLError:
        return
    section = _node(root, kind.split("."))
    for node in (section, root):  # a whole configuration, or a file of this part alone
        inner = _node(node, ["class_path"]) if isinstance(node, yaml.MappingNode) else node
        if isinstance(inner, yaml.ScalarNode) and _is_class(kind, inner.value, path):
            yield inner.start_mark.line + 1


def _is_class(kind: str, text: str, path: str) -> bool:
    class_path = class_path_of(KINDS[kind], text) or text
    return class_path == path or (
        _imported(class_path) is not None and _imported(class_path) is _imported(path)
    )


def _node(node: Any, path: Sequence[str]) -> Any:
    for name in path:
        values = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for key, value in values if key.value == name), None)
    return node


def _name(path: str) -> str:
    return path.rpartition(".")[2]


def _imported(path: str) -> Any:
    """Return the object at a path if its module is imported already; None otherwise. Nothing is imported here."""
    module, _, name = path.rpartition(".")
    return vars(sys.modules[module]).get(name) if module in sys.modules else None
