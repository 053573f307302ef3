"""One writer: whole files, through links and what is no file, with permissions kept, and nothing left behind."""

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.atomic import (
    UNFINISHED,
    CannotWrite,
    new_folder,
    remove_unfinished,
    replace_folder,
    replacing,
    write_bytes,
    write_lines,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_lines_and_bytes_are_written_as_given(tmp_path: Path) -> None:
    assert write_text(tmp_path / "a" / "b.txt", "é\r\n€").read_bytes() == "é\r\n€".encode()
    assert write_lines(tmp_path / "c.txt", ["one", "zwölf"]).read_bytes() == "one\nzwölf\n".encode()
    assert write_bytes(tmp_path / "d", b"\x00\xff").read_bytes() == b"\x00\xff"
    assert write_text(tmp_path / "e.json", '"\ud83d"').read_bytes() == b'"\\ud83d"'
    assert names(tmp_path) == ["a", "c.txt", "d", "e.json"]


def test_what_was_there_is_replaced_and_nobody_sees_a_part(tmp_path: Path) -> None:
    file = write_text(tmp_path / "x.txt", "old")

    def lines() -> Iterator[str]:
        yield "new"
        assert file.read_text() == "old"

    write_lines(file, lines())
    assert file.read_text() == "new\n"


def test_a_failing_block_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    file = write_text(tmp_path / "x.txt", "old")
    with pytest.raises(KeyboardInterrupt), replacing(file) as unfinished:
        unfinished.write_text("half")
        raise KeyboardInterrupt
    assert (file.read_text(), names(tmp_path)) == ("old", ["x.txt"])


def test_a_library_gets_a_name_with_the_same_suffix_in_the_same_folder(tmp_path: Path) -> None:
    with replacing(tmp_path / "figure.png") as unfinished:
        assert (unfinished.suffix, unfinished.parent) == (".png", tmp_path)
        unfinished.unlink()  # some libraries write by renaming, too
        unfinished.write_bytes(b"x")
        unfinished.chmod(0o600)
    assert stat.S_IMODE((tmp_path / "figure.png").stat().st_mode) == 0o666 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, ".hidden", "a." + "b" * 200, "-", " ", "a\nb"])
def test_any_name_that_the_file_system_takes_can_be_written(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "x")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755, 0o200])
def test_permission_bits_of_an_existing_file_are_kept(tmp_path: Path, mode: int) -> None:
    file = write_text(tmp_path / "x", "old")
    file.chmod(mode)
    write_text(file, "new")
    assert stat.S_IMODE(file.stat().st_mode) == mode
    file.chmod(0o600)
    assert file.read_text() == "new"


def test_links_stay_and_their_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = write_text(tmp_path / "real" / "x.txt", "old")
    (tmp_path / "one").symlink_to("two")  # relative, and a chain
    (tmp_path / "two").symlink_to(tmp_path / "folder" / "x.txt")
    (tmp_path / "folder").symlink_to("real")
    write_text(tmp_path / "one", "new")
    assert (target.read_text(), names(tmp_path / "real")) == ("new", ["x.txt"])
    assert (tmp_path / "one").is_symlink() and (tmp_path / "two").is_symlink()


def test_a_link_to_another_file_system_is_followed(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("one file system only")
    target = other / f"lalm_ambig-test-{os.getpid()}"
    try:
        target.write_text("old")
        (tmp_path / "link").symlink_to(target)
        write_text(tmp_path / "link", "new")
        assert target.read_text() == "new" and (tmp_path / "link").is_symlink()
    finally:
        target.unlink()


def test_a_dangling_link_makes_its_target_where_the_folder_is_there(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "new.txt")
    write_text(tmp_path / "link", "x")
    assert (tmp_path / "new.txt").read_text() == "x" and (tmp_path / "link").is_symlink()
    (tmp_path / "far").symlink_to("/missing/disk/x.txt")
    with pytest.raises(
        InputError, match=r"far: .* link to /missing/disk/x.txt, whose folder is missing\. Make"
    ):
        write_text(tmp_path / "far", "x")
    assert not Path("/missing").exists()


def read_fifo(fifo: Path) -> tuple[threading.Thread, list[bytes]]:
    read: list[bytes] = []
    thread = threading.Thread(target=lambda: read.append(fifo.read_bytes()), daemon=True)
    thread.start()
    return thread, read


def test_a_fifo_is_written_through_itself_and_by_a_link(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "link").symlink_to(fifo)
    for path in (fifo, tmp_path / "link"):
        thread, read = read_fifo(fifo)
        write_text(path, "through")
        thread.join(timeout=10)
        assert read == [b"through"] and stat.S_ISFIFO(fifo.stat().st_mode)
    assert names(tmp_path) == ["fifo", "link"]


def test_devices_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to(os.devnull)
    for path in (Path(os.devnull), tmp_path / "null"):
        write_text(path, "gone")
        assert stat.S_ISCHR(path.stat().st_mode) and (tmp_path / "null").is_symlink()


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "{tmp}/link"])
@pytest.mark.parametrize("into", ["file", "pipe"])
def test_standard_output_is_written_in_order_whatever_it_is(tmp_path: Path, name: str, into: str) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    code = "import sys; from lalm_ambig.files.atomic import write_text; print('a'); write_text(sys.argv[1], 'b\\n')"
    command = [sys.executable, "-c", f"{code}; print('c')", name.format(tmp=tmp_path)]
    out = tmp_path / "out.txt"
    with out.open("wb") as file:
        stdout = file if into == "file" else subprocess.PIPE
        done = subprocess.run(command, check=True, stdout=stdout, env=os.environ | {"PYTHONUNBUFFERED": ""})
    assert (out.read_bytes() if into == "file" else done.stdout) == b"a\nb\nc\n"
    assert names(tmp_path) == ["link", "out.txt"]


