"""Pairs of item and annotator: ids, votes and splits; what their prompts say; and that no rating leaks into its own."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import SPLITS, Item
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.data import annotators
from lalm_ambig.data.annotators import EXAMPLES
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.data.nearest import Asked
from lalm_ambig.endpoint.questions import Questions
from lalm_ambig.policies.tiny import Tiny

HEAD = {"categories": ["no", "yes"], "profiles": {"ann": "Age: 26"}}
WORDS = ("harbour", "piano", "lemon", "glacier")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, cache_home: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


def rows() -> list[dict[str, Any]]:
    """Three splits of eight texts each; text n of a split has the words of text n of every other."""
    return [
        {
            "id": f"{split}{n}",
            "text": f"{WORDS[n % 4]} {WORDS[n % 3]} in the {split} text {split}{n}",
            "split": split,
            "annotators": {
                "ann": "yes" if n % 2 else "no",
                "bob": "yes",
                **({"eve": "no"} if n == 5 else {}),
            },
        }
        for split in SPLITS
        for n in range(8)
    ]


def data(folder: Path, lines: Sequence[dict[str, Any]] | None = None, **settings: Any) -> DataModule:
    path = folder / "items.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in (HEAD, *(lines or rows()))))
    made = DataModule(JsonLines(path), **{"annotators": "each", **settings})
    made.setup()
    return made


def named(items: Sequence[Item]) -> dict[str, Item]:
    return {item.id: item for item in items}


def leaks(items: Sequence[Item]) -> list[str]:
    """Pairs whose prompt holds a text of an item that is not for training, or the item's own."""
    texts = {item.text: item for item in items}
    return [
        pair.id
        for pair in items
        for text, item in texts.items()
        if f"- {text} =>" in (pair.about_annotator or "")
        and (item.split != "train" or item.judged == pair.judged)
    ]


# pairs


def test_each_annotator_of_an_item_is_an_item_with_one_vote(tmp_path: Path) -> None:
    made = data(tmp_path)
    test = made.items("test")
    assert len(test) == 8 * 2 + 1
    pair = named(test)["test3@ann"]
    assert (pair.votes, pair.annotators, pair.annotations) == ((0.0, 1.0), ("ann",), (1,))
    assert (pair.annotator, pair.judged, pair.split) == ("ann", "test3", "test")
    assert [item.id for item in list(test)[:3]] == ["test0@ann", "test0@bob", "test1@ann"]


def test_pairs_of_one_item_are_in_one_split(tmp_path: Path) -> None:
    lines = [{key: value for key, value in row.items() if key != "split"} for row in rows()]
    made = data(tmp_path, lines)
    splits: dict[str, set[str]] = {}
    for item in made.of_every_split():
        splits.setdefault(item.judged, set()).add(item.split)
    assert len(splits) == 24
    assert all(len(found) == 1 for found in splits.values())


def test_an_annotator_with_two_labels_is_one_pair_with_both(tmp_path: Path) -> None:
    lines = rows()
    lines[0]["annotators"]["ann"] = ["no", "yes"]
    pair = named(data(tmp_path, lines).items("train"))["train0@ann"]
    assert (pair.votes, pair.label_dist) == ((1.0, 1.0), (0.5, 0.5))


def test_a_rationale_of_all_annotators_is_not_that_of_one(tmp_path: Path) -> None:
    lines = rows()
    lines[0]["rationale"] = "Most say no."
    assert all(item.rationale is None for item in data(tmp_path, lines).items("train"))


def test_items_without_annotators_and_equal_ids_are_refused(tmp_path: Path) -> None:
    lines = [
        {**row, "votes": {"no": 1}, "annotators": None} if n == 2 else row for n, row in enumerate(rows())
    ]
    with pytest.raises(InputError, match=r"1 of its 24 items name no annotators, the first 'train2'"):
        data(tmp_path, lines)
    lines = rows()
    lines[0]["id"], lines[0]["annotators"] = "x", {"b@c": "no"}
    lines[1]["id"], lines[1]["annotators"] = "x@b", {"c": "no"}
    with pytest.raises(InputError, match=r"item 'x@b' with annotator 'c' and item 'x' with annotator 'b@c'"):
        data(tmp_path, lines)


def test_a_limit_takes_items_with_all_of_their_annotators(tmp_path: Path) -> None:
    limited = list(data(tmp_path, limit=3).items("test"))
    judged = {item.judged for item in limited}
    assert len(judged) == 3
    assert {item.id for item in limited} == {
        item.id for item in data(tmp_path).items("test") if item.judged in judged
    }


# what the prompt says


def test_the_prompt_says_who_is_asked_and_what_this_person_chose(tmp_path: Path) -> None:
    pair = named(data(tmp_path, annotator_examples=2).items("test"))["test1@ann"]
    about = (pair.about_annotator or "").splitlines()
    assert about[:3] == [
        "Answer for one annotator alone, ann: give this person's own choice, not that of the others.",
        "Known of ann: Age: 26",
        "What ann chose for other items, the most similar one last:",
    ]
    assert about[-1] == "- piano piano in the train text train1 => yes"
    assert len(about) == 5
    without_profile = named(data(tmp_path).items("test"))["test5@eve"].about_annotator or ""
    assert without_profile.endswith("- piano lemon in the train text train5 => no")
    assert "Known of" not in without_profile


def test_four_earlier_ratings_are_the_default_and_none_is_a_choice(tmp_path: Path) -> None:
    def count(made: DataModule) -> int:
        return (named(made.items("test"))["test1@ann"].about_annotator or "").count("=>")

    assert count(data(tmp_path)) == EXAMPLES == 4
    assert count(data(tmp_path, annotator_examples=0)) == 0


def test_options_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    cases = [
        ({"annotators": "together", "annotator_examples": 2}, r"Add --data.annotators each"),
        ({"annotator_examples": -1}, r"data.annotator_examples: must be at least 0, got -1"),
    ]
    for settings, message in cases:
        with pytest.raises(InputError, match=message):
            data(tmp_path, **settings)


def test_the_section_is_in_the_prompt_before_the_text_and_together_there_is_none(
    tmp_path: Path, tiny: Tiny
) -> None:
    def prompt(made: DataModule) -> str:
        encoder = Encoder(tiny, made.categories, made.elicitation(reasoning=False, readout="logits"))
        return tiny.tokenizer.decode(encoder.prompt_ids(next(iter(made.items("test")))))

    alone, together = prompt(data(tmp_path)), prompt(data(tmp_path, annotators="together"))
    assert "annotator alone" not in together
    section, text = alone.index("Answer for one annotator alone, ann"), alone.index("test text test0")
    assert section < text
    assert alone[: section - 1] in together  # prompts begin with the same words


def test_places_in_a_text_of_others_are_text(tmp_path: Path, tiny: Tiny) -> None:
    lines = rows()
    lines[1]["text"] = "piano {text} and {annotator} {audio}"
    lines[9]["text"] = lines[17]["text"] = "piano {annotator}"
    made = data(tmp_path, lines, annotator_examples=1)
    encoder = Encoder(tiny, made.categories, made.elicitation(reasoning=False, readout="logits"))
    prompt = tiny.tokenizer.decode(encoder.prompt_ids(named(made.items("test"))["test1@ann"]))
    assert "- piano {text} and {annotator} {audio} => yes" in prompt
    assert prompt.count("Answer for one annotator alone") == 1


def test_an_endpoint_is_asked_in_the_same_words(tmp_path: Path) -> None:
    made = data(tmp_path, annotator_examples=1)
    questions = Questions(made.elicitation(reasoning=False, readout="verbalised"), made.categories)
    pair = named(made.items("test"))["test1@ann"]
    [message] = questions.messages(pair)
    assert f"{pair.about_annotator}\n" in message["content"]
    assert "annotator alone" not in questions.messages(replace(pair, about_annotator=None))[0]["content"]


# leaks


def test_no_prompt_holds_its_own_item_or_one_that_is_not_for_training(tmp_path: Path) -> None:
    made = data(tmp_path, annotator_examples=99)
    pairs = list(made.prepared.items())
    assert leaks(pairs) == []
    of_training = named(made.items("train"))["train3@ann"].about_annotator or ""
    assert of_training.count("=>") == 7  # all of ann's other training items
    assert (named(made.items("test"))["test3@ann"].about_annotator or "").count("=>") == 8


def test_the_leak_test_fails_for_a_choice_that_lets_the_own_item_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(asked: Sequence[Asked], train: Sequence[Asked], **_: Any) -> list[list[int]]:
        return [[at for at, other in enumerate(train) if other.annotator == one.annotator] for one in asked]

    monkeypatch.setattr(annotators, "nearest", careless)
    assert "train3@ann" in leaks(list(data(tmp_path).prepared.items()))


def test_a_test_item_with_the_words_of_a_training_item_is_not_shown_its_rating(tmp_path: Path) -> None:
    lines = rows()
    copied = next(row for row in lines if row["id"] == "test0")
    copied["text"] = "HARBOUR, harbour: in the train text train0!"
    pair = named(data(tmp_path, lines, annotator_examples=99).items("test"))["test0@ann"]
    assert "train0" not in (pair.about_annotator or "")


def test_fewer_votes_of_pairs_are_refused_since_each_has_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.train_votes: a pair has the vote of one annotator"):
        data(tmp_path, train_votes=1)
