"""`evaluate` on a corpus of SHALA-LLM: its columns, and what papers report on it."""

import json
from pathlib import Path

import pytest

from lalm_ambig import evaluate
from lalm_ambig.config.files import config_folder

TINY = str(config_folder() / "policy/tiny.yaml")


@pytest.mark.filterwarnings("ignore")
def test_a_corpus_of_paper_b_has_its_columns_and_its_figures_where_asked(
    tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    pairs = [
        {
            "uid": f"p{n}",
            "label_counter": {"e": 60 + n, "n": 40 - n},
            "example": {"premise": f"Someone reads page {n}.", "hypothesis": "Someone reads."},
        }
        for n in range(20)
    ]
    lines = "".join(f"{json.dumps(pair)}\n" for pair in pairs)
    (tmp_path / "chaosNLI_snli.jsonl").write_text(lines)
    words = ["--policy", TINY, "--corpus", "chaosnli", "--part", "snli", "--root", str(tmp_path)]
    assert evaluate.main([*words, "--literature", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    tables = [printed.index(text) for text in ("(weighted)", "ambiguity (items)", "AmbiNLI")]
    assert tables == sorted(tables)
    assert "literature: ChaosNLI-S" in printed, "of the part and not of both"
    found = json.loads((tmp_path / "out/metrics.json").read_text())
    assert found["table_metrics"] == ["js_dist_bits", "bc", "accuracy", "f1_macro", "f1_weighted"]
    assert evaluate.main([*words, "--out", str(tmp_path / "out")]) == 0
    assert "AmbiNLI" not in capsys.readouterr().out
