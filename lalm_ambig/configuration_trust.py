"""What a configuration file may name: a class path in it is code that will be imported and run.

The parser takes a class by its path alone, a part of the configuration by a file's name, and either written out in a
text (`policy: "{class_path: …}"`), so every text is looked at in all three ways. Nothing is constructed: the nodes of
the document are walked, as the reader finds them that the parser uses itself.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import yaml

from lalm_ambig.errors import InputError

TRUSTED = ("lalm_ambig.", "lightning.", "torch.")
"""Other packages' classes need --allow-any-class."""
ALLOW_FLAG = "--allow-any-class"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one that jsonargparse builds on."""
STRUCTURE = frozenset("{}[]:-\n")
"""Characters without one of which a text holds neither keys nor a list."""


def check_trusted(files: Sequence[Path], *, allow_any: bool) -> None:
    """InputError for code outside the trusted packages, in these files or in files that they name."""
    seen: set[Path] = set()
    waiting = [] if allow_any else list(files)
    while waiting:
        path = waiting.pop()
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        for key, text in _texts_of(path):
            if _is_foreign(key, text):
                raise InputError(
                    f"{key} {text} is not under {', '.join(TRUSTED)}: a file may not run other code.",
                    where=str(path),
                    remedy=f"If you trust it, add {ALLOW_FLAG}.",
                )
            waiting += [file for file in (Path(text), path.parent / text) if _is_file(file)]


def _texts_of(path: Path) -> Iterator[tuple[str, str]]:
    """Every text in a file with the key that it stands under; none in what is not YAML, which the parser refuses too.

    A file of another kind (JSON Lines, a table) is read only as far as it could be YAML.
    """
    try:
        with path.open(encoding="utf-8") as file:
            yield from _texts(file)
    except (OSError, UnicodeDecodeError):
        return


def _texts(document: TextIO | str, key: str = "") -> Iterator[tuple[str, str]]:
    try:
        root = yaml.compose(document, Loader=LOADER)
    except yaml.YAMLError:
        return
    except RecursionError as error:
        raise InputError("brackets are nested too deep", where="configuration") from error
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [] if root is None else [(key, root)]
    while waiting:
        key, node = waiting.pop()
        if id(node) in seen:  # a reference to what was walked, or is being walked
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                inner = name.value if isinstance(name, yaml.ScalarNode) else ""
                waiting += [("", name), (inner, value)]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(key, value) for value in node.value]
        else:
            yield key, node.value
            yield from _embedded(node.value, key, document)


def _embedded(text: str, key: str, document: TextIO | str) -> Iterator[tuple[str, str]]:
    """The texts in a text that is itself YAML or JSON."""
    if text != document and STRUCTURE.intersection(text):
        yield from _texts(text, key)


def _is_foreign(key: str, text: str) -> bool:
    names = text.split(".")
    if text.startswith(TRUSTED) or len(names) < 2 or not all(name.isidentifier() for name in names):
        return False
    return key == "class_path" or _can_be_imported(names[0])


def _can_be_imported(module: str) -> bool:
    """Whether there is such a module; a top-level one is found without running it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:
        return True


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
