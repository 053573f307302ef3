"""What a run was trained on: kept, found again, said where it is not known, and refused as a test."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lalm_ambig.config.cli import Cli, parse
from lalm_ambig.config.family import start_of_member
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.demo.corpus import Demo
from lalm_ambig.data.datamodule import DataModule, MethodNeeds
from lalm_ambig.evaluation.about import About
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.trained_items import (
    FILE,
    TrainedItems,
    read_trained_items,
    write_trained_items,
)
from lalm_ambig.methods.sft import SFT
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.runs.corpus_choice import chosen_corpus
from lalm_ambig.runs.evaluation import score_and_save
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.loading import Loaded
from lalm_ambig.runs.older_results import with_overlap
from lalm_ambig.runs.trained_items import (
    StartHistory,
    copy_record,
    history_of_start,
    overlap_of,
    record_of_base,
    record_of_run,
    record_of_start,
    refuse_trained,
    training_note,
    write_record,
)

Make = Callable[..., RunFolder]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    lines: list[object] = [{"categories": ["a", "b"]}]
    lines += [
        {"id": f"i{n}", "text": f"the text of number {n} is this one here", "votes": {"a": 1, "b": n}}
        for n in range(40)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def data_of(path: Path, *, limit: int | None = None, **options: Any) -> DataModule:
    data = DataModule(open_corpus("jsonl", path, **options), limit=limit)
    return data.prepared_for(MethodNeeds(rationale=False))


@pytest.fixture
def make(tmp_path: Path, rows: Path) -> Make:
    """A run folder with its configuration, and as asked its record, as a run leaves them."""

    def made(name: str, *, record: bool = True, start: Path | None = None, **options: Any) -> RunFolder:
        run = RunFolder(tmp_path / "runs" / name)
        run.adapter.mkdir(parents=True)
        corpus = {
            "class_path": "lalm_ambig.corpora.jsonl.JsonLines",
            "init_args": {"root": str(rows), **options},
        }
        model = {
            "reasoning": False,
            "objective": {"ce_weight": 0.0},
            "start": None if start is None else str(start),
        }
        config = {
            "policy": {"class_path": "lalm_ambig.policies.tiny.Tiny"},
            "model": {"class_path": "lalm_ambig.methods.sft.SFT", "init_args": model},
            "data": {"corpus": corpus},
        }
        run.config.write_text(json.dumps(config))
        if record:
            data = data_of(rows, **options)
            write_record(run, data, history_of_start(model_from(start), data, allow=True))
            copy_record(run, run.adapter)
        return run

    return made


def model_from(start: Path | None) -> SFT:
    return SFT(Tiny(), reasoning=False, start=start)


def test_a_run_keeps_what_it_trains_on_and_chooses_by_beside_its_weights_too(make: Make, rows: Path) -> None:
    run, data = make("r"), data_of(rows)
    record = read_trained_items(run.path)
    assert record is not None and record == read_trained_items(run.adapter)
    [own] = record.runs
    by_split = {split: {i.id for i in own.items if i.split == split} for split in ("train", "validation")}
    assert by_split == {split: set(data.items(split).source.ids()) for split in by_split}  # type: ignore[arg-type]
    assert (own.name, own.corpus, own.settings["seed"], own.settings["fold"]) == ("r", "jsonl", 0, None)


def test_a_limit_is_kept_and_what_an_earlier_start_of_the_run_saw_stays(make: Make, rows: Path) -> None:
    run = make("r", record=False)
    nothing = history_of_start(model_from(None), data_of(rows), allow=False)
    write_record(run, data_of(rows, limit=3), nothing)
    first = read_trained_items(run.path)
    assert first is not None and len(first.runs[0].items) == 6
    write_record(run, data_of(rows, limit=4), nothing)
    second = read_trained_items(run.path)
    assert second is not None and set(first.runs[0].items) <= set(second.runs[0].items)


def test_texts_of_the_test_are_sought_among_training_items_alone(tmp_path: Path) -> None:
    """A text that validation and test have in common chose a checkpoint, but nothing was trained on it."""
    texts = {"train": ["one", "both"], "validation": ["two", "shared"], "test": ["shared", "both"]}
    rows = [
        {"id": f"{split}-{word}", "text": f"a sentence of {word} things", "votes": {"a": 1}, "split": split}
        for split, words in texts.items()
        for word in words
    ]
    path = tmp_path / "split.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ({"categories": ["a", "b"]}, *rows)))
    overlap = write_record(
        RunFolder(tmp_path / "run"), data_of(path), StartHistory(TrainedItems(), Overlap(0, 0, 0))
    )
    assert overlap.duplicates == ("1 of 2 test items have a text that training items have too (1 text)",)


def test_a_start_brings_its_record_along_as_run_and_as_bare_adapter(make: Make) -> None:
    sft = make("sft")
    for start in (sft.path, sft.adapter):
        dpo = make(f"dpo-{start.name}", start=start)
        assert [run.name for run in record_of_run(dpo).runs] == [dpo.path.name, "sft"]
    assert [run.name for run in record_of_start(sft.adapter).runs] == ["sft"]


def test_an_older_run_is_read_from_its_configuration_and_its_starts_too(make: Make) -> None:
    sft = make("sft", seed=1)
    kept = record_of_run(sft)
    for path in (sft.path, sft.adapter):
        (path / FILE).unlink()
    assert record_of_run(sft) == kept == record_of_start(sft.adapter)
    dpo = make("dpo", record=False, start=sft.path)
    assert [run.name for run in record_of_run(dpo).runs] == ["dpo", "sft"]


def test_what_cannot_be_known_is_one_line_and_goes_on_with_the_record(
    make: Make, tmp_path: Path, rows: Path
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "adapter_config.json").write_text("{}")
    [line] = record_of_start(plain).unknown
    assert line == f"nothing is known of what plain was trained on: it has no {FILE}"
    run = make("r", start=plain)
    assert record_of_run(run).unknown == (line,)
    old = make("old", record=False)
    rows.rename(tmp_path / "gone.jsonl")
    [line] = record_of_run(old).unknown
    assert line.startswith(
        f"what was trained on cannot be checked: run old keeps no {FILE}, and its configuration"
    )
    assert "not found" in line and "\n" not in line


def test_runs_that_start_from_each_other_come_to_an_end(make: Make) -> None:
    run = make("r", record=False)
    content = json.loads(run.config.read_text())
    content["model"]["init_args"]["start"] = str(run.path)
    run.config.write_text(json.dumps(content))
    assert {one.name for one in record_of_run(run).runs} == {"r"}


def test_a_merged_export_as_base_model_knows_what_it_was_trained_on(make: Make) -> None:
    run = make("r")
    policy = Tiny()
    policy.path = str(run.adapter)  # type: ignore[attr-defined]
    assert [one.name for one in record_of_base(policy).runs] == ["r"]
    policy.path = "hub/name"  # type: ignore[attr-defined]
    assert record_of_base(policy) == TrainedItems() == record_of_base(Tiny())


@pytest.mark.parametrize(
    ("own", "other", "remedy"),
    [
        (
            {},
            {"seed": 3},
            "Take that run's split, --data.corpus.init_args.seed 0, or give --allow-trained-items",
        ),
        ({"seed": 2}, {}, "Take that run's split, --data.corpus.init_args.seed 2, or give"),
        ({}, {"fold": 1}, "Start each fold from its own run, --model.start 'runs/NAME-fold{fold}', or give"),
        (
            {"fold": 2},
            {"fold": 0},
            "Start each fold from its own run, --model.start 'runs/NAME-fold{fold}', or give",
        ),
        ({"fold": 2}, {}, "Take that run's fold, --data.corpus.init_args.fold 2, or give"),
    ],
)
def test_a_start_that_has_seen_the_test_is_refused_in_one_line_or_marked(
    make: Make, rows: Path, own: dict[str, int], other: dict[str, int], remedy: str
) -> None:
    start = model_from(make("s", **own).path)
    with pytest.raises(
        InputError, match=r"model.start: run s trained on \d of the 8 items, or chose"
    ) as raised:
        history_of_start(start, data_of(rows, **other), allow=False)
    assert remedy in str(raised.value) and "\n" not in str(raised.value)
    past = history_of_start(start, data_of(rows, **other), allow=True)
    assert past.overlap.is_leaky and past.notes[0].startswith("NOT A TEST: run s")


def test_a_remedy_is_only_given_where_it_works(make: Make, rows: Path) -> None:
    sft = make("sft")
    dpo = make("dpo", start=sft.path, seed=1)  # marked: sft has seen some of the test of seed 1
    with pytest.raises(InputError) as raised:
        history_of_start(model_from(dpo.path), data_of(rows, seed=5), allow=False)
    assert "runs dpo, sft trained on" in str(raised.value)
    assert "this is no test. Give --allow-trained-items, which" in str(raised.value)


def test_the_own_split_goes_on_and_each_fold_from_its_own(make: Make, rows: Path) -> None:
    assert not history_of_start(model_from(make("s").path), data_of(rows), allow=False).overlap.is_leaky
    for fold in range(5):
        start = make(f"x-fold{fold}", fold=fold).path
        past = history_of_start(model_from(start), data_of(rows, fold=fold), allow=False)
        assert (past.overlap.items, past.notes) == (0, [])


def test_validation_items_that_a_start_was_trained_on_are_said(make: Make, rows: Path) -> None:
    start = make("s", fold=1)
    data = data_of(rows, fold=1)
    data.corpus.seed = 0
    past = history_of_start(model_from(start.path), data, allow=False)
    assert past.chosen_by is not None and past.chosen_by.items == 0
    past = history_of_start(model_from(make("t", seed=9).path), data_of(rows), allow=True)
    assert any(
        "validation items, which choose the checkpoint, were trained on by run t" in n for n in past.notes
    )


def test_an_overlap_is_refused_unless_allowed() -> None:
    refuse_trained(Overlap(0, 0, 4), where="x", allow=False)
    refuse_trained(Overlap(1, 0, 4, ("r",)), where="x", allow=True)
    with pytest.raises(
        InputError, match=r"x: run r trained on 1 of the 4 .* Leave --seed out, or give --allow"
    ):
        refuse_trained(Overlap(1, 0, 4, ("r",)), where="x", allow=False, remedies=["leave --seed out"])
    assert parse(["--allow-trained-items"]).allows_trained_items
    assert not parse([]).allows_trained_items


def test_all_splits_of_a_trained_corpus_are_no_test_and_of_another_they_are(make: Make, rows: Path) -> None:
    record = record_of_run(make("r"))
    assert overlap_of(record, data_of(rows), "all") == Overlap(32, 0, 40, ("r",))
    other = rows.with_name("other.jsonl")
    other.write_text(rows.read_text().replace("the text of", "what was said in"))
    assert overlap_of(record, data_of(other), "all") == Overlap(0, 0, 40)


def asked(**given: Any) -> argparse.Namespace:
    names = ("corpus", "root", "part", "seed", "fold")
    return argparse.Namespace(**{**dict.fromkeys(names), "option": [], **given})


def run_cli(root: Path, **options: Any) -> Cli:
    return parse(
        [f"--data.corpus.root={root}", *(f"--data.corpus.init_args.{k}={v}" for k, v in options.items())]
    )


def test_the_run_s_own_corpus_is_taken_with_its_split_unless_told_otherwise(
    demo_root: Path, rows: Path
) -> None:
    cli = run_cli(demo_root, seed=4, fold=2)
    for options, expected in (
        ({}, (demo_root, 4, 2)),
        ({"root": demo_root}, (demo_root, 4, 2)),
        ({"fold": 1}, (demo_root, 4, 1)),
        ({"seed": 0}, (demo_root, 0, 2)),
        ({"root": rows.parent}, (rows.parent, 0, None)),  # another demo: its ids may mean other clips
    ):
        found = chosen_corpus(asked(corpus="demo", **options), cli)
        assert isinstance(found, Demo)
        assert (found.root, found.seed, found.fold) == expected
    assert chosen_corpus(asked(corpus="crema_d", root=demo_root), cli).fold is None
    assert chosen_corpus(asked(corpus="demo", root=demo_root), None).fold is None


def test_a_corpus_with_ids_of_its_own_keeps_the_split_at_another_place(tmp_path: Path) -> None:
    words = ["--data.corpus=iemocap", f"--data.corpus.root={tmp_path}", "--data.corpus.init_args.fold=1"]
    cli = parse([*words, "--policy=tiny", "--method=sft", "--data.corpus.init_args.keep=all"])
    found = chosen_corpus(asked(corpus="iemocap", root=tmp_path / "moved"), cli)
    assert (found.fold, found.settings()["keep"], found.root) == (1, "all", tmp_path / "moved")
    assert (
        chosen_corpus(asked(corpus="iemocap", option=["keep=consensus"]), cli).settings()["keep"]
        == "consensus"
    )


def test_each_fold_starts_from_its_own_run() -> None:
    cli = parse(["--model.start=runs/x-fold{fold}", "--data.corpus.init_args.fold=3"])
    start_of_member(cli)
    assert cli.model.start == Path("runs/x-fold3")
    assert "start: runs/x-fold3" in cli.resolved()
    plain = parse(["--model.start=runs/x-fold3", "--data.corpus.init_args.fold=3"])
    start_of_member(plain)
    assert cli.identity() == plain.identity()
    without = parse(["--model.start=runs/x-fold{fold}"])
    with pytest.raises(InputError, match=r"model.start: .* this run has no fold: add --folds all"):
        start_of_member(without)


def results(folder: Path, ids: list[str], **about: Any) -> Results:
    found = [Prediction(i, "test", None, (1.0, 2.0), (1 / 3, 2 / 3), (0.5, 0.5)) for i in ids]
    described = About("jsonl", "test", "logits", "direct", "tiny, r", **about)
    categories = open_corpus("jsonl", folder.parents[3] / "rows.jsonl").categories
    return score_and_save(folder, found, categories, about=described)


@pytest.mark.parametrize("row", ["start", "trained"])
def test_rows_of_older_runs_are_compared_with_what_they_started_from(
    make: Make, rows: Path, row: str
) -> None:
    sft = make("sft")
    ids = data_of(rows, seed=3).items("test").source.ids()
    run = make("r", record=False, start=sft.path, seed=3)
    folder = run.evaluation(row)
    found = results(folder, ids)
    with pytest.raises(InputError, match=r"run sft trained on \d of the 8 items"):
        with_overlap(found, folder, allow=False)
    marked = with_overlap(found, folder, allow=True)
    assert marked.about.trained_items is not None and marked.about.trained_items.is_leaky
    assert marked.notes[0].startswith("NOT A TEST: ")
    assert with_overlap(marked, folder, allow=False) == marked  # it was allowed when it was made
    clean = make("c", record=False)
    assert not with_overlap(
        results(clean.evaluation(row), ids), clean.evaluation(row), allow=False
    ).about.trained_items.is_leaky  # type: ignore[union-attr]


def test_an_older_evaluation_says_that_it_was_not_checked(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "out"
    (tmp_path / "a").mkdir()
    run = make("r")
    found = results(run.evaluation("x"), ["i1"])
    [note, *_] = with_overlap(found, folder, allow=False).notes
    assert note == "nothing says whether r was trained on these items: it was evaluated by an older version"


def test_predict_says_of_one_item_that_it_was_trained_on(make: Make, rows: Path) -> None:
    run = make("r")
    ids = data_of(rows).items("train").source.ids()
    loaded = Loaded(parse([f"--config={run.config}"]), run.adapter, "r", run)
    text = f"The text of NUMBER {ids[0][1:]} is this one here!"
    assert training_note(loaded, Item("x", (), text=text)) == (
        f"Run r was trained on this, or chose its checkpoint by it, as item {ids[0]}."
    )
    assert training_note(loaded, Item("x", (), text="something else")) is None
    for path in (run.path, run.adapter):
        (path / FILE).unlink()
    assert training_note(loaded, Item("x", (), text=text)) == (
        f"Whether run r was trained on this is not known: it keeps no {FILE}."
    )
    bare = parse(
        [
            f"--config={config_folder() / name}"
            for name in ("policy/tiny.yaml", "data/demo.yaml", "method/sft_kl_only.yaml")
        ]
    )
    assert training_note(Loaded(bare, None, "base"), Item("x", (), text=text)) is None


def test_a_damaged_record_stops_the_command(make: Make) -> None:
    run = make("r")
    (run.path / FILE).write_text("{")
    with pytest.raises(InputError, match="not a record of trained items"):
        record_of_run(run)


def test_a_record_without_items_is_no_overlap(tmp_path: Path, rows: Path) -> None:
    write_trained_items(tmp_path, TrainedItems())
    assert overlap_of(read_trained_items(tmp_path) or TrainedItems(), data_of(rows), "test") == Overlap(
        0, 0, 8
    )
