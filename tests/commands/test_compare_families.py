"""`compare` with families: folds are pooled, seeds averaged, by names with `{seed}` and `{fold}`."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from lalm_ambig import compare
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.runs.evaluation import score_and_save

CLASSES = CategorySet(("anger", "neutral", "sadness"))
OVERLAP = Overlap(0, 0, 40)


@pytest.fixture
def make(tmp_path: Path):
    """Writes what evaluate does: 40 items a fold, of two speakers of its own, or of one session."""

    def write(
        name: str,
        *,
        seed: int,
        fold: int = 0,
        weight: float = 0.2,
        corpus: str = "demo",
        overlap: Overlap = OVERLAP,
    ) -> Path:
        people, generator = (
            np.random.default_rng(fold),
            np.random.default_rng([seed, fold, int(100 * weight)]),
        )
        rows = []
        for n in range(40):
            votes = people.multinomial(9, people.dirichlet([0.5, 1, 0.5])).astype(float)
            dist = weight * votes / votes.sum() + (1 - weight) * generator.dirichlet([1, 1, 1])
            speaker = f"0{fold + 1}{'FM'[n % 2]}"
            target = tuple((votes / votes.sum()).tolist())
            rows.append(
                Prediction(
                    f"{fold}-{n}", "test", speaker, tuple(votes.tolist()), target, tuple(dist.tolist())
                )
            )
        about = About(corpus, "test", "logits", "direct", f"tiny, {name}", trained_items=overlap)
        score_and_save(tmp_path / name, rows, CLASSES, about=about)
        return tmp_path / name

    return write


def record(first: str, second: str, out: Path, *words: str) -> dict[str, object]:
    assert compare.main([first, second, "--out", str(out / "c.json"), *words]) == 0
    found: dict[str, object] = json.loads((out / "c.json").read_text())
    return found


def value_of(folder: Path, metric: str) -> float:
    return read_results(folder / "metrics.json").metrics[metric].value


def test_seeds_are_averaged_and_how_far_they_differ_is_said(make, tmp_path: Path, capsys) -> None:
    good = [make(f"good-s{seed}", seed=seed, weight=0.8) for seed in (0, 1, 2)]
    poor = [make(f"poor-s{seed}", seed=seed) for seed in (0, 1, 2)]
    found = record(f"{tmp_path}/good-s{{seed}}", f"{tmp_path}/poor-s{{seed}}", tmp_path)
    assert found["seeds"] == [0, 1, 2] and found["folds"] == []
    for name, row in found["metrics"].items():  # type: ignore[attr-defined]
        for side, folders in (("first", good), ("second", poor)):
            assert row[side] == pytest.approx(mean(value_of(folder, name) for folder in folders)), name
    js = found["metrics"]["js_div_bits"]["difference"]  # type: ignore[index]
    assert js["value"] < 0 and 0 <= js["share_of_seeds"] <= 1
    text = " ".join(capsys.readouterr().out.split())
    assert "Means over seeds 0, 1, 2." in text and "from seeds" in text and "One seed" not in text


def test_only_seeds_that_both_have_are_compared_and_a_single_run_with_all(
    make, tmp_path: Path, capsys
) -> None:
    a = [make(f"a-s{seed}", seed=seed, weight=0.8) for seed in (0, 1, 2)]
    b = [make(f"b-s{seed}", seed=seed) for seed in (1, 2, 7)]
    found = record(f"{tmp_path}/a-s{{seed}}", f"{tmp_path}/b-s{{seed}}", tmp_path)
    assert found["seeds"] == [1, 2]
    second = mean(value_of(folder, "bc") for folder in b[:2])
    assert found["metrics"]["bc"]["second"] == pytest.approx(second)  # type: ignore[index]
    first = mean(value_of(folder, "bc") for folder in a[1:])
    assert found["metrics"]["bc"]["first"] == pytest.approx(first)  # type: ignore[index]
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("2 of its runs") == 2 and "the first of" not in text
    assert "Of first, these seeds are not compared, since the other has none of that number: 0." in text
    assert "Of second, these seeds are not compared, since the other has none of that number: 7." in text
    capsys.readouterr()
    found = record(f"{tmp_path}/a-s{{seed}}", str(b[2]), tmp_path)
    assert found["seeds"] == [0, 1, 2]
    assert "One seed: second." in " ".join(capsys.readouterr().out.split())
    make("c-s9", seed=9)
    make("d-s9", seed=9), make("d-s1", seed=1)
    record(f"{tmp_path}/c-s{{seed}}", f"{tmp_path}/d-s{{seed}}", tmp_path)
    text = " ".join(capsys.readouterr().out.split())
    assert "One seed: first, second (seed 9)." in text and "number: 1." in text
    with pytest.raises(InputError, match=r"the seeds 0, 1, 2, .* 9: none is in both"):
        record(f"{tmp_path}/a-s{{seed}}", f"{tmp_path}/c-s{{seed}}", tmp_path)


def test_a_metric_without_interval_has_its_reason(make, tmp_path: Path, capsys) -> None:
    record(str(make("a", seed=0, weight=0.8)), str(make("b", seed=1)), tmp_path)
    text = " ".join(capsys.readouterr().out.split())
    assert "no interval: its bins make it too large on few items, which an interval would not show." in text
    assert "takes at least 8 speakers, and there are 2." in text


def test_folds_are_pooled_and_of_iemocap_the_session_is_the_unit(make, tmp_path: Path, capsys) -> None:
    for seed in (0, 1, 2):
        for fold in range(5):
            make(f"a-s{seed}-fold{fold}", seed=seed, fold=fold, weight=0.6, corpus="iemocap")
            make(f"b-s{seed}-fold{fold}", seed=seed, fold=fold, corpus="iemocap")
    a, b = (f"{tmp_path}/{name}-s{{seed}}-fold{{fold}}" for name in "ab")
    found = record(a, b, tmp_path)
    assert (found["items"], found["clusters"], found["n_clusters"]) == (200, "sessions", 5)
    assert found["seeds"] == [0, 1, 2] and found["folds"] == [0, 1, 2, 3, 4]
    js = found["metrics"]["js_div_bits"]["difference"]  # type: ignore[index]
    assert js["low"] < js["value"] < js["high"] < 0 and js["p"] < 0.05
    assert found["metrics"]["f1_macro"]["difference"]["low"] is None  # type: ignore[index]
    text = " ".join(capsys.readouterr().out.split())
    assert "Folds 0, 1, 2, 3, 4 are pooled" in text and "over 5 sessions" in text
    of_one_seed = record(a.replace("{seed}", "0"), b.replace("{seed}", "0"), tmp_path)
    assert (
        of_one_seed["items"] == 200
        and of_one_seed["seeds"] == []
        and "from seeds" not in capsys.readouterr().out.split("Means")[-1]
    )
    capsys.readouterr()
    one_fold = record(a.replace("{seed}", "0").replace("{fold}", "3"), f"{tmp_path}/b-s0-fold3", tmp_path)
    assert one_fold["n_clusters"] == 1
    assert one_fold["metrics"]["js_div_bits"]["difference"]["p"] is None  # type: ignore[index]
    assert "no interval: 1 session" in " ".join(capsys.readouterr().out.split())


def test_families_that_do_not_fit_are_refused_in_one_line(make, tmp_path: Path) -> None:
    for seed, folds in ((0, (0, 1)), (1, (0,))):
        for fold in folds:
            make(f"a-s{seed}-fold{fold}", seed=seed, fold=fold)
    make("b-fold0", seed=0, fold=0)
    make("same-1", seed=0)
    make("same-2", seed=1)
    for first, second, said in (
        ("a-s{seed}-fold{fold}", "b-fold0", "seed 1 has no fold 1, which another seed"),
        (
            "nothing-s{seed}",
            "b-fold0",
            "no folder is named .*nothing-s{seed} with numbers in place of {seed}",
        ),
        ("same-{fold}", "b-fold0", "item 0-0 is tested in .*same-2 and in another fold"),
        ("a-s0-fold{fold}", "b-fold{fold}", "has the folds 0, 1, .* 0"),
        ("b-fold{fold}", "b-fold0", "there is nothing to compare"),
    ):
        with pytest.raises(InputError, match=said):
            compare.main([f"{tmp_path}/{first}", f"{tmp_path}/{second}"])


def test_a_member_that_has_seen_its_test_marks_the_family(make, tmp_path: Path, capsys) -> None:
    leaky = replace(OVERLAP, items=3)
    make("a-s0", seed=0)
    make("a-s1", seed=1, overlap=leaky)
    make("b-s0", seed=5)
    make("b-s1", seed=6)
    found = record(f"{tmp_path}/a-s{{seed}}", f"{tmp_path}/b-s{{seed}}", tmp_path)
    assert "(3 of 40 items trained on)" in " ".join(capsys.readouterr().out.split())
    assert any("3 of the 40" in warning for warning in found["warnings"])  # type: ignore[attr-defined]


def test_members_that_answer_in_another_way_are_refused(make, tmp_path: Path) -> None:
    make("a-s0", seed=0)
    other = make("a-s1", seed=1)
    file = other / "metrics.json"
    file.write_text(file.read_text().replace('"direct"', '"generated"'))
    make("b-s0", seed=2)
    with pytest.raises(
        InputError, match=r"a-s1 differs from the first run of .* in reasoning: generated, not"
    ):
        compare.main([f"{tmp_path}/a-s{{seed}}", f"{tmp_path}/b-s0"])


def test_a_seed_that_was_tested_on_other_items_is_named(make, tmp_path: Path) -> None:
    make("a-s0", seed=0)
    make("a-s1", seed=1, fold=3)
    for seed in (0, 1):
        make(f"b-s{seed}", seed=seed)
    with pytest.raises(InputError, match=r"'seed 1 of .*a-s\{seed\}' 40; 40 are only in"):
        compare.main([f"{tmp_path}/a-s{{seed}}", f"{tmp_path}/b-s{{seed}}"])


def test_two_members_with_equal_numbers_are_refused(make, tmp_path: Path) -> None:
    for name in ("a-s1", "a-s01", "b-s1"):
        make(name, seed=len(name))
    with pytest.raises(InputError, match=r"a-s0?1 and .*a-s0?1 are one member"):
        compare.main([f"{tmp_path}/a-s{{seed}}", f"{tmp_path}/b-s1"])


def test_a_family_can_name_a_row_below_its_folders(make, tmp_path: Path) -> None:
    for seed in (0, 1):
        make(f"a-s{seed}/evaluation/validation/trained", seed=seed, weight=0.8)
        make(f"a-s{seed}/evaluation/validation/base", seed=seed)
    names = (f"{tmp_path}/a-s{{seed}}:validation/{row}" for row in ("trained", "base"))
    assert record(*names, tmp_path)["seeds"] == [0, 1]


def test_the_fingerprint_is_of_all_folds_that_are_pooled(make, tmp_path: Path) -> None:
    folds = [make(f"{name}-fold{fold}", seed=0, fold=fold) for name in "ab" for fold in (0, 1)]
    found = record(f"{tmp_path}/a-fold{{fold}}", f"{tmp_path}/b-fold{{fold}}", tmp_path)
    assert found["items_digest"] not in [read_results(one / "metrics.json").items_digest for one in folds]


def test_the_share_of_readable_responses_is_that_of_the_whole_family(make, tmp_path: Path, capsys) -> None:
    for seed, rate in ((0, 1.0), (1, 0.5)):
        file = make(f"a-s{seed}", seed=seed) / "metrics.json"
        file.write_text(file.read_text().replace('"parse_rate": null', f'"parse_rate": {rate}'))
    make("b", seed=4)
    found = record(f"{tmp_path}/a-s{{seed}}", f"{tmp_path}/b", tmp_path)
    assert found["first"]["parse_rate"] == 0.75  # type: ignore[index]
    assert "75.0% of responses could be read" in " ".join(capsys.readouterr().out.split())


def test_runs_that_differ_in_more_than_seed_and_fold_are_no_family(make, tmp_path: Path) -> None:
    for seed, rate in ((0, 1e-3), (1, 1e-3), (2, 5e-4)):
        run = tmp_path / f"r-s{seed}"
        make(f"r-s{seed}/evaluation/trained", seed=seed)
        settings = f"{{class_path: SFT, init_args: {{optimiser: {{learning_rate: {rate}}}}}}}"
        (run / "config.yaml").write_text(f"seed: {seed}\nrun: {{name: r-s{seed}}}\nmodel: {settings}\n")
    make("b-s0", seed=7)
    make("b-s1", seed=8)
    make("b-s2", seed=9)
    with pytest.raises(
        InputError, match=r"r-s0 and .*r-s2 differ in more than seed and fold: .* is no family"
    ):
        record(f"{tmp_path}/r-s{{seed}}", f"{tmp_path}/b-s{{seed}}", tmp_path)
    (tmp_path / "r-s2/config.yaml").unlink()
    assert record(f"{tmp_path}/r-s{{seed}}", f"{tmp_path}/b-s{{seed}}", tmp_path)["seeds"] == [0, 1, 2]


def test_a_place_that_no_family_has_is_named(tmp_path: Path) -> None:
    for name in ("a-s{sed}", "a-s{}", "a-s{seed}-{folds}"):
        with pytest.raises(InputError, match=r"has a place \{\w*\}, which no family has"):
            compare.main([f"{tmp_path}/{name}", f"{tmp_path}/b"])
