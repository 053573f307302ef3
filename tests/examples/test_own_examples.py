"""The examples run as they are, in fewer steps; `minimal_grpo` is compared with `fit` elsewhere."""

import runpy
from pathlib import Path
from typing import Any

import pytest

import lalm_ambig

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = [path.stem for path in sorted(EXAMPLES.glob("own_*.py"))]


def test_there_are_three_of_ones_own() -> None:
    assert NAMES == ["own_base_model", "own_corpus", "own_reward"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_it_runs(
    name: str,
    tmp_path: Path,
    cache_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train = lalm_ambig.train

    def shorter(*given: Any, **named: Any) -> Any:
        return train(*given, **{**named, "trainer.max_steps": 2, "data.limit": 16})

    monkeypatch.setattr(lalm_ambig, "train", shorter, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert ("train/reward/own_reward" in said) if name == "own_reward" else ("| trained |" in said)
