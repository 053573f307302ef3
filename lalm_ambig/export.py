"""Export a run's trained weights for use elsewhere: `python -m lalm_ambig.export RUN --adapter|--merged --out DIR`.

Plain transformers (and PEFT) read the weights back before the folder gets its name. They must give the policy's
logits. This takes 4 bytes of memory per weight of the base model, and a moment on a CPU.

A DeepSpeed checkpoint is made of pickles, and reading a pickle runs the code in it. Give only files that your own
training has written.

Examples:
  lalm-ambig export runs/x --adapter --out x-adapter    LoRA in PEFT's layout, for the same base model
  lalm-ambig export runs/x --merged --out x             one plain model, in the base's own type
  lalm-ambig export runs/x --merged --dtype bfloat16 --out x    rounding is measured and shown
  lalm-ambig export runs/x/checkpoints/last.ckpt --zero --out x-adapter    from ZeRO 1, 2 or 3
  lalm-ambig export --codabench runs/mp/evaluation/trained --root ~/LeWiDi --out res.zip
  HF_TOKEN=... lalm-ambig export runs/x --merged --out x --push me/x --private
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from lalm_ambig.config.cli import parse
from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.config.files import ALLOW_FLAG
from lalm_ambig.config.trust import add_allow_option, allowed
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.core.types import ExportForm
from lalm_ambig.data.annotators import EACH
from lalm_ambig.evaluation.trained_items import write_trained_items
from lalm_ambig.exporting.card import asking_section, loading_lines, sections, side_path_lines, write_card
from lalm_ambig.exporting.codabench import check_submission, submission, write_submission
from lalm_ambig.exporting.parity import make_probe
from lalm_ambig.exporting.push import check_push, push
from lalm_ambig.exporting.target import check_target, export_folder, size_of
from lalm_ambig.exporting.weights import DTYPES, base_name, load_weights, write_weights
from lalm_ambig.files.text import readable_size
from lalm_ambig.policies.base import Policy
from lalm_ambig.runs.exports import model_index, results_of, write_export
from lalm_ambig.runs.folder.run_folder import RunFolder, open_run
from lalm_ambig.runs.loading import Loaded, add_path_option, path_arguments
from lalm_ambig.runs.processes.launch import quiet_libraries
from lalm_ambig.runs.trained_items import record_of_run

PICKLES = "its files are pickles: they must be your own, since reading them runs the code in them"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the folder, print the comparison and how to load it, and upload it if `--push` is given.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code, 0.
    """
    quiet_libraries()
    options = _parser().parse_args(arguments)
    if options.codabench:
        return _submit(options)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    _check(options)
    loaded, source = _opened(options)
    form = _form(options, loaded)
    if options.zero:
        console.print(f"{options.source}: {PICKLES}")
    _export(loaded, source, form, options=options, console=console)
    if options.push:
        address = push(options.out, options.push, private=options.private)
        console.print(f"uploaded: {address}")
    return 0


