"""What a configuration may name: a class in it is code that will be imported and run.

A text is a class path where the parser expects a class, and nowhere else. Whether it may be used is decided where the
parser imports it (`config.trust_parser`), by the type that is expected there (`config.trust_positions`);
so nothing depends on how it was spelt, which file it came from, or what lies in the working directory. In the same
way every file that takes a text's place is looked at when it is opened.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from fsspec.registry import known_implementations
from jsonargparse import Namespace

from lalm_ambig.config.files import ALLOW_FLAG
from lalm_ambig.config.one_class import conflict, drop_default_settings, is_default, remedy
from lalm_ambig.config.renamed import renamed_document
from lalm_ambig.config.trust_parser import check_hooks, judged
from lalm_ambig.config.trust_places import place_of
from lalm_ambig.config.trust_positions import objection_to_name, objection_to_object, takes_anything
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.text import read_text
from lalm_ambig.files.yaml import read_yaml

ALLOW_HELP = "Let a configuration name any class. It is a program then: read it first."
SUFFIXES = (".yaml", ".yml", ".json")
MOST_VALUES = 1_000_000
"""Values in one document, each counted as often as it is referred to."""
MOST_BYTES = 16 << 20
"""Of one file that takes a text's place."""
SCHEME = re.compile(r"([A-Za-z][\w+.-]*)(?:://|::)")
STORAGE = frozenset(
    {"abfs", "abfss", "adl", "az", "file", "gcs", "gs", "hdfs", "http", "https", "local", "s3", "s3a"}
)
"""Where a logger or a profiler of Lightning's may write; other addresses of fsspec's read other files first."""


_hooked = cache(check_hooks)
"""Asked once in a process."""
_current: ContextVar["Trust | None"] = ContextVar("trust", default=None)


class _Refused(BaseException):
    """What may not be; no handler of the library's takes it for a value of another type."""

    def __init__(self, what: str, *, text: str, remedy: str = "", where: str | None = None) -> None:
        super().__init__(what)
        self.what, self.text, self.remedy, self.where = what, text, remedy, where


class Trust:
    """What the values of one configuration may become; asked while it is parsed and whenever it is written out."""

    def __init__(self, arguments: Sequence[str], files: Sequence[Path], *, allow_any: bool) -> None:
        """What may be named.

        Args:
            arguments: Of the command line: what they name is told apart from what files name.
            files: Given by --config.
            allow_any: Import anything that is named.
        """
        self.arguments, self.allow_any = arguments, allow_any
        self.judge = _Judge({str(file) for file in files})

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Within, the parser imports and opens only what this configuration may name.

        Raises InputError in one line with file and line, key and value where it would do otherwise.
        """
        if not _hooked():
            raise InputError(
                "this version of jsonargparse does not let what it imports be checked.",
                where="configuration",
                remedy="Install one that does: python -m pip install 'jsonargparse[signatures]==4.53.*'",
            )
        token = _current.set(self)
        try:
            with judged(self.judge, objects=not self.allow_any):
                yield
        except _Refused as refused:
            where, key = self._place(refused.text) if refused.where is None else (refused.where, "")
            what = f"{key}: {refused.what}" if key else refused.what
            raise InputError(what, where=where, remedy=refused.remedy) from refused
        finally:
            _current.reset(token)

    def _place(self, text: str) -> tuple[str, str]:
        """File and line, or option, and key of a text; of no text in particular, the file that was read last."""
        documents = self.judge.documents
        if text or not documents:
            return place_of(text, documents, self.arguments)
        return str(documents[-1][0]), ""


def add_allow_option(parser: argparse.ArgumentParser) -> None:
    """The option by which a command takes a run whose configuration names other packages' classes."""
    parser.add_argument(
        ALLOW_FLAG,
        action="store_true",
        help="let the run's YAML name any class; it is a program then: read it first",
    )


def allowed(options: argparse.Namespace) -> list[str]:
    """What that option adds to the arguments of a configuration."""
    return [ALLOW_FLAG] if options.allow_any_class else []


def current() -> Trust:
    """What is asked now: for whoever parses, to be asked again later."""
    trust = _current.get()
    assert trust is not None
    return trust


def check_addresses(config: Namespace) -> None:
    """Refuses a text in the trainer's settings that the library for files takes as a file behind another one."""
    for text in _texts(config):
        scheme = SCHEME.match(text)
        if scheme is None:
            continue
        unusual = scheme[1].lower() in known_implementations and scheme[1].lower() not in STORAGE
        if unusual or "::" in text:
            raise _Refused(
                f"{text} is no plain address: one file system inside another may open any file.",
                text=text,
                remedy=f"Give a folder, or an address of {', '.join(sorted(STORAGE))}.",
            )


class _Judge:
    """Decides what values may become, by what is expected where they stand."""

    def __init__(self, given: set[str]) -> None:
        self.given = given
        """Names of files that stand for a configuration, however they are spelt."""
        self.documents: list[tuple[Path, str]] = []
        """Every file that was read, with its content."""

    def name(self, name: str, expected: Any) -> None:
        if takes_anything(expected):
            raise ImportError("a value that may be anything is no class path")
        if name.endswith(SUFFIXES):
            raise ImportError(f"no such file: {name}")
        self._refuse(name, objection_to_name(name, expected))

    def found(self, name: str, value: Any, expected: Any, homes: set[str]) -> None:
        self._refuse(name, objection_to_object(value, expected, homes))

    def is_file(self, text: str) -> bool:
        """A name of a class or of one of Lightning's ways may also be a file's in the working directory."""
        return text in self.given or (text != "-" and (text.lower().endswith(SUFFIXES) or "/" in text))

    def read(self, text: str, path: Path) -> str:
        try:
            if path.is_file() and path.stat().st_size > MOST_BYTES:
                raise InputError(f"more than {MOST_BYTES >> 20} MB, and no configuration", where=str(path))
            content = read_text(path)
            if (
                "\t" not in content
            ):  # which JSON may have between its parts, and only the parser's own reader takes
                read_yaml(path)
        except InputError as error:
            raise _Refused(str(error), text=text) from error
        self.documents.append((path, content))
        return content

    def parsed(self, value: Any) -> Any:
        waiting, count = [value], 0
        while waiting:
            inner = waiting.pop()
            parts = inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ()
            count += 1
            if count + len(waiting) + len(parts) > MOST_VALUES:
                raise _Refused(f"it stands for more than {MOST_VALUES:,} values", text="")
            waiting += parts
        try:
            return renamed_document(value)
        except InputError as error:
            raise _Refused(str(error).removeprefix("configuration: "), text="") from error

    def changed(self, previous: Any, new: str) -> None:
        old = str(previous["class_path"])
        if what := conflict(old, new, self.documents):
            raise _Refused(what, text="", remedy=remedy(old, new), where="configuration")
        if is_default(old, self.documents):
            drop_default_settings(previous)

    def _refuse(self, name: str, objection: str | None) -> None:
        if objection is not None:
            raise _Refused(
                f"{name} {objection}", text=name, remedy=f"Read it, and if you trust it add {ALLOW_FLAG}."
            )


def _texts(value: Any) -> Iterator[str]:
    """Every text in a part of a configuration."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Namespace | dict):
        for inner in (vars(value) if isinstance(value, Namespace) else value).values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple | set):
        for inner in value:
            yield from _texts(inner)
