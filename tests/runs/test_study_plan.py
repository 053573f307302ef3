"""The file of a study: what it means, and what is wrong with it, in one line."""

from pathlib import Path

import pytest

from lalm_ambig.config.cli import parse
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.runs.study.plan import check_more, planned_runs, read_study, words_of

STUDIES = sorted((config_folder() / "study").glob("*.yaml"))
GOOD = """
title: A study
reference: a
seeds: [0, 3]
set: {trainer.max_epochs: 2, data.batch_size: 4}
rows:
  a: {label: First, config: preset/demo.yaml}
  b:
    label: Second
    config: [policy/tiny.yaml, data/demo.yaml, method/grpo.yaml]
    set: {trainer.max_epochs: 1, "model.rewards": [Agreement], data.prompt: null, trainer.accelerator: cpu}
    start: a
  c: {label: Third, of: b, samples: 8}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_a_row_becomes_the_words_of_fit(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, GOOD))
    assert (study.name, study.reference, study.seeds) == ("mine", "a", (0, 3))
    assert study.metrics == ("js_div_bits", "bc", "accuracy")
    runs = planned_runs(study, rows=[], seeds=[])
    assert [run.name for run in runs] == ["a-s0", "b-s0", "c-s0", "a-s3", "b-s3", "c-s3"]
    assert [run.needs for run in runs[3:]] == [None, "a-s3", "b-s3"]
    folder = config_folder()
    assert words_of(study, runs[4], root=Path("root"), more=["--data.limit", "8"]) == [
        *(f"--config={folder / name}" for name in ("policy/tiny.yaml", "data/demo.yaml", "method/grpo.yaml")),
        "--trainer.max_epochs=1",
        "--data.batch_size=4",
        '--model.rewards=["Agreement"]',
        "--data.prompt=null",
        "--trainer.accelerator=cpu",
        "--data.limit",
        "8",
        "--model.start=root/a-s3",
        "--run.root=root",
        "--run.name=b-s3",
        "--seed=3",
    ]


def test_a_chosen_row_brings_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, GOOD))
    assert [run.name for run in planned_runs(study, rows=["c"], seeds=[7])] == ["a-s7", "b-s7", "c-s7"]
    assert [run.name for run in planned_runs(study, rows=["a"], seeds=[1, 1])] == ["a-s1"]
    with pytest.raises(InputError, match=r"--rows: study mine has no row 'bb'.* Its rows are a, b, c\."):
        planned_runs(study, rows=["bb"], seeds=[])


@pytest.mark.slow
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_row_of_a_shipped_study_can_be_configured_and_only_seeds_differ(path: Path) -> None:
    study = read_study(path)
    assert len(study.seeds) >= 3
    more = () if path.stem.startswith("demo") else ("--data.corpus.root=nowhere",)
    more += ("--policy.path=nowhere",) if path.stem == "mini_crema_d" else ()
    for run in planned_runs(study, rows=[], seeds=[5]):
        if run.row.of is None:
            cli = parse(words_of(study, run, root=Path("nowhere"), more=more))
            assert cli.config["seed"] == 5 and cli.datamodule.seed == 5
            assert cli.datamodule.corpus.seed == 0  # the split is the same whatever the seed
            assert cli.model.start == (None if run.needs is None else Path("nowhere") / run.needs)


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rows", r"mine\.yaml: expected keys and values, got 'rows'"),
        (changed("title: A study\n", ""), r"mine\.yaml: 'title' is missing"),
        (changed("seeds:", "seed:"), r"unknown key 'seed': did you mean seeds\? The keys are title, rows"),
        (changed("[0, 3]", "[0, 0]"), r"seeds: expected different whole numbers from 0, got \[0, 0\]"),
        (changed("[0, 3]", "[]"), r"seeds: expected different whole numbers"),
        (changed("[0, 3]", "true"), r"seeds: expected different whole numbers"),
        (changed("reference: a", "reference: d"), r"reference: expected one of a, b, c, got 'd'"),
        (changed("reference: a", "reference: a\nmetrics: [js]"), r"metrics: expected one of .*, got 'js'"),
        (
            changed("reference: a", "reference: a\nmetrics: [f1_macro]"),
            r"metrics: the first one is compared item by item, and f1_macro is no mean over items",
        ),
        (changed("start: a", "start: c"), r"rows\.b\.start: expected a trained row above it: a, got 'c'"),
        (changed("start: a", "start: b"), r"rows\.b\.start: expected a trained row above it: a, got 'b'"),
        (changed("of: b", "of: c"), r"rows\.c\.of: expected a trained row above it: a, b, got 'c'"),
        (changed("samples: 8", "samples: 0"), r"rows\.c\.samples: expected a whole number from 1, got 0"),
        (changed(", samples: 8", ""), r"rows\.c: 'samples' or 'evaluate' is missing"),
        (changed("of: b", "of: b, start: a"), r"rows\.c: a row that evaluates another row has no 'start'"),
        (
            changed("label: First", "label: First, samples: 2"),
            r"rows\.a: a row that is trained has no 'samples'",
        ),
        (changed(", config: preset/demo.yaml", ""), r"rows\.a: 'config' is missing"),
        (
            changed("preset/demo.yaml", "preset/demos.yaml"),
            r"rows\.a\.config: no such file: .*preset/demos\.yaml",
        ),
        (
            changed("label: First", "label: First, evaluate: [x]"),
            r"rows\.a: a row that is trained has no 'evaluate'",
        ),
        (changed("label: First", "label: First, table: 1"), r"rows\.a\.table: expected true or false, got 1"),
        (changed("label: First", "label: First, table: false"), r"reference: expected one of b, c, got 'a'"),
        (
            changed("samples: 8", "evaluate: --split"),
            r"rows\.c\.evaluate: expected a list of words of evaluate, got '--split'",
        ),
        (changed("samples: 8", "evaluate: [--out=x]"), r"rows\.c\.evaluate: --out is no word of a row"),
        (changed("label: First", "label: 3"), r"rows\.a\.label: expected a text, got 3"),
        (changed("  a: {", "  a/b: {"), r"rows\.a/b: 'a/b' holds a slash"),
        (changed("trainer.max_epochs: 2", "seed: 2"), r"set: 'seed' is no key that a row sets"),
        (
            changed("trainer.max_epochs: 1", "run.name: x"),
            r"rows\.b\.set: 'run\.name' is no key that a row sets",
        ),
        (changed("rows:", "rows: {}\nset2:"), r"unknown key 'set2'"),
        (
            changed("trainer.max_epochs: 1", "run: {name: x}"),
            r"rows\.b\.set: 'run' is no key that a row sets",
        ),
        (
            changed("trainer.max_epochs: 1", "trainer.max_epochs: 2020-01-01"),
            r"rows\.b\.set\.trainer\.max_epochs: expected a number, .* got datetime\.date.* Put it in quotes",
        ),
        (changed("start: a", "start: ''"), r"rows\.b\.start: expected a text, got ''"),
        (changed("start: a", "start: false"), r"rows\.b\.start: expected a text, got False"),
        (changed("start: a", "start:"), r"rows\.b\.start: expected a text, got None"),
        (changed("of: b", "of: null"), r"rows\.c\.of: expected a text, got None"),
        (changed("config: preset/demo.yaml", "config: []"), r"rows\.a\.config: expected at least one file"),
        (changed("preset/demo.yaml", "p" * 5000), r"rows\.a\.config: no such file: "),
        (changed("label: Third", "label: First"), r"rows\.c\.label: row a has the label 'First', too"),
        (changed("reference: a", "reference: a\nmetrics: [kl, kl]"), r"metrics: kl stands twice"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as error:
        read_study(written(tmp_path, text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["references", "items"])
def test_a_study_is_not_called_as_its_kept_files(tmp_path: Path, name: str) -> None:
    file = written(tmp_path, GOOD).rename(tmp_path / f"{name}.yaml")
    with pytest.raises(InputError, match=rf"{name}\.yaml: a study is not called {name}"):
        read_study(file)


def test_a_file_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file: .*none\.yaml.* demo\.yaml"):
        read_study(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "word", ["--seed=1", "--seed", "--run", "--run.name=x", "--folds", "--model.start=x", "--estimate"]
)
def test_words_that_a_study_sets_itself_are_refused(word: str) -> None:
    check_more(["--data.limit", "8", "--trainer.max_steps=2"])
    with pytest.raises(InputError, match=rf"study: {word.partition('=')[0]} is not for every run of a study"):
        check_more(["--data.limit", "8", word])
