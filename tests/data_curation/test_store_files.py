"""`write --out` on existing files: a file of another kind stays as it is, and an unreadable one is refused."""

import os
from pathlib import Path

import pytest

from data_curation.journal import Journal
from data_curation.store import Store
from lalm_ambig.core.errors import InputError

FOREIGN = [
    "my notes, one line",
    "my notes\nand no end",
    '{"id": "x"}\n{"id": ',
    "\n\nnotes",
    '{"x": 1}',
    "{",
    '{"id":',
]


@pytest.mark.parametrize("content", FOREIGN)
def test_a_file_of_something_else_is_refused_and_not_a_byte_of_it_is_dropped(
    content: str, tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(content)
    if b'{"key":'.startswith(content.encode()):
        Store(file).__exit__(None, None, None)  # the beginning of a row
        return
    with pytest.raises(
        InputError, match=r"^.*notes\.txt(:\d+)?: .*(no file of curation|not JSON|not a row)"
    ) as error:
        Store(file)
    assert "\n" not in str(error.value) and file.read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_foreign_file_of_pending_replies_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl.pending").write_text("something else")
    with pytest.raises(InputError, match=r"pending: this is no file of curation: it is left as it is"):
        Store(tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl.pending").read_text() == "something else"


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path(os.devnull)):
        with pytest.raises(InputError, match=r"is no regular file\. Name a file as --out"):
            Journal(path)


def test_a_journal_behind_a_link_is_appended_to_at_its_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    with Journal(tmp_path / "link") as journal:
        journal.append_now("line")
    assert (tmp_path / "real").read_text() == "line\n" and (tmp_path / "link").is_symlink()
