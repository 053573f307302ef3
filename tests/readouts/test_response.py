"""The form of a response, and what an incomplete one lacks."""

import pytest

from lalm_ambig.readouts.response import TAGS, Tags


def test_a_curated_response_begins_with_its_reasoning() -> None:
    assert TAGS.curated_start("so it is") == "<think>so it is</think><answer>"
    assert TAGS.curated_start(None) == "<answer>"


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("", "<answer>"),
        (" \n", "<answer>"),
        ("<think>a</think><answer>", ""),
        ("<think>a</think><answer> fear</answer>", ""),
        ("<think>a</think>", "<answer>"),
        ("<think>a</think> and", "<answer>"),
        ("<think>a</think><", "answer>"),
        ("<think>a</think><ans", "wer>"),
        ("<think>a</think><answer", ">"),
        ("<think>a", "</think><answer>"),
        ("<think>a<", "/think><answer>"),
        ("<think>a</thi", "nk><answer>"),
        ("<think>a</think", "><answer>"),
        ("<think>", "</think><answer>"),
        ("no tags at all", "</think><answer>"),
        ("<answer", ">"),
        ("<think>a<answer", ">"),
        ("2 < 3", "</think><answer>"),
        ("<think>a<answered", "</think><answer>"),
    ],
)
def test_what_a_response_lacks(text: str, end: str) -> None:
    assert TAGS.completion_to_answer(text) == end
    assert TAGS.completion_to_answer(text + end) == ""
    assert (text + end).count("<answer>") == 1


@pytest.mark.parametrize(
    ("text", "formed"),
    [
        ("<think>low voice</think><answer> sadness</answer>", True),
        ("<think>two\nlines</think>\n<answer>fear</answer>\n", True),
        ("<think>low</think><answer>any name</answer>", True),
        ("<think>low</think><answer></answer>", False),
        ("<think> </think><answer> fear</answer>", False),
        ("<think>low</think><answer> fear", False),
        ("<answer> fear</answer>", False),
        ("so: <think>low</think><answer> fear</answer>", False),
        ("<think>low</think><answer> fear</answer> done", False),
        ("<think>low<think>again</think><answer> fear</answer>", False),
        ("<think>low</think><answer> fear</answer><answer> joy</answer>", False),
        ("<think>low</think>hm<answer> fear</answer>", False),
    ],
)
def test_the_form_of_a_response(text: str, formed: bool) -> None:
    assert TAGS.is_well_formed(text) == formed


def test_a_base_model_may_have_tags_of_its_own() -> None:
    own = Tags("<THINK>", "</THINK>", "<RESPONSE>", "</RESPONSE>")
    assert own.curated_start("low") == "<THINK>low</THINK><RESPONSE>"
    assert own.completion_to_answer("<THINK>low</TH") == "INK><RESPONSE>"
    assert own.is_well_formed("<THINK>low</THINK> <RESPONSE> fear</RESPONSE>")
    assert not own.is_well_formed("<think>low</think><answer> fear</answer>")


OPENED = Tags(opened=True)


def test_a_thought_that_is_open_is_gone_on_from() -> None:
    assert OPENED.curated_start("so it is") == "so it is</think><answer>"
    assert OPENED.curated_start(None) == "<answer>"
    assert (OPENED.curated_thought("so \n"), TAGS.curated_thought("so \n")) == ("so</think>\n", "so\n")
    assert OPENED.at_once() == TAGS


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("", "</think><answer>"),
        (" \n", "</think><answer>"),
        ("a", "</think><answer>"),
        ("a</think>", "<answer>"),
        ("a</think> and", "<answer>"),
        ("a</thi", "nk><answer>"),
        ("a<", "/think><answer>"),
        ("a<ans", "</think><answer>"),
        ("a<answer> fear</answer>", "</think><answer>"),
        ("a<answer> fear</answer></think>", "<answer>"),
        ("a</think><ans", "wer>"),
        ("a</think><answer> fear", ""),
    ],
)
def test_what_a_response_lacks_in_an_open_thought(text: str, end: str) -> None:
    assert OPENED.completion_to_answer(text) == end
    assert OPENED.completion_to_answer(text + end) == ""


@pytest.mark.parametrize(
    ("text", "formed"),
    [
        ("low voice</think><answer> sadness</answer>", True),
        ("\nlow\nvoice\n</think>\n\n<answer>fear</answer>\n", True),
        ("<think>low voice</think><answer> sadness</answer>", False),
        ("low<think>voice</think><answer> sadness</answer>", False),
        ("</think><answer> sadness</answer>", False),
        ("low voice<answer> sadness</answer>", False),
        ("low</think>voice</think><answer> sadness</answer>", False),
        ("low</think><answer> sadness</answer> done", False),
    ],
)
def test_the_form_of_a_response_in_an_open_thought(text: str, formed: bool) -> None:
    assert OPENED.is_well_formed(text) == formed


@pytest.mark.parametrize(
    ("text", "opened", "plain"),
    [
        ("a</think>b", ("a", "b"), ("", "a</think>b")),
        ("a</think>b</think>c", ("a", "b</think>c"), ("", "a</think>b</think>c")),
        ("a", ("a", ""), ("", "a")),
        (" <think>a</think>b", (" <think>a", "b"), ("a", "b")),
        ("<think>a", ("<think>a", ""), ("a", "")),
        ("b <think>a", ("b <think>a", ""), ("", "b <think>a")),
    ],
)
def test_a_response_is_parted_where_its_thought_ends(
    text: str, opened: tuple[str, str], plain: tuple[str, str]
) -> None:
    assert OPENED.split_thought(text) == opened
    assert TAGS.split_thought(text) == plain
    assert (OPENED.outside_thought(text), TAGS.outside_thought(text)) == (opened[1], text)
