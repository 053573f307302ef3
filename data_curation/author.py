"""The openai writer: has a reasoning written and judged, and written again until it is accepted or no try is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_curation.chat.exchange import Exchange
from data_curation.clips import Clip
from data_curation.judge import JS_THRESHOLD, AttemptVerdict, judge
from data_curation.questions import Question, Rejection, rewrite_question, validator_question, writer_question
from data_curation.records import Call, CurationRow, Usage, now
from data_curation.rows import Job
from data_curation.store import Store
from lalm_ambig.core.items import Item

VALIDATOR_TRIES = 2
"""Most questions to the validator about one attempt, before its reply counts as unreadable."""


@dataclass(frozen=True)
class Standard:
    """Requirements of a reasoning, and how often it may be written."""

    attempts: int = 3
    js_threshold: float = JS_THRESHOLD
    writer_tokens: int = 1200
    """Largest number of tokens of a reasoning."""
    validator_tokens: int = 300


@dataclass(frozen=True)
class ItemSource:
    """The corpus of the items and its classes."""

    corpus: str
    categories: tuple[str, ...]


class OpenAIWriter:
    """Curates one item at a time. Every paid reply is on disk before the next question is sent."""

    def __init__(self, exchange: Exchange, store: Store, *, source: ItemSource, standard: Standard) -> None:
        self._exchange = exchange
        self._store = store
        self._source = source
        self._standard = standard

    async def write(self, item: Item, clip: Clip | None, *, key: str) -> CurationRow:
        """Curate one item.

        Args:
            item: The item.
            clip: Its sound; None without sound.
            key: Content address of the item's curation.

        Returns:
            The finished row.

        Raises:
            Unsent: A call brought no reply. The paid replies stay for the next run.
            RunStopped: The run was stopped. The paid replies stay for the next run.
        """
        calls: list[Call] = []
        first = writer_question(
            item, self._source.categories, clip=clip, max_tokens=self._standard.writer_tokens
        )
        question: Question | None = first
        while question is not None:
            calls.append(await self._reply(question, (item.id, key)))
            verdict = self.judge(calls, item.votes)
            question = self._next(verdict, calls, first)
        return self._row(item, calls, verdict, key=key, audio=None if clip is None else clip.name)

    def judge(self, calls: Sequence[Call], votes: Sequence[float]) -> AttemptVerdict:
        return judge(
            calls, votes, categories=self._source.categories, js_threshold=self._standard.js_threshold
        )

    def _next(self, verdict: AttemptVerdict, calls: Sequence[Call], first: Question) -> Question | None:
        """The next question after a verdict; None where the verdict is final."""
        attempt, turn = calls[-1].attempt, len(calls)
        if verdict.outcome in ("accepted", "refused"):
            return None
        about_validator = verdict.reasoning is not None and verdict.outcome in (None, "unreadable")
        if about_validator:
            assert verdict.reasoning is not None
            if verdict.asked_validator >= VALIDATOR_TRIES:
                return None
            return validator_question(
                verdict.reasoning,
                self._source.categories,
                attempt=attempt,
                turn=turn,
                max_tokens=self._standard.validator_tokens,
            )
        if attempt >= self._standard.attempts:
            return None
        previous = "(not readable)" if verdict.reasoning is None else verdict.reasoning.as_text()
        return rewrite_question(first, Rejection(previous, verdict.reasons), attempt=attempt + 1, turn=turn)

    async def _reply(self, question: Question, job: Job) -> Call:
        """The reply to a question, taken from an interrupted run where that has paid for it."""
        address = question.address
        earlier = self._store.paid_calls(job).get(address)
        if earlier is not None:
            return earlier
        call = await self._exchange.call(question)
        await self._store.add_call(job, address, call)
        return call

    def _row(
        self, item: Item, calls: Sequence[Call], verdict: AttemptVerdict, *, key: str, audio: str | None
    ) -> CurationRow:
        usage = sum_usage(calls)
        return CurationRow(
            key=key,
            corpus=self._source.corpus,
            id=item.id,
            writer="openai",
            categories=self._source.categories,
            votes=item.votes,
            text=item.text,
            audio=audio,
            model=self._exchange.models["writer"].name,
            validator_model=self._exchange.models["validator"].name,
            calls=tuple(calls),
            usage=usage,
            paid_usd=usage.cost_usd,
            attempts=calls[-1].attempt,
            started=calls[0].started,
            finished=now(),
            **verdict_fields(verdict),
        )


def verdict_fields(verdict: AttemptVerdict) -> dict[str, Any]:
    """Fields of a row that a verdict determines."""
    text = None if verdict.reasoning is None else verdict.reasoning.as_text()
    return {
        "outcome": verdict.outcome,
        "reasons": verdict.reasons,
        "reasoning": verdict.reasoning,
        "rationale": text if verdict.outcome == "accepted" else None,
        "validated_dist": verdict.validated_dist,
        "js_bits": verdict.js_bits,
    }


def sum_usage(calls: Sequence[Call]) -> Usage:
    """Sum of the tokens and costs of several calls."""
    total = Usage()
    for call in calls:
        total = total.plus(call.usage)
    return total
