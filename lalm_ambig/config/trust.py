"""Trust: which classes and files a configuration may name. A class that it names is imported and run.

A text is a class path only at a place where the parser expects a class. The check runs where the parser imports the
class (`config.trust_parser`). It depends on the type that is expected there (`config.trust_positions`). It does not
depend on the spelling, on the file that has the text, or on the working directory. In the same way, a file that
replaces a text is checked when it is opened.
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
from lalm_ambig.config.one_class import conflict, remedy
from lalm_ambig.config.renamed import renamed_document
from lalm_ambig.config.spelling import spelled_document
from lalm_ambig.config.trust_parser import check_hooks, judged
from lalm_ambig.config.trust_places import place_of
from lalm_ambig.config.trust_positions import objection_to_name, objection_to_object, takes_anything
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.text import read_text
from lalm_ambig.files.yaml import read_yaml

ALLOW_HELP = "Let a configuration name any class. It is a program then: read it first."
SUFFIXES = (".yaml", ".yml", ".json")
MOST_VALUES = 1_000_000
"""Largest number of values in one document. A value counts once per reference to it."""
MOST_BYTES = 16 << 20
"""Largest size of one file that replaces a text, in bytes."""
SCHEME = re.compile(r"([A-Za-z][\w+.-]*)(?:://|::)")
STORAGE = frozenset(
    {"abfs", "abfss", "adl", "az", "file", "gcs", "gs", "hdfs", "http", "https", "local", "s3", "s3a"}
)
"""Schemes of addresses to which loggers and profilers of Lightning may write.

Other schemes of fsspec can open further files first.
"""


_hooked = cache(check_hooks)
"""`check_hooks`, run once per process."""
_current: ContextVar["Trust | None"] = ContextVar("trust", default=None)


class _Refusal(BaseException):
    """A refused value. It is a BaseException, so that no handler in jsonargparse catches it."""

    def __init__(self, message: str, *, text: str, remedy: str = "", where: str | None = None) -> None:
        super().__init__(message)
        self.message, self.text, self.remedy, self.where = message, text, remedy, where


class Trust:
    """Limits what one configuration may import and open, while it is parsed and whenever it is written out."""

    def __init__(self, arguments: Sequence[str], files: Sequence[Path], *, allow_any: bool) -> None:
        """Set the limits.

        Args:
            arguments: The command line; an error names an option of it, or a line of a file.
            files: Files of --config.
            allow_any: Allow every class.
        """
        self.arguments, self.allow_any = arguments, allow_any
        self.judge = _Judge({str(file) for file in files}, arguments)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Restrict the parser to what this configuration may name, within a `with` block.

        Raises:
            InputError: The configuration names something else; the line has file and line, key and value.
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
        except _Refusal as refusal:
            where, key = self._place(refusal.text) if refusal.where is None else (refusal.where, "")
            message = f"{key}: {refusal.message}" if key else refusal.message
            raise InputError(message, where=where, remedy=refusal.remedy) from refusal
        finally:
            _current.reset(token)

    def _place(self, text: str) -> tuple[str, str]:
        """Return a text's place (file and line, or option) and its key. For an empty text: the last file read."""
        documents = self.judge.documents
        if text or not documents:
            return place_of(text, documents, self.arguments)
        return str(documents[-1][0]), ""


