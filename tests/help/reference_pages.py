"""The generated parts of docs/reference: what is below a page's mark is written out of the code by `make help`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from command_page import commands_part
from config_page import Kind, keys_part
from format_page import formats_part
from page_markdown import cell, code, table

from lalm_ambig.help.catalogue import Entry, Key

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
MARK = "<!-- What is below is written by make help. -->\n"


def pages(
    sections: Mapping[str, Sequence[Key]], kinds: Mapping[str, Kind], texts: Mapping[str, str]
) -> dict[str, str]:
    """Each page with its generated part as the code has it.

    Args:
        sections: Keys of no class.
        kinds: Classes and the like, by kind.
        texts: The help of each command.
    """
    parts = {
        "cli.md": commands_part(texts),
        "config.md": keys_part(sections, kinds),
        "file_formats.md": formats_part(),
        "logged_metrics.md": _metrics(kinds["metrics"][2]),
    }
    return {name: _head(name) + "\n" + part for name, part in parts.items()}


def _head(name: str) -> str:
    """The part of a page that is written by hand, with the mark below it.

    Raises:
        ValueError: The page has no mark.
    """
    text = (REFERENCE / name).read_text(encoding="utf-8")
    head, mark, _ = text.partition(MARK)
    if not mark:
        raise ValueError(f"docs/reference/{name} has no line {MARK.strip()}")
    return head + mark


def _metrics(entries: Sequence[Entry]) -> str:
    rows = [[code(entry.name), cell(entry.line)] for entry in sorted(entries, key=lambda entry: entry.name)]
    return "\n".join(["## Metrics of answers", "", *table(["name", "what it is"], rows)]) + "\n"
