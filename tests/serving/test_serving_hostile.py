"""Files that are no sound, or bad sound, and names that are no names: each gets one line, and the server goes on."""

import contextlib
import os
import signal
import tempfile
from pathlib import Path

import pytest
from hostile import sound_file, tone, uploads
from live import Live

from lalm_ambig.inference.model import Model
from lalm_ambig.serving.app import Service
from lalm_ambig.serving.limits import Limits

UPLOADS = list(uploads())
CLIP = sound_file(tone(0.5))


@pytest.mark.parametrize(
    ("content", "right"), [pytest.param(*upload[1:], id=upload[0]) for upload in UPLOADS]
)
def test_each_hostile_file_gets_one_line(live: Live, content: bytes, right: set[int]) -> None:
    reply = live.post(audio=content)
    assert reply.status in right, reply.body
    if reply.status != 200:
        assert "Traceback" not in reply.error and "/" not in reply.error.replace("header(s)/", ""), (
            reply.error
        )


def test_there_are_more_than_fifty() -> None:
    assert len(UPLOADS) > 50


def test_a_files_name_is_not_looked_at(live: Live) -> None:
    expected = live.post(audio=CLIP).json
    for name in (
        "../../../tmp/x.wav",
        "/etc/cron.d/x",
        "a\0b.wav",
        "x" * 10_000,
        "C:\\x",
        "x.wav\r",
        "😀.wav",
        "$(id)",
        "",
    ):
        assert live.post(audio=CLIP, filename=name).json == expected


def test_nothing_is_written_and_nothing_is_left(
    live: Live, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    descriptors = Path("/proc/self/fd")
    opened = len(list(descriptors.iterdir())) if descriptors.is_dir() else 0
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for _, content, _ in UPLOADS:
        live.post(audio=content, filename="../x.wav", text="a")
    assert list(tmp_path.rglob("*")) == []
    assert live.get("/health").json["inside"] == live.service.admission.bytes == 0
    if opened:
        assert len(list(descriptors.iterdir())) < opened + 5


def test_a_decoder_that_crashes_is_started_again(live: Live) -> None:
    assert live.post(audio=CLIP).status == 200
    decoders = live.service._decoders
    assert decoders is not None
    before = decoders.started
    for process in list(decoders.idle):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGSEGV)
    replies = [live.post(audio=CLIP) for _ in range(3)]
    assert {reply.status for reply in replies} <= {200, 422} and replies[-1].status == 200
    assert decoders.started > before
    assert all("its decoder ended" in reply.error for reply in replies if reply.status == 422)


def test_a_file_that_takes_long_to_decode_is_given_up(small_model: Model) -> None:
    with Live(Service(small_model, Limits(decode_s=0.001))) as server:
        reply = server.post(audio=CLIP)
        assert reply.status == 422 and "longer than 0.001 s to decode" in reply.error
        assert server.post(text="a").status == 200
