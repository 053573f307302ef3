"""A prompt or glosses of the user's own: text, or one line that says why not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.prompts import load_glosses, load_prompt


@pytest.mark.parametrize("load", [lambda path: load_prompt(path, "direct"), load_glosses])
def test_a_file_that_is_no_text_is_one_line(tmp_path: Path, load: Callable[[str], object]) -> None:
    path = tmp_path / "own.txt"
    path.write_bytes(b"{text} \xff")
    with pytest.raises(InputError, match=r"own\.txt: not UTF-8 text: invalid start byte at byte 7"):
        load(str(path))


def test_a_prompt_without_a_file_for_a_mode_names_that_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.reason.txt").write_text("{text}")
    monkeypatch.setattr("lalm_ambig.prompts.FOLDER", tmp_path)
    assert load_prompt("mine", "reason") == "{text}"
    with pytest.raises(
        InputError, match=r"prompt mine has no mode heard\. Write its file mine\.heard\.txt\."
    ):
        load_prompt("mine", "heard")
