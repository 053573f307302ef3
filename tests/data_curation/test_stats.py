"""The quality numbers of a curation file, on rows whose counts are known."""

from pathlib import Path

import pytest

from data_curation.records import ClassCue, CurationRow, Reasoning, Usage
from data_curation.stats import percentile, print_stats, summarise
from lalm_ambig.core.errors import InputError

CLASSES = ("anger", "neutral", "sadness")


def reasoning(*cues: tuple[str, str], synthesis: str = "Anger leads; sadness follows.") -> Reasoning:
    return Reasoning(
        keywords=("loud volume", "plain statement"),
        text_analysis="The words state a fact and leave the emotion open.",
        volume="Volume is clearly raised against this speaker's other clips.",
        speed="The pace is usual.",
        pitch="The pitch is high and its range wide.",
        tone="The timbre is bright.",
        class_cues=tuple(ClassCue(category=name, cue=cue) for name, cue in cues),
        synthesis=synthesis,
    )


BOTH = (("anger", "raised volume fits it."), ("sadness", "little in the voice points there."))


def row(name: str, **changes: object) -> CurationRow:
    written = changes.pop("reasoning", reasoning(*BOTH))
    assert isinstance(written, Reasoning | None)
    fields = {
        "key": f"k{name}",
        "corpus": "demo",
        "id": name,
        "writer": "acoustic",
        "outcome": "accepted",
        "categories": CLASSES,
        "votes": (3.0, 0.0, 1.0),
        "reasoning": written,
        "rationale": None if written is None else written.as_text(),
        **changes,
    }
    return CurationRow.model_validate(fields)


def write(path: Path, *rows: CurationRow) -> Path:
    path.write_text("".join(f"{one.model_dump_json()}\n" for one in rows), encoding="utf-8")
    return path


def test_coverage_counts_items_with_a_minority_whose_classes_all_have_a_cue(tmp_path: Path) -> None:
    half = reasoning(BOTH[0])
    rows = (row("a"), row("b", reasoning=half), row("c", votes=(2.0, 0.0, 0.0), reasoning=half))
    summary = summarise(write(tmp_path / "f.jsonl", *rows))["acoustic"]
    assert (summary.with_minority, summary.covered) == (2, 1)
    assert (summary.minority_cues, summary.empty_minority_cues) == (1, 1)
    assert summary.violating == 1
    assert dict(summary.violations) == {"class_cues": 1}


def test_rows_of_the_acoustic_writer_are_counted_by_version_and_older_ones_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "f.jsonl", row("a"), row("b", writer_version="4"), row("c", writer="openai"))
    older = path.read_text().replace('"writer_version":null,', "")
    assert older.count("writer_version") == 1
    path.write_text(older)
    print_stats(path)
    assert "4: 1, before 4: 1" in capsys.readouterr().out
    assert not summarise(path)["openai"].versions


def test_lengths_and_variety_are_those_of_the_text(tmp_path: Path) -> None:
    summary = summarise(write(tmp_path / "f.jsonl", row("a"), row("b")))["acoustic"]
    words = len(reasoning(*BOTH).as_text().split())
    assert summary.words == [words, words]
    assert len(summary.texts) == 1
    assert summary.sentence_count == 2 * len(summary.sentences) == 2 * 9
    assert {"volume", "speaker's", "anger"} <= summary.vocabulary


def test_writers_are_counted_apart_and_only_validated_rows_have_a_divergence(tmp_path: Path) -> None:
    paid = Usage(prompt_tokens=10, completion_tokens=5, cost_usd=0.5)
    rows = (
        row("a"),
        row("b", writer="openai", js_bits=0.1, usage=paid, paid_usd=0.5, attempts=3),
        row("c", writer="openai", outcome="refused", reasoning=None, reasons=("refusal: I cannot",)),
    )
    summaries = summarise(write(tmp_path / "f.jsonl", *rows))
    assert list(summaries) == ["acoustic", "openai"]
    assert summaries["acoustic"].js_bits == [] and summaries["openai"].js_bits == [0.1]
    assert summaries["openai"].outcomes == {"accepted": 1, "refused": 1}
    assert summaries["openai"].reasons == {"refusal": 1}
    assert (summaries["openai"].attempts, summaries["openai"].paid_usd) == (4, 0.5)


def test_the_table_says_that_no_model_validated_acoustic_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = row("c", writer="openai", outcome="refused", reasoning=None, reasons=("refusal: [b]no[/b]",))
    assert print_stats(write(tmp_path / "f.jsonl", row("a"), refused)) == 0
    shown = capsys.readouterr().out
    assert "no model validated them" in shown
    assert "1 of 1 (100.0 %)" in shown
    assert "refusal" in shown


def test_a_file_with_openai_rows_only_says_nothing_of_acoustic_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_stats(write(tmp_path / "f.jsonl", row("a", writer="openai", js_bits=0.05)))
    shown = capsys.readouterr().out
    assert "no model" not in shown
    assert "0.050 (0.050 to 0.050)" in shown


def test_a_later_row_of_the_same_job_replaces_the_earlier(tmp_path: Path) -> None:
    path = write(tmp_path / "f.jsonl", row("a", outcome="rejected", reasons=("numbers: states 3",)), row("a"))
    assert summarise(path)["acoustic"].outcomes == {"accepted": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [("{not json", r"f\.jsonl:2: not JSON"), ('{"id": "x"}', r"f\.jsonl:2: not a row")],
)
def test_a_malformed_row_is_named_by_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "f.jsonl", row("a"))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=message):
        summarise(path)


def test_a_missing_or_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        summarise(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match=r"f\.jsonl: no rows"):
        summarise(write(tmp_path / "f.jsonl"))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 2.5), (0.95, 3.85), (1.0, 4.0)])
def test_percentiles_are_interpolated(share: float, expected: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], share) == pytest.approx(expected)
    assert percentile([7.0], share) == 7.0
