"""The commands of docs/guides/serve.md, as they stand there."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hostile import sound_file, tone
from live import Live

from lalm_ambig.serving.guard import HEADERS
from lalm_ambig.serving.limits import Limits
from lalm_ambig.serving.schema import REFUSALS

PAGE = (Path(__file__).parents[2] / "docs/guides/serve.md").read_text(encoding="utf-8")
COMMANDS = re.search(r"```bash\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()  # type: ignore[index]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_gets_an_answer(live: Live, tmp_path: Path, command: str) -> None:
    (tmp_path / "clip.wav").write_bytes(sound_file(tone(0.5)))
    here = command.replace("127.0.0.1:8000", f"127.0.0.1:{live.port}")
    done = subprocess.run(
        ["bash", "-c", here], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    answer = json.loads(done.stdout)
    assert "distribution" in answer or "classes" in answer, answer


def test_the_answer_on_the_page_has_the_fields_of_an_answer(live: Live) -> None:
    shown = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])  # type: ignore[index]
    assert shown.keys() == live.post(text="a").json.keys()


def test_the_page_names_every_status_and_the_limits_as_they_are() -> None:
    for status in REFUSALS:
        assert re.search(rf"^\| [\d, ]*{status}", PAGE, re.MULTILINE), status
    limits = Limits()
    for option, value in (
        ("--max-upload-mb", limits.upload_bytes // 1024**2),
        ("--max-duration-s", round(limits.duration_s)),
        ("--queue", limits.queue),
        ("--timeout-s", round(limits.timeout_s)),
    ):
        assert f"| `{option}` | {value} |" in PAGE
    assert "Content-Security-Policy" in HEADERS
