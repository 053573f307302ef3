"""Configurations by somebody who wants code of his to run.

Each is a way of naming a planted class (`FORMS`) at a place where the parser expects a class, a function or a type
(`PLACES`), given in some way (`DELIVERIES`).
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planted import FORMS, Attempt, Document, dumped


@dataclass(frozen=True)
class Place:
    """Where in a configuration a class, a function or a type is expected."""

    keys: tuple[str, ...]
    around: dict[str, Any] = field(default_factory=dict)
    """Settings beside, as dotted keys."""
    listed: bool = False

    def filled(self, value: Document) -> dict[str, Any]:
        """A configuration with this value at this place."""
        config: dict[str, Any] = {
            "policy": {"class_path": "lalm_ambig.policies.tiny.Tiny"},
            "data": {"corpus": {"class_path": "lalm_ambig.corpora.demo.Demo"}},
            "model": {"class_path": "lalm_ambig.methods.sft.SFT"},
        }
        for keys, inner in self.around.items():
            _put(config, tuple(keys.split(".")), inner)
        _put(config, self.keys, [value] if self.listed else value)
        return config


def _put(config: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        config = config.setdefault(key, {})
    config[keys[-1]] = value


def _inside(key: str, class_path: str, argument: str, *, listed: bool = False) -> Place:
    """An argument of a class of Lightning's."""
    return Place(("trainer", key, "init_args", argument), {f"trainer.{key}.class_path": class_path}, listed)


LAMBDA, AVERAGED = "lightning.pytorch.callbacks.LambdaCallback", "lightning.pytorch.callbacks.WeightAveraging"
DDP, FSDP = "lightning.pytorch.strategies.DDPStrategy", "lightning.pytorch.strategies.FSDPStrategy"
GRPO = {"model.class_path": "lalm_ambig.methods.grpo.GRPO"}
PLACES = {
    "policy": Place(("policy",)),
    "method": Place(("model",)),
    "corpus": Place(("data", "corpus")),
    "callback": Place(("trainer", "callbacks")),
    "callbacks": Place(("trainer", "callbacks"), listed=True),
    "logger": Place(("trainer", "logger")),
    "loggers": Place(("trainer", "logger"), listed=True),
    "profiler": Place(("trainer", "profiler")),
    "strategy": Place(("trainer", "strategy")),
    "accelerator": Place(("trainer", "accelerator")),
    "plugin": Place(("trainer", "plugins")),
    "plugins": Place(("trainer", "plugins"), listed=True),
    "adapter": Place(("policy", "init_args", "adapter")),
    "objective": Place(("model", "init_args", "objective")),
    "rewards": Place(("model", "init_args", "rewards"), GRPO, listed=True),
    "function": _inside("callbacks", LAMBDA, "on_fit_start"),
    "average": _inside("callbacks", AVERAGED, "avg_fn"),
    "hook": _inside("strategy", DDP, "ddp_comm_hook"),
    "policy of wrapping": _inside("strategy", FSDP, "auto_wrap_policy"),
    "type": _inside("strategy", FSDP, "activation_checkpointing"),
    "environment": _inside("strategy", DDP, "cluster_environment"),
    "checkpoints": _inside("strategy", DDP, "checkpoint_io"),
}
"""Where the parser expects a class, a function or a type."""


def _yaml_file(attempt: Attempt, place: Place, value: Document) -> None:
    attempt.arguments = [f"--config={attempt.put('run.yaml', place.filled(value))}"]


def _json_file(attempt: Attempt, place: Place, value: Document) -> None:
    attempt.arguments = ["-c", attempt.put("run.json", json.dumps(place.filled(value)))]


def _marked_file(attempt: Attempt, place: Place, value: Document) -> None:
    content = b"\xef\xbb\xbf" + dumped(place.filled(value)).encode()
    attempt.arguments = ["--config", attempt.put("run", content)]


def _dotted_file(attempt: Attempt, place: Place, value: Document) -> None:
    config = place.filled(None)
    target = config
    for key in place.keys[:-1]:
        target = target[key]
    del target[place.keys[-1]]
    config[".".join(place.keys)] = [value] if place.listed else value
    attempt.arguments = [f"-c={attempt.put('run.yaml', config)}"]


def _referred_file(attempt: Attempt, place: Place, value: Document) -> None:
    """With the value first, under a key of no meaning, and a reference to it in its place."""
    config = dumped({"a": place.filled("REFERENCE")}).replace("REFERENCE", "*x").partition("\n")[2]
    content = f"$schema: &x {json.dumps(value)}\n" + _shifted(config)
    attempt.arguments = [f"--config={attempt.put('run.yaml', content)}"]


