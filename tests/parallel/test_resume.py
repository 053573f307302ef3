"""A run that was killed and started again ends with the same files as one that was not, bit for bit.

`make long` runs every combination, `make test-all` a selection that has each place, method and number of processes, and
`make test` one of these.
"""

from pathlib import Path

import pytest
from small_runs import STEPS_OF_AN_EPOCH, ForkServer, Whole, left, words

ALWAYS = {
    ("sft", 1, "last batch of an epoch"),
    ("sft", 1, "writing a checkpoint"),
    ("dpo", 1, "first batch of an epoch"),
    ("grpo", 1, "middle of an epoch"),
    ("grpo", 1, "validation"),
    ("dpo", 2, "rollout"),
    ("sft", 2, "writing a checkpoint"),
}
"""With GRPO's two updates on each batch, the middle of an epoch is between them."""
QUICK = {("grpo", 1, "middle of an epoch")}


def place(method: str, name: str) -> tuple[str, int]:
    """Where the run kills itself, and at the how-manieth time it comes there."""
    steps = STEPS_OF_AN_EPOCH[method]
    return {
        "middle of an epoch": ("step", 2 * steps - 1 if method != "grpo" else 2 * steps - 2),
        "last batch of an epoch": ("step", steps),
        "first batch of an epoch": ("step", steps + 1),
        "validation": ("validation", 2),  # the first one is before training
        "rollout": ("rollout", 35),
        "writing a checkpoint": ("writing", 3),
    }[name]


def cases() -> list[object]:
    names = (
        "middle of an epoch",
        "last batch of an epoch",
        "first batch of an epoch",
        "validation",
        "rollout",
    )
    every = [
        (method, world, name)
        for method in STEPS_OF_AN_EPOCH
        for world in (1, 2)
        for name in (*names, "writing a checkpoint")
        if method != "sft" or name != "rollout"
    ]
    assert set(every) >= ALWAYS
    kept = [case for case in every if case in QUICK]
    slow = [pytest.param(*case, marks=pytest.mark.slow) for case in every if case in ALWAYS - QUICK]
    return [
        *kept,
        *slow,
        *(pytest.param(*case, marks=pytest.mark.long) for case in every if case not in ALWAYS),
    ]


@pytest.mark.parametrize(("method", "world", "name"), cases())
def test_a_killed_run_ends_as_if_it_had_not_been(
    method: str, world: int, name: str, server: ForkServer, whole: Whole, demo_root: Path, tmp_path: Path
) -> None:
    wanted = left(whole(method, world))
    log, arguments = tmp_path / "log", words(method, demo_root, tmp_path, world=world)
    killed = server.run(arguments, log, world=world, kill=place(method, name))
    assert killed[0] == -9, log.read_text()
    assert not (tmp_path / "r/results.md").exists()
    assert server.run(arguments, log, world=world) == [0] * world, log.read_text()
    said = log.read_text()
    assert ("resuming from" in said) == ("(goes on)" in said)
    assert "resuming from" in said or name in ("rollout", "validation")
    assert said.count("evaluating the policy as training finds it") == 1, "what was finished is kept"
    found = left(tmp_path / "r")
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []
