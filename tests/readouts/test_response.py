"""The form of a response, and what one lacks of it."""

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
    assert TAGS.missing_end(text) == end
    assert TAGS.missing_end(text + end) == ""
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
    assert own.missing_end("<THINK>low</TH") == "INK><RESPONSE>"
    assert own.is_well_formed("<THINK>low</THINK> <RESPONSE> fear</RESPONSE>")
    assert not own.is_well_formed("<think>low</think><answer> fear</answer>")
