"""The places in jsonargparse where a value becomes a file or an object, with a judge asked at each of them.

What the library does is judged where it does it, so that a check cannot read a value in another way than the act.
These are names of the library's own, tried with jsonargparse 4.53; `check_hooks` finds a version that lacks them.
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
"""By this variable the library would take every setting from variables of the environment."""
MODE = "fr"
"""How the library opens a file that takes a text's place."""
BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What the YAML library raises, beside its own errors, over wrong tags, impossible dates and deep nesting."""
_expected: ContextVar[Any] = ContextVar("expected", default=None)
"""The type at the place that is being parsed."""


@runtime_checkable
class Judge(Protocol):
    """Who decides what values may become; a method raises where something may not be."""

    def name(self, name: str, expected: Any) -> None:
        """Something of that name is about to be imported for a place where that type is expected."""

    def found(self, name: str, value: Any, expected: Any, homes: set[str]) -> None:
        """It was imported; `homes` are the paths at which it is defined."""

    def is_file(self, text: str) -> bool:
        """Whether a text at a place of a class or a list may stand for a file."""

    def read(self, text: str, path: Path) -> str:
        """The content of a file that takes a text's place."""

    def parsed(self, value: Any) -> Any:
        """A text or a file was read as YAML; returns it with renamed keys under their present names."""

    def changed(self, previous: Any, new: str) -> None:
        """A class with settings, or without, gives way to the class of path `new` at the same place."""


@contextmanager
def judged(judge: Judge, *, objects: bool) -> Iterator[None]:
    """Within, the judge is asked about every file and document, and with `objects` about everything imported."""
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
    """Whether the judge is asked about an object, a type and a file; nothing is imported or read."""
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
    """The judge was asked."""


class _Witness:
    """A judge that notes what it is asked, and goes no further."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def name(self, name: str, expected: Any) -> NoReturn:
        self.asked.append((name, expected))
        raise _Asked

    def found(self, name: str, value: Any, expected: Any, homes: set[str]) -> None:
        """Never: nothing is imported."""

    def is_file(self, text: str) -> NoReturn:
        self.name(text, None)

    def read(self, text: str, path: Path) -> NoReturn:
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
        if isinstance(path, str) and mode == MODE and not judge.is_file(path):
            raise _paths.PathError(f"Path is not a file: {path!r}")
        start(self, path, mode, *rest, **named)

    def yaml_load(text: Any) -> Any:
        try:
            value = load(text)
        except BROKEN as error:
            raise yaml.YAMLError(f"{type(error).__name__}: {str(error)[:200]}") from error
        return judge.parsed(value)

    yield _paths.Path, "__init__", init
    yield _paths.Path, "read_text", lambda path: judge.read(str(path), Path(path.absolute))
    yield _loaders_dumpers, "yaml_load", yaml_load


def _swap(stack: ExitStack, mapping: Any, key: str, value: Any) -> None:
    """Set an entry until the stack is left."""
    if key in mapping:
        stack.callback(mapping.__setitem__, key, mapping[key])
    else:
        stack.callback(mapping.pop, key, None)
    mapping[key] = value


def _keep_search_path(stack: ExitStack) -> None:
    """Modules are not looked for beside a configuration: the library makes its folder the working directory."""
    if "" in sys.path:
        here = str(Path.cwd())
        sys.path[sys.path.index("")] = here
        stack.callback(lambda: sys.path.__setitem__(sys.path.index(here), "") if here in sys.path else None)
