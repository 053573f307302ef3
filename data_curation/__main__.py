"""Write chains of thought for the items of a corpus, and see what has become of them: `python -m data_curation`."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.core.errors import InputError, run_command

DESCRIPTION = """Reasoning that explains why listeners divided as they did; for fit's --data.rationales.

  write     make it, with a large audio model or offline from measurements; goes on where it stopped
  validate  judge a file anew from the replies that it keeps, unpaid
  stats     quality numbers of a file
  review    a static page with audio, votes and reasoning side by side

Examples:
  lalm-ambig curate write --writer acoustic --corpus crema_d --root ~/CREMA-D --out rationales.jsonl
  lalm-ambig curate stats rationales.jsonl
  lalm-ambig curate review rationales.jsonl --root ~/CREMA-D --out page/
"""
Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run the subcommand.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code of the subcommand.

    Raises:
        InputError: A package of the extra `curation` is not installed.
    """
    try:
        args = _parser().parse_args(arguments)
        command: Command = args.command
        return command(args)
    except ModuleNotFoundError as error:
        if error.name not in ("openai", "httpx2", "pydantic"):
            raise
        raise InputError(
            f"{error.name} is not installed.", remedy="pip install 'lalm_ambig[curation]'"
        ) from error


def _parser() -> argparse.ArgumentParser:
    from data_curation.options import add_validate_options, add_write_options

    parser = CommandParser(
        prog="python -m data_curation",
        description=DESCRIPTION,
    )
    commands = parser.add_subparsers(required=True, metavar="write|validate|stats|review")
    writing = commands.add_parser("write", help="write reasoning for the items of a corpus")
    add_write_options(writing)
    writing.set_defaults(command=_write)
    validating = commands.add_parser("validate", help="judge a file anew from the replies that it keeps")
    add_validate_options(validating)
    validating.set_defaults(command=_validate)
    counting = commands.add_parser("stats", help="quality numbers of a file")
    counting.add_argument("file", type=Path, metavar="FILE", help="what `write` wrote")
    counting.set_defaults(command=_stats)
    showing = commands.add_parser("review", help="a static page to look at the result with")
    showing.add_argument("file", type=Path, metavar="FILE", help="what `write` wrote")
    showing.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the page")
    showing.add_argument("--root", type=Path, metavar="DIR", help="folder of the corpus, to hear the clips")
    showing.set_defaults(command=_review)
    return parser


def _write(args: argparse.Namespace) -> int:
    """Exit code 0 where nothing is left to do, 1 where the run stopped or wrote nothing."""
    import asyncio

    from data_curation.selection import ItemSelection
    from lalm_ambig.config.corpus_options import option_values
    from lalm_ambig.corpora.base import open_corpus

    options = option_values(args.option)
    given = {} if args.part is None else {"part": args.part}
    corpus = open_corpus(args.corpus, args.root, seed=args.seed, **given, **options)
    limits = [number for number in (args.limit, args.preview) if number is not None]
    selection = ItemSelection(corpus, tuple(args.split), min(limits, default=None))
    if args.writer == "acoustic":
        if args.dry_run:
            raise InputError("--dry-run is about calls and costs; the acoustic writer has neither.")
        from data_curation.write_acoustic import write_acoustic

        return write_acoustic(selection, args)
    if args.dry_run:
        from data_curation.plan import print_plan

        return print_plan(selection, args)
    from data_curation.chat.connection import address_of, check_upload
    from data_curation.write_openai import write_openai

    check_upload(
        address_of(args), corpus=corpus.name, licensed=corpus.licensed, confirmed=args.confirm_upload
    )

    return asyncio.run(write_openai(selection, args))


def _validate(args: argparse.Namespace) -> int:
    from data_curation.validate import validate

    return validate(args)


def _stats(args: argparse.Namespace) -> int:
    from data_curation.stats import print_stats

    return print_stats(args.file)


def _review(args: argparse.Namespace) -> int:
    from data_curation.review.page import write_review
    from lalm_ambig.corpora.base import located

    root = None if args.root is None else located(args.root)[1]
    write_review(args.file, args.out, audio_root=root.parent if root is not None and root.is_file() else root)
    return 0


if __name__ == "__main__":
    run_command(main)
