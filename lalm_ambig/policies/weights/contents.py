"""The kind of thing at a model's path, recognised by small files before any weight is read.

Users call many things a model: an adapter, a run, a quantised copy, a file of another program. Some of these load, but
as something else. So anything but a plain checkpoint is refused in one line, which names the thing and the option that
is meant for it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import __version__ as transformers_version
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import cached_file

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.weights.hub import check_hub
from lalm_ambig.policies.weights.quantised import quantisation
from lalm_ambig.policies.weights.weight_files import first_dtype

WHERE = "policy.path"
CONFIG, ADAPTER = "config.json", "adapter_config.json"
DTYPE_KEYS = ("dtype", "torch_dtype")
"""Keys of the dtype in a config.json: today's, and that of transformers 4."""
PARTS = ("text_config", "thinker_config")
"""Settings of a part, which name the dtype where the top level does not."""
FOREIGN = (
    ("modules.json", "a sentence-transformers model, which embeds sentences and writes none"),
    ("model_index.json", "a diffusers pipeline, which makes images or sound and no text"),
    ("params.json", "a checkpoint in Llama's own format, not in transformers'"),
    ("zero_to_fp32.py", "a DeepSpeed checkpoint; its zero_to_fp32.py makes weights of it"),
    ("qmodel.pt", "a model quantised by HQQ"),
    ("tokenizer.json", "a tokenizer without a model"),
    ("tokenizer_config.json", "a tokenizer without a model"),
    ("tokenizer.model", "a tokenizer without a model"),
)
"""Files by which a folder without config.json is recognised, the surest first."""


def check_contents(source: str, *, own_adapter: bool = False) -> dict[str, Any]:
    """The settings in the config.json of a plain checkpoint of any kind of model.

    Args:
        source: A folder or a hub id. On a hub only the files of an adapter and the settings are looked at.
        own_adapter: Whether an adapter beside the model's own settings is a part of the checkpoint.

    Returns:
        The settings; empty for a hub id that cannot be reached, whose loading then says why.

    Raises:
        InputError: The source is anything but a plain checkpoint.
    """
    folder = Path(source)
    if folder.exists():
        _check_folder(folder)
    check_hub(source)
    config = _read(source, CONFIG)
    if (adapter := _read(source, ADAPTER)) and not (own_adapter and config):
        raise _is_adapter(source, adapter)
    if config is None:
        return {}
    if quantised := quantisation(config, folder):
        raise InputError(
            f"{source} is quantised ({quantised.name}), and only plain weights are trained and read here.",
            where=WHERE,
            remedy=quantised.remedy,
        )
    _check_known(source, config)
    return config


def model_settings(source: str, path: str, *, own_adapter: bool = False) -> dict[str, Any]:
    """The settings in the config.json of a plain checkpoint.

    Args:
        source: A folder or a hub id.
        path: The path as the user wrote it, for the message.
        own_adapter: As for `check_contents`.

    Raises:
        InputError: The path holds another thing, or a hub id cannot be reached.
    """
    settings = check_contents(source, own_adapter=own_adapter)
    if not settings:
        raise InputError(
            f"no config.json of a model can be read from {path!r}.",
            where=WHERE,
            remedy="Give a folder, or a hub id while the hub can be reached.",
        )
    return settings


def saved_dtype(source: str, *, own_adapter: bool = False) -> str | None:
    """Type of a checkpoint's weights: `float32`, `bfloat16` or `float16`; None if nothing says it.

    The config.json says it, of the model or of one of its parts; or else the first weight file does.

    Args:
        source: A folder or a hub id.
        own_adapter: As for `check_contents`.

    Raises:
        InputError: The source holds no plain checkpoint.
    """
    config = check_contents(source, own_adapter=own_adapter)
    parts = [config, *(config[name] for name in PARTS if isinstance(config.get(name), Mapping))]
    names = [str(part[key]) for part in parts for key in DTYPE_KEYS if part.get(key)]
    return names[0].removeprefix("torch.") if names else first_dtype(Path(source))


