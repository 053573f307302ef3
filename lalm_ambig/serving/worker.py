"""The one thread that asks the model. What waits is answered together, in batches."""

import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from lalm_ambig.core.errors import InputError
from lalm_ambig.inference.answer import Answer
from lalm_ambig.inference.questions import Question
from lalm_ambig.serving.limits import Refusal

Asker = Callable[[Sequence[Question]], Sequence[Answer | InputError]]
"""Asks a model: one answer per question, or the reason why it has none."""
STOPPING = "the server is stopping."
MAX_BATCH = 16
"""Questions that are asked at once, at most."""


@dataclass(eq=False)
class _Job:
    question: Question
    answer: "Future[Answer]" = field(default_factory=Future)


class Worker:
    """Asks a model in a thread of its own, from `start` to `stop`."""

    def __init__(self, ask: Asker) -> None:
        self.ask = ask
        self.seconds_each = 1.0
        """Mean seconds of the last answers."""
        self.answered = 0
        self._stopping = False
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True, name="model")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, question: Question) -> "Future[Answer]":
        """Put a question behind those that wait. A future that is cancelled before its turn is not asked.

        Args:
            question: A sound in memory or a file of this machine, a text, or both.
        """
        job = _Job(question)
        if self._stopping:
            job.answer.set_exception(Refusal(503, STOPPING, retry_after_s=5.0))
        else:
            self._jobs.put(job)
        return job.answer

    @property
    def waiting(self) -> int:
        """Questions whose turn has not come."""
        return self._jobs.qsize()

    def refuse(self) -> None:
        """Refuse what waits and what will be asked; the batch that the model is at is answered."""
        self._stopping = True
        waiting = []
        try:
            while True:
                waiting.append(self._jobs.get_nowait())
        except queue.Empty:
            self._jobs.put(None)
        for job in waiting:
            if job is not None and job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(Refusal(503, STOPPING, retry_after_s=5.0))

    def stop(self, wait_s: float) -> bool:
        """End the thread after the batch that it is at; what waits is refused.

        Args:
            wait_s: Longest wait in seconds.

        Returns:
            Whether the thread has ended.
        """
        self.refuse()
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (first := self._jobs.get()) is not None:
            batch, last = [first], False
            while len(batch) < MAX_BATCH and not last:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    last = True
                else:
                    batch.append(job)
            self._answer([job for job in batch if job.answer.set_running_or_notify_cancel()])
            if last:
                return

    def _answer(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        began = time.monotonic()
        try:
            answers = list(self.ask([job.question for job in jobs]))
        except Exception as error:
            if len(jobs) > 1:  # one of them is to blame, the others are answered
                for job in jobs:
                    self._answer([job])
                return
            traceback.print_exception(error, file=sys.stderr)
            jobs[0].answer.set_exception(
                Refusal(500, "the model failed at it; the server's output says why.")
            )
            return
        self.answered += len(jobs)
        self.seconds_each = 0.8 * self.seconds_each + 0.2 * (time.monotonic() - began) / len(jobs)
        for job, answer in zip(jobs, answers, strict=True):
            _tell(job, answer)


def _tell(job: _Job, answer: Answer | InputError) -> None:
    if isinstance(answer, Answer):
        job.answer.set_result(answer)
    else:
        job.answer.set_exception(answer)
