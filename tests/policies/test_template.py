"""What a chat template is given beside the turns: arguments, a fixed date, one of several templates."""

from datetime import date, datetime
from typing import Any

import pytest
from chat_templates import CHATML, DATED, THINKS_ON_ITS_OWN, tokenizer_with

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.chat.template import ChatSettings, Template, with_fixed_date

DAY = date(2026, 11, 5)
ASKED = [{"role": "user", "content": "calm"}]
FORMATS = (
    *("%d %b %Y", "%B %-d, %Y", "%Y-%m-%d", "%A", "%H:%M:%S", "%e.%_m.%y", "%F %T", "%j %U", "100%% of %d"),
    *("%%d", "no directive", "%I %p", "%c", "week %V", "%f", "%"),
)


def rendered(template: str, **settings: Any) -> str:
    return Template(tokenizer_with(template), "folder", ChatSettings(**settings))(ASKED, begin=True)


@pytest.mark.parametrize("form", FORMATS)
def test_a_template_that_asks_for_today_is_told_the_fixed_date(form: str) -> None:
    expected = datetime(DAY.year, DAY.month, DAY.day).strftime(form)
    assert rendered(f"{{{{ strftime_now({form!r}) }}}}", date=str(DAY)) == expected
    pieces = "~".join(map(repr, form))
    assert rendered(f"{{{{ strftime_now({pieces}) }}}}", date=str(DAY)) == expected


@pytest.mark.parametrize(
    "template",
    [
        "\n  {% if true %}x{% endif %}\n y",
        "  {% if true %}x{% endif %}",
        "\n\n{{- 'a' }}",
        "{% macro f() %}{{ messages[0].content }}{% endmacro %}{{ f() }}",
        "{%- set day = 1 %}\n{{ day }}\n",
        "{# a comment #}\nx",
    ],
)
def test_the_date_changes_nothing_else_of_a_template(template: str) -> None:
    assert rendered(template + "{# strftime_now #}") == rendered(template + "{# no date #}")


def test_a_date_is_found_wherever_a_template_asks_for_it() -> None:
    inside = "{% macro f() %}{{ strftime_now('%Y') }}{% endmacro %}"
    asked = "{% if strftime_now is defined %}{% set y = strftime_now('%Y') %}{% else %}{% set y = 'none' %}{% endif %}"
    assert rendered(f"{inside}{asked}{{{{ f() }}}} {{{{ y }}}}", date="1999-02-03") == "1999 1999"
    assert "Today is 01 Jan 2026" in rendered(DATED)


@pytest.mark.parametrize("day", ["2026-13-01", "today", "", "1.1.2026", "2026-02-30"])
def test_what_is_no_date_is_one_line(day: str) -> None:
    with pytest.raises(InputError, match=f"policy.date: '{day}' is no date .*: write it as 2026-01-01"):
        ChatSettings(date=day)


def test_arguments_reach_the_template() -> None:
    assert rendered(THINKS_ON_ITS_OWN, arguments={"enable_thinking": False}).endswith("</think>\n\n")
    assert rendered(CHATML + "{{ eos_token }}", arguments={"eos_token": "X"}).endswith("X")
    assert rendered(CHATML + "{{ tools | length }}", arguments={"tools": []}).endswith("0")


def test_an_argument_that_a_template_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match="the chat template of 'folder' does not use 'thinking': correct"):
        rendered(THINKS_ON_ITS_OWN, arguments={"thinking": False})


@pytest.mark.parametrize("name", ["messages", "add_generation_prompt", "tokenize", "strftime_now"])
def test_an_argument_that_is_the_projects_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"policy.template_arguments: '{name}' is set by the project"):
        ChatSettings({name: True})


def test_one_of_several_templates_is_chosen_by_name() -> None:
    several = {"tool_use": "tools", "rag": CHATML}
    with pytest.raises(
        InputError, match=r"has 2 chat templates and none called 'default': set .*chat_template: rag"
    ):
        rendered(several)  # type: ignore[arg-type]
    chosen = rendered(several, arguments={"chat_template": "rag"})  # type: ignore[arg-type]
    assert chosen == rendered(CHATML)
    assert rendered({**several, "default": "x"}) == "x"  # type: ignore[arg-type]


def test_a_tokenizer_that_keeps_its_template_to_itself_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise NotImplementedError("by design")

    tokenizer = tokenizer_with(CHATML)
    monkeypatch.setattr(tokenizer, "get_chat_template", refuse)
    with pytest.raises(InputError, match="has no chat template to read: uninstall mistral-common"):
        Template(tokenizer, "folder", ChatSettings())


def test_the_clock_is_not_read() -> None:
    assert "strftime_now" not in with_fixed_date("", DAY).replace("macro strftime_now(format)", "")
    assert rendered("{{ strftime_now('%Y-%m-%d %H:%M:%S') }}") == "2026-01-01 00:00:00"
