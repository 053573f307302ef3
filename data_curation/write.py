"""`write`: reasoning for the items of a corpus, by either writer, into one file."""

import argparse
import asyncio

from data_curation.jobs import Selection
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import open_corpus


def write(args: argparse.Namespace) -> int:
    """Run the command: 0 when nothing is left to do, 1 when the run stopped or wrote nothing."""
    corpus = open_corpus(args.corpus, args.root, part=args.part, seed=args.seed)
    limits = [number for number in (args.limit, args.preview) if number is not None]
    selection = Selection(corpus, tuple(args.split), min(limits, default=None))
    if args.writer == "acoustic":
        if args.dry_run:
            raise InputError("--dry-run is about calls and costs; the acoustic writer has neither.")
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
