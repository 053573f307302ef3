"""An export that is pushed to a hub is loaded by its name, and offline from the hub's cache afterwards."""

from pathlib import Path

import pytest
from hub_stub import hub

from lalm_ambig import export, load
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
