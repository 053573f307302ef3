"""Requests that wait for their answers at the same time."""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def all_at_once(
    jobs: Sequence[Callable[[], T]], *, most: int, tell: Callable[[int], None], every_s: float
) -> list[T]:
    """The results of all jobs, in their order. The first failure ends it: no further job is begun.

    The threads are daemons. A process that ends on a failure does not wait for answers that nobody will read.

    Args:
        jobs: What is called, each once.
        most: Most jobs at a time.
        tell: Told the number of results so far, where none has come for a while.
        every_s: Seconds of that while.

    Raises:
        BaseException: What a job has raised.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    ended: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()
    given_up = threading.Event()
    for number in range(len(jobs)):
        waiting.put(number)

    for _ in range(min(most, len(jobs))):
        threading.Thread(target=_work, args=(jobs, waiting, ended, given_up), daemon=True).start()
    results: dict[int, T] = {}
    try:
        while len(results) < len(jobs):
            try:
                number, result, error = ended.get(timeout=every_s)
            except queue.Empty:
                tell(len(results))
                continue
            if error is not None:
                raise error
            results[number] = result
    finally:
        given_up.set()
    return [results[number] for number in range(len(jobs))]


def _work(
    jobs: Sequence[Callable[[], Any]],
    waiting: "queue.SimpleQueue[int]",
    ended: "queue.SimpleQueue[tuple[int, Any, BaseException | None]]",
    given_up: threading.Event,
) -> None:
    """Do one job after another, until none waits or all are given up."""
    while not given_up.is_set():
        try:
            number = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            ended.put((number, jobs[number](), None))
        except BaseException as error:  # handed to the thread that waits
            ended.put((number, None, error))
