"""CREMA-D's panels: a run trained on the votes for the voice is tested on another panel's votes of its test clips."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lalm_ambig import evaluate, fit, report
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.crema_d.corpus import CremaD
from lalm_ambig.corpora.crema_d.votes import ACTORS
from lalm_ambig.evaluation.predictions import read_predictions

HEADER = ["", "A", "D", "F", "H", "N", "S", "fileName", "numResponses"]
CLIPS = [f"{actor}_{sentence}_ANG_XX" for actor in ACTORS[::3] for sentence in ("IEO", "DFA")]
SMALL = [
    "--policy=tiny",
    "--data=crema_d",
    "--method=sft_kl_only",
    "--trainer.max_epochs=1",
    "--trainer.accelerator=cpu",
    "--trainer.logger=false",
    "--policy.adapter.method=lora",
    "--run.name=voice",
    "--run.probe=false",
    "--test",
]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CREMA-D in small: each clip has votes of all three panels, which differ; one clip has none for the face."""
    root, draw = tmp_path_factory.mktemp("corpora") / "CREMA-D", np.random.default_rng(0)
    (root / "processedResults").mkdir(parents=True)
    (root / "AudioWAV").mkdir()
    rows: list[list[object]] = []
    for number, clip in enumerate(CLIPS):
        soundfile.write(root / "AudioWAV" / f"{clip}.wav", draw.normal(0, 0.1, 3_200), 16_000)
        for panel in "123":
            votes = [
                int(count) for count in draw.integers(0, 5, 6) + [int(panel) == place for place in range(6)]
            ]
            rows.append([f"{panel}{number:05d}", *votes, clip, sum(votes)])
    with (root / "processedResults" / "tabulatedVotes.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return root


@pytest.fixture(scope="module")
def run(root: Path, cache_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        patch.setattr(sys, "argv", ["fit", *SMALL, f"--data.corpus.root={root}", f"--run.root={runs}"])
        assert fit.main() == 0
        yield runs / "voice"


def on_panel(run: Path, out: Path, votes: str, *more: str) -> dict[str, Any]:
    words = ["--run", str(run), "--corpus", "crema_d", "--option", f"votes={votes}", *more]
    assert evaluate.main([*words, "--out", str(out)]) == 0
    content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return content


def test_the_test_clips_are_those_of_the_run_with_the_other_panels_votes(
    run: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = on_panel(run, tmp_path / "out", "audio_visual")
    before = {one.id: one for one in read_predictions(run / "evaluation/trained/predictions.jsonl")}
    rows = read_predictions(tmp_path / "out/predictions.jsonl")
    votes = {item.id: item.votes for item in CremaD(root, votes="audio_visual").read()}
    assert [one.id for one in rows] == list(before)
    for one in rows:
        assert one.predicted_dist == pytest.approx(before[one.id].predicted_dist, abs=1e-5)
        assert one.votes == votes[one.id] != before[one.id].votes
    assert (results["part"], results["trained_on"]) == ("audio_visual", "crema_d (voice)")
    assert results["trained_items"]["items"] == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "crema_d (audio_visual), test split" in printed
    assert "cross-domain, trained on crema_d (voice)" in printed


def test_the_floors_are_the_panels_own_prior_and_that_of_the_voice(run: Path, tmp_path: Path) -> None:
    on_panel(run, tmp_path, "face")
    [mapped, own] = [
        read_predictions(tmp_path / f"{name}/predictions.jsonl") for name in ("mapped_prior", "prior")
    ]
    of_voice = read_predictions(run / "evaluation/prior/predictions.jsonl")
    assert mapped[0].predicted_dist == pytest.approx(of_voice[0].predicted_dist)
    assert own[0].predicted_dist != pytest.approx(of_voice[0].predicted_dist)


def test_the_runs_own_panel_is_no_other_corpus(run: Path, tmp_path: Path) -> None:
    results = on_panel(run, tmp_path, "voice")
    assert (results["part"], results["trained_on"]) == (None, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "train"], r"run voice trained on \d+ of the \d+ items.* Leave --split out"),
        (["--split", "validation"], r"run voice trained on .* Leave --split out"),
        (["--split", "all"], r"run voice trained on .* Leave --split out"),
        (["--seed", "1"], r"run voice trained on .* Leave --seed out, or give --allow"),
        (["--fold", "0"], r"run voice trained on .* Leave --fold out, or give --allow"),
    ],
)
def test_training_clips_are_refused_whatever_panel_judged_them(
    run: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        on_panel(run, tmp_path / "out", "face", *words)
    assert not (tmp_path / "out").exists()


def test_a_report_keeps_the_panels_apart(run: Path, tmp_path: Path) -> None:
    on_panel(run, tmp_path / "face", "face")
    report.main([str(run), str(tmp_path / "face"), "--out", str(tmp_path / "report")])
    of_face = "".join(path.read_text() for path in (tmp_path / "report").glob("all_crema_d-face*.md"))
    assert "All results on crema\\_d, face" in of_face and "cross-domain" in of_face
    assert "All results on CREMA-D" in (tmp_path / "report" / "all_crema_d.md").read_text()
