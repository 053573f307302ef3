"""Jobs that wait at the same time."""

import threading
import time

import pytest

from lalm_ambig.rollouts.engines.at_once import all_at_once


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
    assert all_at_once(jobs, most=4, tell=lambda _: None, every_s=9.0) == list(range(20))
    assert most[0] == 4
    assert all_at_once([], most=4, tell=lambda _: None, every_s=9.0) == []


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
        all_at_once([lambda n=n: job(n) for n in range(20)], most=2, tell=lambda _: None, every_s=9.0)
    assert time.monotonic() - started < 0.25
    time.sleep(0.4)
    assert len(begun) <= 3


def test_progress_is_told_where_nothing_comes() -> None:
    told: list[int] = []
    jobs = [lambda: 1, lambda: time.sleep(0.3) or 2]
    assert all_at_once(jobs, most=2, tell=told.append, every_s=0.1) == [1, 2]
    assert told[:2] == [1, 1]
