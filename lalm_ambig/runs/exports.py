"""Write what an export says of its run, beside the weights: `load`, `predict` and `evaluate --run` read it back."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult
from huggingface_hub.repocard_data import eval_results_to_model_index

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import ExportForm
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.data.annotators import EACH
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.files.atomic import write_bytes, write_text
from lalm_ambig.metrics.base import formulas
from lalm_ambig.runs.folder.exported import (
    ANNOTATOR_KEYS,
    CONFIG,
    CORPUS,
    DATA_KEYS,
    METHOD,
    METHOD_KEYS,
    POLICIES,
    PROMPT_FILES,
    RECORD,
    ExportRecord,
    prompts_of,
)
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.loading import Loaded

METRICS = "metrics.json"
"""Results of the trained policy, on the test split if that was looked at."""
TASKS = {
    True: ("audio-classification", "Distribution of judgements of speech"),
    False: ("text-classification", "Distribution of judgements of texts"),
}
PLAIN = {"standardise_audio": False, "quantize": None, "dtype": "auto"}
"""Settings of a policy whose effect is in a merged model's weights."""
UNTRAINED = {"method": "lora", "rank": 1, "projector": False, "audio_tower": False}
"""Adapter beside a merged model. It is never trained, so it adds nothing."""


def write_export(
    folder: Path, loaded: Loaded, form: ExportForm, *, base: str, results: Path | None
) -> str | None:
    """Write `config.yaml`, `lalm_ambig.json`, the run's effort and results, and prompts of the user's own.

    Args:
        folder: The export.
        loaded: The run.
        form: Of the weights.
        base: Hub id or name of the base model.
        results: The `metrics.json` of these weights; None without.

    Returns:
        Why this package cannot load the export; None where it can.
    """
    run = loaded.run
    assert run is not None
    configured = yaml.safe_load(loaded.cli.resolved())
    policy = configured["policy"]
    if not str(policy["class_path"]).startswith(POLICIES):
        return f"{policy['class_path']} is no class of lalm_ambig"
    try:
        data = _data(loaded, configured["data"])
        asked = loaded.data.elicitation(reasoning=loaded.model.reasoning, readout=loaded.model.readout)
        prompts = prompts_of(asked, loaded.data.categories)
    except InputError as error:
        return str(error)
    settings = dict(policy["init_args"])
    has_path = "path" in settings
    if has_path:
        settings["path"] = base
    if form == "merged":
        settings |= {key: value for key, value in PLAIN.items() if key in settings}
        settings["adapter"] = UNTRAINED if has_path else {"method": "full"}
    content = {
        "policy": {"class_path": policy["class_path"], "init_args": settings},
        "model": {"class_path": METHOD, "init_args": _method(loaded)},
        "data": data,
        "trainer": {"precision": configured["trainer"]["precision"]},
    }
    _copy_prompts(folder, loaded)
    if run.effort.is_file():
        write_bytes(folder / run.effort.name, run.effort.read_bytes())
    if results is not None:
        write_bytes(folder / METRICS, results.read_bytes())
    write_text(folder / CONFIG, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    record = ExportRecord(form, loaded.label, prompts, has_path)
    write_text(folder / RECORD, record.content())
    return None


def _method(loaded: Loaded) -> dict[str, Any]:
    model = loaded.model
    values = {"generation": asdict(model.generation)}
    return {key: values.get(key, getattr(model, key)) for key in METHOD_KEYS}


def _data(loaded: Loaded, configured: Mapping[str, Any]) -> dict[str, Any]:
    values = {key: configured[key] for key in DATA_KEYS}
    for key in PROMPT_FILES:
        if _is_file(values[key]):
            if key == "prompt" and values["glosses"] is None:
                values["glosses"] = Path(values[key]).name.split(".")[0]  # those that go with the prompt
            values[key] = None
    options = dict(configured["corpus"].get("init_args") or {})
    options.pop("root", None)
    corpus = _corpus(
        loaded.data.corpus, {key: value for key, value in options.items() if not _is_place(value)}
    )
    if loaded.data.annotators == EACH:
        values |= {key: configured[key] for key in ANNOTATOR_KEYS}
    return {"corpus": {"class_path": CORPUS, "init_args": corpus}, **values}


def _corpus(corpus: Corpus, options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the corpus that stands for the run's."""
    categories = corpus.categories
    return {
        "root": corpus.root.name if corpus.root.is_file() else "elsewhere",
        "corpus": corpus.name,
        "classes": list(categories.names),
        "verbalisers": list(categories.verbalisers),
        "prompt_names": list(categories.prompt_names),
        "domain": categories.domain,
        **({"ordered": True} if categories.ordered else {}),
        "stem": corpus.prompt,
        "part": corpus.part,
        **({"target": corpus.target_name} if corpus.target_name != corpus.usual_target else {}),
        "seed": corpus.seed,
        "fold": corpus.fold,
        "options": dict(options),
    }


def _copy_prompts(folder: Path, loaded: Loaded) -> None:
    for key, value in (("prompt", loaded.data.given_prompt), ("glosses", loaded.data.glosses)):
        if _is_file(value):
            write_bytes(folder / f"{key}.txt", Path(str(value)).expanduser().read_bytes())


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and value.endswith(".txt")


def _is_place(value: Any) -> bool:
    return isinstance(value, str) and ("/" in value or "\\" in value)


def results_of(run: RunFolder | None) -> Path | None:
    """The file with a run's results: on the test split if it was looked at, else on validation; None without."""
    if run is None:
        return None
    files = (run.evaluation("trained", split) / METRICS for split in ("test", "validation"))
    return next((file for file in files if file.is_file()), None)


def model_index(file: Path | None, name: str, *, hears: bool) -> str | None:
    """A run's results in the form that model hubs read, as YAML lines; None for a run without results.

    Args:
        file: Its `metrics.json`.
        name: Name of the model.
        hears: Whether the policy hears.
    """
    if file is None:
        return None
    results = read_results(file)
    index = eval_results_to_model_index(name, _hub_results(results, hears=hears))
    return str(yaml.safe_dump({"model-index": index}, sort_keys=False, allow_unicode=True))


def _hub_results(results: Results, *, hears: bool) -> list[EvalResult]:
    about = results.about
    kind, task = TASKS[hears]
    labels = {metric.name: metric.label for metric in formulas(len(results.categories))}
    return [
        EvalResult(
            task_type=kind,
            task_name=task,
            dataset_type=about.corpus,
            dataset_name=about.corpus,
            dataset_split=about.split,
            metric_type=name,
            metric_name=labels.get(name, name),
            metric_value=round(results.metrics[name].value, 6),
        )
        for name in about.table_metrics
        if name in results.metrics
    ]
