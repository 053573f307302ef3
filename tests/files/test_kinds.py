"""Nothing is written over a file of another kind; the program's own of the same kind are replaced."""

import os
from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.kinds import (
    OutputKind,
    check_replaceable,
    json_with,
    mark_of,
    marked,
    rows_with,
    table_with,
)

KINDS = {
    "json": (json_with("ours", "a", "b"), '{"b": 1, "c": [], "a": 2}'),
    "rows": (rows_with("ours", "a", "b"), '{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n'),
    "marked": (marked("ours", mark_of("report")), "x" * 9000 + "\n<!-- written by lalm_ambig report -->\n"),
    "table": (table_with("ours", "notes"), "row,js,notes\na,1,\n"),
}
FOREIGN = [
    "my notes\n",
    "{}",
    '{"a": 1}',
    "[1]",
    "null",
    "\x00\xff",
    "a,b\n1,2\n",
    "notes\n",
    "lalm_ambig",
    "[" * 100_000,
]


@pytest.mark.parametrize("name", KINDS)
def test_the_same_kind_an_empty_file_and_nothing_may_be_replaced(name: str, tmp_path: Path) -> None:
    kind, content = KINDS[name]
    file = tmp_path / "x"
    check_replaceable(file, kind, where="--out")
    for text in ("", content):
        file.write_text(text)
        check_replaceable(file, kind, where="--out")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("content", [*FOREIGN, *(content for _, content in KINDS.values())])
def test_anything_else_is_refused_in_one_line_with_what_to_do(
    name: str, content: str, tmp_path: Path
) -> None:
    kind, own = KINDS[name]
    if content == own or (name == "rows" and content == KINDS["json"][1]):
        return
    file = tmp_path / "x"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(
        InputError, match=r"^--out: .*x is there and is not ours: .*Name another place"
    ) as error:
        check_replaceable(file, kind, where="--out")
    assert "\n" not in str(error.value) and file.read_bytes() == content.encode("latin-1")


def test_a_json_object_on_one_line_is_no_file_of_rows_with_other_keys(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text('{"a": 1}\n{"a": 1, "b": 2}\n')
    with pytest.raises(InputError, match="is not ours"):
        check_replaceable(file, rows_with("ours", "a", "b"), where="--out")


def test_a_mark_that_is_quoted_in_the_middle_of_a_text_makes_it_no_file_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("x" * 9000 + mark_of("report") + "x" * 9000)
    with pytest.raises(InputError, match="is not ours"):
        check_replaceable(file, KINDS["marked"][0], where="--out")


def test_what_is_no_regular_file_has_no_kind(tmp_path: Path) -> None:
    kind = OutputKind("ours", lambda _: False)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("nowhere")
    for path in (Path(os.devnull), tmp_path / "fifo", tmp_path / "link"):
        check_replaceable(path, kind, where="--out")


def test_a_link_to_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    (tmp_path / "link").symlink_to("notes")
    with pytest.raises(InputError, match="is there and is not ours"):
        check_replaceable(tmp_path / "link", KINDS["json"][0], where="--out")
