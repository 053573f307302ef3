"""The generated parts of docs/reference: what is below a page's mark is written out of the code by `make help`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from command_page import commands_part
from config_page import Kind, keys_part
from format_page import formats_part

from lalm_ambig.help.catalogue import Key

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
