"""The finished runs of a study, and the small files that are kept in their place."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.evaluation.effort import Effort, write_effort
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About
from lalm_ambig.runs.checkpoints.selection import Selection, Validation, write_selection
from lalm_ambig.runs.evaluation import score_and_save
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.study.kept import check_place, rounded
from lalm_ambig.runs.study.plan import Row, Study
from lalm_ambig.runs.study.records import (
    ASKED,
    StudyResults,
    asked_of,
    check_kept_place,
    keep,
    read_rows,
)

CLASSES = CategorySet(("anger", "neutral", "sadness"))
ROWS = (
    Row("a", "First", (Path("x.yaml"),)),
    Row("b", "Second", (Path("x.yaml"),), start="a"),
    Row("b_8", "Averaged", of="b", samples=8),
)
STUDY = Study("mine", "Mine", ROWS, (0, 1), "a")


def answers(seed: int, *, count: int = 12) -> list[Prediction]:
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        votes = (float(1 + number % 3), 2.0, float(number % 2))
        target = tuple(vote / sum(votes) for vote in votes)
        dist = tuple(generator.dirichlet([1, 1, 1]).tolist())
        found.append(
            Prediction(f"é{number}", "test", str(number % 4), votes, target, dist, response="secret words")
        )
    return [replace(found[0], unparsed="no JSON", predicted_dist=(1 / 3,) * 3), *found[1:]]


def make_run(root: Path, name: str, seed: int, *, steps: int = 2, start: str | None = None) -> None:
    run = RunFolder(root / f"{name}-s{seed}")
    for row in ("trained", "prior"):
        about = About("demo", "test", "logits", "generated", f"tiny {name}")
        score_and_save(run.evaluation(row), answers(seed + len(name)), CLASSES, about=about)
    chosen = Validation(steps, 4, {"js_div_bits": 0.25 + seed, "kl": float("inf")})
    write_selection(run.selection, Selection("direct/js_div_bits", 4, 4, None, {}, None, chosen, 1))
    write_effort(run.effort, Effort(steps, 8, 1.5 * (seed + 1), 1))
    config = {
        "seed": seed,
        "run": {"name": run.path.name},
        "trainer": {"max_steps": steps},
        "model": {"class_path": "x.SFT", "init_args": {"start": start}},
    }
    run.config.write_text(yaml.safe_dump(config))
    run.results.write_text("done")


def make_evaluated(root: Path, seed: int, *, samples: int = 8) -> None:
    about = About("demo", "test", "logits", "generated", "tiny", samples=samples)
    score_and_save(root / f"b_8-s{seed}", answers(seed + 50), CLASSES, about=about)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    for seed in (0, 1):
        make_run(folder, "a", seed)
        make_run(folder, "b", seed, steps=3, start=f"a-s{seed}")
    make_evaluated(folder, 1)
    return folder


@pytest.fixture
def root(made_once: Path, tmp_path: Path) -> Path:
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_runs_are_read_with_their_own_numbers(root: Path) -> None:
    (root / "b-s1" / "results.md").unlink()  # not finished
    found = read_rows(STUDY, root)
    assert [[run.name for run in row.runs] for row in found.rows] == [["a-s0", "a-s1"], ["b-s0"], ["b_8-s1"]]
    first, second = found.rows[0].runs[1], found.rows[1].runs[0]
    recorded = json.loads((root / "a-s1/evaluation/trained/metrics.json").read_text())
    assert first.results.metrics["js_div_bits"].value == recorded["metrics"]["js_div_bits"]["value"]
    assert first.validation["js_div_bits"] == 1.25
    assert first.efforts == (Effort(2, 8, 3.0, 1),)
    assert (first.chosen, second.chosen) == (2, 3)
    assert second.efforts == (Effort(3, 8, 1.5, 1), Effort(2, 8, 1.5, 1))
    averaged = found.rows[2].runs[0]
    assert averaged.chosen == 3
    assert averaged.validation == {} and averaged.efforts == (Effort(3, 8, 3.0, 1), Effort(2, 8, 3.0, 1))
    assert list(found.references) == ["prior"]


def test_kept_files_give_the_same_results_and_no_text(root: Path) -> None:
    found, out = read_rows(STUDY, root), root / "kept"
    keep(found, out)
    again = read_rows(STUDY, out)
    for row, copy in zip(found.rows, again.rows, strict=True):
        for run, other in zip(row.runs, copy.runs, strict=True):
            assert (other.name, other.seed, other.efforts, other.chosen) == (
                run.name,
                run.seed,
                run.efforts,
                run.chosen,
            )
            assert dict(other.validation) == pytest.approx(dict(run.validation), nan_ok=True)
            assert other.results.metrics == run.results.metrics and other.results.about == run.results.about
            bare = [replace(p, response=None) for p in run.predictions]
            assert list(other.predictions) == bare
    prior = found.references["prior"].metrics
    assert {name: row.metrics for name, row in again.references.items()} == {"prior": prior}
    for path in out.iterdir():
        content = path.read_bytes()
        text = gzip.decompress(content) if path.suffix == ".gz" else content
        assert b"secret" not in text, path
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    keep(again, out)
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}


def test_files_without_votes_are_read_with_the_items_of_the_corpus(root: Path) -> None:
    found, out = read_rows(STUDY, root), root / "bare"
    keep(found, out, votes=False)
    assert not (out / "items.jsonl.gz").exists()
    with pytest.raises(
        InputError, match=r"no items\.jsonl\.gz, which has the votes .*--data\.corpus\.root DIR"
    ):
        read_rows(STUDY, out)
    items = [Item(p.id, p.votes, speaker=p.speaker, split=p.split) for p in answers(0)]
    again = read_rows(STUDY, out, lambda: items)
    assert [[run.predictions for run in row.runs] for row in again.rows] == [
        [[replace(p, response=None) for p in run.predictions] for run in row.runs] for row in found.rows
    ]
    for wrong in (items[1:], [replace(items[0], votes=(9.0, 0.0, 0.0)), *items[1:]]):
        with pytest.raises(
            InputError, match=r"a-s0\.jsonl\.gz: 1[12] of 12 answers .* that the run was tested on"
        ):
            read_rows(STUDY, out, lambda wrong=wrong: wrong)
    elsewhere = [replace(item, split="train") for item in items]
    assert read_rows(STUDY, out, lambda: elsewhere).rows == again.rows
    keep(found, out)
    keep(found, out, votes=False)
    assert not (out / "items.jsonl.gz").exists()  # nor those of an earlier time


def test_the_corpus_is_not_read_where_the_runs_are_there(root: Path) -> None:
    read_rows(STUDY, root, lambda: pytest.fail("read"))


def test_a_run_that_is_there_goes_before_its_kept_files(root: Path) -> None:
    keep(read_rows(STUDY, root), root)
    make_run(root, "a", 0, steps=2)
    write_effort(RunFolder(root / "a-s0").effort, Effort(2, 8, 99.0, 1))
    assert read_rows(STUDY, root).rows[0].runs[0].efforts == (Effort(2, 8, 99.0, 1),)


def test_seeds_that_differ_in_more_than_the_seed_are_refused(root: Path) -> None:
    make_run(root, "b", 1, steps=5, start="a-s1")
    with pytest.raises(
        InputError, match=r"study: b-s0 and b-s1 differ in trainer\.max_steps: 3 and 5\. Runs of a row"
    ):
        read_rows(STUDY, root)


def test_answers_to_another_question_are_refused(root: Path) -> None:
    make_evaluated(root, 1, samples=4)  # by hand: no record of what was asked
    with pytest.raises(
        InputError, match=r"b_8-s1 answers .*'samples': 4.*, and the study asks for .*'samples': 8.* Move"
    ):
        read_rows(STUDY, root)
    make_evaluated(root, 1)
    asked = root / "b_8-s1" / ASKED
    asked.write_text(json.dumps(asked_of(ROWS[2])))
    assert read_rows(STUDY, root).rows[2].runs
    asked.write_text(json.dumps(asked_of(replace(ROWS[2], evaluate=("--corpus", "demo")))))
    with pytest.raises(InputError, match=r"b_8-s1 answers .*--corpus.* Move that folder away"):
        read_rows(STUDY, root)


def test_rows_that_others_need_are_not_in_the_table(root: Path) -> None:
    rows = (ROWS[0], replace(ROWS[1], in_table=False), ROWS[2])
    found = read_rows(replace(STUDY, rows=rows), root)
    assert [row.name for row in found.rows] == ["a", "b_8"]
    assert found.rows[1].runs[0].efforts == (Effort(3, 8, 3.0, 1), Effort(2, 8, 3.0, 1))
    make_evaluated(root, 0)
    make_run(root, "b", 1, steps=5, start="a-s1")
    with pytest.raises(InputError, match=r"b-s0 and b-s1 differ in trainer\.max_steps: 3 and 5"):
        read_rows(replace(STUDY, rows=rows), root)


def test_a_table_of_evaluations_has_their_own_reference_rows(root: Path) -> None:
    about = About("demo", "test", "none", "none", "the other corpus's prior")
    score_and_save(root / "b_8-s1" / "prior", answers(77), CLASSES, about=about)
    only = Study(
        "cross", "Cross", (*(replace(row, in_table=False) for row in ROWS[:2]), ROWS[2]), (1,), "b_8"
    )
    assert read_rows(only, root).references["prior"].about.policy == "the other corpus's prior"
    assert read_rows(STUDY, root).references["prior"].about.policy == "tiny a"


def test_a_study_without_a_finished_run_has_no_table(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"--root: no finished run of study mine in "):
            read_rows(STUDY, place)


def test_a_broken_kept_file_is_named(root: Path) -> None:
    out = root / "kept"
    for name, content in (
        ("a-s0.jsonl.gz", b"no gzip"),
        ("a-s0.jsonl.gz", gzip.compress(b'{"id": "other", "predicted_dist": [1, 0, 0]}')),
        ("a-s0.json", b'{"results": {}, "validation": {}, "training": [], "chosen": 0}'),
        ("a-s0.json", b'{"validation": {}, "training": [{}]}'),
        ("a-s0.json", b'{"validation": 3, "training": [], "chosen": 0}'),
        ("items.jsonl.gz", gzip.compress(b'{"id": "x"}')),
    ):
        keep(read_rows(STUDY, root), out)
        (out / name).write_bytes(content)
        with pytest.raises(InputError, match=name.replace(".", r"\.")) as error:
            read_rows(STUDY, out)
        assert "\n" not in str(error.value)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=30).filter(lambda row: sum(row) > 1e-3))
def test_a_rounded_distribution_sums_to_one_and_is_near(weights: list[float]) -> None:
    exact = np.array(weights) / sum(weights)
    found = np.array(rounded(tuple(exact)))
    assert round(float(found.sum()), 9) == 1
    assert (np.abs(found - exact) < 1.0001e-4).all() and (found >= 0).all()
    assert np.allclose(found * 10_000, np.round(found * 10_000))


def test_the_reference_is_the_row_that_the_study_names(root: Path) -> None:
    found: StudyResults = read_rows(replace(STUDY, reference="b"), root)
    assert found.reference.name == "b"
    assert found.references["prior"].about.policy == "tiny b"


def test_what_is_left_over_by_rounding_goes_to_the_largest_remainder() -> None:
    assert rounded((0.33332, 0.33336, 0.33332)) == (0.3333, 0.3334, 0.3333)


def test_kept_references_are_of_known_names_and_of_the_items_of_the_runs(root: Path) -> None:
    keep(read_rows(STUDY, root), root / "kept")
    file = root / "kept/references.json"
    kept = json.loads(file.read_text())
    for wrong, message in (
        (
            {**kept, "Prior": kept["prior"]},
            "unknown name 'Prior': expected prior, mapped_prior, probe, panel",
        ),
        ([], "no object: expected prior"),
        (3, "no object: expected prior"),
        ({"prior": 3}, "not a metrics.json: TypeError"),
        ({"prior": {**kept["prior"], "items_digest": "0" * 16}}, r"study: prior is about 12 items \(0{16}\)"),
    ):
        file.write_text(json.dumps(wrong))
        with pytest.raises(InputError, match=message) as error:
            read_rows(STUDY, root / "kept")
        assert "\n" not in str(error.value)
    file.unlink()
    assert not read_rows(STUDY, root / "kept").references


def test_answers_of_another_run_are_refused_in_folders_and_in_kept_files(root: Path) -> None:
    keep(read_rows(STUDY, root), root / "kept")
    for ours, theirs in (("kept/a-s0.jsonl.gz", "kept/b-s1.jsonl.gz"),):
        (root / ours).write_bytes((root / theirs).read_bytes())
    with pytest.raises(
        InputError, match=r"a-s0\.jsonl\.gz: predictions and metrics are of different answers"
    ):
        read_rows(STUDY, root / "kept")
    trained = "evaluation/trained/predictions.jsonl"
    (root / "a-s0" / trained).write_bytes((root / "b-s1" / trained).read_bytes())
    with pytest.raises(InputError, match=r"a-s0.*trained: predictions and metrics are of different answers"):
        read_rows(STUDY, root)


def packed(row: dict[str, object]) -> bytes:
    return gzip.compress(json.dumps(row).encode() + b"\n")


def test_broken_kept_files_are_one_line(root: Path) -> None:
    keep(read_rows(STUDY, root), root / "kept")
    good = (root / "kept/a-s0.jsonl.gz").read_bytes()
    middle = bytearray(good)
    middle[len(good) // 2] ^= 0xFF
    answer = {"id": "é1", "predicted_dist": [0.5, 0.25, 0.25]}
    item = {"id": "é1", "split": "test", "speaker": "1", "votes": [1, 2, 0]}
    for name, content in (
        ("a-s0.jsonl.gz", good[:-9]),
        ("a-s0.jsonl.gz", bytes(middle)),
        ("a-s0.jsonl.gz", b"no gzip"),
        *(
            ("a-s0.jsonl.gz", packed({**answer, **wrong}))
            for wrong in (
                {"predicted_dist": [float("nan"), 0.5, 0.5]},
                {"predicted_dist": [-0.5, 1.0, 0.5]},
                {"predicted_dist": [0.5, 0.5]},
                {"predicted_dist": "half"},
                {"predicted_dist": [0.5, 0.25, 0.5]},
                {"labels": "five"},
                {"unparsed": 3},
            )
        ),
        *(
            ("items.jsonl.gz", packed({**item, **wrong}))
            for wrong in (
                {"votes": [0, 0, 0]},
                {"votes": []},
                {"votes": 3},
                {"split": "other"},
                {"speaker": 3.5},
            )
        ),
        ("a-s0.jsonl.gz", gzip.compress(b"[1]\n")),
        ("a-s0.jsonl.gz", gzip.compress(gzip.decompress(good) + gzip.decompress(good).splitlines()[0])),
        ("items.jsonl.gz", gzip.compress(b"")),
        ("a-s0.json", b"[]"),
        ("a-s0.json", b'{"results": 3}'),
    ):
        file = root / "kept" / name
        before = file.read_bytes()
        file.write_bytes(content)
        with pytest.raises(InputError) as error:
            read_rows(STUDY, root / "kept")
        assert "\n" not in str(error.value) and name in str(error.value), (content, str(error.value))
        file.write_bytes(before)
    assert read_rows(STUDY, root / "kept").rows


def test_kept_files_of_other_samples_or_of_another_time_are_refused(root: Path) -> None:
    found = read_rows(STUDY, root)
    keep(found, root / "kept")
    rows = (*ROWS[:2], replace(ROWS[2], samples=4))
    with pytest.raises(InputError, match=r"b_8-s1 answers .*'samples': 8.* asks for .*'samples': 4"):
        read_rows(replace(STUDY, rows=rows), root / "kept")
    check_kept_place(found, root / "kept")
    shutil.rmtree(root / "b-s1")
    shutil.rmtree(root / "b_8-s1")
    with pytest.raises(InputError, match=r"kept: b-s1, b_8-s1 of another time would stand beside"):
        check_kept_place(read_rows(STUDY, root), root / "kept")


def test_kept_files_replace_nothing_of_somebody_else(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = ["a-s0", "a-s1"]
    check_place(out, names)
    keep(read_rows(STUDY, root), out)
    check_place(out, names)
    for name in ("references.json", "items.jsonl.gz", "a-s0.json", "a-s1.jsonl.gz"):
        before = (out / name).read_bytes()
        for content in (b'{"my": "bibliography"}', gzip.compress(b"mine"), b"mine"):
            (out / name).write_bytes(content)
            with pytest.raises(InputError, match=rf"{name} is there and is not what study --out writes"):
                check_place(out, names)
        (out / name).write_bytes(before)
    check_place(out, names)


def test_kept_items_without_their_speakers_are_refused(root: Path) -> None:
    keep(read_rows(STUDY, root), root / "kept")
    file = root / "kept/items.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    for speaker, said in ((None, "12 items"), ("1", "1 speakers")):
        changed = "".join(json.dumps({**row, "speaker": speaker}) + "\n" for row in rows)
        file.write_bytes(gzip.compress(changed.encode()))
        with pytest.raises(InputError, match=rf"the items have {said}, and the run was tested on 4 speakers"):
            read_rows(STUDY, root / "kept")