def _shifted(text: str) -> str:
    return "".join(line.removeprefix("  ") for line in text.splitlines(keepends=True))


def _merged_file(attempt: Attempt, place: Place, value: Document) -> None:
    content = f"<<: {json.dumps(place.filled(value))}\n"
    attempt.arguments = [f"--config={attempt.put('run.yaml', content)}"]


def _file_in_file(attempt: Attempt, place: Place, value: Document) -> None:
    attempt.put("inner.yaml", place.filled(value))
    attempt.arguments = [f"--config={attempt.put('run.yaml', Place(('config',)).filled('inner.yaml'))}"]


def _second_file(attempt: Attempt, place: Place, value: Document) -> None:
    honest = attempt.put("first.yaml", Place(("data", "limit")).filled(5))
    attempt.arguments = [f"--config={honest}", f"--config={attempt.put('run.yaml', place.filled(value))}"]


def _part_in_a_file(attempt: Attempt, place: Place, value: Document) -> None:
    config = place.filled(value)
    part = place.keys[0]
    config[part] = f"./{attempt.put('whole', config[part])}"
    attempt.arguments = [f"--config={attempt.put('run.yaml', config)}"]


def _option(attempt: Attempt, place: Place, value: Document) -> None:
    around = Place(("data", "limit"), place.around).filled(5)
    given = json.dumps([value] if place.listed else value)
    attempt.arguments = [
        f"--config={attempt.put('run.yaml', around)}",
        f"--{'.'.join(place.keys)}={value if isinstance(value, str) and not place.listed else given}",
    ]


def _option_of_a_part(attempt: Attempt, place: Place, value: Document) -> None:
    part = place.keys[0]
    attempt.arguments = [
        f"--config={attempt.put('run.yaml', Place(('data', 'limit')).filled(5))}",
        f"--{part}",
        json.dumps(place.filled(value)[part]),
    ]


def _variable(attempt: Attempt, place: Place, value: Document) -> None:
    attempt.environment = {
        "JSONARGPARSE_DEFAULT_ENV": "true",
        "PL_CONFIG": str(attempt.folder / attempt.put("hidden.yaml", place.filled(value))),
    }
    attempt.arguments = [f"--config={attempt.put('run.yaml', Place(('data', 'limit')).filled(5))}"]


DELIVERIES: dict[str, Callable[[Attempt, Place, Document], None]] = {
    "file": _yaml_file,
    "JSON file": _json_file,
    "file with a mark": _marked_file,
    "dotted keys": _dotted_file,
    "reference": _referred_file,
    "merge": _merged_file,
    "file in a file": _file_in_file,
    "part in a file": _part_in_a_file,
    "second file": _second_file,
    "option": _option,
    "option of a part": _option_of_a_part,
    "variable": _variable,
}
"""Ways of giving a configuration."""


def attempt_of(folder: Path, name: str, form: str, place: str, delivery: str) -> Attempt:
    """One combination."""
    attempt = Attempt(folder, name, kinds=(form, place, delivery))
    DELIVERIES[delivery](attempt, PLACES[place], FORMS[form](attempt))
    return attempt


NO_FILES = ("function", "average", "hook", "policy of wrapping", "type")
"""Places where a text is never a file."""
NAMES = (
    "planted{}", "été{}", "test_{}", "torch_{}", "lightning{}.pytorch", "lalm_ambig_{}.policies", "_{}", "yaml{}",
)  # fmt: skip
"""Names of planted modules."""


def means_code(form: str, place: str) -> bool:
    """Whether the parser, left alone, takes a form at a place for a class."""
    file, within = form.startswith("file"), form.endswith("in a text")
    if place == "type":
        return form == "text"
    if place in ("strategy", "accelerator", "environment", "checkpoints", "hook", "policy of wrapping"):
        return not (file and place in NO_FILES) and (
            form != "text" or place not in ("strategy", "accelerator")
        )
    return not (file and place in NO_FILES) and not (within and PLACES[place].listed)


def drawn(folder: Path, number: int, seed: int) -> Attempt:
    """Combination `number` of a seed, of those by which planted code would run."""
    rng = random.Random(f"{seed}:{number}")
    name = rng.choice(NAMES).format(f"{seed}_{number}")
    while True:
        form, place = rng.choice([*FORMS]), rng.choice([*PLACES])
        if means_code(form, place):
            return attempt_of(folder, name, form, place, rng.choice([*DELIVERIES]))
