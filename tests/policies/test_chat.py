"""Prompts by chat templates of many kinds: what comes out, what ends a turn, what is refused."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from chat_templates import (
    ALTERNATING,
    ALWAYS_BEGINS,
    ASKS_FOR_A_THOUGHT,
    CHANNELS,
    CHATML,
    DATED,
    DEFAULT_SYSTEM,
    LLAMA2,
    NEEDS_SYSTEM,
    NEEDS_TOOLS,
    NO_BEGINNING,
    PARTS,
    PARTS_AND_STRING,
    THINKS_AND_SHOWS_HOW_NOT_TO,
    THINKS_ON_ITS_OWN,
    contents,
    opening,
    tokenizer_with,
)

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.chat.chat import Chat
from lalm_ambig.policies.chat.template import ChatSettings
from lalm_ambig.readouts.response import TAGS

TEXT = "the voice is calm"
ASKED = [{"type": "text", "text": TEXT}]


def chat_of(template: Any, **settings: Any) -> Chat:
    return Chat(tokenizer_with(template), "folder", ChatSettings(**settings))


def ends_of(chat: Chat, eos: Any = None) -> list[str]:
    model = SimpleNamespace(can_generate=lambda: True, generation_config=SimpleNamespace(eos_token_id=eos))
    return list(chat.tokenizer.convert_ids_to_tokens(chat.turn_ends(model)))


# What comes out


@pytest.mark.parametrize(
    ("template", "prompt", "end"),
    [
        (CHATML, f"<|im_start|>user\n{TEXT}<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"),
        (LLAMA2, f"<|endoftext|>[INST] {TEXT} [/INST]", "</s>"),
        (ALTERNATING, f"[INST]user\n{TEXT}</s>[INST]assistant\n", "</s>"),
        (NO_BEGINNING, f"### Instruction:\n{TEXT}\n\n### Response:", "<|im_end|>"),
        (PARTS, f"<|im_start|>user\n{TEXT}<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"),
        (PARTS_AND_STRING, f"<|im_start|>user\n{TEXT}<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"),
        (
            CHANNELS,
            f"<|start|>user<|message|>{TEXT}<|start|>assistant<|channel|>final<|message|>",
            "<|return|>",
        ),
        (THINKS_ON_ITS_OWN, f"<|im_start|>user\n{TEXT}<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"),
        (
            DEFAULT_SYSTEM,
            f"<|im_start|>system\nYou are kind.<|im_end|>\n<|im_start|>user\n{TEXT}<|im_end|>\n<|im_start|>assistant\n",
            "<|im_end|>",
        ),
        (
            ASKS_FOR_A_THOUGHT,
            f"<|im_start|>user\n{TEXT} Start with <think>.<|im_end|>\n<|im_start|>assistant\n",
            "<|im_end|>",
        ),
    ],
)
def test_a_prompt_ends_where_the_models_answer_begins(template: str, prompt: str, end: str) -> None:
    chat = chat_of(template)
    assert chat.prompt(ASKED) == prompt
    assert chat.prompt(ASKED, at_once=True) == prompt, "no thought is open"
    assert chat.tags(TAGS) == TAGS
    assert ends_of(chat)[0] == end


@pytest.mark.parametrize("template", [CHATML, LLAMA2, ALTERNATING, DEFAULT_SYSTEM, opening("<think>\n")])
def test_token_ids_are_those_of_the_template_itself(template: str) -> None:
    chat = chat_of(template)
    theirs = chat.tokenizer.apply_chat_template(
        [{"role": "user", "content": TEXT}], add_generation_prompt=True, return_dict=False
    )
    assert chat.prompt_ids(ASKED) == theirs


def test_several_texts_become_one() -> None:
    assert chat_of(CHATML).prompt([*ASKED, *ASKED]).count(f"{TEXT}\n{TEXT}") == 1
    assert chat_of(PARTS).prompt([*ASKED, *ASKED]).count(f"{TEXT}\n{TEXT}") == 1


@pytest.mark.parametrize("template", [CHATML, PARTS])
def test_a_system_turn_comes_first_in_the_form_that_the_template_takes(template: str) -> None:
    prompt = chat_of(template, system="Be brief.").prompt(ASKED)
    assert prompt.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")


def test_a_models_ears_get_parts_and_its_answer_a_string() -> None:
    chat = Chat(tokenizer_with(PARTS_AND_STRING), "folder", hears=True)
    assert f"user\n{TEXT}<|im_end|>" in chat.prompt(ASKED)
    with pytest.raises(InputError, match="the chat template of 'folder' fails, TypeError"):
        Chat(tokenizer_with(CHATML), "folder", hears=True)


# What ends a turn


@pytest.mark.parametrize(
    ("eos", "configured", "expected"),
    [
        ("<|im_end|>", None, ["<|im_end|>"]),
        (
            "<|endoftext|>",
            ["<|endoftext|>", "<|audio_bos|>"],
            ["<|im_end|>", "<|endoftext|>", "<|audio_bos|>"],
        ),
        ("<|endoftext|>", "<|im_start|>", ["<|im_end|>", "<|im_start|>", "<|endoftext|>"]),
    ],
)
def test_the_templates_own_end_of_turn_comes_first_and_every_other_is_kept(
    eos: str, configured: str | list[str] | None, expected: list[str]
) -> None:
    tokenizer = tokenizer_with(CHATML)
    tokenizer.eos_token = eos
    ids = None if configured is None else tokenizer.convert_tokens_to_ids(configured)
    assert ends_of(Chat(tokenizer, "folder"), ids) == expected


def test_a_model_of_which_no_end_is_known_is_told_the_two_places_to_name_one() -> None:
    tokenizer = tokenizer_with(contents("m['content']").replace("<|im_end|>", ""))
    tokenizer.eos_token = None
    chat = Chat(tokenizer, "folder")
    with pytest.raises(
        InputError, match=r"nothing says what ends the turn of 'folder'.*tokenizer_config\.json, or e"
    ):
        ends_of(chat)
    assert ends_of(chat, [1])[0] == tokenizer.convert_ids_to_tokens(1)


# Thoughts that a template opens


@pytest.mark.parametrize(
    ("written", "close", "closing"),
    [
        ("<think>\n", "</think>", "\n</think>\n\n"),
        ("<think>", "</think>", "</think>"),
        ("<think>\nOkay, ", "</think>", "</think>"),
        ("<thinking>\n", "</thinking>", "\n</thinking>\n\n"),
        ("<thought>", "</thought>", "</thought>"),
        ("<reasoning>", "</reasoning>", "</reasoning>"),
        ("[THINK]", "[/THINK]", "[/THINK]"),
        ("<seed:think>", "</seed:think>", "</seed:think>"),
        ("◁think▷", "◁/think▷", "◁/think▷"),
        ("<｜think｜>", "<｜/think｜>", "<｜/think｜>"),
        ("<|think|>", "<|/think|>", "<|/think|>"),
        ("<|START_THINKING|>", "<|END_THINKING|>", "<|END_THINKING|>"),
        ("<|begin_of_thought|>\n", "<|end_of_thought|>", "\n<|end_of_thought|>\n\n"),
        ("<think_start>", "<think_end>", "<think_end>"),
    ],
)
def test_a_thought_that_the_template_opens_is_gone_on_from_or_closed(
    written: str, close: str, closing: str
) -> None:
    chat = chat_of(opening(written))
    tag = written.removesuffix("Okay, ").strip()
    assert chat.tags(TAGS) == replace(TAGS, think_open=tag, think_close=close, opened=True)
    prompt = chat.prompt(ASKED)
    assert prompt.endswith(f"assistant\n{written}")
    assert chat.prompt(ASKED, at_once=True) == prompt + closing
    assert f"opens a thought ({tag})" in chat.notes[0]


def test_a_thought_of_nothing_is_closed_as_the_template_itself_closes_one() -> None:
    chat = chat_of(THINKS_AND_SHOWS_HOW_NOT_TO.replace("</think>\n\n", "</think>\n"))
    assert chat.prompt(ASKED, at_once=True).endswith("assistant\n<think>\n\n</think>\n")


def test_the_closing_tag_is_the_one_that_the_template_knows() -> None:
    chat = chat_of(opening("<|think|>") + "{# thoughts end with <|end_think|> #}")
    assert chat.tags(TAGS).think_close == "<|end_think|>"


def test_a_template_that_begins_the_models_turn_unasked_may_open_a_thought_as_well() -> None:
    chat = chat_of(ALWAYS_BEGINS)
    assert chat.prompt(ASKED).endswith("<|im_start|>assistant\n<think>\n")
    assert chat.tags(TAGS).opened


@pytest.mark.parametrize("written", ["<think>\n\n</think>\n\n", "</think>"])
def test_reasoning_behind_a_closed_thought_gets_tags_of_its_own(written: str) -> None:
    chat = chat_of(opening(written))
    tags = chat.tags(TAGS)
    assert (tags.think_open, tags.think_close, tags.opened) == ("<reasoning>", "</reasoning>", False)
    assert chat.prompt(ASKED, at_once=True) == chat.prompt(ASKED)
    assert "closes the model's thought (</think>)" in chat.notes[0]
    own = replace(TAGS, think_open="<THINK>", think_close="</THINK>")
    assert chat.tags(own) == own, "which nothing doubles"


def test_a_template_is_told_not_to_think_by_its_argument() -> None:
    assert chat_of(THINKS_ON_ITS_OWN, arguments={"enable_thinking": True}).tags(TAGS) == TAGS
    told = chat_of(THINKS_ON_ITS_OWN, arguments={"enable_thinking": False})
    assert told.prompt(ASKED).endswith("assistant\n<think>\n\n</think>\n\n")


# What is refused


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            NEEDS_SYSTEM,
            r"TemplateError: The first message must be from the system\. Set policy\.system: it needs a",
        ),
        (NEEDS_TOOLS, r"TypeError: 'NoneType' object is not iterable\. Set policy\.template_arguments"),
        (CHATML + "{{ nobody.knows }}", r"UndefinedError: 'nobody' is undefined\. Set"),
        (CHATML + "{{ 1 // 0 }}", "ZeroDivisionError: integer division"),
        (CHATML + "{% if %}", "TemplateSyntaxError: Expected an expression"),
        (CHATML + "{{ {}['key'].x }}", "UndefinedError"),
        (CHATML + "{{ ''.__class__.__mro__ }}", "SecurityError"),
        (contents("''"), "leaves out the text that is put in"),
        (contents("m['content']*2"), "writes the text that is put in 2 times"),
        (contents("(m['content']|e)"), "changes the text that is put in"),
        (contents("(m['content']|tojson)"), "changes the text that is put in"),
        (contents("(m['content']|replace('\n', ' '))"), "changes the text that is put in"),
        (contents("(m['content'] if m['role']=='user' else '')"), "leaves out the model's answer"),
        (CHATML + "{{ ['a', 'b', 'c', 'd'] | random }}", "says another thing each time"),
        (None, "has no chat template, as base models have none"),
        ("", "has no chat template, as base models have none"),
    ],
)
def test_a_template_that_does_not_pass_its_trial_is_one_line(template: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        chat_of(template)
    assert str(raised.value).startswith("policy.path: ")
    assert "\n" not in str(raised.value)


def test_the_remedies_work() -> None:
    assert "Be brief." in chat_of(NEEDS_SYSTEM, system="Be brief.").prompt(ASKED)
    assert TEXT in chat_of(NEEDS_TOOLS, arguments={"tools": []}).prompt(ASKED)
    with pytest.raises(
        InputError, match=r"Only user and assistant roles are supported!\. Unset policy\.system"
    ):
        chat_of(LLAMA2, system="Be brief.")
    with pytest.raises(InputError, match=r"leaves out policy\.system\. Unset policy\.system"):
        chat_of(CHATML.replace(" %}{{'<|im", " if m['role']!='system' %}{{'<|im", 1), system="Be brief.")


def test_a_text_that_moves_the_template_to_something_else_is_refused() -> None:
    toggled = TURNS_WITHOUT_COMMANDS
    with pytest.raises(InputError, match="leaves out 'calm /no_think'"):
        chat_of(toggled).prompt([{"type": "text", "text": "calm /no_think"}])
    with pytest.raises(InputError, match="goes on in another way than usual behind 'calm /deep'"):
        chat_of(toggled).prompt([{"type": "text", "text": "calm /deep"}])
    assert chat_of(toggled).prompt([{"type": "text", "text": " calm \n"}]).count(" calm ") == 1


TURNS_WITHOUT_COMMANDS = (
    contents("m['content'].split('/no_think')[0]")
    + "{% if add_generation_prompt and '/deep' in messages[0]['content'] %}<think>{% endif %}"
)


def test_a_tokenizer_that_loses_a_text_is_refused() -> None:
    tokenizer = tokenizer_with(CHATML)
    tokenizer.backend_tokenizer.decoder = None
    with pytest.raises(InputError, match="the tokenizer of 'folder' does not keep a text"):
        Chat(tokenizer, "folder")


def test_a_note_says_which_date_a_template_is_told() -> None:
    assert "it is told 2026-01-01 (policy.date)" in chat_of(DATED).notes[0]
    assert chat_of(CHATML).notes == []
    assert chat_of("{% if false %}{{ strftime_now('%Y') }}{% endif %}" + CHATML).notes == []
