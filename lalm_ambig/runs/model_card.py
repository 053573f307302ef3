"""The model card beside a run's weights: method, corpus and results, and what the author has to add.

It replaces the empty template that PEFT writes. It names no folder of the machine.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from lalm_ambig.core.types import Split
from lalm_ambig.evaluation.trained_items import FILE, read_trained_items
from lalm_ambig.files.atomic import write_lines, write_text
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.policies.audio.side_path import saved_layers
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.tabular.model import ResultTable
from lalm_ambig.tabular.writers import plain_markdown

TO_ADD = "*to be added*"
RESULTS, ASK = "## Results", "## How to ask it"
"""Headings of the section on results, and of the one after it."""


def write_card(
    run: RunFolder, *, method: str, corpus: str, split: Split, tables: Sequence[ResultTable]
) -> Path:
    """Write `adapter/README.md` in the form that model hubs read, and return its path.

    Of a card that a run has already, only the results are replaced: its author may have added to it.

    Args:
        run: A run whose training and evaluation have ended.
        method: Name of the method, for the reader.
        corpus: Name of the corpus trained on.
        split: The split that the results are on.
        tables: The run's results.
    """
    path = run.adapter / "README.md"
    results = [*_said_of(split), *map(plain_markdown, tables)]
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    before, found, rest = old.partition(f"\n{RESULTS}\n")
    _, asked, after = rest.partition(f"\n{ASK}\n")
    if found and asked:
        return write_text(path, f"{before}{found}\n" + "\n".join(results) + f"{asked}{after}")
    front, body = _front(run, corpus), _body(run, results, method=method, corpus=corpus)
    return write_lines(path, [*front, "", *body])


def _front(run: RunFolder, corpus: str) -> list[str]:
    """Return the metadata that hubs read."""
    start = ["---", f"base_model: {_base(run)}", f"library_name: {_library(run)}"]
    return [*start, "tags:", "- label-distribution", f"- {corpus}", "license: other", "---"]


def _body(run: RunFolder, results: Sequence[str], *, method: str, corpus: str) -> list[str]:
    """Return what people read, with the results in their section."""
    return [
        f"# {run.path.name}",
        "",
        f"{_base(run)}{_packed(run)}, trained by {method} on {corpus} to answer with the distribution of people's "
        "judgements, not with one label. Made with lalm_ambig.",
        "",
        "## What it is for",
        "",
        "Estimating how a panel of annotators like the corpus's own would divide over its classes, for research. It "
        "says what people would perceive, not what a speaker feels or what is true, and it has been measured only on "
        "the items below: not for decisions about a person.",
        "",
        *_seen(run),
        RESULTS,
        "",
        *results,
        ASK,
        "",
        "`lalm-ambig predict --run FOLDER …` with this run's folder (its `config.yaml` holds prompt, classes "
        f"and readout); {_alone(run)}.",
        "",
        "## To be added before it is passed on",
        "",
        f"- licence of the base model, and of the corpus (may weights trained on it be shared?): {TO_ADD}",
        f"- who trained it, on which machine, for how long: {TO_ADD}",
        f"- who was recorded and who judged (languages, ages, origins), and whom that leaves out: {TO_ADD}",
    ]


def _said_of(split: Split) -> list[str]:
    """Return what comes before results that are no test."""
    said = "These weights have not been tested. The results are of the validation split, which chose them."
    return [] if split == "test" else [said, ""]


def _seen(run: RunFolder) -> list[str]:
    """Return the section on the items that were trained on."""
    record = read_trained_items(run.path)
    if record is None:
        return []
    lines = [
        f"- run {one.name}: {sum(item.split == 'train' for item in one.items)} items of {one.corpus} "
        f"({one.split_in_words}), and {sum(item.split != 'train' for item in one.items)} that chose the checkpoint"
        for one in record.runs
    ]
    told = f"`{FILE}` lists them by id and digest. They are no test of these weights."
    return ["## What it was trained on", "", *lines, *(f"- {line}" for line in record.unknown), "", told, ""]


def _packed(run: RunFolder) -> str:
    """Return the kind of a quantised base model, in words; an empty text for a plain one."""
    policy = read_yaml(run.config).get("policy") or {} if run.config.is_file() else {}
    kind = (policy.get("init_args") or {}).get("quantize")
    return f" with its linear layers quantised to {kind}" if kind else ""


def _is_adapter(run: RunFolder) -> bool:
    return (run.adapter / "adapter_config.json").is_file()


def _library(run: RunFolder) -> str:
    if saved_layers(run.adapter):
        return "lalm_ambig"
    return "peft" if _is_adapter(run) else "transformers"


def _alone(run: RunFolder) -> str:
    """Return how the weights are read without the run."""
    if layers := saved_layers(run.adapter):
        return (
            f"plain PEFT refuses the weights, for their side path, which reads layers {', '.join(map(str, layers))} of "
            "the audio encoder, is no part of the base model"
        )
    return "`PeftModel.from_pretrained` reads the weights alone"


def _base(run: RunFolder) -> str:
    """Return the base model's name on a hub, or the name of its folder."""
    if not _is_adapter(run):
        return run.path.name
    content = json.loads((run.adapter / "adapter_config.json").read_text(encoding="utf-8"))
    base = str(content.get("base_model_name_or_path"))
    return Path(base).name if Path(base).is_absolute() or Path(base).exists() else base
