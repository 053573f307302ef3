"""Describe a corpus: its items, the disagreement of its annotators, and the noise floor of the metrics.

Examples:
  lalm-ambig describe --corpus demo
  lalm-ambig describe --corpus crema_d --root ~/CREMA-D
  lalm-ambig describe --corpus jsonl --root items.jsonl
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.config.corpus_options import ROOT_HELP, option_values
from lalm_ambig.core.errors import EXIT_OK, EXIT_USER_ERROR, InputError, run_command
from lalm_ambig.core.items import ALL, SPLITS
from lalm_ambig.corpora.base import Corpus, corpus_names, open_corpus
from lalm_ambig.corpora.duplicates.within_corpus import Repetition, repeats
from lalm_ambig.corpora.preparing.prepared import Prepared, prepare
from lalm_ambig.corpora.preparing.split_check import check_splits
from lalm_ambig.files.atomic import write_text
from lalm_ambig.files.kinds import check_replaceable, json_with
from lalm_ambig.files.places import check_folder
from lalm_ambig.reporting.corpus_summary import summarise
from lalm_ambig.reporting.data_page.page import KIND
from lalm_ambig.reporting.data_page.sample import examples
from lalm_ambig.reporting.data_page.writing import DataPageSettings, write_data_page
from lalm_ambig.tabular.escaping import visible

FLOOR_METRICS = {
    "js_div_bits": "JS",
    "js_dist_bits": "JS distance",
    "bc": "BC",
    "brier_mean": "Brier",
    "r2_pearson_item": "R²",
    "accuracy": "accuracy",
}
"""Metrics of the noise floor in the printed table. The JSON file has all metrics."""
FLOOR_MEANING = (
    "panel: a second group of annotators against the first\n"
    "oracle: the true distribution; on JS and BC a sharper one can pass it slightly"
)

MOST_ANNOTATORS = 10
"""Annotators that are listed one by one; the JSON file has all."""
PAGE_ITEMS = 60
"""Items of the data page, unless `--items` says how many."""
EXAMPLE_LETTERS = 160
"""Most characters of an example's text."""

