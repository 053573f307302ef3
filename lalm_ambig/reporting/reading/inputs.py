"""Read the folders of a report: runs of fit, folders that evaluate or baseline wrote, or any such pair of files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import ALL, Split
from lalm_ambig.corpora.base import corpus_class, named_part
from lalm_ambig.evaluation.annotator_scores import TOGETHER
from lalm_ambig.evaluation.notes import DRAWN_TARGET, FLOOR
from lalm_ambig.evaluation.one_evaluation import check_one_evaluation
from lalm_ambig.evaluation.predictions import Prediction, read_predictions
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.files.families import MemberFolder, is_family, member_folders
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.reporting.reading.recipe import corpus_settings, family_of, method_of, seed_of

UNSEEDED = ("baseline", "bound", "zero_shot", "audio_reasoner", "endpoint")
"""Methods that no run has trained."""
BEFORE = {"base": "zero_shot", "start": "start"}
"""Rows of a run folder that are from before its training → their method."""


@dataclass(frozen=True)
class ResultRow:
    """The result of one evaluated policy, or of one baseline."""

    label: str
    folder: Path
    results: Results
    method: str
    """A key of `recipe.METHODS`."""
    config: Mapping[str, Any] | None = None
    """The resolved configuration of its run; None where that is not known."""
    run: Path | None = None
    """The run's folder, for a policy that it trained."""
    part: str | None = None
    fold: int | None = None
    member: MemberFolder | None = None
    """Its place in a family that was named, for a folder whose run is not known."""
    family_name: str = ""
    """The name of that family."""

    @property
    def dataset(self) -> tuple[str, str | None]:
        """Corpus and part: the key of its group."""
        return self.results.about.corpus, self.part

    @property
    def is_leaky(self) -> bool:
        """Whether the policy was trained on items of this test."""
        overlap = self.results.about.trained_items
        return overlap is not None and overlap.is_leaky

    @property
    def trained_on(self) -> str | None:
        """The corpus or part that its policy was trained on, where that is another than this one; else None."""
        about = self.results.about
        part = None if self.config is None else corpus_settings(self.config).get("part")
        corpus = corpus_class(about.corpus)
        is_target = corpus is not None and not corpus.parts  # then `about.trained_on` alone tells
        evaluated = named_part(corpus, self.part)
        other_part = not is_target and self.run is not None and self.config is not None and part != evaluated
        return (
            f"{about.corpus}, {part or 'all parts'}"
            if about.trained_on is None and other_part
            else about.trained_on
        )

    @property
    def seed(self) -> int | None:
        """The seed of its run, else its number in a named family; None for a baseline, and where that is not known."""
        if self.method in UNSEEDED:
            return None
        if self.config is not None:
            return seed_of(self.config)
        return None if self.member is None else self.member.seed

    @property
    def family(self) -> str:
        """A text that is equal for the folds and seeds of one configuration."""
        about = self.results.about
        is_named = self.config is None or self.method == "baseline"
        origin = self.family_name or about.policy if is_named else family_of(self.config or {})
        return f"{self.method}|{about.readout}|{about.reasoning}|{self.trained_on}|{origin}"

    @cached_property
    def predictions(self) -> Sequence[Prediction]:
        """Its predictions.

        Raises:
            InputError: The file is missing, or is of another evaluation than the metrics.
        """
        predictions = read_predictions(self.folder / "predictions.jsonl")
        check_one_evaluation(predictions, self.results, where=str(self.folder))
        return predictions


@dataclass(frozen=True)
class ReportArgs:
    """The inputs, as the command line names them."""

    paths: Sequence[Path]
    """Folders, and names of families with places for seed and fold."""
    names: Mapping[Path, str] = field(default_factory=dict)
    """Folder → label."""
    methods: Mapping[Path, str] = field(default_factory=dict)
    """Folder → key of `recipe.METHODS`, in place of the one that the configuration implies."""
    split: Split = "test"
    """The split of the rows that run folders have."""
    runs: Mapping[Path, Path] = field(default_factory=dict)
    """Folder that evaluate wrote → the run whose policy it is, where that is known."""


@dataclass(frozen=True)
class ReportRows:
    """The rows of all folders, and the runs that were left out."""

    rows: Sequence[ResultRow]
    left_out: Sequence[str]
    """One line each, for a run that has not been evaluated yet."""
    runs: Mapping[Path, Mapping[str, Any]] = field(default_factory=dict)
    """Every run folder → its resolved configuration, also of those that are left out."""


def read_inputs(asked: ReportArgs) -> ReportRows:
    """Read every row of every folder, in order; nothing is compared yet.

    Raises:
        InputError: A folder is neither a run nor evaluated.
    """
    rows: list[ResultRow] = []
    left_out: list[str] = []
    runs: dict[Path, Mapping[str, Any]] = {}
    members: dict[Path, tuple[str, MemberFolder] | None] = {}
    for path, place in _folders(asked.paths):
        members[path] = place or members.get(path)  # a folder of a family may be named alone, too
    for path in dict.fromkeys([*members, *asked.names, *asked.methods]):
        if (path / "config.yaml").is_file() and not (path / "metrics.json").is_file():
            runs[path] = read_config(path / "config.yaml")
            of_run = list(_run(path, runs[path], asked.split))
            if not any(row.run for row in of_run):
                left_out.append(_why_left_out(path, asked.split))
            rows += [_named(row, path, asked) if row.run else row for row in of_run]
        elif (path / "metrics.json").is_file():
            evaluated = _as_member(_evaluated(path, asked.runs.get(path)), members.get(path))
            rows += [_named(evaluated, path, asked), *_beside(evaluated)]
        else:
            raise InputError(
                f"{path} is neither a run folder (config.yaml) nor an evaluated one (metrics.json).",
                where="report",
                remedy=_remedy(path),
            )
    return ReportRows(rows, left_out, runs)