def _submit(options: argparse.Namespace) -> int:
    """Write the zip of a submission, and print the organisers' score of each set."""
    given = {name: f"--{name}" for name in ("zero", "run", "dtype", "push", "private")}
    given |= {"policy_path": "--policy.path", "allow_any_class": ALLOW_FLAG}
    if wrong := next((option for name, option in given.items() if getattr(options, name)), None):
        raise InputError("it says how weights are exported:", where=wrong, remedy="leave it out.")
    check_submission(options.root, options.out)
    sets = [submission(folder.expanduser(), options.root) for folder in options.source]
    for one in sets:
        more = "" if one.micro_f1 is None else f", micro-F1 {one.micro_f1:.5f}"
        alone = ", answered for each annotator" if one.task == "pe" else ""
        print(f"{one.part}: {one.score_name} {one.score:.5f}{more} on {len(one.rows):,} test items{alone}")
    if options.out is not None:
        write_submission(options.out, sets)
        print(f"written: {options.out} ({', '.join(one.file_name for one in sets)})")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other, before anything is read."""
    if len(options.source) > 1:
        raise InputError(f"one run at a time, got {len(options.source)}.", where="export")
    if options.root is not None:
        raise InputError("it goes with --codabench:", where="--root", remedy="leave it out.")
    if options.out is None:
        raise InputError("it is missing: name a new folder.", where="--out")
    if not (options.adapter or options.merged or options.zero):
        raise InputError("nothing to write: give --adapter, --merged or --zero.", where="export")
    if options.dtype is not None and options.dtype not in DTYPES:
        raise InputError(f"expected one of {', '.join(DTYPES)}, got {options.dtype!r}", where="--dtype")
    if options.private and not options.push:
        raise InputError("it says how --push makes a repository:", where="--private", remedy="add --push.")
    if options.run and not options.zero:
        raise InputError("it names the run of a DeepSpeed checkpoint:", where="--run", remedy="add --zero.")
    check_target(options.out)
    if options.push:
        check_push(options.push)


def _opened(options: argparse.Namespace) -> tuple[Loaded, Path]:
    """Return the run, not yet loaded, and the path of its trained weights."""
    path: Path = options.source[0].expanduser()
    run = open_run(options.run or _run_around(path) if options.zero else path, where="export")
    if run.is_export:
        raise InputError(f"{run.path} is an export already:", where="export", remedy="give the run.")
    source = path if options.zero else run.adapter
    if not source.is_dir() and not options.zero:
        raise InputError(
            f"{run.path} has no adapter yet: its training has not ended.",
            where="export",
            remedy="Run fit again; it goes on.",
        )
    cli = parse([f"--config={run.config}", *path_arguments(options), *allowed(options)])
    return Loaded(cli, run.adapter, run.path.resolve().name, run), source


def _run_around(checkpoint: Path) -> Path:
    """Return the run folder that contains a checkpoint. A checkpoint outside of one is refused."""
    for folder in checkpoint.absolute().parents[:3]:
        if RunFolder(folder).config.is_file():
            return folder
    raise InputError(
        f"{checkpoint} lies in no run folder, whose config.yaml says what was trained:",
        where="--zero",
        remedy="name it with --run RUN.",
    )


def _form(options: argparse.Namespace, loaded: Loaded) -> ExportForm:
    """Return the form of the export. Refuse an adapter of a fully fine-tuned run, and a type for an adapter."""
    full = loaded.model.policy.adapter.method == "full"
    if options.adapter and full:
        raise InputError(
            f"{loaded.label} was fully fine-tuned and has no adapter:",
            where="--adapter",
            remedy="give --merged.",
        )
    form: ExportForm = "merged" if options.merged or full else "adapter"
    if form == "merged" and (layers := loaded.model.policy.side_layers):
        raise InputError(
            f"{loaded.label} hears layers {', '.join(map(str, layers))} of the audio encoder through a side path, for "
            "which a plain model of transformers has no place:",
            where="--merged",
            remedy="give --adapter, which this package loads.",
        )
    if options.dtype and form == "adapter":
        raise InputError("an adapter is written as it was trained:", where="--dtype", remedy="leave it out.")
    return form


def _export(
    loaded: Loaded, source: Path, form: ExportForm, *, options: argparse.Namespace, console: Console
) -> None:
    """Load, write, compare, and print the result."""
    policy, out = loaded.model.policy, options.out
    base_dtype = load_weights(policy, source, zero=options.zero)
    probe = make_probe(loaded.model, loaded.data)
    base, local_base, model_class = base_name(policy), policy.base.name_or_path, type(policy.base).__name__
    with export_folder(out) as folder:
        checked = write_weights(
            policy, folder, form, probe=probe, dtype=DTYPES.get(options.dtype, base_dtype)
        )
        address = options.push or out.name
        how = partial(loading_lines, form, model_class, quantize=policy.quantize, own_lora=policy.own_lora)
        lines = how(base=base, address=address)
        reader = "plain transformers"
        if policy.quantize and form == "adapter":
            reader = f"PEFT on the base model quantised to {policy.quantize} by lalm_ambig"
        if policy.side_layers:
            lines, reader = side_path_lines(policy, base=base, address=out.name), "lalm_ambig"
        done = f"Read back with {reader} on {probe.about}, {checked.line}."
        run_card = (loaded.adapter or source) / "README.md"
        assert loaded.run is not None
        write_trained_items(folder, record_of_run(loaded.run))
        run = None if options.zero else loaded.run  # whose results are of other weights than a checkpoint's
        unloadable = write_export(folder, loaded, form, base=base, results=results_of(run))
        index = model_index(results_of(run), loaded.label, hears=policy.window_s > 0)
        can_ask = not unloadable and loaded.data.annotators != EACH  # `load` is told of no annotator
        asking = [asking_section(address, base if form == "adapter" else None)] if can_ask else []
        added = [*sections(lines, probe, done), *asking]
        write_card(folder, run_card, name=loaded.label, base=base, sections=added, results=index)
    if probe.note:
        console.print(f"the corpus is not at hand: {probe.note}")
    console.print(f"compared on {probe.about}: {checked.line}")
    unloadable = unloadable and f"predict and load cannot read it: {unloadable}"
    for warning in filter(None, (checked.warning, unloadable)):
        console.print(f"warning: {warning}", style="bold yellow")
    console.print(f"written: {out} ({readable_size(size_of(out))}, {form})")
    _say_how_to_load(policy, how(base=local_base, address=str(out)), console)


def _say_how_to_load(policy: Policy, lines: Sequence[str], console: Console) -> None:
    """Print the line of Python that loads the export, or why plain libraries cannot."""
    if policy.side_layers:
        console.print(
            f"plain PEFT refuses this adapter: its side path reads layers {', '.join(map(str, policy.side_layers))} of "
            "the audio encoder, and PEFT would leave it out; LoRA and the side path load together by this package"
        )
        console.print("load it: policy.load_weights, as its README.md shows")
        return
    console.print(f"load it: {next(line for line in lines if line.startswith('model = '))}")


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m lalm_ambig.export", description=__doc__)
    parser.add_argument(
        "source",
        metavar="RUN",
        type=Path,
        nargs="+",
        help="a run folder of fit; with --zero, a checkpoint; with --codabench, folders of predictions",
    )
    add_allow_option(parser)
    add_path_option(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--adapter", action="store_true", help="LoRA by itself, in PEFT's layout")
    form.add_argument(
        "--codabench",
        action="store_true",
        help="a submission to LeWiDi 2025: a zip with a table for each folder's set, of the soft task, or of the "
        "perspectivist task where answers are for single annotators",
    )
    form.add_argument("--merged", action="store_true", help="LoRA added to the base weights: one plain model")
    parser.add_argument(
        "--zero",
        action="store_true",
        help="RUN is a DeepSpeed checkpoint folder of your own (pickles); its adapter is written, or with --merged or "
        "after full fine-tuning the whole model",
    )
    parser.add_argument(
        "--run", type=Path, metavar="RUN", help="with --zero: its run (default: the one it lies in)"
    )
    _add_output_options(parser)
    return parser


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the options about what is written, and where to."""
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder to write, new or empty; with --codabench the zip, without which only scores are printed",
    )
    parser.add_argument(
        "--dtype", help=f"of a merged model's weights: {', '.join(DTYPES)} (default: the base model's own)"
    )
    parser.add_argument(
        "--push",
        metavar="OWNER/NAME",
        help="then upload it to the hub, with the token in the variable HF_TOKEN",
    )
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="with --codabench: the organisers' repository of lewidi"
    )
    parser.add_argument("--private", action="store_true", help="with --push: a repository that only you see")


if __name__ == "__main__":
    run_command(main)
