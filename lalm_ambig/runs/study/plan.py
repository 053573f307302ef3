"""The plan of a study: a YAML file of rows that are compared, and the runs that they need.

A row is a run of `fit`, or a finished run's policy that is evaluated again. Each is made once per seed. The run of row
ROW with seed 0 is called ROW-s0.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.config_files import config_folder, located, named_file
from lalm_ambig.files.failures import reason
from lalm_ambig.files.names import check_folder_name
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.help.names import closest
from lalm_ambig.metrics.base import ItemMean, formulas

OURS = ("seed", "seed_everything", "run.name", "run.root", "model.start", "folds", "seeds", "estimate")
"""Options of `fit` that a study sets itself, or that make something else than one run."""
OURS_OF_EVALUATE = ("--run", "--config", "--policy", "--samples", "--out")
"""Options of `evaluate` that a study sets itself, or that say whose policy is evaluated."""
RESERVED = ("references", "items")
"""Names that a study's own kept files have."""


@dataclass(frozen=True)
class Row:
    """One row of a study."""

    name: str
    """Beginning of its runs' names."""
    label: str
    """Name in tables."""
    config: tuple[Path, ...] = ()
    """Files of `fit --config`, in order; empty for a row that evaluates."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Dotted key → value, over the files."""
    start: str | None = None
    """Row whose run of the same seed training starts from."""
    of: str | None = None
    """Row whose run of the same seed is evaluated again; None for a row that is trained."""
    samples: int | None = None
    """Responses per item of a row that evaluates; None as the run has it."""
    evaluate: tuple[str, ...] = ()
    """Further words of `evaluate`, such as those of another corpus; `{root}` in them is the study's root."""
    in_table: bool = True
    """False for a row that others need, and that is not compared itself."""

    @property
    def needs(self) -> str | None:
        """The row that must be finished first, if any."""
        return self.start or self.of


@dataclass(frozen=True)
class Study:
    """The content of a study's file."""

    name: str
    """Stem of the file."""
    title: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    reference: str
    """Row that the others are compared with."""
    metrics: tuple[str, ...] = ("js_div_bits", "bc", "accuracy")
    """Columns of the table. The first one is compared."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Dotted key → value, for every row that is trained."""

    def row(self, name: str) -> Row:
        """Return the row of a name."""
        return next(row for row in self.rows if row.name == name)


@dataclass(frozen=True)
class PlannedRun:
    """A row with one seed."""

    row: Row
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return run_name(self.row.name, self.seed)

    @property
    def needs(self) -> str | None:
        """Name of the run that must be finished first, if any."""
        return None if self.row.needs is None else run_name(self.row.needs, self.seed)


def run_name(row: str, seed: int) -> str:
    """Return the name of a run's folder.

    >>> run_name("sft_cot", 0)
    'sft_cot-s0'
    """
    return f"{row}-s{seed}"


def planned_runs(study: Study, *, rows: Sequence[str], seeds: Sequence[int]) -> list[PlannedRun]:
    """Return the runs of these rows and of the rows that they need, seed by seed.

    Args:
        study: The study.
        rows: Names of rows; empty for all.
        seeds: Seeds; empty for the study's.

    Raises:
        InputError: The study has no such row.
    """
    names = [row.name for row in study.rows]
    for name in rows:
        if name not in names:
            raise InputError(
                f"study {study.name} has no row {name!r}{_meant(name, names)}",
                where="--rows",
                remedy=f"Its rows are {', '.join(names)}.",
            )
    wanted = set(rows or names)
    for row in reversed(study.rows):  # what a row needs is above it
        if row.name in wanted and row.needs is not None:
            wanted.add(row.needs)
    chosen = [row for row in study.rows if row.name in wanted]
    return [PlannedRun(row, seed) for seed in dict.fromkeys(seeds or study.seeds) for row in chosen]


def words_of(study: Study, run: PlannedRun, *, root: Path, more: Sequence[str] = ()) -> list[str]:
    """Return the command line of `fit` for a run.

    Args:
        study: The study.
        run: A run that is trained.
        root: Folder of the study's runs.
        more: Further words; they win over the study's settings.
    """
    words = [f"--config={path}" for path in run.row.config]
    words += [f"--{key}={_text(value)}" for key, value in {**study.settings, **run.row.settings}.items()]
    words += more
    if run.needs is not None:
        words.append(f"--model.start={root / run.needs}")
    return [*words, f"--run.root={root}", f"--run.name={run.name}", f"--seed={run.seed}"]


