"""Hooks in jsonargparse, at every place where a value becomes a file or an object. Each hook asks a judge.

The check runs where the library acts. So check and act cannot read a value in two ways. The hooks use private names of
the library, tested with jsonargparse 4.53. `check_hooks` detects a version that lacks them.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, Protocol, runtime_checkable

import yaml
from jsonargparse import _actions, _common, _loaders_dumpers, _paths, _typehints, _util, set_parsing_settings
from jsonargparse import typing as json_typing

from lalm_ambig.config.class_names import class_path_of

IMPORTERS = (_actions, _typehints, _util, json_typing)
"""Modules of the library that import an object by its name."""
ENVIRONMENT = "JSONARGPARSE_DEFAULT_ENV"
"""Variable that makes the library take every setting from the environment."""
MODE = "fr"
"""Mode in which the library opens a file that replaces a text."""
BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Errors of the YAML library, beside its own classes, for wrong tags, impossible dates and deep nesting."""
_expected: ContextVar[Any] = ContextVar("expected", default=None)
"""The type at the place that is being parsed."""


@runtime_checkable
class Judge(Protocol):
    """Decides what a value may become. A method raises to refuse it."""

    def name(self, name: str, expected: Any) -> None:
        """Judge a name that is about to be imported.

        Args:
            name: Dotted path of an object.
            expected: The type that is expected at its place.
        """

    def found(self, name: str, value: Any, expected: Any, homes: set[str]) -> None:
        """Judge an object that was imported.

        Args:
            name: Dotted path by which it was named.
            value: The object.
            expected: The type that is expected at its place.
            homes: Dotted paths at which it is defined.
        """

    def is_file(self, text: str) -> bool:
        """Judge whether a text at the place of a class or a list may name a file.

        Args:
            text: The text.

        Returns:
            Whether the library may open it.
        """

    def read(self, text: str, path: Path) -> str:
        """Read a file that replaces a text.

        Args:
            text: The text.
            path: The file that it names.

        Returns:
            The file's content.
        """

    def parsed(self, value: Any) -> Any:
        """Judge a text or a file that was read as YAML.

        Args:
            value: The document.

        Returns:
            The document with renamed keys under their present names.
        """

    def changed(self, previous: Any, new: str) -> None:
        """Judge the replacement of a class by another one at the same place.

        Args:
            previous: Path and settings of the old class; a judge may change them in place.
            new: Path of the new class.
        """


@contextmanager
def judged(judge: Judge, *, objects: bool) -> Iterator[None]:
    """Ask the judge about every file and document that the library reads, within a `with` block.

    Args:
        judge: The judge.
        objects: Whether to ask about every import as well.
    """
    set_parsing_settings(config_read_mode_urls_enabled=False, config_read_mode_fsspec_enabled=False)
    with ExitStack() as stack:
        hooks = [*_file_hooks(judge), *_class_hooks(judge), *(_object_hooks(judge) if objects else [])]
        for owner, name, value in hooks:
            stack.callback(setattr, owner, name, vars(owner)[name])
            setattr(owner, name, value)
        _swap(stack, _loaders_dumpers.loaders, "yaml", _loaders_dumpers.yaml_load)
        _swap(stack, os.environ, ENVIRONMENT, "false")
        if objects:
            _swap(stack, _common.parsing_settings, "instantiate_subclass_spec_in_any", False)
        _keep_search_path(stack)
        yield


def check_hooks() -> bool:
    """Return whether this version of the library asks the judge everywhere. Nothing is imported or read.

    Returns:
        True if a test judge is asked about an object, a type, a file, a document and a replaced class.
    """
    witness = _Witness()
    typehints: Any = _typehints
    loaders: Any = _loaders_dumpers
    attempts: list[Callable[[], Any]] = [
        lambda: typehints.import_object("witness.Thing"),
        lambda: typehints.adapt_typehints("witness.Thing", type[int]),
        lambda: _util.parse_value_or_config("./witness", enable_path=True),
        lambda: loaders.basic_json_or_yaml_load("witness: 1"),
        lambda: typehints.discard_init_args_on_class_path_change(
            None, {"class_path": "a.A", "init_args": {}}, {"class_path": "b.B"}
        ),
    ]
    with judged(witness, objects=True), _common.parser_context(load_value_mode="yaml"):
        for attempt in attempts:
            with suppress(_Asked, Exception):
                attempt()
    return witness.asked == [
        ("witness.Thing", None),
        ("witness.Thing", type[int]),
        ("./witness", None),
        ("witness", None),
        ("b.B", "a.A"),
    ]


class _Asked(BaseException):
    """Raised by the test judge once it is asked."""


