"""The distribution of a verbalised answer, and each reason for which there is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.readouts.verbalised import (
    Unparsed,
    format_distribution,
    is_bare,
    is_reasoned,
    json_template,
    parse,
)

NLI = CategorySet(("entailment", "neutral", "contradiction"))
GOOD = '{"entailment": 0.5, "neutral": 0.3, "contradiction": 0.2}'
READ = [
    ("plain", GOOD, (0.5, 0.3, 0.2)),
    ("code fence", f"```json\n{GOOD}\n```", (0.5, 0.3, 0.2)),
    ("prose around", f"I think {GOOD} is fair.", (0.5, 0.3, 0.2)),
    ("the last of several", f'{{"neutral": 1}} or rather {GOOD}', (0.5, 0.3, 0.2)),
    ("percentages", '{"entailment": 50, "neutral": 30, "contradiction": 20}', (0.5, 0.3, 0.2)),
    ("other case and order", '{"CONTRADICTION": 0.2, "Neutral": 0.3, " entailment ": 0.5}', (0.5, 0.3, 0.2)),
    ("a missing class", '{"neutral": 0.5, "entailment": 0.5}', (0.5, 0.5, 0.0)),
    ("whole numbers", '{"neutral": 1}', (0.0, 1.0, 0.0)),
    ("line breaks", '{\n "neutral": 1,\n "entailment": 3\n}', (0.75, 0.25, 0.0)),
    ("stray braces before", "{{ a { " + GOOD, (0.5, 0.3, 0.2)),
    ("stray brace behind", GOOD + " {", (0.5, 0.3, 0.2)),
    ("cut after a whole one", GOOD + ' {"entailment": 0.5, "neu', (0.5, 0.3, 0.2)),
    ("trailing comma behind a whole one", GOOD + ' {"neutral": 1,}', (0.5, 0.3, 0.2)),
    ("enormous numbers", '{"neutral": 1e308, "entailment": 1e308}', (0.5, 0.5, 0.0)),
    ("tiny numbers", '{"neutral": 5e-324, "entailment": 0}', (0.0, 1.0, 0.0)),
    ("all of it to one class, in percent", '{"neutral": 100}', (0.0, 1.0, 0.0)),
    ("a draft of fewer classes", f'{{"neutral": 0.4}}, that is {GOOD}', (0.5, 0.3, 0.2)),
    (
        "a draft of the same classes",
        '{"neutral": 0.9, "entailment": 0.1} no: {"entailment": 1, "neutral": 1}',
        (0.5, 0.5, 0),
    ),
    (
        "an object about something else before",
        '{"steps": "two"} {"neutral": 0.5, "entailment": 0.5}',
        (0.5, 0.5, 0.0),
    ),
    (
        "a class quoted in prose",
        '"contradiction": nobody. {"neutral": 0.5, "entailment": 0.5}',
        (0.5, 0.5, 0.0),
    ),
    ("minus zero", '{"neutral": 1, "entailment": -0.0}', (0.0, 1.0, 0.0)),
]
UNREADABLE = [
    ("nothing", "", "no object"),
    ("prose", "mostly neutral", "no object"),
    ("trailing comma", '{"neutral": 1,}', "no object"),
    ("single quotes", "{'neutral': 1}", "no object"),
    ("cut", '{"entailment": 0.5, "neu', "no object"),
    ("no quotes", "{neutral: 1}", "no object"),
    ("a list", "[0.5, 0.3, 0.2]", "no object"),
    ("a comment", '{"neutral": 1 // sure\n}', "no object"),
    ("an object inside another", f'{{"answer": {GOOD}}}', "unknown class"),
    ("a value that is an object", '{"neutral": {"neutral": 1}}', "no number"),
    ("NaN", '{"neutral": NaN}', "no number"),
    ("infinity", '{"neutral": Infinity}', "no number"),
    ("beyond all floats", '{"neutral": 1e999}', "no number"),
    ("an integer beyond all floats", '{"neutral": 1' + "0" * 400 + "}", "no number"),
    ("text", '{"neutral": "0.5"}', "no number"),
    ("percent signs", '{"neutral": "50%"}', "no number"),
    ("true", '{"neutral": true}', "no number"),
    ("null", '{"neutral": null}', "no number"),
    ("negative", '{"neutral": 1.5, "entailment": -0.5}', "negative"),
    ("unknown class", '{"neutral": 0.5, "irony": 0.5}', "unknown class"),
    ("unknown class with 0", '{"neutral": 1, "irony": 0}', "unknown class"),
    ("all zero", '{"neutral": 0, "entailment": 0.0}', "all zero"),
    ("empty", "{}", "all zero"),
    ("a class twice", '{"neutral": 0.5, "Neutral": 0.5}', "class twice"),
    ("a key twice", '{"neutral": 0.5, "neutral": 0.5}', "class twice"),
    ("the last one counts, though the first is good", GOOD + " {}", "all zero"),
    ("one class with a part", '{"neutral": 0.4}', "one class only"),
    ("one class with less than a hundred", '{"neutral": 99}', "one class only"),
    ("an array of objects", '[{"entailment": 0.6}, {"neutral": 0.4}]', "several objects"),
    ("an object a line", '{"entailment": 0.6}\n{"neutral": 0.3}\n{"contradiction": 0.1}', "several objects"),
    (
        "an object a code fence",
        '```\n{"entailment": 0.6, "neutral": 0.3}\n```\n```\n{"contradiction": 1}\n```',
        "several objects",
    ),
    (
        "a part inside another object",
        '{"part": {"entailment": 0.6}} {"neutral": 0.3, "contradiction": 0.1}',
        "several objects",
    ),
    (
        "a part that never closes",
        '{"entailment": 0.6,\n{"neutral": 0.3, "contradiction": 0.1}',
        "several objects",
    ),
    (
        "a broken part behind",
        '{"entailment": 0.5, "neutral": 0.3} {"contradiction": 0.2,}',
        "several objects",
    ),
    (
        "a final one without a class of the draft",
        GOOD + ' or {"neutral": 0.5, "entailment": 0.5}',
        "several objects",
    ),
    (
        "a part with the name escaped",
        '{"entail\\u006dent": 0.6} {"neutral": 0.3, "contradiction": 0.1}',
        "several objects",
    ),
    ("nested too deep", '{"neutral":' * 3_000, "no object"),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_what_is_read(text: str, expected: tuple[float, ...]) -> None:
    found = parse(text, NLI)
    assert not isinstance(found, Unparsed)
    assert found == pytest.approx(expected, abs=1e-12)
    assert sum(found) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "reason"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE]
)
def test_what_is_never_guessed(text: str, reason: str) -> None:
    assert parse(text, NLI) == Unparsed(reason)  # type: ignore[arg-type]


def test_classes_are_found_by_name_by_key_and_by_the_prompts_word() -> None:
    target = CategorySet(("happiness", "sadness")).with_words_of(CategorySet(("joy", "sadness")))
    assert target.prompt_names == ("joy", "sadness")
    for word in ("joy", "happiness", "Happy"):
        assert parse(json.dumps({word: 1}), target) == (1.0, 0.0)
    assert parse('{"joy": 0.5, "happiness": 0.5}', target) == Unparsed("class twice")
    own = CategorySet(("a", "b"), (" a", " b"), ("first", "second"))
    assert parse('{"First": 1, "b": 3}', own) == (0.25, 0.75)
    swapped = CategorySet(("a", "b"), prompt_names=("b", "a"))  # what the prompt says comes first
    assert parse('{"a": 1}', swapped) == (0.0, 1.0)


def test_classes_are_found_in_any_unicode_form() -> None:
    french = CategorySet(("col\u00e8re", "neutre"))
    assert parse('{"COLE\u0300RE": 0.25, "neutre": 0.75}', french) == (0.25, 0.75)
    assert parse('{"cole\u0300re": 0.5, "col\u00e8re": 0.5}', french) == Unparsed("class twice")


def test_the_json_of_p_has_two_decimals_that_sum_to_1() -> None:
    assert (
        format_distribution((0.65, 0.3, 0.05), NLI)
        == '{"entailment": 0.65, "neutral": 0.30, "contradiction": 0.05}'
    )
    thirds = format_distribution((1 / 3, 1 / 3, 1 / 3), NLI)
    assert thirds == '{"entailment": 0.34, "neutral": 0.33, "contradiction": 0.33}'
    assert (
        format_distribution((0.005, 0.995, 0.0), NLI)
        == '{"entailment": 0.01, "neutral": 0.99, "contradiction": 0.00}'
    )
    assert json_template(NLI) == '{"entailment": share, "neutral": share, "contradiction": share}'


@given(st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any))
def test_what_is_written_is_read_again(votes: list[int]) -> None:
    dist = [vote / sum(votes) for vote in votes]
    text = format_distribution(dist, NLI)
    found = parse(text, NLI)
    assert not isinstance(found, Unparsed)
    assert found == pytest.approx(dist, abs=0.01)
    assert is_bare(text)


@given(st.text(alphabet='{}[]":,.0123456789eE+-neutral \\\n'))
def test_any_text_is_a_distribution_or_a_reason(text: str) -> None:
    found = parse(text, NLI)
    if not isinstance(found, Unparsed):
        assert min(found) >= 0
        assert sum(found) == pytest.approx(1)


def test_the_form_of_a_bare_answer_and_of_a_reasoned_one() -> None:
    assert is_bare(f" {GOOD}\n")
    assert not any(map(is_bare, (f"```{GOOD}```", f"{GOOD} {GOOD}", f"so {GOOD}", "", "no")))
    assert is_reasoned(f"Both can be meant.\n{GOOD}")
    assert not any(map(is_reasoned, (GOOD, f"so {GOOD}.", f"so {GOOD} or {GOOD}", "so")))
