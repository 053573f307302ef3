"""Ask a policy about a sound file or a sentence: its reasoning and a bar per class: `python -m lalm_ambig.predict`."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lalm_ambig.categories import CategorySet
from lalm_ambig.corpora.base import corpus_names, open_corpus
from lalm_ambig.encoding import Encoder
from lalm_ambig.errors import InputError, run_command
from lalm_ambig.runs import quiet
from lalm_ambig.runs.loading import Loaded, add_policy_options, load
from lalm_ambig.sound_files import inspect_audio
from lalm_ambig.types import Item, Reading

BAR_WIDTH = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Predict one item and print it, for people or as JSON."""
    quiet.silence()
    options = _parser().parse_args(arguments)
    if options.audio is None and options.text is None:
        raise InputError("nothing to predict: give a sound file, or --text.", where="predict")
    _check(options.audio)
    loaded = load(options)
    categories = _categories(loaded, options)
    reading = _read(loaded, options, categories)
    if options.json:
        print(json.dumps(_record(reading, categories), ensure_ascii=False))
    else:
        _show(reading, categories, Console())
    return 0


def _check(audio: Path | None) -> None:
    """Refuse a file that training would have left out, in the same words."""
    if audio is not None and not (verdict := inspect_audio(audio.expanduser())).kept:
        raise InputError(verdict.problems[0].line)


def _categories(loaded: Loaded, options: argparse.Namespace) -> CategorySet:
    if options.classes:
        return CategorySet(tuple(name.strip() for name in options.classes.split(",")))
    if options.run is not None:
        categories: CategorySet = loaded.cli.datamodule.categories
        return categories
    return open_corpus("crema_d", ".").categories


def _read(loaded: Loaded, options: argparse.Namespace, categories: CategorySet) -> Reading:
    model = loaded.model
    model.policy.load()
    if loaded.adapter is not None:
        model.policy.load_weights(loaded.adapter)
    prompt = options.prompt or loaded.cli.datamodule.prompt
    encoder = Encoder(model.policy, categories, prompt=prompt, reasoning=model.reasoning)
    model.attach(encoder)
    model.eval()
    unknown = tuple(1.0 for _ in categories.names)  # nobody has judged it
    audio = None if options.audio is None else str(options.audio.expanduser())
    batch = encoder([Item(id="input", votes=unknown, audio=audio, text=options.text)])
    return model.read(batch.to(model.policy.device))


def _record(reading: Reading, categories: CategorySet) -> dict[str, object]:
    shares = zip(categories.names, reading.predicted_dist[0].tolist(), strict=True)
    return {
        "predicted_dist": {name: round(share, 6) for name, share in shares},
        "class_mass": round(float(reading.class_mass[0]), 6),
        "response": reading.responses[0],
        "closed": reading.closed[0],
    }


def _show(reading: Reading, categories: CategorySet, console: Console) -> None:
    console.print(
        escape(reading.responses[0]) + ("  [dim](its end was appended)[/dim]" if reading.closed[0] else "")
    )
    width = max(len(name) for name in categories.names)
    for name, share in zip(categories.names, reading.predicted_dist[0].tolist(), strict=True):
        console.print(f"{name:<{width}}  {share:6.1%}  {'█' * round(BAR_WIDTH * share)}", highlight=False)
    mass = float(reading.class_mass[0])
    console.print(
        f"[dim]The classes hold {mass:.1%} of the model's next-token probability.[/dim]", highlight=False
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lalm_ambig.predict", description=__doc__)
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