def check_more(more: Sequence[str]) -> None:
    """Check further words for every `fit`.

    Raises:
        InputError: One is an option that the study sets.
    """
    for word in more:
        name = word.partition("=")[0]
        if name.startswith("--") and _is_ours(name.removeprefix("--")):
            raise InputError(
                f"{name} is not for every run of a study:",
                where="study",
                remedy="--root, --seeds and the file's rows say that.",
            )


def read_study(path: Path) -> Study:
    """Read the file of a study.

    Args:
        path: The file.

    Raises:
        InputError: There is no such file, or something in it is unknown or missing.
    """
    path = named_file("study", str(path)) or located(path)
    if not path.is_file():
        there = ", ".join(sorted(file.name for file in (config_folder() / "study").glob("*.yaml")))
        raise InputError(
            f"no such file: {path}",
            where="study",
            remedy=f"The project's own are in {config_folder() / 'study'}: {there}.",
        )
    content, where = read_yaml(path), str(path)
    if path.stem in RESERVED:
        raise InputError(
            f"a study is not called {path.stem}, as its kept files are:", where=where, remedy="Rename it."
        )
    names = ("title", "rows", "seeds", "reference", "metrics", "set")
    content = _mapping(content, names, where=where, needed=("title", "rows", "seeds", "reference"))
    rows = _rows(content["rows"], path)
    study = Study(
        name=path.stem,
        title=_string(content["title"], where=f"{where}: title"),
        rows=rows,
        seeds=_seeds(content["seeds"], where=f"{where}: seeds"),
        reference=_string(content["reference"], where=f"{where}: reference"),
        settings=_settings(content.get("set", {}), where=f"{where}: set"),
        **({"metrics": _metrics(content["metrics"], where=where)} if "metrics" in content else {}),
    )
    _one_of(study.reference, [row.name for row in rows if row.in_table], where=f"{where}: reference")
    return study


def _rows(content: Any, path: Path) -> tuple[Row, ...]:
    if not isinstance(content, dict) or not content:
        raise InputError("expected a mapping from names to rows, with at least one", where=f"{path}: rows")
    rows: list[Row] = []
    for name, settings in content.items():
        where = f"{path}: rows.{name}"
        check_folder_name(_string(name, where=where), where=where)
        row = _row(name, settings, path, where=where)
        trained = [above.name for above in rows if above.of is None]
        if row.needs is not None:
            key = "start" if row.of is None else "of"
            _one_of(row.needs, trained, where=f"{where}.{key}", kind="a trained row above it")
        shown = [above for above in rows if above.in_table and row.in_table]
        if (same := next((above for above in shown if above.label == row.label), None)) is not None:
            raise InputError(f"row {same.name} has the label {row.label!r}, too", where=f"{where}.label")
        rows.append(row)
    return tuple(rows)


def _row(name: str, content: Any, path: Path, *, where: str) -> Row:
    keys = ("label", "config", "set", "start", "of", "samples", "evaluate", "table")
    content = _mapping(content, keys, where=where)
    evaluates = "of" in content
    for key in ("config", "set", "start") if evaluates else ("samples", "evaluate"):
        if key in content:
            which = "evaluates another row" if evaluates else "is trained"
            raise InputError(f"a row that {which} has no {key!r}", where=where, remedy="Leave it out.")
    if not evaluates and "config" not in content:
        raise InputError("'config' is missing", where=where)
    if evaluates and not {"samples", "evaluate"} & set(content):
        raise InputError("'samples' or 'evaluate' is missing: it says what is evaluated", where=where)
    samples, in_table = content.get("samples"), content.get("table", True)
    if samples is not None and not (_is_whole(samples) and samples >= 1):
        raise InputError(f"expected a whole number from 1, got {samples!r}", where=f"{where}.samples")
    if not isinstance(in_table, bool):
        raise InputError(f"expected true or false, got {in_table!r}", where=f"{where}.table")
    configs = content["config"] if isinstance(content.get("config"), list) else [content.get("config")]
    if not evaluates and not configs:
        raise InputError("expected at least one file, got []", where=f"{where}.config")
    return Row(
        name,
        _string(content.get("label", name), where=f"{where}.label"),
        () if evaluates else tuple(_config(one, path, where=f"{where}.config") for one in configs),
        _settings(content.get("set", {}), where=f"{where}.set"),
        start=_string(content["start"], where=f"{where}.start") if "start" in content else None,
        of=_string(content["of"], where=f"{where}.of") if evaluates else None,
        samples=samples,
        evaluate=_words(content.get("evaluate", []), where=f"{where}.evaluate"),
        in_table=in_table,
    )


