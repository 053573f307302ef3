"""Folders and files in the cache appear whole or not at all."""

from pathlib import Path

import pytest

from lalm_ambig.cache import cache_root, whole_folder, write_whole


def test_a_folder_appears_only_once_it_is_whole(tmp_path: Path) -> None:
    final = tmp_path / "deep" / "final"
    with whole_folder(final) as unfinished:
        (unfinished / "a").write_text("1")
        assert not final.exists()
    assert (final / "a").read_text() == "1"
    assert [path.name for path in final.parent.iterdir()] == ["final"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), whole_folder(tmp_path / "final"):
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_processes_wins(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "final") as late:
        (late / "a").write_text("late")
        with whole_folder(tmp_path / "final") as early:
            (early / "a").write_text("early")
    assert (tmp_path / "final" / "a").read_text() == "early"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_name_taken_by_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "final").touch()
    with pytest.raises(NotADirectoryError), whole_folder(tmp_path / "final"):
        pass


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "a.json", "1")
    write_whole(tmp_path / "new" / "a.json", "2")
    assert (tmp_path / "new" / "a.json").read_text() == "2"
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_the_root_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "lalm_ambig"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == Path.home() / ".cache" / "lalm_ambig"
