"""Training from Python: the same words as `fit` takes, and the same run folder."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from lalm_ambig import fit
from lalm_ambig.config.cli import parse
from lalm_ambig.config.devices import number_of
from lalm_ambig.config.files import ALLOW_FLAG, CLASS_OPTIONS, KINDS, config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.help.names import closest
from lalm_ambig.inference.model import Model, load
from lalm_ambig.runs.exports import results_of
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.processes.launch import quiet_libraries

COMMAND_ONLY = ("folds", "seeds", "estimate", "print_config", "config", "c", "help")
"""Keys of `fit` that make several runs or none."""
Part = str | Path | Mapping[str, Any]
"""A file of the project's own by its stem, a YAML file, or settings."""


@dataclass(frozen=True)
class TrainedRun:
    """A finished run of `fit`."""

    folder: Path

    @property
    def table(self) -> str:
        """The run's tables as Markdown, with the prior, the base model and the references beside it."""
        return RunFolder(self.folder).results.read_text(encoding="utf-8")

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics of the trained policy by name: on the test split if that was looked at, else on validation."""
        file = results_of(RunFolder(self.folder))
        assert file is not None, "a finished run has results"
        return {name: interval.value for name, interval in read_results(file).metrics.items()}

    def load(self, *, device: str = "auto", precision: str | None = None) -> Model:
        """Load the trained policy, to ask it.

        Args:
            device: As for `lalm_ambig.load`.
            precision: As for `lalm_ambig.load`.
        """
        return load(self.folder, device=device, precision=precision)

    def _repr_markdown_(self) -> str:
        return self.table


def train(  # noqa: PLR0913  # the parts of a run
    policy: Part = "tiny",
    data: Part = "demo",
    method: Part = "sft_kl_only",
    *,
    name: str | None = None,
    root: str | Path | None = None,
    test: bool = False,
    quiet: bool = False,
    allow_any_class: bool = False,
    **keys: Any,
) -> TrainedRun:
    """Train a policy on a corpus, as `fit` does, on one device. The same call goes on with a run that was interrupted.

    Args:
        policy: A file of configs/policy by its stem, such as `qwen2_audio`; a YAML file; or settings with `class_path`
            and `init_args`.
        data: A file of configs/data by its stem, a YAML file, or settings, such as `{"corpus": "Demo", "limit": 8}`.
        method: A file of configs/method by its stem, a YAML file, or settings with `class_path` and `init_args`.
        name: Folder of the run under the root; by default made of its parts and a hash of the configuration.
        root: Folder of all runs; by default `runs`.
        test: Whether the test split is evaluated, which is not looked at otherwise.
        quiet: Print no tables, bars and progress lines. Notices on standard error stay.
        allow_any_class: Let the settings name classes of your own by their path, such as `my_module.MyReward`.
        keys: Any key of `fit`, with its dots: `**{"data.limit": 8, "model.optimiser.learning_rate": 1e-4}`.

    Returns:
        The finished run.

    Raises:
        InputError: A key or value is wrong, or the parts do not go together; the line is that of `fit`.

    >>> from lalm_ambig import train                                               # doctest: +SKIP
    >>> run = train("tiny", "demo", "sft_kl_only", **{"trainer.max_epochs": 5})    # doctest: +SKIP
    >>> run.load().predict("a.wav").distribution                                   # doctest: +SKIP
    """
    quiet_libraries()
    words = [*_part("policy", policy), *_part("data", data), *_part("model", method)]
    given = {"run.name": name, "run.root": root}
    words += [_word(key, value) for key, value in given.items() if value is not None]
    words += ["--test"] * test + [ALLOW_FLAG] * allow_any_class
    words += ["--trainer.enable_progress_bar=false"] * quiet
    for key, value in keys.items():
        if key.partition(".")[0] in COMMAND_ONLY:
            raise InputError(
                f"train makes one run, and {key} is not for that:", where="train", remedy="use fit."
            )
        words.append(_word(key, value))
    devices = parse(words).config_init["trainer"]["devices"]
    if number_of(devices) not in (0, 1):
        raise InputError(f"train uses one device, got {devices}:", where="trainer.devices", remedy="use fit.")
    console = Console(quiet=quiet)
    try:
        run = fit.train(words, console)
    except SystemExit as error:  # Lightning's answer to an interrupt, which would end the session
        raise KeyboardInterrupt from error
    return TrainedRun(run.path)


def _part(kind: str, part: Part) -> Iterator[str]:
    """Yield the words for a part: a file, or its settings one by one."""
    if isinstance(part, Mapping):
        yield from _settings(kind, part)
        return
    folder = config_folder() / KINDS[kind]
    path = Path(part).expanduser()
    if path.suffix not in (".yaml", ".yml"):
        names = sorted(file.stem for file in folder.glob("*.yaml"))
        if str(part) not in names:
            meant = closest(str(part), names)
            guess = f"did you mean {meant}?" if meant else f"expected one of {', '.join(names)}."
            raise InputError(f"no {KINDS[kind]} {str(part)!r}:", where="train", remedy=guess)
        path = folder / f"{part}.yaml"
    yield f"--config={path}"


def _settings(kind: str, part: Mapping[str, Any]) -> Iterator[str]:
    """Yield settings as options. The class comes first, since the other ones are its own."""
    settings = dict(part)
    key = "corpus" if kind == "data" else "class_path"
    if key not in settings:
        raise InputError(f"settings need {key!r}: {settings}", where=f"train: {KINDS[kind]}")
    yield _word(CLASS_OPTIONS[kind].removeprefix("--"), settings.pop(key))
    inner = settings.pop("init_args", {}) if kind != "data" else {}
    yield from (_word(f"{kind}.{name}", value) for name, value in {**settings, **inner}.items())


def _word(key: str, value: Any) -> str:
    text = str(value) if isinstance(value, str | Path) else json.dumps(value, default=str)
    return f"--{key}={text}"
