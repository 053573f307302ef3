"""The page of `describe --html`: complete, inert whatever a corpus says, and without anything from elsewhere."""

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from lalm_ambig.audio.clipping import flat_tops, flat_tops_of
from lalm_ambig.core.errors import InputError
from lalm_ambig.describe import main
from lalm_ambig.reporting.data_page import sample
from lalm_ambig.reporting.data_page.tables import pair_shares

HOSTILE = """</script><img src=x onerror='alert(1)'><script>alert("2")</script>\u2028&amp; {{data}}"""
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


def tone(path: Path, *, clipped: bool = False, hz: float = 220.0) -> None:
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000)
    soundfile.write(path, np.clip(wave, -0.3, 0.3) if clipped else wave, 16_000)


def corpus(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    path = tmp_path / "items.jsonl"
    given = [{"id": f"i{n}", "votes": {"a": 2, "b": 1}, "split": "train"} | row for n, row in enumerate(rows)]
    path.write_text("".join(json.dumps(row) + "\n" for row in given))
    return path


def page_of(path: Path, *more: str) -> str:
    out = path.parent / "page.html"
    main(["--corpus", "jsonl", "--root", str(path), "--html", str(out), *more])
    return out.read_text(encoding="utf-8")


def data_of(page: str) -> dict[str, Any]:
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert block is not None
    found: dict[str, Any] = json.loads(block[1])
    return found


def audio_rows(tmp_path: Path) -> Path:
    tone(tmp_path / "plain.wav")
    tone(tmp_path / "cut.wav", clipped=True, hz=300.0)
    shutil.copy(tmp_path / "plain.wav", tmp_path / "twin.wav")
    (tmp_path / "empty.wav").write_bytes(b"")
    names = ("plain", "cut", "twin", "empty")
    splits = ("train", "train", "test", "train")
    rows = [{"audio": f"{n}.wav", "text": "Hi.", "split": s} for n, s in zip(names, splits, strict=True)]
    return corpus(tmp_path, *rows)


def test_items_have_votes_entropy_sound_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    items = data_of(page_of(audio_rows(tmp_path)))["items"]
    assert [item["id"] for item in items] == ["i0", "i1", "i2", "i3"]
    assert items[0]["votes"] == [2, 1] and items[0]["entropy"] == 0.9183  # H(2/3, 1/3) in bits
    assert [item["clipped"] for item in items] == [False, True, False, None]
    assert "empty file" in items[3]["silent"] and items[3]["audio"] is None
    kind, _, content = items[0]["audio"].partition(";base64,")
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(content)))
    assert (kind, rate, len(samples)) == ("data:audio/flac", 16_000, 16_000)
    assert np.abs(samples - 0.5 * np.sin(2 * np.pi * 220 * np.arange(16_000) / 16_000)).max() < 1e-4


def test_copies_and_clipping_of_all_clips_are_found_where_sound_is_opened(tmp_path: Path) -> None:
    path = audio_rows(tmp_path)
    assert all(item["copies"] == [] for item in data_of(page_of(path))["items"])
    page = page_of(path, "--check-audio")
    assert [item["copies"] for item in data_of(page)["items"]] == [["i2"], [], ["i0"]]
    assert "2 items in 1 groups, 1 of them in several splits" in page
    assert "1 of 3 clips" in page
    assert "empty.wav: empty file: left out" in page


def test_texts_without_sound_are_copies_by_their_words(tmp_path: Path) -> None:
    texts = ("The very same words.", "the very same  WORDS", "Others.")
    items = data_of(page_of(corpus(tmp_path, *({"text": text} for text in texts))))["items"]
    assert [item["copies"] for item in items] == [["i1"], ["i0"], []]
    assert items[0]["audio"] is None and items[0]["silent"] is None


def test_what_a_corpus_says_can_end_no_element_and_reaches_the_page_unchanged(tmp_path: Path) -> None:
    row = {
        "id": HOSTILE,
        "text": HOSTILE,
        "rationale": HOSTILE,
        "speaker": HOSTILE,
        "votes": {HOSTILE: 1, "b": 1},
    }
    page = page_of(corpus(tmp_path, row, {"votes": {HOSTILE: 2}, "text": HOSTILE}))
    assert "<img" not in page
    data = data_of(page)
    first = data["items"][0]
    assert HOSTILE in data["classes"]
    assert [first[key] for key in ("id", "text", "rationale", "speaker")] == [HOSTILE] * 4


