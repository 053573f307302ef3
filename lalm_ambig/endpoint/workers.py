"""Several items at once, in threads that end with the command."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from lalm_ambig.endpoint.limits import Limits

T = TypeVar("T")
R = TypeVar("R")
TICK_S = 0.2
GRACE_S = 5.0
"""Seconds in which calls in flight may still be answered after another has failed: they are paid for."""
Outcome = tuple[int, R | BaseException]


def each(
    items: Sequence[T], work: Callable[[T], R], *, concurrency: int, limits: Limits
) -> Iterator[tuple[int, R]]:
    """Work on items at once.

    Args:
        items: What is worked on.
        work: Called in several threads.
        concurrency: Their number.
        limits: Of all workers; they end where one of them fails.

    Yields:
        Number and result of each item, in the order in which they are done.

    Raises:
        Exception: The first error of a worker.
    """
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[Outcome[R]] = queue.SimpleQueue()
    for number in range(len(items)):
        todo.put(number)

    def run() -> None:
        while not limits.ended.is_set():
            try:
                number = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((number, work(items[number])))
            except BaseException as error:
                done.put((number, error))

    count = min(concurrency, len(items))
    threads = [threading.Thread(target=run, daemon=True, name="endpoint") for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        for _ in items:
            number, result = _next(done)
            if isinstance(result, BaseException):
                raise result
            yield number, result
    except BaseException:
        limits.ended.set()
        until = time.monotonic() + GRACE_S
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        raise


def _next(done: "queue.SimpleQueue[Outcome[R]]") -> Outcome[R]:
    """The next result. Short waits let a signal end the command."""
    while True:
        try:
            return done.get(timeout=TICK_S)
        except queue.Empty:
            continue
