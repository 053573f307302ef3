"""The identity of a run: a hash of every setting that changes its result.

All settings count except those listed here, each with the reason why it changes no number.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lalm_ambig.config.renamed import first_name

RULES = 2
"""Version of these rules. Two identities are compared only if both are of the same version."""
EXCLUDED = {
    "config": "names files whose content is in the configuration already",
    "allow_any_class": "is about trust, not about what is computed",
    "run.root": "says where the run is kept",
    "run.name": "says where the run is kept",
    "run.checkpoint_steps": "saved states take nothing from training, and going on from one gives the same numbers",
    "run.samples": "responses are shown after they were counted",
    "run.rollout_steps": "responses are shown after they were trained on",
    "run.gradient_steps": "gradients are measured beside training",
    "run.probe": "adds a row of its own to the table",
    "trainer.enable_progress_bar": "shows what is computed",
    "trainer.enable_model_summary": "shows what is computed",
    "trainer.log_every_n_steps": "says which steps are written down",
    "trainer.default_root_dir": "is set to the run's folder in any case",
    "trainer.enable_checkpointing": "is switched off in any case: the run saves its own states",
    "trainer.profiler": "measures what is computed",
    "data.feature_cache_gb": "limits what is written, and changes nothing of it",
    "data.workers": "batches are the same, whichever process loads them",
    **dict.fromkeys(
        (f"model.init_args.engine.init_args.{name}" for name in ("urls", "model", "folder")),
        "says where the servers are, which are checked to have the same weights",
    ),
    **dict.fromkeys(
        (f"model.init_args.engine.init_args.{name}" for name in ("timeout_s", "patience_s", "requests")),
        "says how servers are asked, not what",
    ),
}
"""Dotted keys that change no number, each with the reason."""
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
"""Callbacks and loggers of Lightning that change no number, each with the reason.

All others count in the identity, with their settings: EarlyStopping makes another run.
"""
ADDED = {
    "run.patience": None,
    "data.corpus.init_args.panel": "home",
    "data.corpus.init_args.columns": None,
    "data.corpus.init_args.ordered": False,
    "data.corpus.init_args.other": "leave_out",
    "data.corpus.init_args.votes": "primary",
    "data.corpus.init_args.target": "emotion",
    "data.rationale_part": "all",
    "data.train_votes": None,
    "data.annotators": "together",
    "data.annotator_examples": None,
    "policy.init_args.adapter.checkpoint_every": 1,
    "policy.init_args.quantize": None,
    "policy.init_args.audio_layers": "last",
    "model.init_args.objective.class_mass_weight": 0.0,
    "model.init_args.objective.class_mass_gradient": "exact",
    "model.init_args.objective.on_policy_kl_weight": 0.0,
    "model.init_args.objective.curated_ce_weight": 0.0,
    "model.init_args.objective.preference_average": "sum",
    "model.init_args.grouping.name_in_loss": False,
    "model.init_args.group_size": 1,
    "model.init_args.sampling.merge_adapter": False,
    "model.init_args.sampling.cuda_graphs": False,
    "model.init_args.optimiser.side_path_learning_rate": None,
    "model.init_args.engine": None,
    "model.init_args.engine.class_path": "lalm_ambig.rollouts.engines.in_process.InProcess",
    "model.init_args.engine.init_args.overlap": False,
}
"""Settings that older runs lack, with the value that computes what these computed. At that value they do not count."""
ADDED_TO = {"SFT": {"model.init_args.sampling": None}}
"""As ADDED, for the methods that had no such setting while others had."""
MEANT = {("SFT", "model.init_args.optimiser.learning_rate"): 1e-4}
"""By method and setting: what null means where older runs wrote a value."""
OBJECTS = ("trainer.callbacks", "trainer.logger")
"""Keys of callbacks and loggers: one object, a list of them, or a switch."""
LIGHTNING = ("lightning.", "pytorch_lightning.")
NAMED_FILES = ("data.rationales", "data.prompt", "data.glosses", "data.corpus.init_args.root")
"""Keys that may name a file. The file's content counts in the identity as well as its name."""


def identity_of(config: Mapping[str, Any]) -> str:
    """Return the identity of a run: eight hexadecimal digits that change with anything that changes the result.

    Args:
        config: The resolved configuration.

    Returns:
        The first eight digits of a SHA-256 hash.
    """
    return hashlib.sha256(counted(config).encode()).hexdigest()[:8]


def counted(config: Mapping[str, Any]) -> str:
    """Return the settings that change the result, as JSON: equal for two configurations that mean the same run.

    A renamed key counts under its first name, so that older runs keep their identity.

    Args:
        config: The resolved configuration.
    """
    method = str((config.get("model") or {}).get("class_path", "")).rpartition(".")[2]
    added = ADDED | ADDED_TO.get(method, {})
    settings = {
        first_name(key): MEANT.get((method, key)) if value is None else value
        for key, value in leaves(config)
        if key not in EXCLUDED and not (key in added and value == added[key])
    }
    for key in OBJECTS:
        settings[key] = _acting(settings.get(key))
    contents = {key: _digest(settings.get(key)) for key in NAMED_FILES}
    settings |= {f"{key} (content)": digest for key, digest in contents.items() if digest is not None}
    return json.dumps(settings, sort_keys=True, default=str)


def leaves(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of every setting. A list is one value, and so are callbacks and loggers.

    Args:
        config: A configuration, or a part of it.
        above: Dotted key of that part, with a dot at its end.

    >>> list(leaves({"run": {"samples": 4}, "seed": 0}))
    [('run.samples', 4), ('seed', 0)]
    """
    for key, value in config.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value and name not in OBJECTS:
            yield from leaves(value, f"{name}.")
        else:
            yield name, value


def _acting(configured: Any) -> Any:
    """Return the configured callbacks or loggers that may change a number; None if there are none."""
    entries = configured if isinstance(configured, list) else [configured]
    acting = [entry for entry in entries if not _watches(entry)]
    return acting or None


def _watches(entry: Any) -> bool:
    if not isinstance(entry, Mapping):  # a switch: whether there is a logger
        return True
    path = str(entry.get("class_path", ""))
    return path.startswith(LIGHTNING) and path.rpartition(".")[2] in WATCHING


def _digest(value: Any) -> str | None:
    """Return the SHA-256 hash of a file's content; None for a value that names no readable file."""
    try:
        if not isinstance(value, str) or not Path(value).expanduser().is_file():
            return None
        with Path(value).expanduser().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # not a name that a file can have, or not to be read: the corpus says so in a moment
        return None
