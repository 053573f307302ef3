"""One class for the method, the policy and the corpus: two files that name different ones are a mistake.

Without this check, settings of the first class would stay where the second has settings of the same names.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace

from lalm_ambig.config.class_names import class_path_of
from lalm_ambig.config.files import DEFAULT, config_folder
from lalm_ambig.config.trust_places import LOADER
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.base import Policy

KINDS: dict[str, type[Any]] = {"model": Method, "policy": Policy, "data.corpus": Corpus}
"""Keys of which a run has one class each."""
Documents = Sequence[tuple[Path, str]]
"""Files that were read, in this order, each with its content."""


def conflict(old: str, new: str, documents: Documents) -> str | None:
    """What is wrong where a class was set and another one is set now; None where that is no mistake.

    Args:
        old: Class path that was set first.
        new: Class path that is set now.
        documents: Files that were read so far.
    """
    kind = _kind_of(old, new)
    if kind is None or is_default(old, documents):
        return None
    one, other = (f"{_name(path)} by {_place(kind, path, documents)}" for path in (old, new))
    return f"{kind} is set twice, to {one} and to {other}."


def remedy(old: str, new: str) -> str:
    """What to do about a conflict."""
    return f"Keep one of the two; {_name(old)}'s settings are not {_name(new)}'s."


def is_default(old: str, documents: Documents) -> bool:
    """Whether a class was set by the embedded default only, which is read where no file is given."""
    default = config_folder() / DEFAULT
    if [path for path, _ in documents[:2]][1:] != [default]:
        return False
    return any(_names(kind, default.read_text(encoding="utf-8"), old) for kind in KINDS)


def drop_default_settings(previous: Any) -> None:
    """Take the embedded default's settings out of a class that is replaced; settings by options stay."""
    content = yaml.safe_load((config_folder() / DEFAULT).read_text(encoding="utf-8"))
    settings = previous.get("init_args")
    if not isinstance(settings, Namespace):
        return
    for kind in KINDS:
        section = _at(content, kind)
        for key, value in section.get("init_args", {}).items() if isinstance(section, Mapping) else ():
            if key in settings and _agrees(settings[key], value):
                settings.pop(key)


def _agrees(value: Any, default: Any) -> bool:
    """Whether a setting is as the default has it, in every part that the default names."""
    if isinstance(default, Mapping):
        parts = vars(value) if isinstance(value, Namespace) else value
        return isinstance(parts, Mapping) and all(_agrees(parts.get(k), v) for k, v in default.items())
    return bool(value == default)


def _kind_of(old: str, new: str) -> str | None:
    """The key whose classes both are; None where they are the same class, or of a kind that may change."""
    one, other = _imported(old), _imported(new)
    if one is None or other is None or one is other:
        return None
    same = (kind for kind, base in KINDS.items() if all(_is_a(cls, base) for cls in (one, other)))
    return next(same, None)


def _is_a(cls: Any, base: type[Any]) -> bool:
    return isinstance(cls, type) and issubclass(cls, base) and cls is not base


def _place(kind: str, path: str, documents: Documents) -> str:
    """`FILE:LINE`, or the option, that set a class; the newest file first."""
    for file, content in reversed(documents):
        for line in _names(kind, content, path):
            return f"{file}:{line}"
    return f"--{kind}"


def _names(kind: str, content: str, path: str) -> Iterator[int]:
    """Lines at which a document gives a kind this class."""
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


def _at(content: Any, kind: str) -> Any:
    for name in kind.split("."):
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def _name(path: str) -> str:
    return path.rpartition(".")[2]


def _imported(path: str) -> Any:
    """The object at a path whose module the parser has imported; None otherwise. Nothing is imported here."""
    module, _, name = path.rpartition(".")
    return vars(sys.modules[module]).get(name) if module in sys.modules else None
