"""One question, one answer: from the folder, or from the server after as many tries as it takes.

  429, 503 with Retry-After   nobody asks for as long as the server says, then it is asked again
  408, 409, 425, 5xx,         asked again after growing pauses, `retries` times; then the command ends in one line,
  no answer, broken JSON      and the same command goes on
  a used-up quota             the command ends at once
  another 4xx                 the caller's: a form that the server does not take, or the end of the command

A call that was sent and not answered may have been charged for, so it counts at its worst against the caps.
"""

import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.endpoint.answers import Answers, key_of, usage_in
from lalm_ambig.endpoint.limits import Limits, Usage
from lalm_ambig.remote.server import Refused, Server, Unavailable

WHERE = "endpoint"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
MOST_THROTTLED_S = 900.0
"""Longest time in which one question is put off by the server."""
LONGEST_COUNTED_PAUSE_S = 600.0
"""A server that asks for a longer pause is asked another day."""
QUOTA = ("insufficient_quota", "exceeded your current quota", "billing")
KEPT = "The answers so far are kept; the same command goes on."

NOTHING = Usage()
Slim = Callable[[Any], Any]
"""What is kept of a reply."""


@dataclass(frozen=True)
class Question:
    """A request, and the most tokens that it can take."""

    path: str
    body: dict[str, Any]
    worst: Usage = NOTHING
    is_above: bool = False
    """Whether the path is that of the server and not of its `/v1`."""


class Exchange:
    """Asks one server, for all workers.

    Args:
        server: At its address with `/v1`.
        above: The same server at its address without.
        model: Name of the model.
        answers: What was answered before.
        limits: Those of all workers.
        retries: How often a failed call is tried again.
    """

    def __init__(  # noqa: PLR0913  # what an exchange is made of
        self,
        server: Server,
        above: Server,
        *,
        model: str,
        answers: Answers,
        limits: Limits,
        retries: int = 6,
    ) -> None:
        self.model, self.answers, self.limits, self.retries = model, answers, limits, retries
        self._servers = {False: server, True: above}
        self.asked, self.repeated = 0, 0
        """Requests that the server has answered, and those that the folder has."""
        self._used: dict[str, Usage] = {}
        self._lock = threading.Lock()
        self.without_usage = 0
        """Those among them whose tokens the server did not count."""
        limits.count(answers.usage)

    def ask(
        self, question: Question, *, slim: Slim, is_lesson: Callable[[Refused], bool] | None = None
    ) -> Any:
        """The answer to a question, as `slim` has left it.

        Args:
            question: The request.
            slim: What is kept of the reply. It raises ValueError, LookupError or TypeError for one that is broken.
            is_lesson: Whether a refusal says in which form to ask. It is then kept like an answer.

        Raises:
            Refused: The server refuses the question.
            InputError: It does not answer, or a cap is reached.
            Ended: All workers are to end.
        """
        key = key_of(self.model, question.path, question.body)
        if (row := self.answers.get(key)) is not None:
            with self._lock:
                self.repeated += key not in self._used
                self._used[key] = usage_in(row)
            if "refused" in row:
                raise Refused(row["refused"], row["message"])
            return row["reply"]
        try:
            with self.limits.reserve(question.worst) as paid:
                reply, usage = self._sent(question, slim, paid)
        except Refused as error:
            if is_lesson is not None and is_lesson(error):
                kept = {"refused": error.status, "message": error.message, "usage": None}
                self.answers.add({"key": key, "path": question.path, **kept})
            raise
        with self._lock:
            self._used[key] = usage
        self.answers.add({"key": key, "path": question.path, "reply": reply, "usage": asdict(usage)})
        return reply

    @property
    def usage(self) -> Usage:
        """Tokens of all questions that were asked of this exchange, whoever has answered."""
        return sum(self._used.values(), NOTHING)

    def _sent(self, question: Question, slim: Slim, paid: list[Usage]) -> tuple[Any, Usage]:
        """Send a question until it is answered, and note what it took."""
        failures, put_off_s = 0, 0.0
        while True:
            self.limits.enter()
            try:
                content = self._servers[question.is_above].post(question.path, question.body)
                reply = _slimmed(content, slim)
            except Unavailable as error:
                _refuse_quota(error)
                if _is_unsent(error) and not self.asked:
                    remedy = "Does the server run there?"
                    raise InputError(f"{error}.", where="--endpoint", remedy=remedy) from error
                pause = _asked_pause_s(error)
                if error.status is None and not _is_unsent(error):  # it may have been charged for
                    paid.append(question.worst)
                if pause is not None and put_off_s < MOST_THROTTLED_S:
                    put_off_s += pause
                    self.limits.pause(pause)
                    continue
                failures += 1
                if failures > self.retries:
                    raise InputError(f"{error}, {failures} times.", where=WHERE, remedy=KEPT) from error
                longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**failures)
                self.limits.wait(random.uniform(longest / 2, longest))
                continue
            usage = self._usage(content, question.worst)
            paid.append(usage)
            with self._lock:
                self.asked += 1
            return reply, usage

    def _usage(self, content: Any, worst: Usage) -> Usage:
        """The tokens that a reply says it took; the worst case where it does not."""
        counts: Any = content.get("usage") if isinstance(content, dict) else None
        if not worst.total:  # asks about words, and writes nothing
            return Usage()
        try:
            details = counts.get("prompt_tokens_details") or {}
            audio = int(details.get("audio_tokens") or 0)
            usage = Usage(int(counts["prompt_tokens"]), int(counts.get("completion_tokens") or 0), audio)
        except (AttributeError, KeyError, TypeError, ValueError):
            with self._lock:
                self.without_usage += 1
            return worst
        return usage if usage.prompt >= 0 and usage.completion >= 0 else worst


def _slimmed(content: Any, slim: Slim) -> Any:
    try:
        return slim(content)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        said = " ".join(str(error).split())[:120]
        raise Unavailable(f"an answer of another form ({type(error).__name__}: {said})") from error


def _is_unsent(error: Unavailable) -> bool:
    """Whether no connection was made, so that nothing was sent."""
    cause = getattr(error.__cause__, "reason", error.__cause__)
    return isinstance(cause, ConnectionRefusedError | socket.gaierror | ssl.SSLCertVerificationError)


def _refuse_quota(error: Unavailable) -> None:
    said = str(error).casefold()
    if error.status == 429 and any(sign in said for sign in QUOTA):
        raise InputError(f"the account's quota is used up: {error}.", where=WHERE, remedy=KEPT) from error


def _asked_pause_s(error: Unavailable) -> float | None:
    """Seconds for which a busy server asks to be left alone; None where it does not say, or another failed."""
    if error.retry_after is None:
        return 1.0 if error.status == 429 else None
    try:
        seconds = float(error.retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(error.retry_after).timestamp() - time.time()
        except ValueError:
            return 1.0
    if not seconds <= LONGEST_COUNTED_PAUSE_S:  # NaN, too
        raise InputError(
            f"{error}; it asks for a pause of {error.retry_after} s.", where=WHERE, remedy=KEPT
        ) from error
    return max(seconds, 0.05)
