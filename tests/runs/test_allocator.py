"""Commands set CUDA's allocator to join segments, unless the user has set it by either name."""

import os
import sys

import pytest

from lalm_ambig.runs.processes.launch import ALLOCATOR, quiet_libraries


@pytest.mark.parametrize("by_user", [None, *ALLOCATOR])
def test_the_allocator_joins_segments_unless_the_user_sets_it(
    by_user: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ALLOCATOR:
        monkeypatch.setenv(name, "max_split_size_mb:64")  # so that it is put back
        monkeypatch.delenv(name)
    if by_user is not None:
        monkeypatch.setenv(by_user, "max_split_size_mb:64")
    quiet_libraries()
    found = {name: os.environ[name] for name in ALLOCATOR if name in os.environ}
    ours, theirs = {ALLOCATOR[0]: "expandable_segments:True"}, {by_user: "max_split_size_mb:64"}
    assert found == (ours if by_user is None else theirs)
