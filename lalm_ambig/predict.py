"""Ask a policy about sound files or texts: people's distribution over the classes, and its reasoning.

Examples:
  lalm-ambig predict clip.wav --run runs/x --text "It's eleven o'clock"    bars, and the reasoning
  lalm-ambig predict clips/ --run runs/x --out answers.csv                 a folder, searched whole
  lalm-ambig predict 'calls/**/*.flac' --run me/my-export --out answers.parquet
  lalm-ambig predict items.jsonl --run runs/x --out answers.jsonl          rows of audio or text
  ls *.wav | lalm-ambig predict - --run runs/x --json                      a path or JSON per line

INPUT is a sound file of any format that soundfile reads, a folder, a quoted glob, JSON Lines
(.jsonl), a table (.csv, .tsv), or - for standard input. Rows have audio (or file, path), text, or
premise and hypothesis, and perhaps an id; names of files are relative to the file that names them.
A recording longer than the model hears at once is heard in windows, whose distributions are
averaged by length. A bad input does not stop the rest.

With --out, answers are written as they come. The same command goes on where it was stopped. Exit
code: 0 all are answered, 1 some are not (they are listed), 2 none is.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.core.errors import EXIT_CHECK_FAILED, EXIT_OK, EXIT_USER_ERROR, InputError, run_command
from lalm_ambig.corpora.base import corpus_names
from lalm_ambig.data.datamodule import AUTO
from lalm_ambig.inference.answer import LOW_MASS, Answer
from lalm_ambig.inference.identity import Seen, answers_depend_on
from lalm_ambig.inference.inputs import Inputs, Refused, read_inputs
from lalm_ambig.inference.model import Asking, Model, Result, open_model
from lalm_ambig.inference.outputs import AnswerFile, check_out, sole_writer
from lalm_ambig.inference.questions import Question, question_of
from lalm_ambig.inference.sources import folder_of
from lalm_ambig.runs.loading import add_policy_options, chosen_policy
from lalm_ambig.runs.processes.launch import quiet_libraries

BAR_WIDTH = 40
SHOWN = 20
"""Refused inputs that are listed at the end."""
BLOCK = 16
"""Answers that are looked up among the training items and written together."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Predict the inputs, and print or write the answers.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code: 0 where all are answered, 1 where some are not, 2 where none is.

    Raises:
        InputError: Nothing is given to be predicted, an option is wrong, or the only input cannot be used.
    """
    quiet_libraries()
    options = _parser().parse_args(arguments)
    inputs = _inputs(options)
    if options.out is not None:
        check_out(options.out)
    if options.batch_size != AUTO and options.batch_size < 1:
        raise InputError(f"expected a number from 1 on, got {options.batch_size}.", where="--batch-size")
    if options.samples is not None and options.samples < 1:
        raise InputError(f"expected a number from 1 on, got {options.samples}.", where="--samples")
    is_one = options.out is None and len(inputs.questions) + len(inputs.refused) == 1 and not inputs.notes
    if is_one and inputs.refused:
        raise InputError(f"{inputs.refused[0].why}.", where=inputs.refused[0].id)
    with nullcontext() if options.out is None else sole_writer(options.out):
        return _answer(inputs, options, is_one=is_one)


def _answer(inputs: Inputs, options: argparse.Namespace, *, is_one: bool) -> int:
    """Load the policy and answer all inputs."""
    model = _model(options)
    for note in model.notes[: -1 if is_one and _is_mapped(model) else None]:
        print(note, file=sys.stderr)
    if is_one:
        _answer_one(model, inputs.questions[0], options)
        return EXIT_OK
    return _answer_many(model, inputs, options)


def _inputs(options: argparse.Namespace) -> Inputs:
    """Return the inputs of a command line."""
    if not options.input:
        if options.text is None:
            raise InputError("nothing to predict: give a sound file, or --text.", where="predict")
        return Inputs([question_of(None, text=options.text)])
    inputs = read_inputs(options.input)
    if options.text is not None:
        if len(inputs.questions) != 1 or inputs.refused or inputs.questions[0].text is not None:
            raise InputError(
                f"one text for {len(inputs.questions)} inputs:",
                where="--text",
                remedy="give a file of JSON Lines or a table with a text for each.",
            )
        inputs.questions[0] = replace(inputs.questions[0], text=options.text)
    return inputs


def _model(options: argparse.Namespace) -> Model:
    choice = chosen_policy(options)
    if choice.run is not None:
        choice = replace(choice, run=folder_of(choice.run, revision=options.revision))
    return open_model(choice, Asking(options.classes, options.prompt, options.samples), device=options.device)


def _is_mapped(model: Model) -> bool:
    return model.loaded.is_trained and model.categories != model.loaded.data.categories


def _answer_one(model: Model, question: Question, options: argparse.Namespace) -> None:
    """Print the answer to the only input, with bars, or as a JSON object."""
    [(_, answer)] = model.answers([question], batch_size=options.batch_size)
    if isinstance(answer, InputError):
        raise answer
    told = Seen.by(model).told(question)
    if options.json:
        row = answer.as_dict()
        print(
            json.dumps(
                {**row, "predicted_dist": row["distribution"], "seen_in_training": told}, ensure_ascii=False
            )
        )
        return
    console = Console()
    _show(answer, console)
    if told is not None:
        console.print(f"[yellow]{escape(told[0].upper() + told[1:])}.[/yellow]", highlight=False)
    if _is_mapped(model):
        console.print(f"[dim]{escape(model.notes[-1])}[/dim]", highlight=False)


def _show(answer: Answer, console: Console) -> None:
    console.print(escape(answer.response) + ("  [dim](its end was appended)[/dim]" if answer.closed else ""))
    if answer.unparsed is not None:
        console.print(f"No distribution can be read from it: {answer.unparsed}.", highlight=False)
        return
    width = max(map(len, answer.distribution))
    for name, share in answer.distribution.items():
        bar = "█" * round(BAR_WIDTH * share) + ("  (never trained)" if name in answer.never_trained else "")
        console.print(f"{name:<{width}}  {share:6.1%}  {bar}", highlight=False)
    if answer.class_mass is not None:
        mass = f"{answer.class_mass:.1%}"
        console.print(
            f"[dim]The classes hold {mass} of the model's next-token probability.[/dim]", highlight=False
        )
    for note in answer.notes:
        if "never trained" not in note and "next-token" not in note:
            print(note, file=sys.stderr)


def _answer_many(model: Model, inputs: Inputs, options: argparse.Namespace) -> int:
    """Answer all inputs, write or print the answers, and sum up."""
    about = {} if options.out is None else answers_depend_on(model)
    out = None if options.out is None else AnswerFile.opened(options.out, model.classes, about)
    questions, refused = _pending(inputs, out)
    before = len(inputs.questions) + len(inputs.refused) - len(questions) - len(refused)
    seen = Seen.by(model)
    notes = [*inputs.notes, *seen.record.unknown]
    low = now = 0
    results = model.answers(questions, batch_size=options.batch_size)
    for block in _blocks(results, len(questions)):
        answers = _with_seen(block, seen)
        refused += [
            Refused(question.id, str(error)) for question, error in block if isinstance(error, InputError)
        ]
        now += len(answers)
        low += sum(answer.class_mass is not None and answer.class_mass < LOW_MASS for _, answer in answers)
        if out is not None:
            out.append((question, answer.as_dict()) for question, answer in answers)
        else:
            _print_rows([answer for _, answer in answers], as_json=options.json)
    if out is not None:
        out.finish([question.id for question in inputs.questions])
    notes += _mass_notes(low, now)
    if model.never_trained:
        notes.append(f"never trained: {', '.join(model.never_trained)}; their shares mean little")
    _sum_up(now, before, refused, notes, options.out)
    return EXIT_OK if not refused else EXIT_CHECK_FAILED if now + before else EXIT_USER_ERROR


def _pending(inputs: Inputs, out: AnswerFile | None) -> tuple[list[Question], list[Refused]]:
    """The questions that are not answered yet, and the inputs that are refused."""
    questions, refused = [], list(inputs.refused)
    for question in inputs.questions:
        try:
            if out is None or not out.is_answered(question):
                questions.append(question)
        except (InputError, OSError) as error:
            refused.append(Refused(question.id, str(error)))
    return questions, refused


def _mass_notes(low: int, answered: int) -> list[str]:
    """What a low class mass means, if there is any."""
    if not low:
        return []
    return [
        f"class mass below {LOW_MASS:.0%} in {low} of {answered}: the model would rather have written something else. "
        "A run that trains only the distribution (ce_weight 0) leaves it so, and its shares are still valid"
    ]


def _with_seen(block: Sequence[Result], seen: Seen) -> list[tuple[Question, Answer]]:
    """The answers of a block, with a note on inputs that were trained on."""
    answered = [(question, answer) for question, answer in block if isinstance(answer, Answer)]
    said = seen.notes([question for question, _ in answered])
    return [
        (question, answer if note is None else replace(answer, notes=(*answer.notes, note)))
        for (question, answer), note in zip(answered, said, strict=True)
    ]


def _blocks(results: Iterator[Result], total: int) -> Iterator[list[Result]]:
    """The results in blocks, with a progress bar on standard error where that is a terminal."""
    block: list[Result] = []
    with _bar(total) as progress:
        for result in results:
            block.append(result)
            progress.advance(progress.task_ids[0])
            if len(block) == BLOCK:
                yield block
                block = []
    if block:
        yield block


@contextmanager
def _bar(total: int) -> Iterator[Progress]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        progress.add_task("answers", total=total)
        yield progress


def _print_rows(answers: Sequence[Answer], *, as_json: bool) -> None:
    """Print a row per answer: id, top class, its share, entropy in bits, and notes, separated by tabs; or JSON."""
    for answer in answers:
        if as_json:
            print(json.dumps(answer.as_dict(), ensure_ascii=False))
        elif answer.top is None:
            print(answer.id, "-", "-", "-", "; ".join(answer.notes), sep="\t")
        else:
            share, entropy = f"{answer.distribution[answer.top]:.3f}", f"{answer.entropy:.3f}"
            print(answer.id, answer.top, share, entropy, "; ".join(answer.notes), sep="\t")
    sys.stdout.flush()


def _sum_up(
    now: int, before: int, refused: Sequence[Refused], notes: Sequence[str], out: Path | None
) -> None:
    """Print what was answered and what was not on standard error."""
    answered = f"answered {now + before}" + (f" ({before} of them before)" if before else "")
    where = "" if out is None else f": {out}"
    lines = [f"{one.id}: {one.why.removeprefix(f'{one.id}: ')}" for one in refused[:SHOWN]]
    more = [f"… and {len(refused) - SHOWN} more"] if len(refused) > SHOWN else []
    told = [f"refused {len(refused)}:", *(f"  {line}" for line in chain(lines, more))] if refused else []
    for line in (*notes, f"{answered}{where}", *told):
        print(line, file=sys.stderr)


def _batch_size(word: str) -> int | str:
    return AUTO if word == AUTO else int(word)


_batch_size.__name__ = "int"  # the parser's word for a wrong value


def _parser() -> argparse.ArgumentParser:
    description, _, rest = (__doc__ or "").partition("\n\n")
    parser = CommandParser(
        prog="python -m lalm_ambig.predict",
        description=description,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", nargs="*", metavar="INPUT", help="what is asked about, as below")
    parser.add_argument("--text", help="the transcript of the only input, or the text to be judged")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the answers: x.jsonl, x.csv or x.parquet; made to go on",
    )
    add_policy_options(parser)
    parser.add_argument("--revision", help="branch, tag or commit of an export on the hub (--run OWNER/NAME)")
    parser.add_argument(
        "--classes",
        help=f"comma-separated class names (default: the run's corpus; corpora: {', '.join(corpus_names())})",
    )
    parser.add_argument(
        "--samples", type=int, metavar="N", help="mean of N sampled responses (default: as trained)"
    )
    parser.add_argument(
        "--batch-size",
        type=_batch_size,
        default=AUTO,
        metavar="N",
        help="inputs computed at once (default: auto)",
    )
    parser.add_argument("--device", default=AUTO, help="auto, cpu, cuda, cuda:1 or mps")
    parser.add_argument("--json", action="store_true", help="print one JSON object per input")
    return parser


if __name__ == "__main__":
    run_command(main)
