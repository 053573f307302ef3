"""The row of the papers' tables that a run belongs to, by its resolved configuration and never by its name.

A configuration has the method's class, the weights of its objective, its rewards, whether it reasons, and its readout.
A run that no rule matches is `other`: it is in the table `all`, and `--row` can place it.
"""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from lalm_ambig.config.identity import counted
from lalm_ambig.config.seed import NAMES as SEED_NAMES
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.yaml import read_yaml

METHODS = {
    "zero_shot": "Zero-shot",
    "audio_reasoner": "Audio-Reasoner",
    "sft": "SFT",
    "sft_kl_only": "SFT, KL only",
    "sft_ce_only": "SFT, CE only",
    "sft_json": "SFT on JSON",
    "dpo": "DPO",
    "dpo_ce_only": "DPO, CE only",
    "dpo_json": "DPO on JSON",
    "grpo": "GRPO",
    "grpoz": "GRPOz",
    "mls": "MLS",
    "shala_wo": "SHALA-LLM (w/o Ambi-En)",
    "shala_wo_batch": "SHALA-LLM (w/o Ambi-En), batch-scaled",
    "shala": "SHALA-LLM",
    "shala_batch": "SHALA-LLM, batch-scaled",
    "shala_unscaled": "SHALA-LLM, unscaled",
    "endpoint": "behind an endpoint",
    "start": "before training",
    "baseline": "baseline",
    "bound": "bound",
    "other": "other",
}
"""Key of a row → its label in tables. `bound` is the score of people among themselves: panel and oracle."""

Settings = Mapping[str, Any]
MEMBER = re.compile(r"([-_](?:s|seed|fold))\d+(?![^-_/])")
"""Seed or fold at the end of a part of a run's name."""


def method_of(config: Settings) -> str:
    """The key in `METHODS` for a resolved configuration."""
    model = config.get("model") or {}
    name = str(model.get("class_path", "")).rpartition(".")[2]
    rule = RULES.get(name)
    return "other" if rule is None else rule(model.get("init_args") or {})


def _sft(settings: Settings) -> str:
    """CE + KL after reasoning is SFT of ambiguity-aware LALM, eq. 3; its ablations leave one of the three out."""
    objective = settings.get("objective") or {}
    has_ce, has_kl = objective.get("ce_weight", 1.0) > 0, objective.get("kl_weight", 1.0) > 0
    reasoning = bool(settings.get("reasoning"))
    if has_kl and reasoning and has_ce:
        return "sft"
    if has_kl and not reasoning:
        return "sft_kl_only"
    if has_kl:
        return "other"
    return "sft_json" if settings.get("readout") == "verbalised" else "sft_ce_only"


def _dpo(settings: Settings) -> str:
    if (settings.get("objective") or {}).get("kl_weight", 0.1) > 0:
        return "dpo"
    return "dpo_json" if settings.get("readout") == "verbalised" else "dpo_ce_only"


def _grpo(settings: Settings) -> str:
    """The row by the rewards: SHALA's, the majority's probability, or agreement, with the curated response or not."""
    rewards = {str(r.get("class_path", "")).rpartition(".")[2]: r for r in settings.get("rewards") or ()}
    if "Shala" in rewards:
        return _shala(settings, rewards["Shala"].get("init_args") or {})
    if "MajorityLabel" in rewards:
        return "mls"
    if "Agreement" in rewards:
        return "grpo" if settings.get("curated") is None else "grpoz"
    return "other"


def _shala(settings: Settings, reward: Settings) -> str:
    scale = (settings.get("grouping") or {}).get("advantage_scale", "group")
    ending = {"group": "", "batch": "_batch", "none": "_unscaled"}.get(scale)
    key = ("shala" if reward.get("ambiguity", True) else "shala_wo") + str(ending)
    return key if key in METHODS else "other"


RULES: dict[str, Callable[[Settings], str]] = {"SFT": _sft, "DPO": _dpo, "GRPO": _grpo}
"""Class of the method → the rule that gives the row of a run."""


def method_named(name: str, *, where: str) -> str:
    """The key in `METHODS` for a key or a label.

    Args:
        name: A key or label as typed; the case of a label does not matter.
        where: The option, for the message.

    Raises:
        InputError: It is neither a key nor a label.
    """
    keys = {key: key for key in METHODS} | {label.casefold(): key for key, label in METHODS.items()}
    key = keys.get(name) or keys.get(name.casefold())
    if key is None:
        raise InputError(f"unknown row {name!r}: expected one of {', '.join(METHODS)}", where=where)
    return key


def corpus_settings(config: Settings) -> Settings:
    """The arguments of the run's corpus: its part and fold among them."""
    corpus = (config.get("data") or {}).get("corpus") or {}
    settings: Settings = corpus.get("init_args") or {}
    return settings


def seed_of(config: Settings) -> int | None:
    """The seed of a run; None where its file does not say."""
    return next((config[key] for key in SEED_NAMES if isinstance(config.get(key), int)), None)


def family_of(config: Settings) -> str:
    """A text that is equal for runs which differ only in seed, fold and name, and whose starts do, too.

    Only settings that change a result count (see `config.identity`), so that older runs are of the family as well.
    """
    rest: dict[str, Any] = deepcopy(dict(config))
    for key in ("run", *SEED_NAMES):
        rest.pop(key, None)
    rest.get("data", {}).get("corpus", {}).get("init_args", {}).pop("fold", None)
    settings = rest.get("model", {}).get("init_args", {})
    if start := settings.pop("start", None):
        settings["start"] = _family_of_start(Path(str(start)))
    return counted(rest)


def _family_of_start(start: Path) -> str:
    """The family of the run that another one started from; where it is gone, its name without seed and fold."""
    file = start.expanduser() / "config.yaml"
    config = read_yaml(file) if file.is_file() else None
    return family_of(config) if isinstance(config, dict) else MEMBER.sub(r"\1", str(start))
