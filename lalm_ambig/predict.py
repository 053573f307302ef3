"""Ask a policy about a sound file or a sentence, and print its reasoning and a bar per class.

Usage: `python -m lalm_ambig.predict --run DIR FILE`, or `--text TEXT` in place of FILE.

Examples:
  lalm-ambig predict clip.wav --run runs/NAME
  lalm-ambig predict clip.wav --run runs/NAME --text "It's eleven o'clock" --json
  lalm-ambig predict --policy causal_lm --text 'What a day.' --classes joy,anger,sadness
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from torch.utils.data import DataLoader

from lalm_ambig.audio.inspection import inspect_audio
from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.core.types import Item
from lalm_ambig.corpora.base import corpus_names, open_corpus
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.data.encoding import Elicitation, Encoder, prompt_notes
from lalm_ambig.evaluation.cross_domain import check_mapping, mapping_note
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.prompts import FOR_TEXTS
from lalm_ambig.runs.batch_checks.long_items import refuse_long
from lalm_ambig.runs.loading import Loaded, add_policy_options, load
from lalm_ambig.runs.processes.launch import quiet_libraries, single_device_trainer
from lalm_ambig.runs.trained_items import training_note

BAR_WIDTH = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Predict one item, and print its reasoning and a bar per class, or one JSON object.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code, 0.

    Raises:
        InputError: Neither a sound file nor `--text` is given.
    """
    quiet_libraries()
    options = _parser().parse_args(arguments)
    if options.audio is None and options.text is None:
        raise InputError("nothing to predict: give a sound file, or --text.", where="predict")
    _check(options.audio)
    loaded = load(options)
    trained = None if options.run is None else loaded.data.categories
    categories = _categories(options.classes, trained)
    seen = training_note(loaded, _item(options))
    answer = _read(loaded, options, categories)
    unseen = () if trained is None else categories.unseen_in(trained)
    if options.json:
        record = {**_record(answer, categories, unseen), "seen_in_training": seen}
        print(json.dumps(record, ensure_ascii=False))
        return 0
    console = Console()
    _show(answer, categories, unseen=unseen, console=console)
    if seen is not None:
        console.print(f"[yellow]{escape(seen)}[/yellow]", highlight=False)
    if trained is not None and categories != trained:
        note = mapping_note(categories, trained, trained_on=loaded.data.corpus.name)
        console.print(f"[dim]{escape(note[0].upper() + note[1:])}.[/dim]", highlight=False)
    return 0


def _check(audio: Path | None) -> None:
    """Refuse a sound file that a corpus would leave out, with the same message."""
    if audio is not None and not (verdict := inspect_audio(audio.expanduser())).usable:
        raise InputError(f"{verdict.problems[0].line.removesuffix(': left out')}.", where="predict")


def _categories(classes: str | None, trained: CategorySet | None) -> CategorySet:
    """Return the classes of `--classes`, in the words that a run has learnt; by default the run's classes."""
    if classes:
        asked = CategorySet(tuple(name.strip() for name in classes.split(",")))
        if trained is None:
            return asked
        asked = asked if asked.domain else replace(asked, domain=trained.domain)
        check_mapping(asked, trained, where="--classes")
        return asked.with_words_of(trained)
    return trained or open_corpus("crema_d", ".").categories


def _read(loaded: Loaded, options: argparse.Namespace, categories: CategorySet) -> Prediction:
    """Return the policy's answer, on the device and at the precision at which evaluate answers."""
    model = loaded.model
    model.check_samples()
    asked = Elicitation(
        _prompt(loaded.data, options),
        model.reasoning,
        readout=model.readout,
        glosses=None if options.prompt else loaded.data.glosses,
        scoring=loaded.data.scoring,
        rationale_part=loaded.data.rationale_part,
    )
    heard = options.audio is not None
    for note in prompt_notes(asked, categories, heard=int(heard), texts=int(not heard)):
        print(note, file=sys.stderr)
    trainer = single_device_trainer(loaded.cli, shows_progress=False)
    model.policy.load(trainer.strategy.root_device)
    model.check_abilities(training=False)
    if loaded.adapter is not None:
        model.policy.load_weights(loaded.adapter)
    for note in model.policy.notes:
        print(note, file=sys.stderr)
    encoder = Encoder(model.policy, categories, asked)
    model.attach(encoder)
    model.eval()
    votes = tuple(1.0 for _ in categories.names)  # nobody has judged it
    batch = encoder([replace(_item(options), votes=votes)])
    refuse_long(model, encoder, prompt=int(batch.prompt.mask.sum()))
    alone: Any = [batch]  # a list is all that a loader needs
    trainer.predict(model, dataloaders=DataLoader(alone, batch_size=None), return_predictions=False)
    return model.predictions[0]


def _item(options: argparse.Namespace) -> Item:
    """Return the item that is asked about, which nobody has judged."""
    audio = None if options.audio is None else str(options.audio.expanduser())
    return Item(id="input", votes=(), audio=audio, text=options.text)


def _prompt(data: DataModule, options: argparse.Namespace) -> str:
    """Return the prompt of `--prompt`, or that of the run or configuration.

    A text gets the prompt for texts, unless the run or configuration sets one prompt for all items.
    """
    if options.prompt:
        return str(options.prompt)
    if options.audio is not None or (options.policy is None and data.given_prompt):
        return data.prompt
    return FOR_TEXTS.get(data.prompt, data.prompt)


def _record(answer: Prediction, categories: CategorySet, unseen: Sequence[str]) -> dict[str, object]:
    shares = zip(categories.names, answer.predicted_dist, strict=True)
    unread = answer.unparsed is not None
    return {
        "predicted_dist": None if unread else {name: round(share, 6) for name, share in shares},
        "never_trained": list(unseen),
        "class_mass": None if answer.class_mass is None else round(answer.class_mass, 6),
        "response": answer.response,
        "closed": answer.closed,
        "unparsed": answer.unparsed,
    }


def _show(answer: Prediction, categories: CategorySet, *, unseen: Sequence[str], console: Console) -> None:
    console.print(
        escape(answer.response or "") + ("  [dim](its end was appended)[/dim]" if answer.closed else "")
    )
    if answer.unparsed is not None:
        console.print(f"No distribution can be read from it: {answer.unparsed}.", highlight=False)
        return
    width = max(len(name) for name in categories.names)
    for name, share in zip(categories.names, answer.predicted_dist, strict=True):
        bar = "█" * round(BAR_WIDTH * share) + ("  (never trained)" if name in unseen else "")
        console.print(f"{name:<{width}}  {share:6.1%}  {bar}", highlight=False)
    if answer.class_mass is not None:
        mass = f"{answer.class_mass:.1%}"
        console.print(
            f"[dim]The classes hold {mass} of the model's next-token probability.[/dim]", highlight=False
        )


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m lalm_ambig.predict", description=__doc__)
    parser.add_argument("audio", nargs="?", type=Path, help="a sound file that soundfile can read")
    parser.add_argument("--text", help="the transcript, or the text to be judged")
    add_policy_options(parser)
    parser.add_argument(
        "--classes",
        help=f"comma-separated class names (default: the run's corpus; corpora: {', '.join(corpus_names())})",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


if __name__ == "__main__":
    run_command(main)
