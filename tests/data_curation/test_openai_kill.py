"""kill -9 at a random moment, twenty times in a row: nothing is lost, nothing is done or paid twice."""

import random
import signal
import time
from collections import Counter
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from forked import start
from small_corpus import make_corpus, rows_of, write_arguments
from stub_server import StubServer

ITEMS = 200
KILLS = 20
CONCURRENCY = 4


@pytest.mark.slow
def test_twenty_kills_leave_every_item_once_and_pay_twice_only_for_calls_in_flight(tmp_path: Path) -> None:
    corpus, out = make_corpus(tmp_path / "c", ITEMS), tmp_path / "out.jsonl"
    rng = random.Random(7)
    with StubServer(latency_s=0.03) as stub:
        arguments = [*write_arguments(corpus, out, stub.url), "--concurrency", CONCURRENCY]
        in_flight = 0
        for _ in range(KILLS):
            process = start(*arguments)
            _wait_for(stub, stub.answered + rng.randint(1, 30), process)
            time.sleep(rng.uniform(0.0, 0.02))
            process.kill()
            process.join()
            assert process.exitcode == -signal.SIGKILL
            time.sleep(0.1)  # the stub finishes what it had begun: an open call may be paid for
            in_flight += CONCURRENCY
        assert ITEMS / 4 < len(rows_of_whole(out)) < ITEMS
        finished = start(*arguments)
        finished.join(timeout=60)
        assert finished.exitcode == 0
        calls = stub.count
        bodies = Counter(f"{came.role} {came.text}{came.sounds}" for came in stub.received)
    rows = rows_of(out)
    assert sorted(Counter(row["id"] for row in rows).values()) == [1] * ITEMS
    assert all(row["outcome"] == "accepted" and len(row["calls"]) == 2 for row in rows)
    assert 2 * ITEMS <= calls <= 2 * ITEMS + in_flight
    paid_twice = sum(number - 1 for question, number in bodies.items() if question.startswith("writer"))
    assert paid_twice <= in_flight
    assert not out.with_name("out.jsonl.pending").exists()
    print(f"{calls} calls for {2 * ITEMS}, {calls - 2 * ITEMS} repeated after {KILLS} kills")


def _wait_for(stub: StubServer, answered: int, process: ForkServerProcess) -> None:
    """Return when the stub has answered so often."""
    deadline_s = time.monotonic() + 30
    while stub.answered < answered and time.monotonic() < deadline_s:
        time.sleep(0.002)
    assert process.is_alive(), "the kills must come before the end"


def rows_of_whole(out: Path) -> list[bytes]:
    return [line for line in out.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
