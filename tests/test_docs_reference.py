"""docs/reference says what is: every metric that is logged, every file of a run, every field of these files."""

import ast
import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from small_runs import words

from lalm_ambig import predict
from lalm_ambig.fit import run_all
from lalm_ambig.help.catalogue import all_keys, options

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
FIRST_CELL = re.compile(r"^\| (`[^|]+?) \|", re.MULTILINE)
PLACE = re.compile(r"[A-Z]{3,}")
"""A word of the pages that stands for one of several."""
CURATED = ("--model.curated.earns=policy", "--model.objective.class_mass_weight=0.1")
OWN = ("--model.objective.on_policy_kl_weight=0.5", "--run.gradient_steps=1")


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """The part of a page below one of its titles, up to the next of that level."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def named(text: str) -> list[str]:
    """What the first cells of a text's tables name, all that is code there."""
    return [name for found in FIRST_CELL.findall(text) for name in re.findall(r"`([^`]+)`", found)]


def is_documented(name: str, documented: list[str]) -> bool:
    patterns = (PLACE.sub(r"[\\w-]+", re.escape(one)) for one in documented)
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def keys_of(node: ast.expr) -> Iterator[str]:
    """The keys of a dictionary in the code; what an f-string puts in is `x`."""
    keys = node.keys if isinstance(node, ast.Dict) else [node.key] if isinstance(node, ast.DictComp) else []
    for key in keys:
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value
        elif isinstance(key, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in key.values)


def logged_by_code() -> set[str]:
    """Names that objectives give as parts of a loss, and methods as numbers of their responses."""
    names = set[str]()
    for path in sorted((ROOT / "lalm_ambig").glob("objectives/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Subscript)
                and isinstance(node.value, ast.Name)
                and "parts" in node.value.id
            ):
                names.add(str(ast.literal_eval(node.slice)))
            if isinstance(node, ast.Assign) and "parts" in ast.unparse(node.targets[0]):
                values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
                names |= set(keys_of(values[-1]))
    for path in sorted((ROOT / "lalm_ambig").glob("methods/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "self.record" and node.args:
                names |= set(keys_of(node.args[0]))
            if isinstance(node, ast.FunctionDef) and node.name in ("rollout_values", "_unparsed"):
                names |= {
                    name for inner in ast.walk(node) if isinstance(inner, ast.expr) for name in keys_of(inner)
                }
    return {f"train/{name}" for name in names}


def test_every_metric_in_the_code_is_on_the_page() -> None:
    names, documented = logged_by_code(), named(page("logged_metrics.md"))
    assert {"train/ce", "train/reward/x", "train/rollouts/tokens", "train/on_policy_kl"} <= names
    assert len(names) >= 25
    assert sorted(name for name in names if not is_documented(name, documented)) == []


def test_every_key_and_option_is_on_its_page() -> None:
    keys = named(page("config.md"))
    assert {key.name for _, key in all_keys()} <= set(keys)
    said = set(re.findall(r"--[a-z][\w.-]*", page("cli.md")))
    of_commands = {name for command, names in options().items() if command != "fit" for name in names}
    assert of_commands - said - {"--help"} == set()


@pytest.fixture(scope="module")
def runs(
    demo_root: Path, tmp_path_factory: pytest.TempPathFactory, cache_home: Path
) -> Iterator[dict[str, Path]]:
    """A tested run of GRPOz with all terms, and one of DPO."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch, Path("/dev/null").open("w") as nowhere:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        for method, more in (("grpo", (*CURATED, *OWN, "--test")), ("dpo", OWN)):
            run_all(words(method, demo_root, folder / method, *more), Console(file=nowhere))
        yield {method: folder / method / "r" for method in ("grpo", "dpo")}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_column_and_file_of_a_run_is_documented(runs: dict[str, Path]) -> None:
    columns, files = named(page("logged_metrics.md")), named(page("run_folder.md"))
    metrics = named((ROOT / "docs" / "concepts" / "metrics.md").read_text(encoding="utf-8"))
    columns = [name for name in columns if name != "READING/METRIC"] + [f"READING/{name}" for name in metrics]
    for run in runs.values():
        with (run / "metrics.csv").open(encoding="utf-8") as table:
            head = next(csv.reader(table))
        assert [
            name for name in head if name not in ("step", "epoch") and not is_documented(name, columns)
        ] == []
        assert len(head) > 40
    entries = [re.sub(r"\d{8}", "NUMBER", name) for name in files]
    folders = [name.rstrip("/") for name in entries if name.endswith("/")]
    there = [path.relative_to(runs["grpo"]) for path in runs["grpo"].rglob("*") if path.is_file()]
    assert [
        path
        for path in there
        if not is_documented(path.as_posix(), entries)
        and not any(is_documented(above.as_posix(), folders) for above in path.parents)
    ] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_field_of_its_files_is_documented(runs: dict[str, Path]) -> None:
    text = page("file_formats.md")
    for run in runs.values():
        for name in (
            "samples.jsonl",
            "rollouts.jsonl",
            "trained_items.jsonl",
            "selection.json",
            "training.json",
        ):
            fields = {field for row in rows_of(run / name) for field in row}
            assert fields <= set(named(section(text, name))), name
        fields = set(rows_of(run / "environment.json")[0])
        assert fields <= set(named(section(text, "environment.json")))
    for row in ("base", "trained", "panel", "prior"):
        folder = runs["grpo"] / "evaluation" / row
        for name in ("predictions.jsonl", "metrics.json"):
            documented = section(text, name).partition("\n### ")[0]
            assert set(rows_of(folder / name)[0]) == set(named(documented)), name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_fields_of_answers_are_documented(
    runs: dict[str, Path], demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_home: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    clip = next(demo_root.rglob("*.wav"))
    documented = section(page("file_formats.md"), "Answers of predict")
    for name in ("a.jsonl", "a.csv"):
        assert predict.main([str(clip), "--run", str(runs["dpo"]), "--out", str(tmp_path / name)]) == 0
    assert set(rows_of(tmp_path / "a.jsonl")[0]) == set(named(documented))
    marked = set(re.findall(r"^\| `(\w+)` ∗", documented, re.MULTILINE))
    with (tmp_path / "a.csv").open(encoding="utf-8") as table:
        head = set(next(csv.reader(table)))
    assert set(named(documented)) - marked - {"distribution"} == head - {
        "anger",
        "disgust",
        "fear",
        "happiness",
        "neutral",
        "sadness",
    }


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON Lines, or the one of a JSON file."""
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else [json.loads(text)]
