"""The review page: complete, inert whatever rows say, and without anything from elsewhere."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from data_curation.records import ClassCue, CurationRow, Reasoning
from data_curation.review.page import write_review
from lalm_ambig.core.errors import InputError

HOSTILE = """</script><img src=x onerror='alert(1)'><script>alert("2")</script>\u2028&amp;"""
REASONING = Reasoning(
    keywords=("loud volume",),
    text_analysis="The words state a fact.",
    volume="Volume is raised.",
    speed="The pace is usual.",
    pitch="The pitch is high.",
    tone="The timbre is bright.",
    class_cues=(ClassCue(category="anger", cue="raised volume fits it."),),
    synthesis="Anger dominates.",
)


def row(name: str, **changes: object) -> CurationRow:
    fields = {
        "key": f"k{name}",
        "corpus": "demo",
        "id": name,
        "writer": "acoustic",
        "outcome": "accepted",
        "categories": ("anger", "neutral"),
        "votes": (3.0, 1.0),
        "text": "It's eleven o'clock",
        "audio": f"AudioWAV/{name}.wav",
        "reasoning": REASONING,
        "rationale": REASONING.as_text(),
        "measurements": {"level_db": -21.5},
        **changes,
    }
    return CurationRow.model_validate(fields)


def review(
    folder: Path, *rows: CurationRow, audio_root: Path | None = None
) -> tuple[str, dict[str, Any], str]:
    """The page's HTML, its data, and the script that carries the data."""
    path = folder / "curated <b>.jsonl"
    path.write_text("".join(f"{one.model_dump_json()}\n" for one in rows), encoding="utf-8")
    out = folder / "out" / "page"
    write_review(path, out, audio_root=audio_root)
    script = (out / "data.js").read_text(encoding="utf-8")
    text = script.removeprefix("window.REVIEW = ").removesuffix(";\n").replace(",\n]", "\n]")
    data = json.loads(re.sub(r"(\{|, )(file|withAudio|rows):", r'\1"\2":', text, count=3))
    return (out / "index.html").read_text(encoding="utf-8"), data, script


def test_every_row_is_in_the_page_with_what_is_shown_of_it(tmp_path: Path) -> None:
    refused = row("b", writer="openai", outcome="refused", reasons=("no",), reasoning=None, votes=(2.0, 2.0))
    _, data, _ = review(tmp_path, row("a"), refused)
    assert [shown["id"] for shown in data["rows"]] == ["a", "b"]
    first, second = data["rows"]
    assert first["reasoning"]["class_cues"] == [{"category": "anger", "cue": "raised volume fits it."}]
    assert first["ambiguity"] == pytest.approx(0.811, abs=1e-3)  # H(3/4, 1/4) in bits
    assert (first["level"], second["level"]) == ("high", "high")
    assert (second["writer"], second["outcome"], second["reasons"]) == ("openai", "refused", ["no"])
    assert data["withAudio"] is False


def test_what_a_row_says_can_end_no_element_and_reaches_the_page_unchanged(tmp_path: Path) -> None:
    reasoning = REASONING.model_copy(update={"synthesis": HOSTILE, "keywords": (HOSTILE,)})
    hostile = row(HOSTILE, text=HOSTILE, reasons=(HOSTILE,), outcome="rejected", reasoning=reasoning)
    page, data, script = review(tmp_path, hostile)
    assert "<" not in script
    assert script.isascii()
    assert data["rows"][0]["text"] == HOSTILE
    assert data["rows"][0]["reasoning"]["synthesis"] == HOSTILE
    assert "alert(" not in page


def test_the_files_name_is_escaped_in_the_page(tmp_path: Path) -> None:
    page, data, _ = review(tmp_path, row("a"))
    assert "curated &lt;b&gt;.jsonl" in page
    assert "curated <b>" not in page
    assert data["file"] == "curated <b>.jsonl"


def test_the_page_sets_text_only_and_its_policy_allows_no_other_script(tmp_path: Path) -> None:
    page, _, _ = review(tmp_path, row("a"))
    script = re.search(r"<script id=\"page\">(.*?)</script>", page, re.S)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script.group(1).encode()).digest()).decode()
    policy = re.search(r"Content-Security-Policy\" content=\"([^\"]*)\"", page)
    assert policy is not None
    assert f"'sha256-{digest}'" in policy.group(1)
    assert policy.group(1).startswith("default-src 'none'")
    assert "script-src 'unsafe-inline'" not in policy.group(1)
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"):
        assert unsafe not in page
    assert not re.search(r"\son\w+\s*=\s*[\"']", page)


def test_the_page_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    page, _, _ = review(tmp_path, row("a"))
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", page)
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", page) == ["data.js"]
    assert "{{" not in page


def test_clips_are_linked_from_the_corpus_by_a_relative_quoted_address(tmp_path: Path) -> None:
    root = tmp_path / "corpus one"
    (root / "AudioWAV").mkdir(parents=True)
    (root / "AudioWAV" / "a#1.wav").write_bytes(b"RIFF")
    _, data, _ = review(tmp_path, row("a#1"), row("gone"), audio_root=root)
    assert [shown["audio"] for shown in data["rows"]] == ["./../../corpus%20one/AudioWAV/a%231.wav", None]


def test_clips_in_the_hubs_cache_are_linked_although_they_are_links_themselves(tmp_path: Path) -> None:
    store = tmp_path / "datasets--me--x"
    root = store / "snapshots" / ("0" * 40)
    root.mkdir(parents=True)
    (store / "blobs").mkdir()
    (store / "blobs" / "b").write_bytes(b"RIFF")
    (tmp_path / "secret.wav").write_bytes(b"RIFF")
    (root / "a.wav").symlink_to("../../blobs/b")
    (root / "out.wav").symlink_to(tmp_path / "secret.wav")
    rows = (row("a", audio="a.wav"), row("out", audio="out.wav"))
    _, data, _ = review(tmp_path, *rows, audio_root=root)
    assert [shown["audio"] is None for shown in data["rows"]] == [False, True]


@pytest.mark.parametrize("audio", ["../secret.wav", "/etc/hostname", "javascript:alert(1)"])
def test_a_clip_outside_the_corpus_is_not_linked(tmp_path: Path, audio: str) -> None:
    root = tmp_path / "corpus"
    root.mkdir()
    (tmp_path / "secret.wav").write_bytes(b"RIFF")
    _, data, _ = review(tmp_path, row("a", audio=audio), audio_root=root)
    assert data["rows"][0]["audio"] is None


def test_wrong_folders_and_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text(row("a").model_dump_json() + "\n{}\n")
    with pytest.raises(InputError, match=r"f\.jsonl:2: not a row"):
        write_review(path, tmp_path / "out", audio_root=None)
    assert not (tmp_path / "out").exists()
    path.write_text("")
    with pytest.raises(InputError, match="no rows"):
        write_review(path, tmp_path / "out", audio_root=None)
    with pytest.raises(InputError, match=r"--out: not a folder"):
        write_review(path, path, audio_root=None)
    with pytest.raises(InputError, match=r"--root: no such folder"):
        write_review(path, tmp_path / "out", audio_root=tmp_path / "none")
