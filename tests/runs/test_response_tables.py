"""Responses are printed below their row, in the whole width of the console."""

import io
from typing import Any

import pytest
from rich.console import Console

from lalm_ambig.runs.response_tables import brief, rollout_table, sample_table

NAMES = ("happiness", "anger", "neutral")
LONG = "The voice is [bold]flat[/bold] and low, so most people hear neutral here. " * 6


def row(response: str, **others: Any) -> dict[str, Any]:
    return {
        "id": "clip_7",
        "response": response,
        "closed": False,
        "unparsed": None,
        "label_dist": [0.5, 0.3, 0.2],
        "predicted_dist": [0.2, 0.5, 0.3],
        **others,
    }


def printed(shown: object, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(shown)
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_a_response_of_a_rollout_has_the_whole_width(width: int) -> None:
    rows = [
        row(LONG, js_div_bits=0.25, advantage=-1.5),
        row("short", closed=True, js_div_bits=0.5, advantage=2.0),
    ]
    lines = printed(rollout_table(rows, NAMES, step=26), width)
    text = " ".join(" ".join(lines).split())
    assert "rollouts at step 26, item clip_7; people: happiness 0.50, anger 0.30, neutral 0.20" in text
    assert LONG.strip() in text and "short (closed)" in text
    assert sum("flat" in line for line in lines) <= -(-len(LONG) // (width - 14)) + 1
    first, second = (next(n for n, line in enumerate(lines) if word in line) for word in ("0.250", "0.500"))
    assert (
        "-1.500" in lines[first] and "The voice is [bold]flat[/bold]" in lines[first + 1 + (width < 80) * 2]
    )
    assert second > first and max(map(len, lines)) <= width


def test_columns_of_all_rows_are_below_their_heads() -> None:
    rows = [row("a", js_div_bits=0.25), row("b", js_div_bits=0.5)]
    lines = printed(rollout_table(rows, NAMES, step=1), 100)
    places = {line.index("anger 0.50") for line in lines if "anger 0.50" in line}
    assert places == {next(line.index("policy") for line in lines if "js_div_bits" in line)}


def test_samples_that_were_answered_at_once_have_no_text() -> None:
    rows = [row("<answer>", step=3, reading="direct"), row("<answer>", step=3, reading="direct")]
    text = "\n".join(printed(sample_table(rows, NAMES), 100))
    assert "validation samples at step 3 (answered at once)" in text and "<answer>" not in text


@pytest.mark.parametrize(
    ("reading", "words"),
    [("generated", "after reasoning of its own"), ("curated", "after curated reasoning")],
)
def test_samples_with_reasoning_have_their_text_below(reading: str, words: str) -> None:
    lines = printed(sample_table([row(LONG, step=0, reading=reading, unparsed="no number")], NAMES), 80)
    assert f"({words})" in lines[0]
    assert any("unread: no number" in line for line in lines)
    assert LONG.strip() in " ".join(" ".join(lines).split())


def test_small_shares_are_left_out() -> None:
    assert brief([0.6, 0.04, 0.36], NAMES) == "happiness 0.60, neutral 0.36"
