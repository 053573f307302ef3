"""`evaluate` and `predict` on a run that `fit` has made, and on an untrained policy."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from renamed_demo import write_rows

from lalm_ambig import evaluate, fit, predict
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.corpora.crema_d.votes import CATEGORIES
from lalm_ambig.corpora.demo.corpus import Demo
from lalm_ambig.evaluation.predictions import read_predictions
from lalm_ambig.evaluation.trained_items import read_trained_items
from lalm_ambig.policies.tiny import Tiny

SMALL = [
    "--model.reasoning=true",
    "--model.objective.ce_weight=1.0",
    "--data.limit=12",
    "--data.eval_batch_size=12",
    "--trainer.max_epochs=1",
    "--trainer.accelerator=cpu",
    "--trainer.logger=false",
    "--model.generation.max_new_tokens=4",
    "--policy.adapter.method=lora",
    "--run.name=r",
    "--run.probe=false",
    "--test",
]
TINY = str(config_folder() / "policy/tiny.yaml")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def run(demo_root: Path, cache_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        words = [*SMALL, f"--data.corpus.root={demo_root}", f"--run.root={runs}"]
        patch.setattr(sys, "argv", ["fit", *words])
        assert fit.main() == 0
        yield runs / "r"


def metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return content


def test_evaluating_a_run_on_its_own_test_split_repeats_its_predictions(run: Path, tmp_path: Path) -> None:
    assert evaluate.main(["--run", str(run), "--out", str(tmp_path), "--limit", "12"]) == 0
    again = read_predictions(tmp_path / "predictions.jsonl")
    before = read_predictions(run / "evaluation/trained/predictions.jsonl")
    assert [p.id for p in again] == [p.id for p in before]
    for one, other in zip(again, before, strict=True):
        assert one.response == other.response
        assert one.predicted_dist == pytest.approx(other.predicted_dist, abs=1e-5)
    assert metrics(tmp_path)["split"] == "test"
    assert metrics(tmp_path)["reasoning"] == "generated"


@pytest.mark.usefixtures("run")
def test_another_split_and_readout_of_an_untrained_policy_are_named(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--policy", TINY, "--corpus", "demo", "--root", str(demo_root), "--split", "validation"]
    assert evaluate.main([*words, "--limit", "6", "--out", str(tmp_path), "--literature"]) == 0
    printed = capsys.readouterr().out
    assert "ambiguity" in printed and "no figures of papers are known for demo" in printed
    uniform = read_predictions(tmp_path / "uniform/predictions.jsonl")
    assert [p.predicted_dist for p in uniform] == [pytest.approx((1 / 6,) * 6)] * 6
    found = metrics(tmp_path)
    assert (found["split"], found["reasoning"], found["readout"], found["items"]) == (
        "validation",
        "direct",
        "logits",
        6,
    )
    assert all(p.response == "<answer>" for p in read_predictions(tmp_path / "predictions.jsonl"))


@pytest.mark.usefixtures("run")
def test_only_the_clips_of_the_split_are_heard(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lalm_ambig.runs.session.cache_root", lambda: tmp_path / "features")
    policy = tmp_path / "frozen_tower.yaml"
    policy.write_text("policy: {class_path: Tiny}\n")
    words = ["--policy", str(policy), "--corpus", "demo", "--root", str(demo_root), "--split", "validation"]
    assert evaluate.main([*words, "--out", str(tmp_path / "out")]) == 0
    answered = read_predictions(tmp_path / "out/predictions.jsonl")
    [index] = (tmp_path / "features").rglob("index.json")
    assert len(json.loads(index.read_text())["clips"]) == len(answered) < 60


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "nowhere"], r"--run: nowhere is not a run folder: it has no config.yaml"),
        (["--policy", TINY], r"evaluate: --corpus is missing"),
        (["--policy", TINY, "--corpus", "nosuch"], r"unknown corpus 'nosuch': expected one of .*demo"),
        (["--policy", TINY, "--corpus", "crema_d", "--root", "nowhere"], r"not found: .*nowhere"),
        (["--policy", TINY, "--corpus", "demo", "--limit", "0"], r"limit must be at least 1, got 0"),
    ],
)
def test_each_mistake_is_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate.main([*words, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def evaluate_rows(run: Path, path: Path, *options: str) -> Path:
    words = ["--corpus", "jsonl", "--root", str(path), "--option", "allow_outside=true", "--limit", "12"]
    assert evaluate.main(["--run", str(run), *words, *options, "--out", str(path.parent / "out")]) == 0
    return path.parent / "out"


def test_a_corpus_that_only_names_a_class_differently_is_asked_about_in_the_trained_words(
    run: Path, demo_root: Path, tmp_path: Path
) -> None:
    names = {name: {"happiness": "joy", "anger": "Angry"}.get(name, name) for name in CATEGORIES.names}
    out = evaluate_rows(run, write_rows(tmp_path / "rows.jsonl", demo_root, names))
    before = read_predictions(run / "evaluation/trained/predictions.jsonl")
    for one, other in zip(read_predictions(out / "predictions.jsonl"), before, strict=True):
        assert (one.id, one.response) == (other.id, other.response)
        assert one.predicted_dist == pytest.approx(other.predicted_dist, abs=1e-5)
    assert metrics(out)["categories"] == list(names.values())
    assert read_predictions(out / "mapped_prior/predictions.jsonl")[0].predicted_dist == pytest.approx(
        read_predictions(run / "evaluation/prior/predictions.jsonl")[0].predicted_dist
    )


def test_another_corpus_is_predicted_on_its_own_classes_and_those_never_trained_are_flagged(
    run: Path, demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"happiness": "joy", "fear": "surprise", "anger": "anger", "sadness": "sadness"}
    path = write_rows(tmp_path / "rows.jsonl", demo_root, names)
    capsys.readouterr()
    out = evaluate_rows(run, path)
    printed = " ".join(capsys.readouterr().out.split())
    note = (
        "cross-domain, trained on demo; classes mapped from demo by key: joy (happiness), anger, sadness; "
        "restricted to 3 of 6 trained classes and renormalised; never trained: surprise"
    )
    assert f"mapped prior, r: {note}." in printed
    assert "in-domain" in printed
    found = metrics(out)
    assert (found["corpus"], found["trained_on"]) == ("jsonl", "demo")
    assert note in found["notes"]
    flagged = {name for name, part in found["by_majority"].items() if "never trained" in str(part["note"])}
    assert flagged == {"surprise"}
    assert metrics(out / "prior")["trained_on"] is None
    mapped = read_predictions(out / "mapped_prior/predictions.jsonl")[0].predicted_dist
    trained = read_predictions(run / "evaluation/prior/predictions.jsonl")[0].predicted_dist
    kept = (trained[3], 0.0, trained[0], trained[5])
    assert mapped == pytest.approx([share / sum(kept) for share in kept])


def test_without_the_trained_corpus_at_hand_the_mapped_prior_is_missing_and_says_why(
    run: Path, demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", demo_root, {"happiness": "joy", "anger": "anger"})
    moved = shutil.copytree(run, tmp_path / "moved")
    config = moved / "config.yaml"
    config.write_text(config.read_text().replace(str(demo_root), str(path.parent)))  # holds no demo
    capsys.readouterr()
    out = evaluate_rows(moved, path)
    printed = " ".join(capsys.readouterr().out.split())
    assert "no prior of demo: corpus demo: not found: " in printed
    assert not (out / "mapped_prior").exists()
    assert metrics(out)["trained_on"] == "demo"


def test_predict_asks_a_run_for_other_classes_in_the_words_it_has_learnt(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(*words: str) -> str:
        capsys.readouterr()
        assert predict.main(["--run", str(run), "--text", "It is so.", *words]) == 0
        return capsys.readouterr().out

    own = json.loads(ask("--json").splitlines()[-1])
    renamed = json.loads(ask("--json", "--classes", "angry,disgust,fear,joy,neutral,Sad").splitlines()[-1])
    assert list(renamed["predicted_dist"]) == ["angry", "disgust", "fear", "joy", "neutral", "Sad"]
    assert list(renamed["predicted_dist"].values()) == list(own["predicted_dist"].values())
    assert (own["never_trained"], renamed["never_trained"]) == ([], [])
    assert "mapped" not in ask()
    text = " ".join(ask("--classes", "joy, Wut, surprise").split())
    assert "(never trained)" in text
    mapped = "joy (happiness), Wut (anger); restricted to 2 of 6 trained classes"
    assert f"Classes mapped from demo by key: {mapped}" in text


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("joy, surprise", "at least 2 must be the same, and 1 is"),
        ("awe, envy", "at least 2 must be the same, and none is"),
        (
            "entailment, neutral, contradiction",
            "asked for are inference .* of two domains no class is the same",
        ),
    ],
)
def test_predict_refuses_classes_that_a_run_has_not_learnt(run: Path, classes: str, message: str) -> None:
    with pytest.raises(InputError, match=f"--classes: .*{message}"):
        predict.main(["--run", str(run), "--text", "It is so.", "--classes", classes])


def test_a_run_is_not_asked_about_classes_of_another_domain(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    names = ("entailment", "neutral", "contradiction")
    rows = [{"id": f"{n}", "text": "x", "votes": dict.fromkeys(names, 1 + n % 2)} for n in range(10)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--run", str(run), "--corpus", "jsonl", "--root", str(path), "--out", str(tmp_path / "out")]
    with pytest.raises(InputError, match="of two domains no class is the same"):
        evaluate.main(words)
    with pytest.raises(
        InputError, match=r"corpus jsonl: the classes asked for are emotion .*: at least 2 must be"
    ):
        evaluate.main([*words, "--option", "domain=emotion"])
    assert not (tmp_path / "out").exists()


def test_predict_gives_a_distribution_for_people_and_for_programs(
    run: Path, demo_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = str(next((demo_root / "AudioWAV").glob("*.wav")))
    capsys.readouterr()
    assert predict.main([clip, "--run", str(run), "--text", "It is so.", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found["predicted_dist"]) == ["anger", "disgust", "fear", "happiness", "neutral", "sadness"]
    assert sum(found["predicted_dist"].values()) == pytest.approx(1, abs=1e-5)
    assert predict.main([clip, "--policy", TINY, "--classes", "fear, anger"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "%" in line and "classes hold" not in line] == [
        "fear",
        "anger",
    ]


def test_predict_refuses_what_training_would_leave_out(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.wav"
    page.write_text("<html>not found</html>")
    with pytest.raises(InputError, match=r"page.wav: an HTML or XML page instead of sound"):
        predict.main([str(page), "--run", str(run)])
    with pytest.raises(InputError, match=r"nothing to predict: give a sound file, or --text"):
        predict.main(["--run", str(run)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--corpus", "demo", "--seed", "5"], "Leave --seed out, or give --allow-trained-items, which marks"),
        (["--corpus", "demo", "--fold", "1"], "Leave --fold out, or give --allow-trained-items"),
        (["--split", "train"], "run r trained on 12 of the 12 items, .* Leave --split out, or give"),
        (["--split", "validation"], "run r trained on .* Leave --split out, or give"),
        (["--split", "all"], "Leave --split out, or give"),
    ],
)
def test_items_that_were_trained_on_are_refused_in_one_line_before_weights_are_read(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.setattr(Tiny, "load", lambda _: pytest.fail("weights were read"))
    with pytest.raises(
        InputError, match=rf"evaluate: .*this is no test. {message}" if message[0] == "L" else message
    ) as raised:
        evaluate.main(["--run", str(run), *words, "--limit", "12", "--out", str(tmp_path / "out")])
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_an_allowed_overlap_is_marked_in_the_table_and_in_metrics_json(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--split", "train", "--limit", "12", "--allow-trained-items", "--out", str(tmp_path)]
    assert evaluate.main(["--run", str(run), *words]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "NOT A TEST: run r trained on 12 of the 12 items" in printed and "trained on)" in printed
    assert metrics(tmp_path)["trained_items"] == {
        "items": 12,
        "speakers": 0,
        "of": 12,
        "runs": ["r"],
        "unchecked": [],
        "duplicates": [],
    }
    assert metrics(tmp_path / "prior")["trained_items"]["runs"] == ["prior"]


def test_a_copy_under_other_ids_without_words_and_in_another_container_is_known_by_its_sound(
    run: Path, demo_root: Path, tmp_path: Path
) -> None:
    kept = read_trained_items(run)
    assert kept is not None
    ids = {item.id for item in kept.runs[0].items}
    rows: list[dict[str, Any]] = [{"categories": ["anger", "fear", "joy"]}]
    for n, item in enumerate(one for one in Demo(demo_root).read() if one.id in ids):
        sound, rate_hz = soundfile.read(str(item.audio))
        soundfile.write(tmp_path / f"{n}.flac", sound, rate_hz)
        rows.append({"id": f"clip {n}", "audio": f"{n}.flac", "votes": {"joy": 1}, "speaker": str(n)})
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--run", str(run), "--corpus", "jsonl", "--root", str(path), "--split", "all"]
    count = len(rows) - 1
    with pytest.raises(InputError, match=rf"run r trained on {count} of the {count} items") as raised:
        evaluate.main([*words, "--out", str(tmp_path / "out")])
    assert "this is no test. Give --allow-trained-items" in str(raised.value)


def test_a_family_is_evaluated_run_by_run_and_ends_with_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for seed in (0, 3):
        copied = shutil.copytree(run, tmp_path / f"r-s{seed}")
        config = (copied / "config.yaml").read_text()
        assert "\nseed: " in f"\n{config}"
        lines = [f"seed: {seed}" if line.startswith("seed: ") else line for line in config.splitlines()]
        (copied / "config.yaml").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    assert evaluate.main(["--run", f"{tmp_path}/r-s{{seed}}", "--out", str(out), "--limit", "12"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "r: mean ± standard deviation over 2 seeds (0, 3)." in printed
    one, other = (metrics(out / f"r-s{seed}")["metrics"]["js_div_bits"]["value"] for seed in (0, 3))
    assert one == pytest.approx(other) and f"{one:.3f} ± 0.000" in printed
    assert "with temperatures" not in printed
    words = ["--run", f"{tmp_path}/r-s{{seed}}", "--out", str(tmp_path / "t"), "--limit", "12"]
    assert evaluate.main([*words, "--temperature-scaling"]) == 0
    last = " ".join(capsys.readouterr().out.split()).split("all of them, with temperatures")[1]
    scaled = metrics(tmp_path / "t/r-s3/temperature")["metrics"]["js_div_bits"]["value"]
    assert f"{scaled:.3f} ± 0.000" in last and "r: class logits divided by a temperature of" in last
    with pytest.raises(InputError, match=r"no folder is named .*q-s\{seed\}"):
        evaluate.main(["--run", f"{tmp_path}/q-s{{seed}}", "--out", str(out)])


def test_runs_of_a_family_that_have_one_name_get_folders_apart(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 3):
        shutil.copytree(run, tmp_path / f"s{seed}" / "r")
    out = tmp_path / "out"
    words = ["--run", f"{tmp_path}/s{{seed}}/r", "--out", str(out), "--limit", "12"]
    assert evaluate.main(words) == 0
    assert (out / "s0/r/metrics.json").is_file() and (out / "s3/r/metrics.json").is_file()
    capsys.readouterr()
    shutil.rmtree(tmp_path / "s3/r/adapter")
    with pytest.raises(InputError, match="no adapter yet"):
        evaluate.main([*words[:2], "--out", str(tmp_path / "other"), "--limit", "12"])
    assert not (tmp_path / "other").exists()  # refused before the first one is evaluated


def test_a_split_without_sound_is_read_in_a_corpus_with_sound(
    items: tuple[Item, ...], tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    heard = [{"id": i.id, "audio": i.audio, "text": i.text, "split": "train"} for i in items]
    read = [{"id": f"t{n}", "text": f"It is {n}", "split": "test"} for n in range(2)]
    rows = [{"categories": ["anger", "joy"]}, *({**row, "votes": {"anger": 1}} for row in heard + read)]
    (tmp_path / "mixed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "tiny.yaml").write_text("policy: {class_path: Tiny}\n")
    words = [
        "--policy",
        str(tmp_path / "tiny.yaml"),
        "--corpus",
        "jsonl",
        "--root",
        str(tmp_path / "mixed.jsonl"),
    ]
    words += ["--option", "allow_outside=true", "--out", str(tmp_path / "out")]
    assert evaluate.main(words) == 0
    assert [p.id for p in read_predictions(tmp_path / "out/predictions.jsonl")] == ["t0", "t1"]
