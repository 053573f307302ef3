"""The cards beside weights name the command as it is installed."""

from pathlib import Path

from lalm_ambig.exporting import card as export_card
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.model_card import write_card


def test_a_card_says_lalm_ambig(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "r")
    card = write_card(run, method="SFT", corpus="demo", split="test", tables=()).read_text()
    assert "`lalm-ambig predict --run FOLDER …`" in card
    assert "python -m" not in card
    assert "python -m" not in Path(export_card.__file__).read_text(encoding="utf-8")
