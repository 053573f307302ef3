"""The end of a run: its tables of the validation and the test split, in the terminal, results.md and the model card.

results.md has a part for each split. The test part is written when the test split has been evaluated; before, it says
how to get there. Files of older versions have no parts: all of their tables are of the test split.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.markup import escape

from lalm_ambig.config.cli import Cli
from lalm_ambig.core.door import shown
from lalm_ambig.core.types import Split
from lalm_ambig.evaluation.annotator_table import result_tables
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.published import literature
from lalm_ambig.evaluation.responses import responses_of
from lalm_ambig.evaluation.results import Results
from lalm_ambig.files.atomic import write_lines
from lalm_ambig.runs.checkpoints.selection import (
    Selection,
    choice_line,
    read_selection,
    selection_responses,
    selection_table,
)
from lalm_ambig.runs.folder.run_folder import UNTESTED, RunFolder
from lalm_ambig.runs.model_card import write_card
from lalm_ambig.runs.notices import answers_notices, selection_notices
from lalm_ambig.runs.reference_rows import PANEL
from lalm_ambig.runs.training import Training
from lalm_ambig.tabular.from_markdown import tables_of
from lalm_ambig.tabular.model import ResultTable
from lalm_ambig.tabular.writers import laid_out, plain_markdown

TITLES: Mapping[Split, str] = {"validation": "Validation", "test": "Test"}
PARTS = re.compile(r"(?m)^## (Validation|Test)$")
HEADINGS = dict(zip(TITLES.values(), TITLES, strict=True))
PLACEHOLDER = "RUN"


@dataclass(frozen=True)
class Part:
    """What a run's tables say of one split."""

    split: Split
    tables: tuple[ResultTable, ...]
    notices: tuple[str, ...]

    def lines(self) -> list[str]:
        """The part as results.md has it."""
        notices = [*(f"- {notice}" for notice in self.notices), ""] if self.notices else []
        return [f"## {TITLES[self.split]}", "", *map(plain_markdown, self.tables), *notices]


def part_of(
    training: Training, split: Split, results: Mapping[str, Results], trained: Sequence[Prediction]
) -> Part:
    """Make the tables of a split.

    Args:
        training: The run.
        split: The split.
        results: Its rows: uniform, prior, the policy before and after training, and reference rows.
        trained: Answers of the trained policy.
    """
    main, levels = result_tables(results, bounds=(PANEL,))
    responses = [table for table in (responses_of(results),) if table is not None]
    notices = answers_notices(split, trained)
    selection = read_selection(training.run.selection) if split == "validation" else None
    if selection is None:
        return Part(split, (main, levels, *responses), tuple(notices))
    main = replace(main, caption=(*main.caption, choice_line(selection)))
    chosen = _of_sample(training, selection)
    return Part(split, (main, levels, *responses, *chosen), (*selection_notices(selection), *notices))


def _of_sample(training: Training, selection: Selection) -> list[ResultTable]:
    """The tables of the items that chose the checkpoint, where they are a part of the split."""
    if selection.ids is None:
        return []
    columns = training.data.corpus.table_metrics
    tables = [selection_table(selection, before=training.before, columns=columns)]
    responses = selection_responses(selection, before=training.before)
    return [*tables, *([] if responses is None else [responses])]


def conclude(training: Training, parts: Sequence[Part]) -> None:
    """Write the run's tables and model card, and print the tables. A run with tables is finished.

    Args:
        training: The run.
        parts: Of the validation split, and of the test split if it has been evaluated.
    """
    run, cli, console = training.run, training.cli, training.console
    tested = parts[-1].split == "test"
    for part in parts:
        if part.split == "validation" or cli.shows_test:
            _print(part, console)
    corpus = training.data.corpus
    method = type(training.model).__name__
    write_card(run, method=method, corpus=corpus.name, split=parts[-1].split, tables=parts[-1].tables)
    printed = literature(corpus.name, corpus.part_or_target) if tested else []
    after = map(plain_markdown, printed) if tested else [f"## {TITLES['test']}", "", _untested(PLACEHOLDER)]
    write_lines(run.results, [*(line for part in parts for line in part.lines()), *after])
    if printed and cli.shows_test:
        console.print("results.md holds the literature's figures as well")
    _print_rest(run, cli, console)
    console.print(f"adapter, predictions, samples and metrics: {run.path}")


def show(run: RunFolder, cli: Cli, console: Console) -> None:
    """Print the tables of a finished run, those of the test split only if they are asked for.

    Args:
        run: The run.
        cli: Whether they are.
        console: Prints.
    """
    console.print(f"{run.path} is finished already:", soft_wrap=True)
    older, *rest = PARTS.split(run.results.read_text(encoding="utf-8"))
    parts = {HEADINGS[title]: text for title, text in zip(rest[::2], rest[1::2], strict=True)}
    if not parts:
        _print_text(older, console)
        return
    for split, text in parts.items():
        if split == "validation" or (cli.shows_test and run.is_tested):
            console.rule(split)
            _print_text(text, console)
    _print_rest(run, cli, console)


def _print(part: Part, console: Console) -> None:
    console.rule(part.split)
    for table in part.tables:
        console.print(*laid_out(console, table))
    for notice in part.notices:
        console.print(notice, highlight=False, soft_wrap=True)


def _print_text(text: str, console: Console) -> None:
    for part in tables_of(text):
        if isinstance(part, ResultTable):
            console.print(*laid_out(console, part))
        else:
            console.print(escape(part), highlight=False, soft_wrap=True)


def _print_rest(run: RunFolder, cli: Cli, console: Console) -> None:
    """Print where the test is, if its table was not printed. A sweep says at its end how its choice is tested."""
    if cli.shows_test or cli.sweep is not None:
        return
    if not run.is_tested:
        line = _untested(str(run.path))
    elif cli.tests:
        line = "the test comes at the end, for all runs together; --test shows it for each"
    else:
        line = "the test split has been evaluated: --test shows its table"
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _untested(run: str) -> str:
    return (
        f"{UNTESTED}: add --test to the same command, or evaluate: "
        f"{shown('lalm-ambig evaluate')} --run {run} --out DIR"
    )
