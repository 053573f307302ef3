"""Writes `lalm_ambig/help/`: keys, options and the help of each command, out of the code. `make help` runs it.

It also writes the generated parts of docs/reference.

With `--check` it writes nothing, and says which files are not as the code has them.
"""

import contextlib
import importlib
import inspect
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any
from unittest import mock

import lightning
from fit_help import fit_help
from key_table import keys_of, method_defaults, plain_sections, takes
from reference_pages import REFERENCE, pages

import lalm_ambig.baselines
import lalm_ambig.corpora
import lalm_ambig.metrics
import lalm_ambig.prompts
from lalm_ambig.baselines.base import Baseline
from lalm_ambig.config.class_names import PACKAGES
from lalm_ambig.config.suggestions import FLAGS
from lalm_ambig.core.discovery import classes_in, classes_of, module_names, module_of
from lalm_ambig.core.door import ELSEWHERE, command_names
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.help.catalogue import FOLDER, Entry, Key
from lalm_ambig.methods.base import Method
from lalm_ambig.metrics.base import DistributionMetric
from lalm_ambig.policies.base import Policy
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rollouts.engines.base import Engine

CLASSES: dict[str, tuple[type[Any], str, str]] = {
    "methods": (Method, "model", "how a policy is trained"),
    "policies": (Policy, "policy", "the language model that is trained"),
    "corpora": (Corpus, "data.corpus", "items with the votes of many people"),
    "rewards": (Reward, "model.rewards", "what a sampled response earns; a list"),
    "engines": (Engine, "model.engine", "what samples responses in training"),
}
PREFIX = {"rewards": ""}
"""Kinds whose keys are named without the key of the kind, since they are in a list."""
OPTION = re.compile(
    r"^  (?:-\w(?: [A-Z]\w*)?, )?(--[\w.-]+)(?:,? (--[\w-]+))?(?: \{([^}]*)\})?", re.MULTILINE
)


def written() -> dict[Path, str]:
    """Each file with its content as the code has it."""
    kinds = {name: _class_kind(name) for name in CLASSES}
    kinds |= {"metrics": _metrics(), "prompts": _prompts(), "baselines": _baselines()}
    sections = {**plain_sections(), "trainer": _trainer_keys()}
    content = {
        "sections": {name: [astuple(key) for key in keys] for name, keys in sections.items()},
        "kinds": {
            name: {"key": key, "about": about, "entries": [_plain(entry) for entry in entries]}
            for name, (key, about, entries) in kinds.items()
        },
    }
    texts = {
        "fit": fit_help(sections, {name: entries for name, (_, _, entries) in kinds.items()}),
        **_command_texts(),
    }
    files = {f"texts/{name}.txt": text for name, text in texts.items()}
    files |= {"keys.json": _json(content), "options.json": _json(_options(texts, content))}
    of_docs = pages(sections, kinds, texts)
    return {FOLDER / name: text for name, text in files.items()} | {
        REFERENCE / name: text for name, text in of_docs.items()
    }


def _class_kind(name: str) -> tuple[str, str, list[Entry]]:
    base, key, about = CLASSES[name]
    package = PACKAGES[base]
    entries = []
    for module in module_names(package):
        for cls in classes_in(module_of(package, module), base):
            made = method_defaults(cls) if base is Method else None
            keys = keys_of(cls, PREFIX.get(name, key), made)
            entries.append(Entry(cls.__name__, _line(cls), (module,), tuple(keys)))
    return key, about, sorted(entries, key=lambda entry: entry.name)


def _metrics() -> tuple[str, str, list[Entry]]:
    classes = classes_of(lalm_ambig.metrics, DistributionMetric).values()
    return "", "what answers are scored by", [Entry(cls.name, _line(cls)) for cls in classes]


def _prompts() -> tuple[str, str, list[Entry]]:
    modes: dict[str, list[str]] = {}
    for path in sorted(Path(lalm_ambig.prompts.__file__).parent.glob("*.txt")):
        stem, mode = path.name.split(".")[:2]
        modes.setdefault(stem, []).append(mode)
    return (
        "data.prompt",
        "how items are asked about",
        [Entry(s, f"modes {', '.join(m)}") for s, m in modes.items()],
    )


def _baselines() -> tuple[str, str, list[Entry]]:
    classes = classes_of(lalm_ambig.baselines, Baseline).values()
    entries = [Entry(cls.__module__.rpartition(".")[2], _line(cls)) for cls in classes]
    return (
        "",
        "answers without training, of the command baseline",
        sorted(entries, key=lambda entry: entry.name),
    )