def _read(source: str, name: str) -> dict[str, Any] | None:
    """A JSON file of a folder or a hub id; None if there is none.

    Raises:
        InputError: It is no JSON object.
    """
    try:
        path = cached_file(
            source,
            name,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    except Exception:  # the library's word for an impossible id; loading says it
        return None
    if path is None:
        return None
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{name} is not readable as JSON: {error}", where=source) from error
    if not isinstance(content, dict):
        raise InputError(f"{name} holds no settings but {str(content)[:40]!r}.", where=source)
    return content


def _check_folder(folder: Path) -> None:
    """Refuse a path that is no folder, and a folder without a model."""
    if not folder.is_dir():
        raise InputError(
            f"{folder} is a file.",
            where=WHERE,
            remedy="Give a checkpoint's folder, a hub id or a .gguf file.",
        )
    if (folder / ADAPTER).exists() or (folder / CONFIG).exists():
        return
    if run := _run_of(folder):
        raise InputError(
            f"{folder} is of a run of fit ({run}), not a model.",
            where=WHERE,
            remedy=f"Give its own model as policy.path, and the run as --run {run} (evaluate, predict) or "
            f"--model.start {run} (fit).",
        )
    raise InputError(
        f"{folder} {_other_content(folder)}", where=WHERE, remedy="Give a folder with config.json."
    )


def _run_of(folder: Path) -> Path | None:
    """The run folder that this folder is, or is a part of; None if neither."""
    for place in (folder, folder.absolute().parent):
        if (place / "config.yaml").is_file() and (place / "environment.json").is_file():
            return place
    return None


def _other_content(folder: Path) -> str:
    """The content of a folder without config.json, as the end of a sentence."""
    names = sorted(entry.name for entry in folder.iterdir())
    if not names:
        return "is empty."
    if files := [name for name in names if name.endswith(".gguf")]:
        return (
            f"holds GGUF files and no config.json: give one of them as the path, such as {folder / files[0]}."
        )
    for name, meaning in FOREIGN:
        if name in names:
            return f"is {meaning} (it has {name})."
    if "snapshots" in names and "refs" in names:
        held = sorted((folder / "snapshots").iterdir())
        return f"is a hub's cache: the model lies in {held[0] if held else folder / 'snapshots'}."
    inner = [name for name in names if (folder / name / CONFIG).is_file()]
    if inner:
        return f"has no config.json, but its folder {inner[-1]} has: give {folder / inner[-1]}."
    return (
        f"holds no model: it has no config.json, only {', '.join(names[:3])}{' …' if len(names) > 3 else ''}."
    )


def _is_adapter(source: str, settings: Mapping[str, Any]) -> InputError:
    base = settings.get("base_model_name_or_path") or "the model it was trained on"
    start = (
        f"--model.start {source}"
        if Path(source).is_dir()
        else "--model.start FOLDER, its folder on this machine"
    )
    run = _run_of(Path(source)) if Path(source).is_dir() else None
    evaluate = f"--run {run}" if run else "merged into it with PEFT (merge_and_unload)"
    return InputError(
        f"{source} is a PEFT adapter ({settings.get('peft_type', 'of no kind')}), not a model.",
        where=WHERE,
        remedy=f"Give {base} as policy.path; the adapter goes to fit as {start}, and to evaluate as {evaluate}.",
    )


def _check_known(source: str, config: Mapping[str, Any]) -> None:
    """Refuse a model whose class transformers lacks."""
    kind = config.get("model_type")
    if kind in CONFIG_MAPPING:
        return
    if config.get("auto_map"):
        raise InputError(
            f"{source} ({kind}) needs code of its own to be run, which is not done here.",
            where=WHERE,
            remedy="Give a model whose class is part of transformers.",
        )
    kind_text = f"is of the type {kind!r}, which" if kind else "has a config.json without model_type, which"
    raise InputError(
        f"{source} {kind_text} transformers {transformers_version} does not know.",
        where=WHERE,
        remedy="Give another model, or install a newer transformers if the model is newer.",
    )
