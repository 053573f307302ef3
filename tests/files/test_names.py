"""Names from data become one part of a path, different ones different parts; a run's name is one folder."""

import re
import unicodedata

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.names import check_folder_name, component

HOSTILE = [
    "",
    " ",
    ".",
    "..",
    "../..",
    "y/../../outside/z",
    "/etc/passwd",
    "~",
    "~root",
    "a/b",
    "a\\b",
    "C:\\x",
    "a\0b",
    "a\nb",
    "-rf",
    "$(x)",
    "%2e%2e%2f",
    "con",
    "NUL",
    "lpt1",
    "a.",
    "a ",
    "A",
    "a",
    "é",
    "e\u0301",
    "ﬁ",
    "日本語",
    "\ud800",
    "\u202eb",
    "x" * 61,
    "x" * 62,
    "x" * 5000,
    "x--097c8ec5198e",
    "a-b",
    "a_b",
    "a__b",
    "_a",
]
KNOWN = {("chaosnli", "mnli"), ("chaosnli", "snli")}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_from_data_becomes_one_short_part_of_a_path(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,80}", component(name))
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,80}", component("chaosnli", name))


def test_different_names_never_get_the_same_part_whatever_the_file_system_ignores() -> None:
    lists = [(), *((name,) for name in HOSTILE), *((one, other) for one in HOSTILE for other in HOSTILE)]
    lists += [
        ("chaosnli", "mnli"),
        ("chaosnli_mnli",),
        ("crema_d",),
        ("crema", "d"),
        ("a", "b"),
        ("a", "b", ""),
    ]
    made = [
        unicodedata.normalize("NFKC", component(*names, plain=KNOWN)).casefold()
        for names in dict.fromkeys(lists)
        if names
    ]
    assert len(set(made)) == len(made)


def test_plain_names_and_known_parts_are_kept() -> None:
    assert [component(name) for name in ("crema_d", "msp_podcast", "x1")] == ["crema_d", "msp_podcast", "x1"]
    assert component("chaosnli", "mnli", plain=KNOWN) == "chaosnli_mnli"
    assert component("con").startswith("con--")


@pytest.mark.parametrize("name", ["sft_1", "v1.2", "Ärger", "a b", "x" * 200, "r", "0", "a--b", "CON"])
def test_one_folder_is_taken_as_the_name_of_a_run(name: str) -> None:
    check_folder_name(name, where="run.name")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "../x",
        "a/b",
        "/tmp/x",
        "a\\b",
        "x/",
        "a\0b",
        "a\nb",
        "\u202ex",
        " a",
        "a ",
        "-x",
        "é" * 130,
    ],
)
def test_anything_else_is_refused_in_one_line_that_says_where_a_folder_goes(name: str) -> None:
    with pytest.raises(
        InputError, match=r"^run\.name: .*: give the name of one folder, as sft_1; run\.root says"
    ) as e:
        check_folder_name(name, where="run.name")
    assert "\n" not in str(e.value)
