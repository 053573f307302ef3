"""`train` from Python: the run of `fit`, twice in one process, and mistakes in one line."""

from pathlib import Path
from typing import Any

import pytest

import lalm_ambig
from lalm_ambig import train
from lalm_ambig.core.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore")
SMALL = {
    "data.limit": 8,
    "trainer.max_epochs": 1,
    "run.probe": False,
    "trainer.enable_progress_bar": False,
    "trainer.logger": False,
}


@pytest.mark.slow
def test_a_run_is_trained_and_asked_in_a_few_lines_and_again(
    demo_root: Path, cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    keys = {**SMALL, "data.corpus.root": demo_root}
    first = train("tiny", "demo", "sft_kl_only", name="first", root=tmp_path, quiet=True, **keys)
    assert first.folder == tmp_path / "first" and "| trained |" in first.table
    answer = first.load(device="cpu").predict(text="It is so.")
    assert sum(answer.distribution.values()) == pytest.approx(1)
    method = {"class_path": "SFT", "init_args": {"reasoning": False, "objective": {"ce_weight": 0.0}}}
    second = train(
        "tiny", {"corpus": "Demo", "limit": 8}, method, name="second", root=tmp_path, quiet=True, **keys
    )
    assert 0 <= second.metrics["js_div_bits"] <= 1
    again = train("tiny", "demo", "sft_kl_only", name="first", root=tmp_path, quiet=True, **keys)
    assert again.metrics == first.metrics
    tested = train("tiny", "demo", "sft_kl_only", name="first", root=tmp_path, quiet=True, test=True, **keys)
    assert "## Test" in tested.table and "not looked at" not in tested.table


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"policy": "tyny"}, "no policy 'tyny': did you mean tiny"),
        ({"data.limt": 3}, "unknown key data.limt: did you mean --data.limit"),
        ({"seeds": [0, 1]}, "makes one run"),
        ({"trainer.devices": 2, "trainer.accelerator": "cpu"}, "uses one device, got 2"),
        ({"data": {"limit": 3}}, "settings need 'corpus'"),
        ({"policy": {"class_path": "Tiny", "init_args": {"sed": 1}}}, "unknown key policy.sed of Tiny"),
    ],
)
def test_a_mistake_is_one_line(words: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        train(quiet=True, **words)
    assert "\n" not in str(raised.value)


def test_the_package_is_light_and_has_what_it_promises() -> None:
    assert {"load", "train", "Model", "Answer"} <= set(dir(lalm_ambig))
    with pytest.raises(AttributeError, match="no attribute 'loud'"):
        lalm_ambig.loud  # noqa: B018
