"""An export that is pushed to a hub is loaded by its name, and offline from the hub's cache afterwards."""

from pathlib import Path

import pytest
from hub_stub import hub

from lalm_ambig import evaluate, export, load
from lalm_ambig.core.errors import InputError

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("hub_cache")]


def test_what_is_pushed_is_loaded_by_its_name_and_offline_afterwards(
    run: Path,
    demo_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_not_a_real_one")
    clip = min((demo_root / "AudioWAV").glob("*.wav"))
    expected = load(run).predict(clip)
    with hub() as stub:
        monkeypatch.setenv("HF_ENDPOINT", stub.address)
        with pytest.raises(InputError, match="load me/x: there is no such folder, and no such repository"):
            load("me/x")
        words = [str(run), "--adapter", "--out", str(tmp_path / "mine"), "--push", "me/x"]
        assert export.main(words) == 0
        model = load("me/x")
        assert model.name == run.name
        assert model.predict(clip).distribution == pytest.approx(expected.distribution, abs=1e-6)
        assert set(stub.fetched) == set(stub.files)
        with pytest.raises(InputError, match=r"load me/other: .* no such repository on the hub"):
            load("me/other")
        stub.files["code.py"] = stub.files["weights.bin"] = b"import os"
        stub.fetched.clear()
        load("me/x")
        assert stub.fetched == [] or not {"code.py", "weights.bin"} & set(stub.fetched)
    assert load("me/x").predict(clip).distribution == pytest.approx(expected.distribution, abs=1e-6)
    with pytest.raises(InputError, match=r"load me/never: it is no folder and not whole in the hub's cache"):
        load("me/never")


def test_what_is_pushed_is_evaluated_by_its_name(
    run: Path, demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_not_a_real_one")
    corpus = ["--corpus=demo", f"--root={demo_root}"]
    asked = [*corpus, "--split=validation", "--allow-trained-items", "--limit=4", f"--out={tmp_path / 'hub'}"]
    with hub() as stub:
        monkeypatch.setenv("HF_ENDPOINT", stub.address)
        export.main([str(run), "--adapter", "--out", str(tmp_path / "mine"), "--push", "me/x"])
        assert evaluate.main(["--run=me/x", *asked]) == 0
        with pytest.raises(InputError, match=r"load me/other: .* no such repository on the hub"):
            evaluate.main(["--run=me/other", *asked])
    evaluate.main([f"--run={run}", *asked[:-1], f"--out={tmp_path / 'here'}"])
    hub_answers, answers = ((tmp_path / name / "predictions.jsonl").read_text() for name in ("hub", "here"))
    assert hub_answers == answers


def test_a_revision_is_of_an_export_on_the_hub(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a revision is for a name on the hub"):
        evaluate.main([f"--run={run}", "--revision=main", f"--out={tmp_path / 'out'}"])
    with pytest.raises(InputError, match=r"--revision: goes with --run OWNER/NAME"):
        evaluate.main(["--policy=tiny", "--corpus=demo", "--revision=main", f"--out={tmp_path / 'out'}"])