SUMMARY = json_with("what describe --json writes", "corpus", "classes", "annotators", "majority")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the corpus, print its tables, and write the same numbers to `--json FILE` if it is given.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code: 0, or that of a user's mistake if `fit` would refuse the split.
    """
    options = _parser().parse_args(arguments)
    if options.json is not None:
        check_replaceable(options.json, SUMMARY, where="--json")
    _check_page(options)
    chosen = {"part": options.part, "seed": options.seed, "fold": options.fold}
    given = {name: value for name, value in chosen.items() if value is not None}
    corpus = open_corpus(options.corpus, options.root, **given, **option_values(options.option))
    prepared = prepare(corpus, check_audio=options.check_audio)
    summary = {
        "corpus": corpus.name,
        "part": corpus.part,
        "title": corpus.full_name,
        **summarise(prepared, seed=options.seed or 0),
    }
    summary["audio_checked"] = options.check_audio
    if corpus.address is not None:
        summary["hub"] = corpus.address
    found = repeats(prepared.items(), sound=options.check_audio)
    summary["repeated"] = {kind: asdict(repeated) for kind, repeated in found.items()}
    print_summary(summary, Console())
    _print_examples(prepared, Console())
    if options.json is not None:
        write_text(options.json, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    if options.html is not None:
        shown = DataPageSettings(
            options.items or PAGE_ITEMS,
            options.seed or 0,
            sound=options.check_audio,
            metrics=FLOOR_METRICS,
        )
        write_data_page(options.html, corpus, prepared, summary=summary, settings=shown)
        print(f"{options.html}: a page of its items")
    return _split_mistake(corpus, prepared)


def _check_page(options: argparse.Namespace) -> None:
    """Refuse, before the corpus is read, a page that could not be written."""
    if options.items is not None and options.html is None:
        raise InputError("goes with --html FILE: it says how many items the page shows", where="--items")
    if options.items is not None and options.items < 1:
        raise InputError(f"must be at least 1, got {options.items}", where="--items")
    if options.html is None:
        return
    if options.html.is_dir():
        raise InputError(
            f"{options.html} is a folder.", where="--html", remedy="Name a file, such as data.html."
        )
    check_folder(options.html.parent, where="--html")
    check_replaceable(options.html, KIND, where="--html")


def _split_mistake(corpus: Corpus, prepared: Prepared) -> int:
    """Print the error that `fit` would raise for an empty split, and return the exit code. The tables stay valid."""
    counts = prepared.counts()
    only_test = not corpus.draws_splits and counts["test"] == len(prepared.items())
    try:
        check_splits(corpus, counts, (ALL,) if only_test else SPLITS)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m lalm_ambig.describe", description=__doc__)
    parser.add_argument("--corpus", required=True, help=f"one of {', '.join(corpus_names())}")
    parser.add_argument("--root", type=Path, help=ROOT_HELP)
    parser.add_argument("--part", help="only this part, where the corpus has parts")
    parser.add_argument(
        "--seed", type=int, help="seed of the split and of the noise floor's draws (default 0)"
    )
    parser.add_argument(
        "--fold", type=int, help="one of the five folds, 0 to 4, in place of the single split"
    )
    parser.add_argument(
        "--check-audio", action="store_true", help="open every sound file; else none is opened"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to this file as well")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with items to hear and read, and the tables"
    )
    parser.add_argument(
        "--items", type=int, metavar="N", help=f"items that the page shows (default {PAGE_ITEMS})"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of that corpus, as votes=face for crema_d; may be repeated",
    )
    return parser


def print_summary(summary: Mapping[str, Any], console: Console) -> None:
    """Print the summary as tables.

    Args:
        summary: The corpus's numbers, as `main` writes them to JSON.
        console: Prints the tables.
    """
    annotators = summary["annotators"]
    rows = {
        **({"from": summary["hub"]} if "hub" in summary else {}),
        "items": f"{summary['items']:,}",
        "with sound": f"{summary['with_sound']:,}",
        "with text": f"{summary['with_text']:,}",
        "annotators an item (min, median, max)": ", ".join(f"{value:g}" for value in annotators.values()),
        "mean normalised entropy": f"{summary['mean_entropy']:.3f}",
        **{f"split {name}": f"{count:,}" for name, count in summary["splits"].items()},
    }
    if summary["audio_checked"] and summary["with_sound"]:
        rows["left out"] = f"{summary['left_out']:,}"
        rows["sound"] = f"{summary['audio_s'] / 3600:.2f} h"
    console.print(_table(f"Corpus {summary['title']}", ("", ""), rows=list(rows.items())))
    console.print(_shares("Majority class", summary["majority"]))
    console.print(_shares("Ambiguity level", summary["ambiguity_levels"]))
    console.print(_active_table(summary["active_labels"]))
    if summary["agreement"] is not None:
        _print_annotators(summary["agreement"], console)
    repeated = [(kind, Repetition(**values).line) for kind, values in summary["repeated"].items()]
    if rows_of_it := [(kind, line) for kind, line in repeated if line]:
        console.print(_table("More than once", ("", ""), rows=rows_of_it))
    _print_floor(summary, console)


def _print_examples(prepared: Prepared, console: Console) -> None:
    """Print three items: the least ambiguous, the middle one and the most ambiguous."""
    rows = []
    for item in examples(prepared):
        text = " ".join(visible(item.text or "").split())
        shown = text if len(text) <= EXAMPLE_LETTERS else f"{text[: EXAMPLE_LETTERS - 1]}…"
        said = [shown] if shown else []
        heard = [visible(Path(item.audio).name)] if item.audio is not None else []
        pairs = zip(prepared.categories.names, item.votes, strict=True)
        votes = ", ".join(
            f"{name} {vote:g}" for name, vote in sorted(pairs, key=lambda pair: -pair[1]) if vote
        )
        rows.append((visible(item.id), item.split, "\n".join((*said, *heard)), votes))
    table = _table("Examples: least, middle and most ambiguous", ("id", "split", "item", "votes"), rows=rows)
    for column in table.columns[1:]:
        column.justify, column.overflow = "left", "fold"
    console.print(table)


def _table(title: str, columns: Sequence[str], *, rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=any(columns))
    for position, name in enumerate(columns):
        table.add_column(name, justify="right" if position else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # a class may be called [b], which is no markup here
    return table


def _shares(title: str, counts: Mapping[str, int]) -> Table:
    total = sum(counts.values())
    rows = [(name, f"{count:,}", f"{count / total:.1%}") for name, count in counts.items()]
    return _table(title, ("", "items", "share"), rows=rows)


def _active_table(active: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = []
    for name, row in active.items():
        mean = row["mean_entropy"]
        rows.append((name, f"{row['items']:,}", "–" if mean is None else f"{mean:.4f}"))
    return _table("Active labels", ("classes with a vote", "items", "mean entropy"), rows=rows)


def _print_annotators(agreement: Mapping[str, Any], console: Console) -> None:
    """Print how far annotators agree, and each of them; of many, those who agree least and most with others."""
    items_each = ", ".join(f"{value:g}" for value in agreement["items_each"].values())
    rows = [
        ("annotators", f"{agreement['annotators']:,}"),
        ("items an annotator (min, median, max)", items_each),
        ("agreement with another annotator", _share(agreement["agreement"])),
        (f"Krippendorff's α, {agreement['alpha_of']}", _share(agreement["alpha"])),
    ]
    console.print(_table("Annotators", ("", ""), rows=rows))
    title, shown = "Agreement by annotator", agreement["by_annotator"].items()
    if len(shown) > MOST_ANNOTATORS:
        least = agreement["items_each"]["median"]
        judged = [one for one in shown if one[1]["items"] >= least and one[1]["agreement"] is not None]
        ordered = sorted(judged, key=lambda one: one[1]["agreement"])
        shown = [*ordered[: MOST_ANNOTATORS // 2], *ordered[-(MOST_ANNOTATORS // 2) :]]
        title = f"{title}: least and most, of those with {least:g} items or more"
    lines = [
        (
            visible(name),
            f"{one['items']:,}",
            _share(one["agreement"]),
            visible(max(one["labels"], key=one["labels"].get)),
        )
        for name, one in shown
    ]
    console.print(_table(title, ("", "items", "agreement", "most frequent label"), rows=lines))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _print_floor(summary: Mapping[str, Any], console: Console) -> None:
    floor = summary["noise_floor"]
    if floor is None:
        console.print(f"Noise floor: not known. {summary['noise_floor_missing']}")
        return
    rows = []
    for name in ("panel", "oracle"):
        values = [floor[name][metric] for metric in FLOOR_METRICS]
        rows.append((name, *("–" if value is None else f"{value:.4f}" for value in values)))
    title = f"Noise floor (disagreement {floor['disagreement']:.3f}, α {floor['alpha']:.3f})"
    console.print(_table(title, ("", *FLOOR_METRICS.values()), rows=rows))
    console.print(FLOOR_MEANING, style="dim")


if __name__ == "__main__":
    run_command(main)
