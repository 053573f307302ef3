"""Ways of naming a class in a configuration, and the planted module in which that class lies.

The module leaves a mark when it is imported.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MARK = "PLANTED_MARK"
"""The variable that names the file which a planted module makes."""
CODE = f"""\
import os
open(os.environ[{MARK!r}], "w").close()
class Thing:
    def __init__(self, **given): pass
    def __call__(self, *given): return given
yaml = json = Thing
def thing(*given): return given
"""
Document = Any
"""What a YAML file may hold."""


@dataclass
class Attempt:
    """One configuration in a folder, and how it is given."""

    folder: Path
    name: str
    """Of the planted module."""
    files: dict[str, bytes] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    """Form, place and delivery."""

    @property
    def thing(self) -> str:
        """The class path of the planted class."""
        return f"{self.name}.Thing"

    def put(self, name: str, content: Document) -> str:
        """Add a file, and return its name."""
        self.files[name] = content if isinstance(content, bytes) else dumped(content).encode()
        return name

    @contextmanager
    def planted(self) -> Iterator[Path]:
        """Within, the files lie in the working directory and the module can be imported; the path is the mark's."""
        plant(self.folder, self.name)
        for name, content in self.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for name, target in self.links.items():
            (self.folder / name).symlink_to(target)
        mark = self.folder / "mark"
        with environment({**self.environment, MARK: str(mark), "HOME": str(self.folder)}):
            yield mark


def plant(folder: Path, name: str) -> None:
    """Write the planted module, or the last one of a package."""
    *packages, module = name.split(".")
    inner = folder
    for package in packages:
        inner /= package
        inner.mkdir(parents=True, exist_ok=True)
        (inner / "__init__.py").touch()
    inner.mkdir(parents=True, exist_ok=True)
    (inner / f"{module}.py").write_text(CODE, encoding="utf-8")


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Within, these variables of the environment are set."""
    with ExitStack() as stack:
        for name, value in values.items():
            before = os.environ.get(name)
            stack.callback(os.environ.pop, name, None)
            if before is not None:
                stack.callback(os.environ.__setitem__, name, before)
            os.environ[name] = value
        yield


def dumped(content: Document) -> str:
    return content if isinstance(content, str) else str(yaml.safe_dump(content, sort_keys=False))


def mapping(attempt: Attempt) -> Document:
    """A class as it is meant to be written."""
    return {"class_path": attempt.thing}


def _file(name: str, written: str = "{}") -> Callable[[Attempt], Document]:
    def form(attempt: Attempt) -> Document:
        return written.format(attempt.put(name, mapping(attempt)))

    return form


def _link(attempt: Attempt) -> Document:
    attempt.put("part.txt", mapping(attempt))
    attempt.links["linked.yaml"] = "part.txt"
    return "linked.yaml"


def _above(attempt: Attempt) -> Document:
    attempt.put("deep/other.txt", b"")
    return f"deep/../{attempt.put('part.yaml', mapping(attempt))}"


def _absolute(attempt: Attempt) -> Document:
    return str(attempt.folder / attempt.put("deep/part.yaml", mapping(attempt)))


FORMS: dict[str, Callable[[Attempt], Document]] = {
    "mapping": mapping,
    "text": lambda a: a.thing,
    "settings": lambda a: {"class_path": a.thing, "init_args": {}},
    "settings first": lambda a: {"init_args": {"rank": 1}, "class_path": a.thing},
    "more settings": lambda a: {"class_path": a.thing, "dict_kwargs": {"x": 1}},
    "YAML in a text": lambda a: f"{{class_path: {a.thing}}}",
    "JSON in a text": lambda a: json.dumps({"class_path": a.thing}),
    "tabs in a text": lambda a: json.dumps({"class_path": a.thing}).replace("{", "{\t").replace(": ", ":\t"),
    "block in a text": lambda a: f"class_path: {a.thing}\n",
    "document in a text": lambda a: f"---\nclass_path: {a.thing}\n...\n",
    "comment in a text": lambda a: f"# {{}}\nclass_path: {a.thing}  # x\n",
    "merge in a text": lambda a: f"<<: {{class_path: {a.thing}}}",
    "tag in a text": lambda a: f"!!map {{class_path: !!str {a.thing}}}",
    "escapes in a text": lambda a: '{"class_path": "' + "".join(f"\\u{ord(c):04x}" for c in a.thing) + '"}',
    "file": _file("part.yaml"),
    "file here": _file("part.yaml", "./{}"),
    "file above": _above,
    "file at home": _file("part.yaml", "~/{}"),
    "file by address": lambda a: f"file://{_absolute(a)}",
    "file in a folder": _file("deep/part.yaml"),
    "file by its path": _absolute,
    "file of JSON": lambda a: a.put("part.json", json.dumps(mapping(a))),
    "file in capitals": _file("PART.YAML"),
    "file of no kind": _file("part", "./{}"),
    "file named as another": _file("rows.jsonl", "./{}"),
    "file behind a link": _link,
    "file with a mark": lambda a: a.put("part.yaml", b"\xef\xbb\xbf" + dumped(mapping(a)).encode()),
    "file after many lines": lambda a: a.put("part.yaml", "#\n" * 50_000 + dumped(mapping(a))),
}
"""Ways of naming the planted class."""
