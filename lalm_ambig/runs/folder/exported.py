"""What an export says of its run: enough to ask its policy as the run was asked, and no folder of a machine.

`config.yaml` is a configuration of policy, method, corpus and precision. `lalm_ambig.json` names the run and the form
of the weights, and has the prompts in full. Both may come from a stranger, so that only these keys and this project's
own classes are read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalm_ambig import __version__
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import ExportForm
from lalm_ambig.data.encoding import Elicitation, prompt_template
from lalm_ambig.files.json_lines import json_value
from lalm_ambig.files.yaml import read_yaml

RECORD = "lalm_ambig.json"
CONFIG = "config.yaml"
FORMAT = 1
METHOD = "lalm_ambig.methods.sft.SFT"
"""The method around an exported policy. It asks like every other one, and is never trained."""
CORPUS = "lalm_ambig.corpora.reading.elsewhere.Elsewhere"
POLICIES = "lalm_ambig.policies."
DATA_KEYS = ("eval_batch_size", "prompt", "glosses", "scoring", "rationale_part", "skip_long")
ANNOTATOR_KEYS = ("annotators", "annotator_examples")
"""Further settings of the data, of a policy that answers for single annotators."""
METHOD_KEYS = ("reasoning", "readout", "generation", "share_prompt")
PROMPT_FILES = ("prompt", "glosses")
"""Settings of the data that may name a file, which is then in the export."""


@dataclass(frozen=True)
class ExportRecord:
    """Facts about an export, beside its configuration."""

    form: ExportForm
    name: str
    """Of the run."""
    prompts: Mapping[str, str]
    """The prompt of items with sound (`sound`) and without (`text`), with the classes filled in."""
    has_path: bool
    """Whether the policy is read from a checkpoint's folder, as `policy.path` names it."""

    def content(self) -> str:
        """The file's content."""
        values = {
            "format": FORMAT,
            "lalm_ambig": __version__,
            "form": self.form,
            "name": self.name,
            "has_path": self.has_path,
            "prompts": dict(self.prompts),
        }
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def read_record(folder: Path) -> ExportRecord:
    """Read the record of an export.

    Args:
        folder: The export.

    Raises:
        InputError: It is damaged, or of a newer format.
    """
    path = folder / RECORD
    values = json_value(path.read_text(encoding="utf-8"), source=str(path))
    try:
        number, form = values["format"], values["form"]
        record = ExportRecord(form, str(values["name"]), dict(values["prompts"]), bool(values["has_path"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "not a record of an export.", where=str(path), remedy="Export the run again."
        ) from error
    if number != FORMAT or form not in ("adapter", "merged"):
        raise InputError(
            f"an export of format {number!r} and form {form!r}, where this version reads format {FORMAT}.",
            where=str(path),
            remedy="Upgrade lalm_ambig, or export the run again.",
        )
    return record


def prompts_of(asked: Elicitation, categories: CategorySet) -> dict[str, str]:
    """The prompts of items with sound (`sound`) and without (`text`), with the classes filled in.

    Args:
        asked: How items are asked about.
        categories: The classes.
    """
    return {
        "sound": prompt_template(asked, categories),
        "text": prompt_template(asked.about_texts, categories),
    }


def changed_prompts(record: ExportRecord, asked: Elicitation, categories: CategorySet) -> list[str]:
    """Which prompts are not those that the policy was trained with: `sound`, `text`.

    Args:
        record: The export's.
        asked: How its items would be asked about now.
        categories: Its classes.
    """
    now = prompts_of(asked, categories)
    return [kind for kind, prompt in record.prompts.items() if now.get(kind) != prompt]


def check_config(folder: Path) -> None:
    """Refuse a configuration that sets more than how a policy is asked.

    Args:
        folder: The export.

    Raises:
        InputError: It has another key, or names another class.
    """
    path = folder / CONFIG
    config = read_yaml(path)
    if not isinstance(config, dict):
        raise InputError("a configuration holds keys and values.", where=str(path))
    _check_keys(config, ("policy", "model", "data", "trainer"), "", path)
    _check_keys(_part(config, "trainer", path), ("precision",), "trainer.", path)
    data = _part(config, "data", path)
    _check_keys(data, ("corpus", *DATA_KEYS, *ANNOTATOR_KEYS), "data.", path)
    model, corpus = _part(config, "model", path), _part(data, "corpus", path)
    _check_keys(_part(model, "init_args", path), METHOD_KEYS, "model.init_args.", path)
    policy = str(_part(config, "policy", path).get("class_path"))
    for key, given, right in (
        ("policy", policy, policy.startswith(POLICIES)),
        ("model", model.get("class_path"), model.get("class_path") == METHOD),
        ("data.corpus", corpus.get("class_path"), corpus.get("class_path") == CORPUS),
    ):
        if not right:
            raise InputError(f"{key}: no export names the class {given}.", where=str(path))


def prompt_words(folder: Path) -> list[str]:
    """Options that name the prompt and glosses in an export, in place of files that its run had elsewhere.

    Args:
        folder: The export.
    """
    return [f"--data.{key}={file}" for key in PROMPT_FILES if (file := folder / f"{key}.txt").is_file()]


def _part(config: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    value = config.get(key)
    if not isinstance(value, dict):
        raise InputError(f"{key} is missing.", where=str(path), remedy="Export the run again.")
    return value


def _check_keys(given: Mapping[str, Any], known: tuple[str, ...], prefix: str, path: Path) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise InputError(f"no export sets {prefix}{unknown[0]}.", where=str(path))
