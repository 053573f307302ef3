"""What makes two configurations the same run: everything, but for what is left out here for a stated reason."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lalm_ambig.config.renamed import first_name

RULES = 2
"""Number of these rules: identities are compared only where both are of one."""
EXCLUDED = {
    "config": "names files whose content is in the configuration already",
    "allow_any_class": "is about trust, not about what is computed",
    "run.root": "says where the run is kept",
    "run.name": "says where the run is kept",
    "run.checkpoint_steps": "saved states take nothing from training, and going on from one gives the same numbers",
    "run.samples": "responses are shown after they were counted",
    "run.rollout_steps": "responses are shown after they were trained on",
    "run.probe": "adds a row of its own to the table",
    "trainer.enable_progress_bar": "shows what is computed",
    "trainer.enable_model_summary": "shows what is computed",
    "trainer.log_every_n_steps": "says which steps are written down",
    "trainer.default_root_dir": "is set to the run's folder in any case",
    "trainer.enable_checkpointing": "is switched off in any case: the run saves its own states",
    "trainer.profiler": "measures what is computed",
    "data.workers": "batches are the same, whichever process loads them",
}
"""Dotted keys that change no number, and why."""
WATCHING = {
    "DeviceStatsMonitor": "logs use of the device",
    "LearningRateMonitor": "logs learning rates",
    "ModelSummary": "shows the model",
    "ProgressBar": "shows progress",
    "RichModelSummary": "shows the model",
    "RichProgressBar": "shows progress",
    "ThroughputMonitor": "logs speed",
    "TQDMProgressBar": "shows progress",
    "CSVLogger": "writes down what is logged",
    "CometLogger": "writes down what is logged",
    "MLFlowLogger": "writes down what is logged",
    "NeptuneLogger": "writes down what is logged",
    "TensorBoardLogger": "writes down what is logged",
    "WandbLogger": "writes down what is logged",
}
"""Callbacks and loggers of Lightning that change no number, and why. Any other is part of the identity, with its
settings: EarlyStopping or StochasticWeightAveraging make another run."""
OBJECTS = ("trainer.callbacks", "trainer.logger")
"""Where they stand: one, a list of them, or a switch."""
LIGHTNING = ("lightning.", "pytorch_lightning.")
NAMED_FILES = ("data.rationales", "data.prompt", "data.glosses", "data.corpus.init_args.root")
"""Keys that may name a file: it is its content that changes the result, not only its name."""


def identity_of(config: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that change with anything that changes the result.

    A renamed key counts under its first name, so that older runs keep their identity.

    Args:
        config: The resolved configuration.
    """
    settings = {first_name(key): value for key, value in leaves(config) if key not in EXCLUDED}
    for key in OBJECTS:
        settings[key] = _acting(settings.get(key))
    contents = {key: _digest(settings.get(key)) for key in NAMED_FILES}
    settings |= {f"{key} (content)": digest for key, digest in contents.items() if digest is not None}
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:8]


def leaves(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every setting; a list is one value, and so are callbacks and loggers."""
    for key, value in config.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value and name not in OBJECTS:
            yield from leaves(value, f"{name}.")
        else:
            yield name, value


def _acting(configured: Any) -> Any:
    """Of configured callbacks or loggers those that may change a number; None where there is none."""
    entries = configured if isinstance(configured, list) else [configured]
    acting = [entry for entry in entries if not _watches(entry)]
    return acting or None


def _watches(entry: Any) -> bool:
    if not isinstance(entry, Mapping):  # a switch: whether there is a logger
        return True
    path = str(entry.get("class_path", ""))
    return path.startswith(LIGHTNING) and path.rpartition(".")[2] in WATCHING


def _digest(value: Any) -> str | None:
    """Of a file's content; None for what names none."""
    try:
        if not isinstance(value, str) or not Path(value).expanduser().is_file():
            return None
        with Path(value).expanduser().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # not a name that a file can have, or not to be read: the corpus says so in a moment
        return None