class _Witness:
    """A judge that records each question and stops the library there."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def name(self, name: str, expected: Any) -> NoReturn:
        """Record the question.

        Raises:
            _Asked: Always.
        """
        self.asked.append((name, expected))
        raise _Asked

    def found(self, name: str, value: Any, expected: Any, homes: set[str]) -> None:
        """Do nothing. It is never called, since nothing is imported."""

    def is_file(self, text: str) -> NoReturn:
        self.name(text, None)

    def read(self, text: str, path: Path) -> NoReturn:
        """Read nothing.

        Raises:
            _Asked: Always.
        """
        raise _Asked

    def parsed(self, value: Any) -> NoReturn:
        self.name("".join(value), None)

    def changed(self, previous: Any, new: str) -> NoReturn:
        self.name(new, previous["class_path"])


def _object_hooks(judge: Judge) -> Iterator[tuple[Any, str, Any]]:
    original: Any = _util.import_object
    adapt: Any = _typehints.adapt_typehints

    def import_object(name: Any, check_path: bool = True) -> Any:
        well_formed = isinstance(name, str) and "." in name and all(n.isidentifier() for n in name.split("."))
        if not check_path or not well_formed:  # named by code, or refused by the library itself
            return original(name, check_path)
        judge.name(name, _expected.get())
        value = original(name, check_path=False)
        judge.found(name, value, _expected.get(), _util.canonical_import_paths(value))
        return value

    def adapt_typehints(value: Any, expected: Any, *rest: Any, **named: Any) -> Any:
        token = _expected.set(expected)
        try:
            return adapt(value, expected, *rest, **named)
        finally:
            _expected.reset(token)

    yield from ((module, "import_object", import_object) for module in IMPORTERS)
    yield _typehints, "adapt_typehints", adapt_typehints
    yield _typehints, "check_import_path", lambda path: judge.name(path, ModuleType)


def _class_hooks(judge: Judge) -> Iterator[tuple[Any, str, Any]]:
    resolve: Any = _typehints.resolve_class_path_by_name
    discard: Any = _typehints.discard_init_args_on_class_path_change

    def resolve_class_path_by_name(cls: Any, name: str) -> Any:
        return class_path_of(cls, name) or resolve(cls, name)

    def discard_init_args_on_class_path_change(parser_or_action: Any, previous: Any, value: Any) -> None:
        if previous and previous.get("class_path") and previous["class_path"] != value["class_path"]:
            judge.changed(previous, value["class_path"])
        discard(parser_or_action, previous, value)

    yield _typehints, "resolve_class_path_by_name", resolve_class_path_by_name
    yield _typehints, "discard_init_args_on_class_path_change", discard_init_args_on_class_path_change


def _file_hooks(judge: Judge) -> Iterator[tuple[Any, str, Any]]:
    start: Any = _paths.Path.__init__
    load: Any = _loaders_dumpers.yaml_load

    def init(self: Any, path: Any, mode: str = MODE, *rest: Any, **named: Any) -> None:
        """Make the library's path.

        Raises:
            PathError: The judge says that the text names no file.
        """
        if isinstance(path, str) and mode == MODE and not judge.is_file(path):
            raise _paths.PathError(f"Path is not a file: {path!r}")
        start(self, path, mode, *rest, **named)

    def yaml_load(text: Any) -> Any:
        """Read a document as the library does, and let the judge see it.

        The library hands a nested null on as the text `None`, which it would then read as a word.

        Raises:
            YAMLError: The text cannot be read, for whatever reason.
        """
        try:
            value = None if text == "None" else load(text)
        except BROKEN as error:
            raise yaml.YAMLError(f"{type(error).__name__}: {str(error)[:200]}") from error
        return judge.parsed(value)

    yield _paths.Path, "__init__", init
    yield _paths.Path, "read_text", lambda path: judge.read(str(path), Path(path.absolute))
    yield _loaders_dumpers, "yaml_load", yaml_load


def _swap(stack: ExitStack, mapping: Any, key: str, value: Any) -> None:
    """Set an entry of a mapping until the stack closes."""
    if key in mapping:
        stack.callback(mapping.__setitem__, key, mapping[key])
    else:
        stack.callback(mapping.pop, key, None)
    mapping[key] = value


def _keep_search_path(stack: ExitStack) -> None:
    """Keep the import path fixed. The library changes the working directory to a configuration's folder."""
    if "" in sys.path:
        folder = str(Path.cwd())
        sys.path[sys.path.index("")] = folder
        stack.callback(
            lambda: sys.path.__setitem__(sys.path.index(folder), "") if folder in sys.path else None
        )
