"""`write`: reasoning for the items of a corpus, by either writer, into one file."""

import argparse
import asyncio
from pathlib import Path

from data_curation.jobs import Selection
from data_curation.judge import JS_THRESHOLD
from data_curation.server import add_server_options
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.errors import InputError

SPLITS = ("train", "validation", "test")
WRITER_HELP = """openai: a large audio model hears the clip, writes, and validates from the text alone.
acoustic: sentences made from measured loudness, pitch, rate, pauses and spectrum; offline, no key."""


def add_write_options(parser: argparse.ArgumentParser) -> None:
    """Options of `write`."""
    add = parser.add_argument
    add(
        "--corpus", required=True, metavar="NAME", help="corpus, by the name of its module (crema_d, demo, …)"
    )
    add("--root", type=Path, metavar="DIR", help="folder of the corpus as distributed")
    add("--writer", choices=("openai", "acoustic"), required=True, help=WRITER_HELP)
    add(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="JSON Lines file, appended to; the same command again goes on where it stopped",
    )
    add("--part", metavar="NAME", help="only this part of a corpus that has parts")
    add("--split", action="append", choices=SPLITS, default=[], help="only this split; may be repeated")
    add("--seed", type=int, default=0, help="seed of the split and of the acoustic writer's wording")
    add("--limit", type=int, metavar="N", help="only the first N items")
    add(
        "--preview",
        type=int,
        metavar="N",
        help="only the first N items, and show what was written; kept and paid for like all others",
    )
    add(
        "--retry-failed",
        action="store_true",
        help="write those again whose last outcome was rejected, refused or unreadable",
    )
    _add_openai_options(parser)
    add_server_options(parser)


def write(args: argparse.Namespace) -> int:
    """Run the command: 0 when nothing is left to do, 1 when the run stopped and can be taken up again."""
    corpus = open_corpus(args.corpus, args.root, part=args.part, seed=args.seed)
    limits = [number for number in (args.limit, args.preview) if number is not None]
    selection = Selection(corpus, tuple(args.split), min(limits, default=None))
    if args.writer == "acoustic":
        from data_curation.write_acoustic import write_acoustic

        return write_acoustic(selection, args)
    if args.dry_run:
        from data_curation.plan import print_plan

        return print_plan(selection, args)
    if corpus.licensed and not args.confirm_upload:
        raise InputError(
            f"the licence of {corpus.name} forbids passing clips on, and this would send them to a server.",
            remedy="If your agreement allows that server, or it is your own, add --confirm-upload.",
        )
    from data_curation.write_openai import write_openai

    return asyncio.run(write_openai(selection, args))


def _add_openai_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("openai writer").add_argument
    add(
        "--dry-run",
        action="store_true",
        help="show items, seconds of audio and the range of the cost; sends nothing, needs no key",
    )
    add(
        "--attempts",
        type=int,
        default=3,
        metavar="N",
        help="how often one item is written at most (default: %(default)s)",
    )
    add(
        "--js-threshold",
        type=float,
        default=JS_THRESHOLD,
        metavar="BITS",
        help="largest JS divergence between validation and votes (default: %(default)g)",
    )
    add(
        "--confirm-upload",
        action="store_true",
        help="the licence of the corpus allows you to send its clips to this server",
    )
