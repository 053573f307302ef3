"""Requests that wait for their answers at the same time."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Running(Generic[T]):
    """Jobs that have begun, in threads of their own, and the results that have come.

    The first failure ends it: no further job is begun. The threads are daemons. A process that ends on a failure does
    not wait for answers that nobody will read.
    """

    def __init__(self, jobs: Sequence[Callable[[], T]], *, most: int) -> None:
        """Args:
        jobs: What is called, each once.
        most: Most jobs at a time.
        """
        self.count = len(jobs)
        self.results: dict[int, T] = {}
        """Those that have been taken in so far, by the number of the job."""
        self.error: BaseException | None = None
        """What the first job to fail has raised."""
        self._waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()
        self._given_up = threading.Event()
        for number in range(len(jobs)):
            self._waiting.put(number)
        for _ in range(min(most, len(jobs))):
            threading.Thread(target=self._work, args=(jobs,), daemon=True).start()

    def wait(self, *, tell: Callable[[int], None], every_s: float) -> list[T]:
        """The results of all jobs, in their order.

        Args:
            tell: Told the number of results so far, where none has come for a while.
            every_s: Seconds of that while.

        Raises:
            BaseException: What a job has raised.
        """
        try:
            while len(self.results) < self.count:
                if not self._take(every_s):
                    tell(len(self.results))
        finally:
            self.give_up()
        return [self.results[number] for number in range(self.count)]

    def wait_at_most(self, seconds: float) -> None:
        """Take in what comes within so many seconds, and nothing after a failure, which is not raised."""
        end = time.monotonic() + seconds
        while self.error is None and len(self.results) < self.count:
            if (left := end - time.monotonic()) <= 0 or not self._take(left, raises=False):
                return

    def give_up(self) -> None:
        """Begin no further job."""
        self._given_up.set()

    def _take(self, timeout_s: float, *, raises: bool = True) -> bool:
        """Take in the next result or failure; False where none comes in time."""
        if self.error is None:
            try:
                number, result, self.error = self._ended.get(timeout=timeout_s)
            except queue.Empty:
                return False
            if self.error is None:
                self.results[number] = result
        if self.error is not None and raises:
            raise self.error
        return True

    def _work(self, jobs: Sequence[Callable[[], T]]) -> None:
        """Do one job after another, until none waits or all are given up."""
        while not self._given_up.is_set():
            try:
                number = self._waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._ended.put((number, jobs[number](), None))
            except BaseException as error:  # handed to the thread that waits
                self._given_up.set()
                self._ended.put((number, None, error))
