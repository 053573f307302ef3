"""Training on what is heard alone: curated responses, prompts, and rationales that cannot be cut."""

import json
from pathlib import Path
from typing import Any

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.rationale_parts import RationalePart
from lalm_ambig.core.types import SPLITS
from lalm_ambig.corpora.demo.corpus import Demo
from lalm_ambig.corpora.demo.rationale import CLEAR, LEADING, OPEN
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.data.datamodule import DataModule, MethodNeeds
from lalm_ambig.data.encoding import Encoder, Readout, prompt_template
from lalm_ambig.policies.tiny import Tiny

PARTS: tuple[RationalePart, ...] = ("all", "heard")
HEARD = "Keywords: low pitch.\nText: They say little.\nAudio: Volume is low."
WHOLE = f"{HEARD} Joy: low volume.\nSynthesis: Joy leads."


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, cache_home: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def corpus(folder: Path, **rationales: str) -> JsonLines:
    """Two texts, `a` and `b`, with these rationales of their own."""
    rows: list[dict[str, object]] = [
        {"id": name, "text": "x", "votes": {"joy": 1, "anger": 1}, "rationale": rationales.get(name, WHOLE)}
        for name in ("a", "b")
    ]
    return JsonLines(write_rows(folder / "corpus.jsonl", rows))


def of_corpus(corpus: JsonLines, part: RationalePart = "heard", **settings: Any) -> dict[str, str | None]:
    data = DataModule(corpus, rationale_part=part, **settings).prepared_for(MethodNeeds())
    return {item.id: item.rationale for item in data.items("all")}


def test_by_default_all_of_a_rationale_is_learnt(tmp_path: Path) -> None:
    data = DataModule(corpus(tmp_path))
    data.setup()
    assert [item.rationale for item in data.items("all")] == [WHOLE, WHOLE]


def test_a_corpuss_own_rationales_and_those_of_a_file_are_cut(tmp_path: Path) -> None:
    given = write_rows(tmp_path / "r.jsonl", [{"id": "a", "rationale": WHOLE.replace("low", "high")}])
    assert of_corpus(corpus(tmp_path)) == {"a": HEARD, "b": HEARD}
    assert of_corpus(corpus(tmp_path), rationales=given) == {"a": HEARD.replace("low", "high"), "b": HEARD}


def test_a_row_of_curation_is_cut_by_its_own_classes(tmp_path: Path) -> None:
    row = {"id": "a", "rationale": f"{HEARD} Relief: it falls. Joy: low.\nSynthesis: Relief leads."}
    file = write_rows(tmp_path / "r.jsonl", [{**row, "categories": ["joy", "relief"]}])
    assert of_corpus(corpus(tmp_path), rationales=file)["a"] == HEARD


def test_the_demos_rationales_end_before_their_verdict(demo_root: Path) -> None:
    whole, data = (
        DataModule(Demo(demo_root), rationale_part=part).prepared_for(MethodNeeds()) for part in PARTS
    )
    verdicts = tuple(words.partition("{")[0].strip() for words in (*CLEAR, *LEADING, *OPEN))
    for split in SPLITS:
        for before, item in zip(whole.items(split), data.items(split), strict=True):
            assert before.rationale is not None and item.rationale is not None
            assert before.rationale.removeprefix(item.rationale).strip().startswith(verdicts)
            assert "voice is" in item.rationale and item.rationale.endswith(".")


def test_what_cannot_be_cut_is_refused_with_its_item_its_file_and_a_remedy_that_works(tmp_path: Path) -> None:
    vague = "It is quiet, so most hear joy."
    with pytest.raises(InputError, match=r"corpus\.jsonl: what is heard cannot be told .* of item b\. Begin"):
        of_corpus(corpus(tmp_path, b=vague))
    rows: list[dict[str, object]] = [{"id": "a", "rationale": WHOLE}, {"id": "b", "rationale": vague}]
    with pytest.raises(
        InputError, match=r"r\.jsonl:2: what is heard cannot .* of item b\. Begin .*Synthesis:"
    ):
        of_corpus(corpus(tmp_path), rationales=write_rows(tmp_path / "r.jsonl", rows))
    repaired = vague.replace(", so", ".\nSynthesis: so")
    assert of_corpus(corpus(tmp_path, b=repaired))["b"] == "It is quiet."


def test_keywords_alone_are_cut_too(tmp_path: Path) -> None:
    given = write_rows(tmp_path / "r.jsonl", [{"id": "a", "rationale": WHOLE.replace("low", "high")}])
    found = of_corpus(corpus(tmp_path), "keywords", rationales=given)
    assert found == {"a": "Keywords: high pitch.", "b": "Keywords: low pitch."}
    with pytest.raises(
        InputError, match=r"no keywords in the rationale of item b\. Begin a line with .Keywords:"
    ):
        of_corpus(corpus(tmp_path, b="It is quiet.\nSynthesis: joy."), "keywords")
    assert of_corpus(corpus(tmp_path, b="Keywords: quiet"), "keywords")["b"] == "Keywords: quiet"


def test_an_evaluation_of_a_corpus_whose_rationales_have_no_parts_is_no_mistake(tmp_path: Path) -> None:
    data = DataModule(corpus(tmp_path, b="vague"), rationale_part="heard")
    assert len(data.prepared_for(MethodNeeds(splits=("test",))).items("all")) == 2
    with pytest.raises(InputError, match="of item b"):
        data.prepared_for(MethodNeeds(rationale=False))


def test_a_row_that_a_later_one_replaces_need_not_be_cut(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": "a", "rationale": "vague"}, {"id": "a", "rationale": WHOLE}]
    file = write_rows(tmp_path / "r.jsonl", rows)
    assert of_corpus(corpus(tmp_path, a="vague"), rationales=file) == {"a": HEARD, "b": HEARD}


@pytest.mark.parametrize("readout", ["logits", "verbalised"])
def test_the_answer_comes_straight_after_what_is_heard(demo_root: Path, tiny: Tiny, readout: Readout) -> None:
    data = DataModule(Demo(demo_root), rationale_part="heard").prepared_for(MethodNeeds())
    item = data.items("train")[0]
    asked = data.elicitation(reasoning=True, readout=readout)
    batch = Encoder(tiny, data.categories, asked)([item])
    assert batch.curated is not None
    response, position = batch.curated.response.ids[0].tolist(), int(batch.curated.answer_position[0])
    assert item.rationale is not None
    start = f"<think>{item.rationale}</think><answer>" if readout == "logits" else f"{item.rationale}\n"
    assert response[:position] == tiny.text_ids(start)


@pytest.mark.parametrize(
    ("readout", "asked_for"), [("logits", "name what speaks"), ("verbalised", "readings are")]
)
def test_the_prompt_asks_for_no_more_than_is_learnt(
    demo_root: Path, readout: Readout, asked_for: str
) -> None:
    both = {}
    for part in PARTS:
        data = DataModule(Demo(demo_root), rationale_part=part)
        both[part] = prompt_template(data.elicitation(reasoning=True, readout=readout), data.categories)
        direct = data.elicitation(reasoning=False, readout=readout)
        assert direct.mode in ("direct", "json")
    assert asked_for in both["all"] and asked_for not in both["heard"]
    assert "volume, speed, pitch and tone" in both["heard"]
    data = DataModule(Demo(demo_root), rationale_part="keywords")
    asked = data.elicitation(reasoning=True, readout=readout)
    assert prompt_template(asked, data.categories) == both["heard"]
