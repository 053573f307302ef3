"""Answer a split without training a policy, and write a run's files: `python -m lalm_ambig.baseline NAME`.

Examples:
  lalm-ambig baseline prior --corpus crema_d --root ~/CREMA-D --out out/prior
  lalm-ambig baseline probe --run runs/NAME --out out/probe
  lalm-ambig baseline panel --corpus demo --out out/panel
"""

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lalm_ambig.baselines.base import Baseline, BaselineInputs, baseline, baseline_names
from lalm_ambig.baselines.layers import JOINED, ProbedLayers, asked_layers, layer_statistics, probe_layers
from lalm_ambig.baselines.pooled import PooledFeatures
from lalm_ambig.config.cli import Cli, parse
from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.config.trust import add_allow_option, allowed
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.core.types import SPLITS, Split
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.preparing.split_check import check_splits
from lalm_ambig.data.annotators import counted
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.evaluation.annotator_table import result_tables
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.runs.corpus_choice import (
    add_corpus_options,
    chosen_corpus,
    chosen_data,
    unchanged_corpus,
)
from lalm_ambig.runs.evaluation import baseline_inputs, check_place, save_baseline
from lalm_ambig.runs.folder.run_folder import open_run
from lalm_ambig.runs.loading import LIMIT, SKIP_LONG, add_path_option, path_arguments
from lalm_ambig.runs.processes.launch import quiet_libraries, single_device_trainer
from lalm_ambig.runs.session import connect
from lalm_ambig.runs.trained_items import FLAG, HELP, count_judged, overlap_of, record_of_base, refuse_trained
from lalm_ambig.tabular.writers import laid_out


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer a split, write metrics.json and predictions.jsonl, and print the row.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code, 0.
    """
    quiet_libraries()
    console = Console()
    options = _parser().parse_args(arguments)
    check_place(options.out)
    chosen = baseline(options.name)
    cli = _configured(options, chosen)
    data = _data(options, cli)
    known = _known(options, data)
    overlap = _overlap(options, chosen, data, cli)
    if chosen.needs_features and cli is not None:
        data.cache_features = data.cache_features and options.layers is None
        data = _with_encoder(cli, data, split=options.split)
        known = _known(options, data)  # without what is too long to be looked at
    count = counted(data.items(options.split), data.annotators)
    console.print(f"{options.name} on {count} of {data.corpus.name}, {options.split} split")
    if options.layers is not None:
        probed = _probed_layers(options, known, data)
        answers, done = probed.results, f"The layers to take: {probed.option}"
    else:
        if chosen.needs_features:
            known = replace(known, features=PooledFeatures(data.encoder, data.of_every_split()))
        answers, done = {options.name: chosen.answer(known)}, None
    _remove_layers(options.out)
    results = {
        name: save_baseline(_place(options, name), answer, data, split=options.split, overlap=overlap)
        for name, answer in answers.items()
    }
    shown = answers.get(JOINED) or answers[options.name]
    for table in result_tables(results):
        console.print(*laid_out(console, table))
    console.print(f"{escape(options.name)}: {escape(shown.meaning)}", highlight=False)
    if done is not None:
        console.print(done, markup=False, highlight=False, soft_wrap=True)
    console.print(f"metrics.json and predictions.jsonl: {options.out}")
    return 0


def _place(options: argparse.Namespace, name: str) -> Path:
    """Return the folder of a row: that of `--out` for the whole probe, and one inside it for each of several layers."""
    out: Path = options.out
    return out if name in (options.name, JOINED) else out / f"layer_{name}"


def _remove_layers(out: Path) -> None:
    """Remove the rows of an earlier probe by layer, whose other row is replaced."""
    for folder in out.glob("layer_*"):
        if {file.name for file in folder.iterdir()} <= {"metrics.json", "predictions.jsonl"}:
            shutil.rmtree(folder)


def _probed_layers(options: argparse.Namespace, known: BaselineInputs, data: DataModule) -> ProbedLayers:
    """Return the probe's answers by layer. Refuse a policy without audio encoder."""
    policy = data.encoder.policy
    if not isinstance(policy, AudioModel):
        raise InputError(
            f"{policy.description} has no audio encoder whose layers could be probed:",
            where="--layers",
            remedy="give a policy that hears, such as configs/policy/qwen2_audio.yaml.",
        )
    statistics = layer_statistics(policy, data.of_every_split(), asked_layers(options.layers, policy))
    return probe_layers(known, statistics)