def add_allow_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that allows a run's configuration to name other packages' classes.

    Args:
        parser: The parser of a command.
    """
    parser.add_argument(
        ALLOW_FLAG,
        action="store_true",
        help="let the run's YAML name any class; it is a program then: read it first",
    )


def allowed(options: argparse.Namespace) -> list[str]:
    """Return the words that pass this option on to the parser of a configuration.

    Args:
        options: The command's parsed options.

    Returns:
        The option; nothing if it was not given.
    """
    return [ALLOW_FLAG] if options.allow_any_class else []


def current() -> Trust:
    """Return the limits that are in force. A parser keeps them, to write the configuration out later.

    Returns:
        The limits of the surrounding `with` block.
    """
    trust = _current.get()
    assert trust is not None
    return trust


def check_addresses(config: Namespace) -> None:
    """Refuse an address in the trainer's settings that makes fsspec open another file or address first.

    Args:
        config: The trainer's settings.

    Raises:
        _Refusal: Inside `Trust`, which turns it into an InputError.
    """
    for text in _texts(config):
        scheme = SCHEME.match(text)
        if scheme is None:
            continue
        unusual = scheme[1].lower() in known_implementations and scheme[1].lower() not in STORAGE
        if unusual or "::" in text:
            raise _Refusal(
                f"{text} is no plain address: one file system inside another may open any file.",
                text=text,
                remedy=f"Give a folder, or an address of {', '.join(sorted(STORAGE))}.",
            )


class _Judge:
    """Decides what each value may become, from the type that is expected at its place."""

    def __init__(self, config_names: set[str], words: Sequence[str]) -> None:
        self.config_names, self.words = config_names, words
        """Files of --config. Their names need no special suffix."""
        self.documents: list[tuple[Path, str]] = []
        """Every file that was read, with its content."""

    def name(self, name: str, expected: Any) -> None:
        """Refuse a name that may not be imported at its place.

        Args:
            name: Dotted path of an object.
            expected: The type that is expected at its place.

        Raises:
            ImportError: The text is no class path there; the parser tries it as another value.
            _Refusal: The class is not trusted.
        """
        if takes_anything(expected):
            raise ImportError("a value that may be anything is no class path")
        if name.endswith(SUFFIXES):
            raise ImportError(f"no such file: {name}")
        self._refuse(name, objection_to_name(name, expected))

    def found(self, name: str, value: Any, expected: Any, homes: set[str]) -> None:
        self._refuse(name, objection_to_object(value, expected, homes))

    def is_file(self, text: str) -> bool:
        """Return whether a text may name a file: it is a file of --config, ends in a known suffix, or has a slash.

        A class or a strategy of Lightning may have the same name as a file in the working directory.

        Args:
            text: The text.

        Returns:
            Whether the library may open it.
        """
        return text in self.config_names or (text != "-" and (text.lower().endswith(SUFFIXES) or "/" in text))

    def read(self, text: str, path: Path) -> str:
        """Read a file, and remember its content for error messages.

        Args:
            text: The text that names the file.
            path: The file.

        Returns:
            Its content.

        Raises:
            _Refusal: The file is too large, cannot be read, or is no YAML.
        """
        try:
            if path.is_file() and path.stat().st_size > MOST_BYTES:
                raise InputError(f"more than {MOST_BYTES >> 20} MB, and no configuration", where=str(path))
            content = read_text(path)
            if (
                "\t" not in content
            ):  # which JSON may have between its parts, and only the parser's own reader takes
                read_yaml(path)
        except InputError as error:
            raise _Refusal(str(error), text=text) from error
        self.documents.append((path, content))
        return content

    def parsed(self, value: Any) -> Any:
        """Rename the old keys of a document.

        Args:
            value: The document.

        Returns:
            The document with present keys.

        Raises:
            _Refusal: It has too many values, or a key under its old and its present name.
        """
        pending, count = [value], 0
        while pending:
            inner = pending.pop()
            parts = inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ()
            count += 1
            if count + len(pending) + len(parts) > MOST_VALUES:
                raise _Refusal(f"it stands for more than {MOST_VALUES:,} values", text="")
            pending += parts
        try:
            return renamed_document(spelled_document(value))
        except InputError as error:
            raise _Refusal(str(error).removeprefix("configuration: "), text="") from error

    def changed(self, previous: Any, new: str) -> None:
        """Refuse a second class for one kind.

        Args:
            previous: Path and settings of the old class.
            new: Path of the new class.

        Raises:
            _Refusal: Two files, or a file and an option, name different classes.
        """
        old = str(previous["class_path"])
        if message := conflict(old, new, self.documents):
            raise _Refusal(message, text="", remedy=remedy(old, new), where="configuration")

    def _refuse(self, name: str, objection: str | None) -> None:
        if objection is not None:
            raise _Refusal(
                f"{name} {objection}", text=name, remedy=f"Read it, and if you trust it add {ALLOW_FLAG}."
            )


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a part of a configuration."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Namespace | dict):
        for inner in (vars(value) if isinstance(value, Namespace) else value).values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple | set):
        for inner in value:
            yield from _texts(inner)
