"""Help of `fit` after something was chosen: every key of the chosen method, policy, corpus, rewards and engine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lalm_ambig.files.config_files import FOLDERS, is_path, is_there, located, named_file
from lalm_ambig.help.catalogue import Entry, Key, Kind, all_keys, kinds, sections
from lalm_ambig.help.rendering import key_lines, list_lines

PLACES = {
    "policies": ("policy",),
    "corpora": ("data", "corpus"),
    "methods": ("model",),
    "rewards": ("model", "init_args", "rewards"),
    "engines": ("model", "init_args", "engine"),
}
"""Where a configuration names each kind's class."""
CLASS_OPTIONS = {
    "policies": ("--policy",),
    "corpora": ("--data", "--data.corpus"),
    "methods": ("--method", "--model"),
    "rewards": ("--model.rewards",),
    "engines": ("--model.engine",),
}
FILE_OPTIONS = {"--config": "", "-c": "", "--preset": "preset", **{f"--{kind}": kind for kind in FOLDERS}}
"""Options that may name a file, each with the kind of its names."""
Chosen = dict[str, list[str]]
"""Kind to the names of its chosen classes."""


def chosen_help(words: Sequence[str]) -> str | None:
    """Return the keys of what a command line of `fit` chooses.

    Args:
        words: The command line.

    Returns:
        The text, which says so of a class that is not the project's; None if nothing is chosen.
    """
    chosen = choices_of(words)
    found = [
        (kinds()[kind], name, kinds()[kind].entry(name)) for kind, names in chosen.items() for name in names
    ]
    if not found:
        return None
    lines = [
        "Keys of what was chosen; each follows `lalm-ambig fit …` as an option, or stands in a YAML file.",
        "",
    ]
    for kind, name, entry in found:
        lines += [*(_unknown(kind, name) if entry is None else entry_section(kind, entry)), ""]
    if "corpora" in chosen:
        lines += ["data, whatever the corpus", *key_lines(sections()["data"]), ""]
    lines += ["Other keys: lalm-ambig fit --help, fit --help.trainer, list keys WORD.", ""]
    return "\n".join(lines)


def part_help(words: Sequence[str]) -> str | None:
    """Return what `--KEY.help` asks for: the keys of a class (`--model.help GRPO`), or those below a key.

    Args:
        words: The command line.

    Returns:
        The text; None if no word asks so, or for something that the catalogue does not know.
    """
    for option, value in _pairs(words):
        key = option.removeprefix("--").removesuffix(".help").replace(".init_args", "")
        if not option.endswith(".help") or not key:
            continue
        kind = next((kind for kind in kinds().values() if kind.key == key), None)
        if kind is not None and value and not value.startswith("-"):
            entry = kind.entry(value)
            return None if entry is None else "\n".join([*entry_section(kind, entry), ""])
        if kind is not None and kind.key != "model.rewards":
            return "\n".join([f"{kind.name}: --{key} NAME, --{key}.help NAME", *list_lines(kind.entries), ""])
        if found := list(_below(key, words)):
            return "\n".join([*found, ""])
    return None


def _below(key: str, words: Sequence[str]) -> Iterator[str]:
    """Yield the keys below a key, of the chosen classes or else of all that have them."""
    chosen = {name for names in choices_of(words).values() for name in names}
    owners: dict[Key, list[str]] = {}
    for owner, one in all_keys():
        if one.name.startswith(f"{key}."):
            owners.setdefault(one, []).append(owner)
    narrowed = {one: names for one, names in owners.items() if chosen & set(names)} or owners
    for one, names in narrowed.items():
        whose = (
            f" [{', '.join(names)}]"
            if any(names) and len(narrowed) != len({k.name for k in narrowed})
            else ""
        )
        yield from key_lines([replace(one, meaning=f"{one.meaning}{whose}")])


def entry_section(kind: Kind, entry: Entry) -> list[str]:
    """Return the lines about one class: what it is, how it is named, and its keys.

    Args:
        kind: The class's kind.
        entry: The class.

    Returns:
        The lines.
    """
    in_list = kind.name == "rewards"
    how = (
        f"  --{kind.key} '[{{class_path: {entry.name}, init_args: {{KEY: VALUE}}}}]'"
        if in_list
        else f"  --{kind.key} {entry.name}"
    )
    lines = [f"{entry.name}: {entry.line}", *([how] if kind.key else [])]
    return [*lines, *(key_lines(entry.keys, dashes=not in_list) if entry.keys else ["  no keys"])]


def choices_of(words: Sequence[str]) -> Chosen:
    """Return the classes that a command line names, by an option or in a file. Nothing is checked.

    Args:
        words: The command line of `fit`.

    Returns:
        Names by kind; kinds of which nothing is chosen are left out.
    """
    chosen: Chosen = {}
    pairs = list(_pairs(words))
    for option, value in pairs:
        if option in FILE_OPTIONS and (file := _file(FILE_OPTIONS[option], value)) is not None:
            chosen |= _in_file(file)
    for option, value in pairs:
        for kind, options in CLASS_OPTIONS.items():
            is_file = option in FILE_OPTIONS and _file(FILE_OPTIONS[option], value) is not None
            if option in options and not is_file:
                chosen[kind] = _names(_yaml(value))
    return {kind: names for kind, names in chosen.items() if names}


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each option with its value."""
    for word, after in zip(words, [*words[1:], ""], strict=False):
        option, equals, value = word.partition("=")
        if option.startswith("-"):
            yield option, value if equals else after


def _file(kind: str, value: str) -> Path | None:
    if kind and (path := named_file(kind, value)) is not None:
        return path
    path = located(value)
    return path if is_path(value) and is_there(path) else None


def _in_file(path: Path) -> Chosen:
    content = _yaml(path.read_text(encoding="utf-8"))
    return {kind: names for kind, place in PLACES.items() if (names := _names(_at(content, place)))}


def _yaml(text: str) -> Any:
    import yaml  # not above: most help needs none

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _at(content: Any, place: Sequence[str]) -> Any:
    for name in place:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def _names(value: Any) -> list[str]:
    """Return the class names in the value of a key: a name, a mapping with a `class_path`, or a list of both."""
    if isinstance(value, Mapping):
        value = value.get("class_path")
    if isinstance(value, list):
        return [name for inner in value for name in _names(inner)]
    return [value] if isinstance(value, str) and value and not value.startswith("-") else []


def _unknown(kind: Kind, name: str) -> list[str]:
    listed = ", ".join(entry.name for entry in kind.entries)
    return [
        f"{name}: not one of the project's {kind.name} ({listed}); for a class of yours: --{kind.key}.help {name}"
    ]