def _trainer_keys() -> list[Key]:
    """Lightning's keys, without its texts."""
    parameters = inspect.signature(lightning.Trainer.__init__).parameters.values()
    return [
        Key(f"trainer.{one.name}", _trainer_takes(one.annotation), _trainer_default(one.default), "", "")
        for one in parameters
        if one.name != "self"
    ]


def _trainer_takes(expected: Any) -> str:
    plain = takes(expected)
    return plain if len(plain) < 40 and "VALUE" not in plain else "VALUE"


def _trainer_default(value: Any) -> str:
    return (
        {None: "null", True: "true", False: "false"}[value]
        if value is None or isinstance(value, bool)
        else str(value)
    )


def _line(cls: type[Any]) -> str:
    return " ".join((cls.__doc__ or "").split("\n\n")[0].split()).rstrip(".")


def _plain(entry: Entry) -> dict[str, Any]:
    keys = [astuple(key) for key in entry.keys]
    return {"name": entry.name, "line": entry.line, "aliases": list(entry.aliases), "keys": keys}


def _command_texts() -> dict[str, str]:
    """The help of every command but `fit`, and of the commands within it."""
    texts = {}
    for name in command_names():
        if name == "fit":
            continue
        module = importlib.import_module(
            f"{ELSEWHERE[name]}.__main__" if name in ELSEWHERE else f"lalm_ambig.{name}"
        )
        texts[name] = _said(module, ["--help"])
        for inner in _inner_commands(texts[name]):
            texts[f"{name}.{inner}"] = _said(module, [inner, "--help"])
    return texts


def _said(module: Any, words: list[str]) -> str:
    """What a command prints, at 100 columns, to a user of the console script."""
    out = io.StringIO()
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "102"}),  # argparse leaves two free
        mock.patch.object(sys, "argv", ["lalm-ambig"]),
        contextlib.redirect_stdout(out),
        contextlib.suppress(SystemExit),
    ):
        module.main(words)
    return out.getvalue()


def _inner_commands(text: str) -> list[str]:
    usage = text.partition("\n\n")[0]
    found = re.search(r" ([a-z]+(?:\|[a-z]+)+) \.\.\.", usage)
    return found[1].split("|") if found else []


def _options(texts: dict[str, str], content: Any) -> dict[str, Any]:
    """Each command's options with their choices, for completion."""
    options: dict[str, Any] = {}
    for name, text in sorted(texts.items()):
        found = {match[1]: (match[3] or "").split(",") if match[3] else [] for match in OPTION.finditer(text)}
        options[name] = {**found, "--help": []}
    keys = [row for rows in content["sections"].values() for row in rows]
    for kind in content["kinds"].values():
        keys += [row for entry in kind["entries"] for row in entry["keys"] if "." in row[0]]
    fit = {f"--{name}": [] for name in FLAGS}
    options["fit"] = {**fit, **{f"--{row[0]}": Key(*row).choices for row in keys}}
    return options


def _json(content: Any) -> str:
    return f"{_laid_out(content, 0)}\n"


def _laid_out(value: Any, depth: int) -> str:
    """JSON with a line per key, and per list of plain values."""
    margin = " " * depth
    is_nested = isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(v, list | dict) for v in value)
    )
    if not value or not is_nested:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        lines = [f"{margin} {_laid_out(inner, depth + 1)}" for inner in value]
        return "[\n" + ",\n".join(lines) + f"\n{margin}]"
    lines = [f"{margin} {json.dumps(key)}: {_laid_out(inner, depth + 1)}" for key, inner in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{margin}}}"


def present() -> set[Path]:
    """Files of the help that are there."""
    return {*FOLDER.glob("texts/*.txt"), *FOLDER.glob("*.json")}


def stale() -> Iterator[str]:
    """Names of files that are not as the code has them."""
    files = written()
    yield from sorted(path.name for path in present() - set(files))
    for path, text in files.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            yield path.name


def main() -> int:
    """Write the files, or with `--check` only compare them."""
    if "--check" in sys.argv[1:]:
        names = list(stale())
        print("\n".join(f"not as the code has it: {name}" for name in names) or "help is as the code has it")
        return int(bool(names))
    files = written()
    (FOLDER / "texts").mkdir(exist_ok=True)
    for path in present() - set(files):
        path.unlink()
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    print(f"{len(files)} files in {FOLDER} and {REFERENCE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
