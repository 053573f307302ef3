"""Exports that `load` and `evaluate --run` read, with the answers of the run; what a stranger's export may not do."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from run_folders import write_run

from lalm_ambig import evaluate, export
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.predictions import read_predictions
from lalm_ambig.inference.model import Model, load

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def adapter(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exports") / "adapter"
    assert export.main([str(run), "--adapter", "--out", str(out)]) == 0
    return out


def changed(adapter: Path, folder: Path, *keys: str, value: object) -> Path:
    """A copy of an export with another value in its configuration."""
    shutil.copytree(adapter, folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    inner = config
    for key in keys[:-1]:
        inner = inner.setdefault(key, {})
    inner[keys[-1]] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_an_export_answers_as_its_run_does(
    run: Path, model: Model, adapter: Path, demo_root: Path, tmp_path: Path, form: str
) -> None:
    out = adapter
    if form == "merged":
        out = tmp_path / "merged"
        assert export.main([str(run), "--merged", "--out", str(out)]) == 0
    clips = sorted((demo_root / "AudioWAV").glob("*.wav"))[:3]
    exported = load(out, device="cpu")
    assert exported.name == run.name and exported.never_trained == ()
    for one, other in zip(exported.predict(list(clips)), model.predict(list(clips)), strict=True):
        assert one.distribution == pytest.approx(other.distribution, abs=1e-5)


def test_an_export_is_evaluated_like_its_run_on_a_corpus_that_is_named(
    run: Path, adapter: Path, demo_root: Path, tmp_path: Path
) -> None:
    rows = []
    for source in (run, adapter):
        words = ["--run", str(source), "--corpus", "demo", "--root", str(demo_root), "--limit", "4"]
        assert evaluate.main([*words, "--allow-trained-items", "--out", str(tmp_path / source.name)]) == 0
        rows.append(read_predictions(tmp_path / source.name / "predictions.jsonl"))
    assert [row.id for row in rows[0]] == [row.id for row in rows[1]]
    for one, other in zip(*rows, strict=True):
        assert one.predicted_dist == pytest.approx(other.predicted_dist, abs=1e-5)
    with pytest.raises(
        InputError, match=r"an export has no items of demo\. Name them: --corpus demo --root FOLDER"
    ):
        evaluate.main(["--run", str(adapter), "--out", str(tmp_path / "own")])


def test_a_strangers_configuration_sets_no_more_than_how_a_policy_is_asked(
    adapter: Path, tmp_path: Path
) -> None:
    for number, (keys, value, message) in enumerate(
        [
            (
                ("trainer", "logger"),
                {"class_path": "lightning.pytorch.loggers.CSVLogger"},
                "sets trainer.logger",
            ),
            (("run",), {"root": "/"}, "sets run"),
            (
                ("policy", "class_path"),
                "torch.nn.Linear",
                "policy: no export names the class torch.nn.Linear",
            ),
            (("model", "class_path"), "lalm_ambig.methods.grpo.GRPO", "model: no export names the class"),
            (("model", "init_args", "engine"), {}, "sets model.init_args.engine"),
            (
                ("data", "corpus", "class_path"),
                "lalm_ambig.corpora.demo.Demo",
                "data.corpus: no export names",
            ),
            (("data", "rationales"), "x", "sets data.rationales"),
        ]
    ):
        folder = changed(adapter, tmp_path / str(number), *keys, value=value)
        with pytest.raises(InputError, match=message) as raised:
            load(folder)
        assert "\n" not in str(raised.value)


def test_another_prompt_than_the_one_trained_with_is_told(
    adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "older"
    shutil.copytree(adapter, folder)
    record = json.loads((folder / "lalm_ambig.json").read_text())
    record["prompts"]["sound"] += " Say it."
    (folder / "lalm_ambig.json").write_text(json.dumps(record))
    load(folder, device="cpu")
    assert "asks about sound in other words" in capsys.readouterr().err
    record["format"] = 2
    (folder / "lalm_ambig.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="export of format 2"):
        load(folder)


def test_a_prompt_of_the_users_own_and_the_results_go_with_the_weights(
    demo_root: Path, run: Path, tmp_path: Path
) -> None:
    assert run.is_dir()  # its cache of the base model is in force
    (tmp_path / "mine.txt").write_text(
        "{audio}\nHow does it sound to people? One of {classes}. Words: {text}"
    )
    mine = write_run(tmp_path / "own", demo_root, f"--data.prompt={tmp_path / 'mine.txt'}", finished=True)
    results = mine / "evaluation" / "validation" / "trained"
    evaluate.main(
        [
            "--run",
            str(mine),
            "--split",
            "validation",
            "--limit",
            "4",
            "--out",
            str(results),
            "--allow-trained-items",
        ]
    )
    out = tmp_path / "mine"
    assert export.main([str(mine), "--adapter", "--out", str(out)]) == 0
    (tmp_path / "mine.txt").unlink()
    exported = load(out, device="cpu")
    assert "How does it sound to people?" in exported.encoder.template
    assert str(tmp_path).encode() not in b"".join(file.read_bytes() for file in out.iterdir())
    card = ModelCard.load(out / "README.md")
    [first, *_] = card.data.eval_results
    metrics = json.loads((out / "metrics.json").read_text())["metrics"]
    assert (first.dataset_type, first.dataset_split) == ("demo", "validation")
    assert first.metric_value == pytest.approx(metrics[first.metric_type]["value"], abs=1e-6)
    assert 'model = load("mine")' in card.content
