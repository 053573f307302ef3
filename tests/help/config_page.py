"""The keys' part of docs/reference/config.md: every key with what it takes, its default and its meaning."""

from collections.abc import Iterator, Mapping, Sequence

import yaml
from page_markdown import cell, code, table

from lalm_ambig.files.config_files import config_folder
from lalm_ambig.help.catalogue import Entry, Key

HEAD = ("key", "takes", "default", "meaning")
NAMES = {
    "policies": "Policy",
    "corpora": "Corpus",
    "methods": "Method",
    "rewards": "Rewards",
    "engines": "Engine",
}
HOW = {
    "policies": "`--policy NAME`",
    "corpora": "`--data NAME`, or `--data.corpus CLASS`",
    "methods": "`--method NAME`",
    "rewards": "`--model.rewards '[{class_path: NAME, init_args: {KEY: VALUE}}]'`, with GRPO",
    "engines": "`--model.engine NAME`",
}
SECTIONS = {"data": "Data", "run": "Run", "estimate": "Estimate"}
Kind = tuple[str, str, Sequence[Entry]]


def keys_part(sections: Mapping[str, Sequence[Key]], kinds: Mapping[str, Kind]) -> str:
    """Markdown of all keys, by part.

    Args:
        sections: Keys of no class.
        kinds: For each kind its key, what it is, and its classes.
    """
    lines: list[str] = []
    for name in ("policies", "corpora"):
        lines += _kind(name, kinds[name])
    lines += _section("data", sections["data"])
    for name in ("methods", "rewards", "engines"):
        lines += _kind(name, kinds[name])
    for name in ("run", "estimate"):
        lines += _section(name, sections[name])
    return "\n".join([*lines, *_trainer(sections["trainer"]), *_prompts(kinds["prompts"])]).rstrip() + "\n"


def _section(name: str, keys: Sequence[Key]) -> list[str]:
    return [f"## {SECTIONS[name]}", "", *table(HEAD, [_row(key) for key in keys]), ""]


def _kind(name: str, kind: Kind) -> Iterator[str]:
    """The classes of a kind, then their keys: those of all, and those of some with the classes' names."""
    above, about, entries = kind
    yield from [f"## {NAMES[name]}", "", f"{about[0].upper()}{about[1:]}: {HOW[name]}.", ""]
    yield from [*table(["class", "what it is"], [[code(e.name), cell(e.line)] for e in entries]), ""]
    owners: dict[Key, list[str]] = {}
    for entry in entries:
        for key in entry.keys:
            owners.setdefault(key, []).append(entry.name)
    parts: dict[str, list[list[str]]] = {}
    for key, names in owners.items():
        whose = "" if len(names) == len(entries) else f"*{', '.join(names)}.* "
        parts.setdefault(key.name.rpartition(".")[0], []).append(_row(key, whose))
    for part, rows in sorted(parts.items(), key=lambda one: one[0] not in ("", above)):
        title = [] if part in ("", above) else [f"### {part}.*", ""]
        yield from [*title, *table(HEAD, sorted(rows, key=lambda row: row[0])), ""]


def _row(key: Key, whose: str = "") -> list[str]:
    takes = " or ".join(code(part) for part in key.takes.split("|"))
    return [
        code(key.name),
        takes + (f", {cell(key.bounds)}" if key.bounds else ""),
        code(key.default) or "required",
        whose + cell(key.meaning),
    ]


def _trainer(keys: Sequence[Key]) -> Iterator[str]:
    """Lightning's keys with its default and that of every run."""
    base = yaml.safe_load((config_folder() / "base.yaml").read_text(encoding="utf-8"))["trainer"]
    yield from ["### All keys of the trainer", ""]
    yield "`here` is what `configs/base.yaml` sets for every run. Lightning's words: `lalm-ambig fit --help.trainer`."
    yield ""
    rows = []
    for key in keys:
        here = base.get(key.name.partition(".")[2])
        shown = "" if here is None else code(str(here).lower() if isinstance(here, bool) else str(here))
        rows.append([*_row(key)[:2], code(key.default), shown])
    yield from [*table(["key", "takes", "Lightning's default", "here"], rows), ""]


def _prompts(kind: Kind) -> Iterator[str]:
    yield from [
        "## Prompts",
        "",
        "Stems for `data.prompt`, each with its files: `lalm_ambig/prompts/STEM.MODE.txt`.",
        "",
    ]
    rows = [[code(entry.name), cell(entry.line.removeprefix("modes "))] for entry in kind[2]]
    yield from [*table(["stem", "modes"], rows), ""]
