"""Jobs that wait at the same time."""

import threading
import time

import pytest

from lalm_ambig.rollouts.engines.at_once import Running


def test_results_are_in_the_order_of_the_jobs_and_so_many_wait_at_a_time() -> None:
    waiting, most = [0], [0]
    lock = threading.Lock()

    def job(number: int) -> int:
        with lock:
            waiting[0] += 1
            most[0] = max(most[0], waiting[0])
        time.sleep(0.01 * (5 - number % 5))
        with lock:
            waiting[0] -= 1
        return number

    jobs = [lambda n=n: job(n) for n in range(20)]
    assert Running(jobs, most=4).wait(tell=lambda _: None, every_s=9.0) == list(range(20))
    assert most[0] == 4
    assert Running([], most=4).wait(tell=lambda _: None, every_s=9.0) == []


def test_a_failure_is_raised_at_once_and_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def job(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise KeyError("no")
        time.sleep(0.3)
        return number

    started = time.monotonic()
    with pytest.raises(KeyError, match="no"):
        Running([lambda n=n: job(n) for n in range(20)], most=2).wait(tell=lambda _: None, every_s=9.0)
    assert time.monotonic() - started < 0.25
    time.sleep(0.4)
    assert len(begun) <= 3


def test_progress_is_told_where_nothing_comes() -> None:
    told: list[int] = []
    jobs = [lambda: 1, lambda: time.sleep(0.3) or 2]
    assert Running(jobs, most=2).wait(tell=told.append, every_s=0.1) == [1, 2]
    assert told[:2] == [1, 1]


def test_what_comes_in_time_is_taken_in_and_a_failure_stays() -> None:
    running = Running([lambda: 1, lambda: time.sleep(0.5) or 2], most=2)
    running.wait_at_most(0.2)
    assert running.results == {0: 1}
    assert running.wait(tell=lambda _: None, every_s=9.0) == [1, 2]

    def fails() -> int:
        raise KeyError("no")

    failing = Running([fails], most=1)
    failing.wait_at_most(5.0)
    assert failing.results == {}
    for _ in range(2):
        with pytest.raises(KeyError, match="no"):
            failing.wait(tell=lambda _: None, every_s=9.0)
