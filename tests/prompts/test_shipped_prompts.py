"""Every shipped prompt comes in every mode and has a place for what it must show."""

import pytest

from lalm_ambig.corpora.chaosnli import CATEGORIES
from lalm_ambig.prompts import FOLDER, Mode, fill_classes, load_glosses, load_prompt, prompt_parts
from lalm_ambig.readouts.verbalised import json_template

STEMS = sorted({path.name.split(".")[0] for path in FOLDER.glob("*.txt")})
MODES: tuple[Mode, ...] = ("reason", "heard", "direct", "json_reason", "json_heard", "json")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stem", STEMS)
def test_a_prompt_has_each_placeholder_once(stem: str, mode: Mode) -> None:
    text = load_prompt(stem, mode)
    stated = mode.startswith("json")
    assert text.count("{text}") == 1
    assert text.count("{audio}") == ("speech" in stem)
    assert text.count("{json}") == stated
    assert stated or "{classes}" in text or "{glosses}" in text
    assert ("{glosses}" in text) == bool(load_glosses(stem))
    left = text
    for name in ("{text}", "{audio}", "{json}", "{classes}", "{number}", "{glosses}"):
        left = left.replace(name, "")
    assert "{" not in left and "}" not in left


@pytest.mark.parametrize("mode", ["json_reason", "json"])
def test_a_prompt_for_json_shows_the_object_and_what_classes_mean(mode: Mode) -> None:
    filled = fill_classes(load_prompt("inference", mode), CATEGORIES.prompt_names, load_glosses("inference"))
    (part,) = prompt_parts(
        filled.replace("{json}", json_template(CATEGORIES)), text="Premise: a", audio=False
    )
    assert '{"entailment": share, "neutral": share, "contradiction": share}' in part["text"]
    assert "- neutral: the premise leaves open" in part["text"]
    assert ("forbidden" in part["text"]) == (mode == "json")


@pytest.mark.parametrize("mode", ["json_reason", "json"])
@pytest.mark.parametrize("stem", [stem for stem in STEMS if "speech" in stem])
def test_a_clip_without_transcript_loses_that_line_only(stem: str, mode: Mode) -> None:
    whole = prompt_parts(load_prompt(stem, mode), text="well then", audio=True)
    without = prompt_parts(load_prompt(stem, mode), text=None, audio=True)
    assert [part["type"] for part in without] == ["audio", "text"]
    lines = whole[1]["text"].split("\n")
    assert without[1]["text"].split("\n") == [line for line in lines if '"well then"' not in line]
