"""The folder that is written: refused early, whole or absent."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lalm_ambig.core.errors import InputError
from lalm_ambig.exporting.target import check_target, export_folder, size_of
from lalm_ambig.files.text import readable_size


def test_a_new_or_empty_folder_is_taken(tmp_path: Path) -> None:
    check_target(tmp_path)
    check_target(tmp_path / "deep" / "new")
    assert list(tmp_path.iterdir()) == []
    for out in (tmp_path / "empty", tmp_path / "deep" / "new"):
        if out.name == "empty":
            out.mkdir()
        with export_folder(out) as folder:
            (folder / "a").write_text("12345")
        assert (out / "a").read_text() == "12345"
    assert size_of(tmp_path) == 10


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("kept")
    with pytest.raises(InputError, match=r"--out: .* exists and is not empty. Name a new folder"):
        check_target(tmp_path)
    with pytest.raises(InputError, match="is no folder that may be written to"):
        check_target(tmp_path / "a")
    with pytest.raises(InputError, match=r"cannot write to .*: .*a is no folder"):
        check_target(tmp_path / "a" / "b")
    assert (tmp_path / "a").read_text() == "kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(InputError, match="is no folder that may be written to"):
        check_target(tmp_path / "out")


def test_a_file_system_that_takes_no_folder_is_one_line() -> None:
    with (
        pytest.raises(InputError, match=r"--out: cannot write /proc/out: .*Nothing is left there"),
        export_folder(Path("/proc/out")),
    ):
        pass


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Inside, a file that grows beyond so many bytes fails as it would on a full disk."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@pytest.mark.parametrize("writer", ["python", "safetensors"])
def test_a_disk_that_takes_no_more_leaves_nothing(tmp_path: Path, writer: str) -> None:
    with (
        pytest.raises(InputError, match=r"cannot write .*File too large.*Nothing is left there"),
        export_folder(tmp_path / "out") as folder,
        files_up_to(1000),
    ):
        if writer == "python":
            (folder / "a").write_bytes(bytes(100_000))
        else:
            save_file({"x": torch.zeros(100_000)}, folder / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_other_errors_keep_their_own_words(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no checkpoint"), export_folder(tmp_path / "out"):
        raise OSError("no checkpoint")
    with pytest.raises(InputError, match=r"^mistake$"), export_folder(tmp_path / "out"):
        raise InputError("mistake")
    assert list(tmp_path.iterdir()) == []


def test_sizes_are_readable() -> None:
    shown = [readable_size(n) for n in (999, 1000, 2_450_000, 15_200_000_000, 2_000_000_000_000)]
    assert shown == ["999 bytes", "1.0 kB", "2.5 MB", "15.2 GB", "2000.0 GB"]
