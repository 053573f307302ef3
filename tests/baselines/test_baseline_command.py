"""`baseline`: each as a row in a run's own format, on the demo."""

import json
import re
from pathlib import Path

import pytest

from lalm_ambig import baseline
from lalm_ambig.baselines import softmax_regression
from lalm_ambig.baselines.base import baseline_names
from lalm_ambig.baselines.floor import fit_alpha, vote_counts
from lalm_ambig.baselines.panel import panel
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.demo.corpus import Demo
from lalm_ambig.evaluation.predictions import read_predictions
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.evaluation.table import main_table

TINY = str(config_folder() / "policy/tiny.yaml")
OF_ANNOTATORS = {"annotator_most_frequent", "annotator_prior", "nearest_rating"}
TOGETHER = ["most_frequent", "oracle", "panel", "prior", "probe", "uniform"]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def cache(cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


def row(name: str, demo_root: Path, out: Path, *words: str) -> Results:
    assert baseline.main([name, "--corpus", "demo", "--root", str(demo_root), "--out", str(out), *words]) == 0
    return read_results(out / "metrics.json")


def test_the_baselines_are_found_by_their_modules() -> None:
    assert baseline_names() == sorted([*OF_ANNOTATORS, *TOGETHER])


def test_rows_stand_in_one_table_and_keep_their_order(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {name: ["--policy", TINY] if name == "probe" else [] for name in TOGETHER}
    rows = {name: row(name, demo_root, tmp_path / name, *words[name]) for name in words}
    printed = " ".join(capsys.readouterr().out.split())
    assert "prior on 12 items of demo, test split" in printed
    assert "prior: mean distribution of the training split" in printed
    assert "panel: the target is a panel drawn from q and not the votes" in printed
    assert len(main_table(rows).rows) == 6
    kl = {name: found.metrics["brier_mean"].value for name, found in rows.items()}
    assert sorted(kl, key=lambda name: kl[name])[:5] == ["oracle", "panel", "probe", "prior", "uniform"]
    assert {found.about.readout for found in rows.values()} == {"none"}
    assert "128 features (audio encoder's features of tiny" in rows["probe"].about.policy
    assert "L2 " in rows["probe"].about.policy


def test_a_probe_of_a_part_of_the_items_hears_those_of_every_split(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lalm_ambig.runs.session.cache_root", lambda: tmp_path / "features")
    row("probe", demo_root, tmp_path / "out", "--policy", TINY, "--limit", "5")
    assert len(read_predictions(tmp_path / "out/predictions.jsonl")) == 5


def test_alpha_of_panel_is_the_whole_corpus_s_and_the_seed_is_of_the_draws(
    demo_root: Path, tmp_path: Path
) -> None:
    row("panel", demo_root, tmp_path, "--limit", "5")
    every = list(Demo(demo_root).read())
    found = read_predictions(tmp_path / "predictions.jsonl")
    test = [item for item in every if item.id in {row.id for row in found}]
    assert len(test) == 5
    assert found == panel(test, alpha=fit_alpha(vote_counts(every)), seed=0)
    row("panel", demo_root, tmp_path, "--limit", "5", "--seed", "1")
    assert read_predictions(tmp_path / "predictions.jsonl") != found


def test_another_split_is_answered_on_request(demo_root: Path, tmp_path: Path) -> None:
    found = row("uniform", demo_root, tmp_path, "--split", "validation", "--limit", "3")
    assert (found.about.split, found.items) == ("validation", 3)
    assert json.loads((tmp_path / "metrics.json").read_text())["readout"] == "none"


def test_a_run_s_corpus_and_base_model_are_taken_without_what_it_trained(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(softmax_regression, "L2_GRID", (10.0, 1.0))  # weaker penalties take seconds to fit
    run = tmp_path / "run"
    run.mkdir()
    corpus = {"class_path": "lalm_ambig.corpora.demo.Demo", "init_args": {"root": str(demo_root)}}
    method = {"class_path": "lalm_ambig.methods.sft.SFT", "init_args": {"start": str(tmp_path / "nowhere")}}
    policy = {"class_path": "lalm_ambig.policies.tiny.Tiny", "init_args": {"adapter": {"method": "full"}}}
    config = {"policy": policy, "model": method, "data": {"corpus": corpus, "prompt": "speech_emotion_short"}}
    (run / "config.yaml").write_text(json.dumps(config))
    assert baseline.main(["probe", "--run", str(run), "--out", str(tmp_path / "a")]) == 0
    with pytest.raises(InputError, match="baseline: --fold goes with --corpus, and the run's own corpus"):
        baseline.main(["prior", "--run", str(run), "--fold", "0", "--out", str(tmp_path / "c")])
    row("probe", demo_root, tmp_path / "b", "--policy", TINY)
    ours = read_predictions(tmp_path / "a/predictions.jsonl")
    for one, other in zip(ours, read_predictions(tmp_path / "b/predictions.jsonl"), strict=True):
        assert one.predicted_dist == pytest.approx(other.predicted_dist, abs=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["uniform"], r"baseline: --corpus is missing"),
        (["probe", "--corpus", "demo"], r"baseline: probe needs a policy"),
        (
            ["prior", "--corpus", "demo", "--policy", TINY],
            r"--policy: prior looks at no policy: leave it out",
        ),
        (
            ["probe", "--corpus", "demo", "--policy.path", "x"],
            r"--policy.path: it changes where --policy or --run has",
        ),
        (["prior", "--run", "nowhere"], r"nowhere is not a run folder"),
        (["prior", "--corpus", "nosuch"], r"unknown corpus 'nosuch'"),
        (["prior", "--corpus", "chaosnli", "--root", "nowhere"], r"not found: .*nowhere"),
    ],
)
def test_each_mistake_is_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        baseline.main([*words, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_split_without_items_is_refused(tmp_path: Path) -> None:
    rows = [{"categories": ["a", "b"]}, {"id": "x", "text": "t", "votes": {"a": 1}, "split": "train"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rows))
    words = ["uniform", "--corpus", "jsonl", "--root", str(tmp_path / "rows.jsonl")]
    with pytest.raises(InputError, match=r"corpus jsonl: split test has no items"):
        baseline.main([*words, "--out", str(tmp_path / "out")])


def test_the_probe_by_layer_scores_each_and_names_the_option_of_fit(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(softmax_regression, "L2_GRID", (10.0, 1.0))
    out = tmp_path / "layers"
    joined = row("probe", demo_root, out, "--policy", TINY, "--layers", "all")
    printed = " ".join(capsys.readouterr().out.split())
    assert re.search(r"The layers to take: --policy.audio_layers '\[[01](,1)?\]'", printed)
    for name in ("0", "1", "last"):
        single = read_results(out / f"layer_{name}/metrics.json")
        assert single.items == joined.items and f"layer {name} of tiny" in single.about.policy
        assert f" {name} " in printed
    assert "layers last, " in joined.about.policy
    assert read_predictions(out / "predictions.jsonl") != read_predictions(
        out / "layer_last/predictions.jsonl"
    )


def test_layers_of_what_has_none_are_refused(demo_root: Path, tmp_path: Path) -> None:
    words = ["--corpus", "demo", "--root", str(demo_root), "--out", str(tmp_path / "a"), "--layers", "all"]
    with pytest.raises(InputError, match="--layers: prior looks at no layers: leave it out"):
        baseline.main(["prior", *words])
    with pytest.raises(InputError, match="the audio encoder has 2 layers, and 7 is none of them"):
        baseline.main(["probe", "--policy", TINY, *words[:-1], "0,7"])