def _words(content: Any, *, where: str) -> tuple[str, ...]:
    if not isinstance(content, list) or not all(isinstance(word, str) for word in content):
        raise InputError(f"expected a list of words of evaluate, got {content!r}", where=where)
    for word in content:
        if word.partition("=")[0] in OURS_OF_EVALUATE:
            what = f"{word.partition('=')[0]} is no word of a row"
            raise InputError(
                what, where=where, remedy="The study says whose policy it is, how often, and where to."
            )
    return tuple(content)


def _config(value: Any, study: Path, *, where: str) -> Path:
    """Return a file of the project's configurations, or one beside the study."""
    places = [folder / _string(value, where=where) for folder in (config_folder(), study.parent)]
    try:
        found = next((place for place in places if place.is_file()), None)
    except OSError as error:  # too long a name
        raise InputError(f"no such file: {reason(error)}", where=where) from error
    if found is None:
        raise InputError(f"no such file: {' or '.join(map(str, places))}", where=where)
    return found


def _mapping(content: Any, names: Sequence[str], *, where: str, needed: Sequence[str] = ()) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise InputError(f"expected keys and values, got {content!r}", where=where)
    for key in content:
        if key not in names:
            what = f"unknown key {key!r}{_meant(str(key), names)}"
            raise InputError(what, where=where, remedy=f"The keys are {', '.join(names)}.")
    for key in needed:
        if key not in content:
            raise InputError(f"{key!r} is missing", where=where)
    return content


def _settings(content: Any, *, where: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise InputError(f"expected dotted keys with values, got {content!r}", where=where)
    for key, value in content.items():
        if not isinstance(key, str) or key.startswith("-") or _is_ours(key):
            raise InputError(
                f"{key!r} is no key that a row sets",
                where=where,
                remedy="Give a dotted key of fit, as trainer.max_epochs.",
            )
        try:
            _text(value)
        except TypeError as error:  # a date of YAML
            what = f"expected a number, a text, a list or a mapping, got {value!r}"
            raise InputError(what, where=f"{where}.{key}", remedy="Put it in quotes.") from error
    return content


def _is_ours(key: str) -> bool:
    """Whether an option is one of `OURS`, or above one that is in a mapping of its own."""
    return key in OURS or key == "run"


def _seeds(content: Any, *, where: str) -> tuple[int, ...]:
    seeds = content if isinstance(content, list) else [content]
    if not seeds or not all(_is_whole(seed) and seed >= 0 for seed in seeds) or len(set(seeds)) < len(seeds):
        raise InputError(f"expected different whole numbers from 0, got {content!r}", where=where)
    return tuple(seeds)


def _metrics(content: Any, *, where: str) -> tuple[str, ...]:
    if not isinstance(content, list) or not content:
        raise InputError(f"expected names of metrics, got {content!r}", where=f"{where}: metrics")
    metrics = {metric.name: metric for metric in formulas(2)}
    for name in content:
        _one_of(name, list(metrics), where=f"{where}: metrics")
    if twice := [name for name in content if content.count(name) > 1]:
        raise InputError(f"{twice[0]} stands twice", where=f"{where}: metrics")
    if not isinstance(metrics[content[0]], ItemMean):
        what = f"the first one is compared item by item, and {content[0]} is no mean over items"
        raise InputError(what, where=f"{where}: metrics", remedy="Name js_div_bits first, for instance.")
    return tuple(content)


def _one_of(value: Any, names: Sequence[str], *, where: str, kind: str = "one of") -> None:
    if value not in names:
        listed = ", ".join(names) or "there is none"
        what = f"expected {kind}{'' if kind == 'one of' else ':'} {listed}, got {value!r}"
        raise InputError(f"{what}{_meant(str(value), names)}", where=where)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _string(value: Any, *, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"expected a text, got {value!r}", where=where)
    return value


def _meant(given: str, names: Sequence[str]) -> str:
    meant = closest(given, names)
    return f": did you mean {meant}?" if meant else ""


def _text(value: Any) -> str:
    """Return a value as the command line takes it."""
    return value if isinstance(value, str) else json.dumps(value)
