"""How the tests of MSP-Podcast read a folder: its items by name, and the notes for the user."""

from pathlib import Path
from typing import Any

from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import open_corpus


def read(root: Path, **options: Any) -> dict[str, Item]:
    """The items of a reading with these options, by turn."""
    return {item.id: item for item in open_corpus("msp_podcast", root, **options).read()}


def notes(root: Path, **options: Any) -> list[str]:
    """The lines of a reading with these options."""
    corpus = open_corpus("msp_podcast", root, **options)
    list(corpus.read())
    return list(corpus.notes())


def told(root: Path, **options: Any) -> str:
    """The notes in one text."""
    return "\n".join(notes(root, **options))