def _configured(options: argparse.Namespace, chosen: Baseline) -> Cli | None:
    """Return the configuration of `--run` or `--policy`; None without one. Refuse options that do not go together."""
    name = options.name
    if options.policy is not None and not chosen.needs_features:
        raise InputError(f"{name} looks at no policy:", where="--policy", remedy="leave it out.")
    if options.layers is not None and not chosen.needs_features:
        raise InputError(f"{name} looks at no layers:", where="--layers", remedy="leave it out.")
    if options.policy_path is not None and options.policy is None and options.run is None:
        raise InputError(
            "it changes where --policy or --run has the base model:", where="--policy.path", remedy="add one."
        )
    if options.run is not None:
        return parse(
            [f"--config={open_run(options.run).config}", *path_arguments(options), *allowed(options)]
        )
    if options.policy is not None:
        words = [f"--policy={options.policy}", "--data=demo", "--method=sft_kl_only"]
        return parse([*words, *path_arguments(options), *allowed(options)])
    if chosen.needs_features:
        raise InputError(
            f"{name} needs a policy, whose features it looks at:",
            where="baseline",
            remedy="give --policy YAML (e.g. configs/policy/tiny.yaml) or --run DIR.",
        )
    return None


def _data(options: argparse.Namespace, cli: Cli | None) -> DataModule:
    run = None if options.run is None else cli
    return chosen_data(
        options,
        _corpus(options, run),
        run_data=None if run is None else run.datamodule,
        scoring="sequence",  # no class name is scored: any may begin with the token of another
        prompts=baseline(options.name).needs_features,
    )


def _corpus(options: argparse.Namespace, run: Cli | None) -> Corpus:
    if options.corpus is not None:
        return chosen_corpus(options, run)
    if run is None:
        raise InputError("--corpus is missing (or --run DIR, for a run's own).", where="baseline")
    fixed = ("root", "part", "fold", "option")
    return unchanged_corpus(options, run.datamodule.corpus, command="baseline", owner="run", fixed=fixed)


def _known(options: argparse.Namespace, data: DataModule) -> BaselineInputs:
    data.setup()
    check_splits(data.corpus, data.prepared.counts(), (options.split,))
    return baseline_inputs(data, options.split, seed=options.seed or 0)


def _with_encoder(cli: Cli, data: DataModule, *, split: Split) -> DataModule:
    """Return the data with the base model as encoder. No trained weights are loaded."""
    model = cli.model
    model.start, model.policy.adapter = None, Adapter()
    device = single_device_trainer(cli).strategy.root_device
    return connect(model, data, splits=(split,), heard=SPLITS, device=device)


def _overlap(
    options: argparse.Namespace, chosen: Baseline, data: DataModule, cli: Cli | None
) -> Overlap | None:
    """Return the items of the split that the baseline, or the model of its features, has learnt from.

    Such items are refused, unless `--allow-trained-items` is given. None means that there is nothing to report.
    """
    own = count_judged(data, options.split) if options.split in chosen.fitted_on else 0
    found = Overlap(own, 0, own, (options.name,))
    if chosen.needs_features and cli is not None:
        learnt = overlap_of(record_of_base(cli.model.policy), data, options.split)
        found = found if own else learnt
    remedies = ["leave --split out"] if own else []
    refuse_trained(found, where="baseline", allow=options.allow_trained_items, remedies=remedies)
    return found if found.is_leaky or found.unchecked else None


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m lalm_ambig.baseline", description=__doc__)
    names = baseline_names()
    parser.add_argument("name", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    which = parser.add_mutually_exclusive_group()
    run = "a run of fit: its corpus, and its base model for probe"
    which.add_argument("--run", type=Path, metavar="DIR", help=run)
    policy = "base model for probe, e.g. configs/policy/tiny.yaml"
    which.add_argument("--policy", metavar="NAME", help=policy)
    add_allow_option(parser)
    add_path_option(parser)
    prompt = "stem of a prompt or a .txt file, for probe on text (default: the corpus's)"
    parser.add_argument("--prompt", help=prompt)
    add_corpus_options(
        parser,
        default="",
        seed="seed of the split, and of what is drawn (default 0)",
        fold=", in place of the single split",
        option="; may be repeated",
    )
    parser.add_argument("--split", choices=SPLITS, default="test", help="which items (default: test)")
    parser.add_argument(FLAG, action="store_true", help=HELP)
    parser.add_argument("--limit", type=int, metavar="N", help=LIMIT)
    parser.add_argument("--skip-long", action="store_true", help=f"{SKIP_LONG} (for probe)")
    layers = "probe each layer of the audio encoder (all, or some, as 0,2,4), and say which ones to hear"
    parser.add_argument("--layers", metavar="LAYERS", help=layers)
    out = "folder for metrics.json and predictions.jsonl"
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=out)
    return parser


if __name__ == "__main__":
    run_command(main)
