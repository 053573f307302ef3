"""A corpus in a layout of its own in one file, without changing the package.

    python examples/own_corpus.py

Short texts that several people found offensive or not, in one CSV file. A corpus names its classes, its files and its
prompt, and yields items with their votes; splits, checks and tables are the package's. A tiny model is trained on it.
In the package it would be `lalm_ambig/corpora/offence.py`, found by its name (docs/extend/corpus.md).
"""

import csv
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lalm_ambig import train
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.splits import split_by_group
from lalm_ambig.files.csv import open_table, whole_number


class Offence(Corpus):
    """The texts of a CSV file with the columns id, text, offensive and neutral."""

    name = "offence"
    how_to_obtain = "Offence is one CSV file: give it as the root."
    prompt = "text_emotion"  # replaced below: --data.prompt FILE.txt
    speaker_disjoint = False

    @property
    def categories(self) -> CategorySet:
        """The classes, in the order of the votes."""
        return CategorySet(("offensive", "neutral"), domain="offence")

    def label_files(self) -> Sequence[Path]:
        """The files that the labels come from; a missing one is refused with `how_to_obtain`."""
        return [self.require(self.root)]

    def read(self) -> Iterator[Item]:
        """Yield the items. A bad row is refused with its line, or left out and counted."""
        bad_rows, items = BadRows(skip=self.skip_bad_rows), list[Item]()
        (path,) = self.label_files()
        with bad_rows.reading(path) as reading, open_table(path) as table:
            places = [table.position(name) for name in ("id", "text", "offensive", "neutral")]
            for line, row in table.rows(bad_rows):
                name, text, *cells = (row[place] for place in places)
                votes = [whole_number(cell) for cell in cells]
                if not name or not text or None in votes or not any(votes):
                    bad_rows.add("a row needs id, text and votes", where=f"{path}:{line}")
                    continue
                items.append(Item(name, tuple(float(vote or 0) for vote in votes), text=text))
            reading.good = len(items)
        self._notes = tuple(bad_rows.notes(good=len(items)))
        splits = split_by_group((item.id for item in items), seed=self.seed, fold=self.fold)
        for item in items:
            yield Item(item.id, item.votes, text=item.text, split=splits[item.id])


PROMPT = """Several people read the comment at the end, and said whether it is offensive. They often differ.
Form: answer at once with {classes} as <answer> … </answer>, and nothing else.
Comment: "{text}"
"""


def write_example(folder: Path) -> None:
    """Write a CSV of 60 invented comments, ruder ones with more votes for offensive, and the prompt."""
    rude = random.Random(0)
    with (folder / "offence.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "text", "offensive", "neutral"])
        for number in range(60):
            words = rude.randint(0, 3)
            table.writerow([f"t{number}", "You are " + "so " * words + "wrong.", 1 + words, 5 - words])
    (folder / "offence.txt").write_text(PROMPT, encoding="utf-8")


def example() -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the example and return the data and the settings of a short training on it."""
    folder = Path("offence_example")
    folder.mkdir(exist_ok=True)
    write_example(folder)
    settings = {
        "data.prompt": str(folder / "offence.txt"),
        "data.batch_size": 8,
        "data.items_per_update": 8,
        "trainer.max_epochs": 12,
        "model.optimiser.learning_rate": 2e-3,
        "run.probe": False,
    }
    return {"corpus": "own_corpus.Offence", "corpus.root": str(folder / "offence.csv")}, settings


def main() -> None:
    """Train on it, and print the table of the validation split."""
    data, settings = example()
    run = train("tiny", data, "sft_kl_only", name="own_corpus", quiet=True, allow_any_class=True, **settings)
    print(run.table)


if __name__ == "__main__":
    main()
