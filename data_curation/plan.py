"""`write --dry-run`: prints what a run would send and cost, without a call, a key or a changed file."""

import argparse
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from data_curation.author import VALIDATOR_TRIES, Standard
from data_curation.chat.connection import models_of, unknown_price_note
from data_curation.chat.limits import FREE, PricedModel
from data_curation.clips import Clip
from data_curation.filters import length
from data_curation.questions import Rejection, job_key, rewrite_question, validator_question, writer_question
from data_curation.records import PROSE, Reasoning
from data_curation.rows import JobStates, complete_lines, job_states
from data_curation.selection import ItemSelection
from data_curation.write_openai import key_settings, standard_of
from lalm_ambig.core.errors import EXIT_OK, InputError
from lalm_ambig.core.items import Item

USUAL_WORDS = 180
"""Words of a usual reasoning."""
LONGEST_WORD = 12
"""Bytes of a word and its space, in a text of long words only."""
LONGEST_REASONS = 1000
"""Most bytes of the reasons in a question for another version."""


@dataclass
class Plan:
    """The work that is left."""

    items: int = 0
    finished: int = 0
    unusable: int = 0
    audio_s: float = 0.0
    least_usd: float = 0.0
    """Cost where every item is accepted at its first attempt and texts have the usual length."""
    most_usd: float = 0.0
    """Cost where every item takes all attempts and validations, and every call costs its worst case."""


def print_plan(selection: ItemSelection, args: argparse.Namespace) -> int:
    """Print the plan; returns the exit code."""
    models = models_of(args)
    note = unknown_price_note(models, capped=args.max_cost_usd is not None)
    plan, standard = Plan(), standard_of(args)
    done: JobStates = job_states(complete_lines(args.out))[0] if args.out.is_file() else {}
    settings = key_settings(args, standard)
    names = selection.corpus.categories.names
    for item in selection.items():
        try:
            clip = selection.clip(item)
            key = job_key(item, names, audio_sha256=None if clip is None else clip.sha256, settings=settings)
            outcome = done.get((item.id, key), (0, ""))[1]
            if outcome == "accepted" or (outcome and not args.retry_failed):
                plan.finished += 1
                continue
            plan.audio_s += 0.0 if clip is None else clip.duration_s
        except InputError:
            plan.unusable += 1
            continue
        plan.items += 1
        _add_cost(
            plan, item, clip, names=names, price=_Price(models["writer"], models["validator"], standard)
        )
    _print(plan, note=note, priced=all(model.prices for model in models.values()))
    return EXIT_OK


@dataclass(frozen=True)
class _Price:
    writer: PricedModel
    validator: PricedModel
    standard: Standard


def _add_cost(plan: Plan, item: Item, clip: Clip | None, *, names: tuple[str, ...], price: _Price) -> None:
    standard = price.standard
    writer, validator = (model.prices or FREE for model in (price.writer, price.validator))
    first = writer_question(item, names, clip=clip, max_tokens=standard.writer_tokens)
    rejection = Rejection("x" * (LONGEST_WORD * length.WORDS[1]), ("x" * LONGEST_REASONS,))
    again = rewrite_question(first, rejection, attempt=2, turn=1)
    usual, longest = (
        validator_question(_reasoning(words), names, attempt=1, turn=1, max_tokens=standard.validator_tokens)
        for words in (USUAL_WORDS * ["words"], length.WORDS[1] * ["x" * LONGEST_WORD])
    )
    plan.least_usd += writer.usual(first).cost_usd + validator.usual(usual).cost_usd
    plan.most_usd += writer.worst(first).cost_usd + writer.worst(again).cost_usd * (standard.attempts - 1)
    plan.most_usd += validator.worst(longest).cost_usd * standard.attempts * VALIDATOR_TRIES


def _reasoning(words: list[str]) -> Reasoning:
    prose = dict.fromkeys(PROSE, "") | {"synthesis": " ".join(words)}
    return Reasoning(keywords=(), class_cues=(), **prose)


def _print(plan: Plan, *, note: str | None, priced: bool) -> None:
    table = Table(title="Dry run: nothing is sent", show_header=False)
    table.add_row("items to write", str(plan.items))
    table.add_row("finished by earlier runs", str(plan.finished))
    table.add_row("clip unusable", str(plan.unusable))
    table.add_row("audio", f"{plan.audio_s:.1f} s")
    if priced:
        table.add_row(
            "cost",
            f"${plan.least_usd:.2f} (all accepted at once) to ${plan.most_usd:.2f} (at the very worst)",
        )
        table.add_row("prices", "data_curation/prices.json or --price-*: check them yourself")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    if note is not None:
        console.print(note, markup=False)
