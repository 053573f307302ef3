"""The commands' part of docs/reference/cli.md: the help of each, as tables."""

import re
from collections.abc import Iterator, Mapping

from page_markdown import cell, code, prose, table

from lalm_ambig.core.door import command_names
from lalm_ambig.help.commands import ORDER

KEYS_OF_FIT = ("asked for most", "data (whole", "run (whole", "every other key")
"""Parts of the help of `fit` that docs/reference/config.md has in full."""
PLAIN = ("options:", "positional arguments:")
"""Heads of tables that need none."""
ITEM = re.compile(r"^ {2,4}(\S.*?)(?:  +(\S.*))?$")


def commands_part(texts: Mapping[str, str]) -> str:
    """Markdown of all commands, in the order in which one meets them.

    Args:
        texts: The help of each, by its name, `curate.write` for one within another.
    """
    names = command_names()
    ordered = [*(name for name in ORDER if name in names), *(name for name in names if name not in ORDER)]
    lines: list[str] = []
    for name in ordered:
        inner = sorted(text for text in texts if text.startswith(f"{name}."))
        for command in (name, *inner):
            level = "###" if "." in command else "##"
            lines += [f"{level} {command.replace('.', ' ')}", "", *_command(texts[command])]
    return "\n".join(lines).rstrip() + "\n"


def _command(text: str) -> Iterator[str]:
    """The parts of a help: usage, texts, tables of options, examples."""
    usage, _, rest = text.partition("\n\n")
    yield from ["```text", *usage.splitlines(), "```", ""]
    for part in re.split(r"\n\n+", rest.strip("\n")):
        lines = part.splitlines()
        paragraph = [line for line in lines if not line.startswith("  ")]
        items = [line for line in lines if line.startswith("  ")]
        head = " ".join(paragraph)
        if head.startswith(KEYS_OF_FIT):
            continue
        if head.lower() == "examples:" or head == "examples":
            yield from ["```sh", *map(_example, items), "```", ""]
            continue
        rows = [[code(name), cell(meaning)] for name, meaning in _items(items) if name != "-h, --help"]
        if items and not rows:
            continue
        if head and head not in PLAIN:
            title = prose(head.removesuffix(":"))
            yield from [f"**{title[0].upper()}{title[1:]}**" if items else title, ""]
        if items:
            first = "option" if any(name.startswith("`-") for name, _ in rows) else "word"
            yield from [*table([first, "meaning"], rows), ""]


def _items(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Each item of a list with its text, which may go on in further lines."""
    name, words = "", []
    for line in [*lines, "  "]:
        is_item = len(line) - len(line.lstrip()) <= 4
        if is_item and (name or words):
            yield name, " ".join(words)
        if is_item:
            found = ITEM.match(line)
            name, words = (found[1], [found[2]] if found[2] else []) if found else ("", [])
        else:
            words.append(line.strip())


def _example(line: str) -> str:
    """An example with what is said of it as a comment."""
    command, _, said = line.strip().partition("    ")
    return f"{command}    # {said.strip()}" if said else command