def test_what_cannot_be_written_is_refused_in_one_line_and_left_alone(tmp_path: Path) -> None:
    read_only = write_text(tmp_path / "read_only", "mine")
    read_only.chmod(0o444)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        before = names(tmp_path)
        for name, why in {
            "read_only": r"it is read-only. Allow writing \(chmod u\+w\)",
            "loop": "Too many levels of symbolic links",
            "folder": "it is a folder. Name a file",
            "socket": "it is a socket. Name a file",
            "read_only/x.txt": "cannot be written",
            "read_only/x/y.txt": "cannot be written",
            "x" * 256: "File name too long",
            "a\0b": "null character",
            "~nobody-of-that-name/x": None,
        }.items():
            if why is not None:
                with pytest.raises(CannotWrite, match=f"cannot be written: .*{why}|{why}") as error:
                    write_text(tmp_path / name, "x")
                assert "\n" not in str(error.value)
        assert names(tmp_path) == before
    with pytest.raises(CannotWrite, match="no such user's home"):
        write_text("~nobody-of-that-name/x", "x")
    assert read_only.read_text() == "mine"


def test_a_full_disk_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        CannotWrite, match=r"^/dev/full: cannot be written: No space left on device\. Make room"
    ):
        write_text("/dev/full", "x")
    file = write_text(tmp_path / "x", "old")
    later = pytest.raises(CannotWrite, match=r"No space left on device\. Go on later\.")
    with later, replacing(file, remedy="Go on later."):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert (file.read_text(), names(tmp_path)) == ("old", ["x"])


def test_a_rename_or_sync_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_text(tmp_path / "x", "old")

    def fails(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(CannotWrite, match="Input/output error"):
        write_text(file, "new")
    assert (file.read_text(), names(tmp_path)) == ("old", ["x"])


def test_file_and_folder_are_brought_to_the_disk_before_and_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        seen.append((Path(f"/proc/self/fd/{handle}").readlink().name, (tmp_path / "x").exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    write_text(tmp_path / "x", "new")
    assert [(name.startswith(UNFINISHED), there) for name, there in seen] == [(True, False), (False, True)]
    assert seen[1][0] == tmp_path.name


def test_an_error_of_the_block_about_another_file_passes_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "x"):
        (tmp_path / "missing").read_text()
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "folder"):
        (tmp_path / "missing").read_text()
    assert names(tmp_path) == []


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a" / "b") as folder:
        write_text(folder / "x", "1")
        assert not (tmp_path / "a" / "b").exists()
    assert (tmp_path / "a" / "b" / "x").read_text() == "1"
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o777 & ~umask()
    with pytest.raises(RuntimeError), new_folder(tmp_path / "a" / "c"):
        raise RuntimeError
    assert names(tmp_path / "a") == ["b"]


def test_a_folder_that_another_process_has_finished_stays(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a") as folder:
        write_text(folder / "mine", "")
        write_text(tmp_path / "a" / "theirs", "")
    assert (names(tmp_path), names(tmp_path / "a")) == (["a"], ["theirs"])


def test_a_folder_behind_a_link_is_filled_there(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with new_folder(tmp_path / "link") as folder:
        write_text(folder / "x", "")
    assert (tmp_path / "link").is_symlink() and names(tmp_path / "real") == ["x"]


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    file = write_text(tmp_path / "file", "mine")
    for path in (file, file / "below"):
        with pytest.raises(CannotWrite, match="cannot be written"), new_folder(path):
            raise AssertionError
    with pytest.raises(CannotWrite, match="No space left"), new_folder(tmp_path / "full"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == ["file"]


def test_a_filled_folder_takes_the_place_of_an_old_one(tmp_path: Path) -> None:
    for content in ("1", "2"):
        unfinished = tmp_path / f"{UNFINISHED}x"
        unfinished.mkdir()
        write_text(unfinished / "part", content)
        replace_folder(unfinished, tmp_path / "x")
        assert ((tmp_path / "x" / "part").read_text(), names(tmp_path)) == (content, ["x"])


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, sys; from lalm_ambig.files import atomic\nwith atomic.replacing(sys.argv[1]): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.bin")], check=False)
    (tmp_path / f"{UNFINISHED}folder").mkdir()
    write_text(tmp_path / "kept", "")
    assert len(names(tmp_path)) == 3
    remove_unfinished(tmp_path)
    assert names(tmp_path) == ["kept"]


def test_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    texts = [str(number) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=write_text, args=(tmp_path / "x", text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "x").read_text() in texts and names(tmp_path) == ["x"]
