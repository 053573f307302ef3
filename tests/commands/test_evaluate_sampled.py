"""`evaluate --readout sampled`: the share of one-label answers beside logits, with its floor, and in a report."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lalm_ambig import evaluate, report
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.predictions import read_predictions
from lalm_ambig.policies.tiny import Tiny

TINY = str(config_folder() / "policy/tiny.yaml")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, cache_home: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


def arguments(root: Path, out: Path, *more: str) -> list[str]:
    small = ["--limit", "6", "--max-new-tokens", "5", "--prompt", "speech_emotion_short"]
    return ["--policy", TINY, "--corpus", "demo", "--root", str(root), "--out", str(out), *small, *more]


def metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return content


def test_labels_are_a_row_with_what_named_a_class_and_the_floor(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(arguments(demo_root, tmp_path, "--readout", "sampled", "--samples", "300")) == 0
    found, rows = metrics(tmp_path), read_predictions(tmp_path / "predictions.jsonl")
    assert (found["readout"], found["reasoning"], found["samples"], found["sampled_at"]) == (
        "sampled",
        "direct",
        300,
        1.0,
    )
    named = sum(p.labels or 0 for p in rows)
    assert 0 < named < 300
    assert found["parse_rate"] == pytest.approx(named / 1800)
    floor = metrics(tmp_path / "floor_300")
    assert (floor["readout"], floor["items_digest"]) == ("none", found["items_digest"])
    assert 0 < floor["metrics"]["js_div_bits"]["value"] < found["metrics"]["js_div_bits"]["value"]
    assert floor["notes"][0].startswith("the floor of sampled answers: as many labels drawn from people")
    assert [p.labels for p in read_predictions(tmp_path / "floor_300/predictions.jsonl")] == [
        p.labels for p in rows
    ]
    printed = " ".join(capsys.readouterr().out.split())
    assert "named" in printed
    assert f"{1800 - named} of 1800 named no class and are left out" in printed


@pytest.mark.slow
def test_labels_stand_beside_logits_whose_numbers_they_do_not_change(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both, alone = tmp_path / "both", tmp_path / "alone"
    words = ["--reasoning", "--samples", "1", "3"]
    assert evaluate.main(arguments(demo_root, both, *words, "--readout", "logits", "sampled")) == 0
    printed = capsys.readouterr().out
    costs = printed.split("what averaging costs:")[1]
    assert all(name in costs for name in ("greedy", "3 samples", "3 labels"))
    assert evaluate.main(arguments(demo_root, alone, *words)) == 0
    for name in (".", "samples_3"):
        assert metrics(both / name)["metrics"] == metrics(alone / name)["metrics"]
    found = metrics(both / "labels_3")
    assert (found["readout"], found["reasoning"], found["samples"]) == ("sampled", "generated", 3)
    assert found["tokens"] == metrics(both / "samples_3")["tokens"], "they are the same responses"
    assert not (alone / "labels_3").exists() and not (alone / "floor_3").exists()


def test_the_temperature_is_the_runs(demo_root: Path, tmp_path: Path) -> None:
    configuration = yaml.safe_load((config_folder() / "preset/demo_reasoning.yaml").read_text())
    configuration["model"]["init_args"]["sampling"] = {"temperature": 0.7}
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(configuration))
    words = ["--config", str(own), "--root", str(demo_root), "--limit", "2", "--max-new-tokens", "3"]
    out = ["--out", str(tmp_path / "out")]
    assert evaluate.main([*words, *out, "--readout", "sampled", "--samples", "2"]) == 0
    found = metrics(tmp_path / "out")
    assert found["sampled_at"] == 0.7
    assert any("sampled at temperature 0.7" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--readout", "sampled"], "--samples: sampled answers are the share of several labels"),
        (
            ["--readout", "verbalised", "sampled", "--samples", "4"],
            "--readout: verbalised and logits are asked for by different prompts",
        ),
        (
            ["--readout", "sampled", "--samples", "4", "--temperature-scaling"],
            "shares of sampled labels have no logits to scale",
        ),
        (["--readout", "sampled", "logits", "--samples", "4"], "without reasoning every sample is the same"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_weights_are_loaded(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], message: str
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(Tiny, "load", never)
    with pytest.raises(InputError, match=message):
        evaluate.main(arguments(demo_root, tmp_path, *more))


@pytest.mark.slow
def test_a_report_has_both_and_the_floor_as_a_bound(demo_root: Path, tmp_path: Path) -> None:
    logits, labels, out = tmp_path / "logits", tmp_path / "labels", tmp_path / "report"
    assert evaluate.main(arguments(demo_root, logits)) == 0
    assert evaluate.main(arguments(demo_root, labels, "--readout", "sampled", "--samples", "300")) == 0
    assert report.main([str(logits), str(labels), "--figure", "none", "--out", str(out)]) == 0
    lines = {
        line.split(" | ")[0].removeprefix("| "): line
        for line in (out / "all_demo.md").read_text().splitlines()
        if line.startswith("| ")
    }
    assert {"logits", "labels", "floor\\_300"} <= set(lines)
    assert "| bound |" in lines["floor\\_300"]
    assert "**" not in lines["floor\\_300"] and "<u>" not in lines["floor\\_300"]
    heads = lines["row"].split(" | ")
    assert {"class mass", "named"} <= {head.rstrip(" |") for head in heads} and "parsed" not in heads