def _folders(paths: Sequence[Path]) -> Iterator[tuple[Path, tuple[str, MemberFolder] | None]]:
    """The folders, those of a family one by one, with the family's name and their place in it."""
    for path in paths:
        if not is_family(str(path)):
            yield path, None
            continue
        for member in member_folders(str(path), where="report"):
            yield member.path, (path.name, member)


def _as_member(row: ResultRow, place: tuple[str, MemberFolder] | None) -> ResultRow:
    """The row of an evaluated folder with its place in the family that was named; its run's configuration wins."""
    if place is None or row.config is not None or row.method in UNSEEDED:
        return row
    name, member = place
    return replace(row, member=member, family_name=name, fold=member.fold)


def _remedy(path: Path) -> str:
    """What to name in place of a folder that holds no results itself."""
    inner = [one.parent for one in sorted(path.glob("*/metrics.json"))]
    runs = [one.parent for one in sorted(path.glob("*/config.yaml"))]
    if inner or runs:
        return (
            f"Give the folders in it, as {(inner or runs)[0]}, or a family by its name with {{seed}} in it."
        )
    return "Give folders that fit, evaluate or baseline wrote."


def _why_left_out(path: Path, split: Split) -> str:
    """Why a run has no row of its trained policy, and what helps."""
    if (path / "results.md").is_file():
        if not (path / "evaluation").is_dir():
            return f"{path.name} is left out: it is finished, but its folder evaluation is gone; evaluate it again"
        how = "run its fit again with --test" if split == "test" else "it was made by an older version"
        return f"{path.name} is left out, since it has no {split} results: {how}"
    return f"{path.name} is left out: its trained policy has not been evaluated yet, so wait for its end"


def _run(path: Path, config: Mapping[str, Any], split: Split) -> Iterator[ResultRow]:
    """The rows of a run of fit on a split, baselines first."""
    corpus = corpus_settings(config)
    for name in ("uniform", "prior", "base", "start", "trained"):
        folder = path / "evaluation" / ("" if split == "test" else split) / name
        if not (folder / "metrics.json").is_file():
            continue
        results = read_results(folder / "metrics.json")
        part, fold = results.about.part or corpus.get("part"), corpus.get("fold")  # older files have no part
        if name == "trained":
            yield ResultRow(path.name, folder, results, method_of(config), config, path, part, fold)
        else:
            label = f"{name} of {path.name}" if name == "start" else name
            method = _untrained(results, BEFORE.get(name, "baseline"))
            yield ResultRow(label, folder, results, method, config, None, part, fold)


def _evaluated(path: Path, run: Path | None = None) -> ResultRow:
    """The row of a folder with the two files.

    Its method is known for baselines, for untrained policies, and where its run is.
    """
    results = read_results(path / "metrics.json")
    about = results.about
    if DRAWN_TARGET in results.notes or any(note.startswith(FLOOR) for note in results.notes):
        method = "bound"
    elif about.readout == "none":
        method = "baseline"
    elif about.tokens_charged is not None:
        method = "endpoint"
    else:
        method = _untrained(results, "zero_shot") if about.policy.endswith(", base") else "other"
    name = about.policy if method == "endpoint" else path.resolve().name
    if method == "endpoint" or run is None or method == "bound" or about.readout == "none":
        return ResultRow(name, path, results, method, part=about.part)
    config = read_config(run / "config.yaml")
    is_own_split = about.split != ALL and about.trained_on is None
    fold = corpus_settings(config).get("fold") if is_own_split else None
    return ResultRow(name, path, results, method_of(config), config, run, about.part, fold)


def _untrained(results: Results, method: str) -> str:
    """The method of a policy that was not trained.

    Audio-Reasoner has a row of its own in ambiguity-aware LALM, Table 2.
    """
    is_peer = method == "zero_shot" and "audio-reasoner" in results.about.policy.casefold()
    return "audio_reasoner" if is_peer else method


def _beside(evaluated: ResultRow) -> Iterator[ResultRow]:
    """The baselines that evaluate puts into folders below its output, on the same items and so of the same fold."""
    for file in sorted(evaluated.folder.glob("*/metrics.json")):
        if file.parent.name == TOGETHER:  # the same answers once more, for other items
            continue
        row = _evaluated(file.parent)
        if row.method in ("baseline", "bound"):
            is_same = row.results.items_digest == evaluated.results.items_digest
            yield replace(row, fold=evaluated.fold) if is_same else row


def _named(row: ResultRow, path: Path, asked: ReportArgs) -> ResultRow:
    label, method = asked.names.get(path, row.label), asked.methods.get(path, row.method)
    return replace(row, label=label, method=method)


def read_config(path: Path) -> dict[str, Any]:
    """Read a run's resolved configuration as plain values, without importing a class that it names.

    Raises:
        InputError: The file is not a mapping with texts as keys, or not YAML.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError("a run's configuration holds keys and values", where=str(path))
    return content