def test_the_page_sets_text_only_loads_nothing_and_its_policy_allows_no_other_script(tmp_path: Path) -> None:
    page = page_of(corpus(tmp_path, {"text": "x"}, {"text": "y"}))
    script = re.search(r"<script id=\"page\">(.*?)</script>", page, re.S)
    policy = re.search(r"Content-Security-Policy\" content=\"([^\"]*)\"", page)
    assert script is not None and policy is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert policy[1] == (
        f"default-src 'none'; style-src 'unsafe-inline'; media-src data:; script-src 'sha256-{digest}'"
    )
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"):
        assert unsafe not in page
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|\{\{", page)
    assert not re.search(r"\s(?:src|on\w+)\s*=\s*[\"']", page)


def test_the_sample_has_the_shares_of_the_corpus_and_is_the_same_each_time(tmp_path: Path) -> None:
    rows = [
        {"text": f"t{n}", "split": "test" if n % 4 == 0 else "train", "votes": {"a": 3 * (n % 2), "b": 1}}
        for n in range(80)
    ]
    path = corpus(tmp_path, *rows)
    data = data_of(page_of(path, "--items", "20"))
    assert (data["total"], len(data["items"])) == (80, 20)
    assert sum(item["split"] == "test" for item in data["items"]) == 5
    assert sum(item["majority"] == 0 for item in data["items"]) == 10
    assert data_of(page_of(path, "--items", "20")) == data
    assert len(data_of(page_of(path, "--items", "999"))["items"]) == 80


def test_pairs_of_annotators_by_hand() -> None:
    votes = torch.tensor([[3.0, 1.0], [1.0, 1.0], [1.0, 0.0]])  # the last has no pair
    pairs, items = pair_shares(votes)
    # item 1: 6 aa, 3 ab, 3 ba of 12; item 2: 1 ab, 1 ba of 2
    assert items == 2
    assert pairs.tolist() == [[0.25, 0.375], [0.375, 0.0]]
    assert pairs.sum().item() == 1


def test_pairs_without_any_are_none() -> None:
    for votes in (
        [[1.0, 0.0]],
        [[1.0, 1.0], [1.5, 0.5]],
    ):  # the second: votes are shared, perhaps all of them
        pairs, items = pair_shares(torch.tensor(votes))
        assert items == 0 and not pairs.any()


def test_a_licensed_corpus_says_that_the_page_stays_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lalm_ambig.corpora.jsonl.corpus import JsonLines

    monkeypatch.setattr(JsonLines, "licensed", True)
    page = page_of(audio_rows(tmp_path))
    assert "forbids passing its items on. This file holds 3 of its clips and 4 of its items" in page
    monkeypatch.setattr(JsonLines, "licensed", False)
    assert "forbids" not in page_of(tmp_path / "items.jsonl")


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (["--html", "{folder}"], r"--html: .* is a folder. Name a file"),
        (
            ["--html", "{folder}/other.txt"],
            r"--html: .*other.txt is there and is not what describe --html writes",
        ),
        (["--html", "{folder}/items.jsonl/x.html"], r"--html: cannot write to"),
        (["--items", "5"], r"--items: goes with --html FILE"),
        (["--items", "0", "--html", "{folder}/p.html"], r"--items: must be at least 1, got 0"),
    ],
)
def test_a_page_that_cannot_be_is_refused_before_the_corpus_is_read(
    tmp_path: Path, more: list[str], wrong: str
) -> None:
    (tmp_path / "other.txt").write_text("mine")
    (tmp_path / "items.jsonl").write_text("not read")
    words = [word.format(folder=tmp_path) for word in more]
    with pytest.raises(InputError, match=wrong):
        main(["--corpus", "jsonl", "--root", str(tmp_path / "items.jsonl"), *words])
    assert (tmp_path / "other.txt").read_text() == "mine"


def test_a_page_of_too_much_sound_is_refused_with_a_number_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "MOST_BYTES", 10_000)
    with pytest.raises(InputError, match=r"--items: 4 items make a page of more than .*: after 2 it is full"):
        page_of(audio_rows(tmp_path))
    assert not (tmp_path / "page.html").exists()


def test_flat_tops_are_counted_on_both_sides_and_not_of_tones_quiet_clips_or_silence(tmp_path: Path) -> None:
    time_s = np.arange(16_000) / 16_000
    wave = np.sin(2 * np.pi * 100 * time_s)
    assert flat_tops(np.clip(wave, -0.5, 0.5)) == 200  # one on each side of 100 periods
    assert flat_tops(wave) == flat_tops(np.zeros(100)) == flat_tops(np.zeros(0)) == 0
    assert flat_tops(0.01 * np.clip(wave, -0.5, 0.5)) == 0
    stereo = np.stack([wave, np.clip(wave, -0.5, 0.5)], axis=1)
    soundfile.write(tmp_path / "stereo.wav", stereo, 16_000)
    assert flat_tops_of(tmp_path / "stereo.wav") >= 190


def test_three_examples_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    votes = ({"a": 4}, {"a": 3, "b": 1}, {"a": 2, "b": 2}, {"a": 2, "b": 2}, {"b": 4})
    path = corpus(tmp_path, *({"text": f"[b]word {n}", "votes": v} for n, v in enumerate(votes)))
    main(["--corpus", "jsonl", "--root", str(path)])
    shown = capsys.readouterr().out.split("Examples: ")[1]
    assert re.findall(r"│ (i\d) ", shown) == ["i0", "i1", "i2"]
    assert "[b]word 2" in shown and "a 3, b 1" in shown


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_browser_shows_the_items_and_runs_nothing_of_theirs(tmp_path: Path) -> None:
    page_of(corpus(tmp_path, {"text": HOSTILE, "id": HOSTILE}, {"text": "plain"}))
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "page.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.count("<article") == 2
    assert "<img" not in done.stdout
    assert "&lt;/script&gt;&lt;img src=x" in done.stdout
