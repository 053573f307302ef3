"""Show methods, policies, corpora, rewards, presets and the like, and the keys of one of them.

`list` alone names what there is, `list KIND` has one line each, `list KIND NAME` every key of one with its default,
range and meaning, `list keys WORD` the keys that have a word in their name. Nothing is loaded.

Examples:
  lalm-ambig list methods
  lalm-ambig list methods GRPO
  lalm-ambig list keys learning_rate
"""

import argparse
from collections.abc import Iterator, Sequence

from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.core.door import shown
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.files.config_files import first_comment, named_file, names_of
from lalm_ambig.help.catalogue import KINDS, Key, Kind, all_keys, kinds
from lalm_ambig.help.chosen import entry_section
from lalm_ambig.help.names import british, closest
from lalm_ambig.help.rendering import cut, key_lines, list_lines

FILES = {
    "presets": ("preset", "--preset NAME", "policy, data and method in one file"),
    "hardware": ("hardware", "--hardware NAME", "devices, strategy and batch sizes"),
    "studies": ("study", "lalm-ambig study NAME", "many runs and one table"),
}
"""Kinds that are files only: kind of the files, how one is named, and what it is."""
BESIDE = {"policies": "policy", "corpora": "data", "methods": "method"}
"""Kinds of classes that have files as well, with the kind of the files."""
KEYS = "keys"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a list.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code, 0.

    Raises:
        InputError: There is no such kind, or nothing of that name.
    """
    options = _parser().parse_args(arguments)
    print(shown("\n".join(_lines(options))))
    return 0


def _lines(options: argparse.Namespace) -> Iterator[str]:
    if options.kind is None:
        yield from _overview()
        return
    kind = _kind(options.kind)
    if kind == KEYS:
        yield from _matching(options.name)
    elif kind in FILES:
        yield from _files(kind, options.name)
    elif options.name is not None:
        yield from _one(kinds()[kind], options.name)
    else:
        yield from _all(kinds()[kind], keys=options.keys)


def _overview() -> Iterator[str]:
    yield "lalm-ambig list KIND, and lalm-ambig list KIND NAME for every key of one"
    yield ""
    for kind in kinds().values():
        names = [
            *(names_of(BESIDE[kind.name]) if kind.name in BESIDE else ()),
            *(e.name for e in kind.entries),
        ]
        yield cut(f"  {kind.name:<11}{kind.about}: {', '.join(dict.fromkeys(names))}")
    for name, (kind_of_file, _, about) in FILES.items():
        yield cut(f"  {name:<11}{about}: {', '.join(names_of(kind_of_file))}")
    yield f"  {KEYS:<11}every key, or those with a word: list keys learning_rate"


def _kind(given: str) -> str:
    names = [*kinds(), *FILES, KEYS]
    matches = [name for name in names if given.lower() in (name, name.rstrip("s"), _singular(name))]
    if matches:
        return matches[0]
    owners = [kind.name for kind in kinds().values() if kind.entry(given)]
    if owners:
        raise InputError(
            f"{given} is one of the {owners[0]}:", where="list", remedy=f"list {owners[0]} {given}"
        )
    meant = closest(given, names)
    guess = f": did you mean {meant}?" if meant else "."
    raise InputError(
        f"nothing is listed as {given!r}{guess}", where="list", remedy=f"There are {', '.join(names)}."
    )


def _singular(name: str) -> str:
    return {"policies": "policy", "corpora": "corpus", "studies": "study"}.get(name, name)


def _files(kind: str, name: str | None) -> Iterator[str]:
    """Yield a line per file, or the content of one."""
    file_kind, how, about = FILES[kind]
    if name is None:
        yield f"{kind}: {about}; {how}"
        yield from _file_lines(file_kind)
        return
    path = named_file(file_kind, name)
    if path is None:
        meant = closest(name, names_of(file_kind))
        guess = f": did you mean {meant}?" if meant else "."
        raise InputError(f"no {file_kind} {name!r}{guess}", where="list", remedy=f"list {kind} shows them.")
    yield path.read_text(encoding="utf-8").rstrip()


def _file_lines(kind: str) -> Iterator[str]:
    names = names_of(kind)
    width = max(map(len, names), default=0) + 2
    for name in names:
        path = named_file(kind, name)
        yield cut(f"  {name:<{width}}{'' if path is None else first_comment(path)}".rstrip())


def _all(kind: Kind, *, keys: bool) -> Iterator[str]:
    """Yield a line per file and per class, or all keys of all of them."""
    yield f"{kind.name}: {kind.about}"
    if keys:
        for entry in kind.entries:
            yield from ["", *entry_section(kind, entry)]
        return
    if kind.name in BESIDE:
        option = f"--{BESIDE[kind.name]}"
        yield f"files ({option} NAME, with the file's settings)"
        yield from _file_lines(BESIDE[kind.name])
        yield f"classes ({option} NAME, with the defaults in the code)"
    yield from list_lines(kind.entries)
    if any(entry.keys for entry in kind.entries):
        yield f"keys of one: lalm-ambig list {kind.name} {kind.entries[0].name}; of all: list {kind.name} --keys"


def _one(kind: Kind, name: str) -> Iterator[str]:
    """Yield a file's content, or a class's keys."""
    entry = kind.entry(name)
    path = named_file(BESIDE[kind.name], name) if kind.name in BESIDE else None
    if path is not None and (entry is None or name not in (entry.name,)):
        yield f"the file {name}: --{BESIDE[kind.name]} {name}"
        yield path.read_text(encoding="utf-8").rstrip()
        yield ""
    if entry is not None:
        yield from entry_section(kind, entry)
    elif path is None:
        files = names_of(BESIDE[kind.name]) if kind.name in BESIDE else []
        names = [*files, *(each.name for each in kind.entries)]
        meant = closest(name, names)
        guess = f": did you mean {meant}?" if meant else "."
        raise InputError(
            f"{name!r} is none of the {kind.name}{guess}",
            where="list",
            remedy=f"There are {', '.join(names)}.",
        )


def _matching(word: str | None) -> Iterator[str]:
    """Yield the keys that have a word in their name, each with the classes that have it."""
    owners: dict[Key, list[str]] = {}
    for owner, key in all_keys():
        last = key.name.rpartition(".")[2]
        initials = "".join(part[:1] for part in last.split("_"))
        if word is None or british(word.lower()) in british(key.name) or initials == word.lower():
            owners.setdefault(key, []).append(owner)
    if not owners:
        meant = closest(str(word), {key.name.rpartition(".")[2] for _, key in all_keys()})
        guess = f": did you mean {meant}?" if meant else "."
        raise InputError(f"no key has {word!r} in its name{guess}", where="list")
    for key, classes in owners.items():
        if named := ", ".join(filter(None, classes)):
            yield f"{named}:"
        yield from key_lines([key])


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m lalm_ambig.list", description=__doc__)
    names = ", ".join([*KINDS, *FILES, KEYS])
    parser.add_argument("kind", nargs="?", metavar="KIND", help=f"one of {names}")
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="one of them; with keys: a word of their names"
    )
    parser.add_argument("--keys", action="store_true", help="with KIND: the keys of all of them")
    return parser


if __name__ == "__main__":
    run_command(main)
