"""How an endpoint's distribution for an item is read: a class per way, each of which makes a prediction of an item."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.endpoint.chat import Asked, Chat, Reply, kept_of
from lalm_ambig.endpoint.listed import (
    VERBALISED,
    Faulty,
    Listed,
    answer_start,
    class_scores,
    refuse_unlisted,
    without_others,
)
from lalm_ambig.endpoint.questions import Questions
from lalm_ambig.endpoint.scored import NameScores, Scorer, name_scores
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.readouts.logits import Scoring
from lalm_ambig.readouts.response import TAGS
from lalm_ambig.readouts.verbalised import Unparsed, parse
from lalm_ambig.remote.server import Refused

ANSWER_TOKENS = 16
"""Tokens of `<answer>`, a class name and what may come before them."""
NAME_TOKENS = 4
"""Tokens of a class name that are looked at: further ones only where the first fits several classes."""
REFUSAL, NO_ANSWER, JOINED, CENSORED = (
    "refusal",
    "no answer",
    "tag in a token",
    "class outside the listed tokens",
)
"""Why no distribution could be read, beside the reasons of `readouts.verbalised`."""
CONTINUES = (("continue_final_message", True), ("add_generation_prompt", False))
"""Settings by which vLLM continues a last message. Others need none, or refuse them."""
WHERE = "--readout logits"


class EndpointReader(ABC):
    """A way to read an item's distribution."""

    @property
    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """Remarks on the numbers, each without a full stop."""

    @abstractmethod
    def read(self, item: Item) -> Prediction:
        """The prediction of an item. Workers call it at once."""


def prediction(item: Item, dist: tuple[float, ...] | None, **known: Any) -> Prediction:
    """The prediction of an item; uniform where nothing could be read, as for policies.

    Args:
        item: The item.
        dist: The distribution; None where `unparsed` says why there is none.
        known: Further fields of the prediction.
    """
    uniform = (1 / len(item.votes),) * len(item.votes)
    about = (item.id, item.split, item.speaker, item.votes, item.label_dist)
    return Prediction(*about, dist or uniform, annotator=item.annotator, **known)


def _tokens(count: int | None) -> float | None:
    return None if count is None else float(count)


@dataclass(frozen=True)
class Stated(EndpointReader):
    """The distribution that a response states as JSON."""

    chat: Chat
    questions: Questions
    max_tokens: int

    @property
    def notes(self) -> tuple[str, ...]:
        return _sampled(self.chat)

    def read(self, item: Item) -> Prediction:
        reply = self.chat.complete(self.questions.messages(item), Asked(self.max_tokens))
        known = {"response": reply.text, "closed": False, "tokens": _tokens(reply.tokens)}
        stated = parse(TAGS.split_thought(reply.text)[1], self.questions.categories)
        if not isinstance(stated, Unparsed):
            return prediction(item, stated, **known)
        reason = REFUSAL if reply.refused else stated.reason
        return prediction(item, None, unparsed=reason, **known)


@dataclass(frozen=True)
class ScoredNames(EndpointReader):
    """The class names' log-probabilities where the answer starts, as a policy's are read."""

    scorer: Scorer
    questions: Questions
    names: NameScores
    max_tokens: int
    """Longest reasoning."""

    @property
    def notes(self) -> tuple[str, ...]:
        whole = "class names are scored by all of their tokens: the first ones cannot tell them apart"
        return (whole,) if self.names.scoring == "sequence" else ()

    def read(self, item: Item) -> Prediction:
        prompt = self.scorer.prompt_ids(self.questions.messages(item))
        text = TAGS.answer_open
        known: dict[str, Any] = {"closed": False}
        if self.questions.asked.reasoning:
            written = self.scorer.write(prompt, stop=TAGS.answer_open, max_tokens=self.max_tokens)
            closing = TAGS.completion_to_answer(written.text)
            text = written.text + closing
            known = {"closed": bool(closing), "tokens": _tokens(written.tokens)}
        try:
            dist, mass = self.names.read(self.scorer, [*prompt, *self.scorer.text_ids(text)])
        except Faulty as error:
            raise refuse_unlisted(error, WHERE) from error
        return prediction(item, dist, class_mass=mass, response=text, **known)


@dataclass(frozen=True)
class ListedTokens(EndpointReader):
    """The classes' probabilities among the likeliest tokens where the answer starts."""

    chat: Chat
    questions: Questions
    max_tokens: int
    """Longest reasoning."""
    continues: tuple[tuple[str, Any], ...] | None
    """Settings by which the server goes on from a given text; None where it does not."""

    @property
    def notes(self) -> tuple[str, ...]:
        what = (
            "class scores are sums over the likeliest tokens that begin a class's name, in any case; a class that is "
            "not listed has the probability of all that is not listed, so that kl is at most too low"
        )
        return (what, *_sampled(self.chat))

    def read(self, item: Item) -> Prediction:
        messages = self.questions.messages(item)
        if self.continues is not None and not self.questions.asked.reasoning:
            return self._continued(item, messages, TAGS.answer_open, closed=False, tokens=None)
        longest = ANSWER_TOKENS + (self.max_tokens if self.questions.asked.reasoning else 0)
        reply = self._complete(messages, Asked(longest, logprobs=True))
        if reply.refused:
            return prediction(item, None, unparsed=REFUSAL, response=reply.text, closed=False)
        tokens = _tokens(reply.tokens)
        positions = reply.positions or ()
        start = answer_start(positions, TAGS.answer_open)
        if start is None:
            if self.continues is not None and TAGS.answer_open not in reply.text:
                text = reply.text + TAGS.completion_to_answer(reply.text)
                return self._continued(item, messages, text, closed=True, tokens=tokens)
            has_tag = TAGS.answer_open in reply.text and not reply.was_cut
            reason = JOINED if has_tag else NO_ANSWER
            return prediction(item, None, unparsed=reason, response=reply.text, closed=False, tokens=tokens)
        before = reply.text.partition(TAGS.answer_open)[0] + TAGS.answer_open
        return self._scored(item, reply, start, response=before, closed=False, tokens=tokens)

    def _continued(
        self, item: Item, messages: Any, text: str, *, closed: bool, tokens: float | None
    ) -> Prediction:
        asked = Asked(NAME_TOKENS, logprobs=True, prefix=text, extra=self.continues or ())
        reply = self._complete(messages, asked, start=0)
        return self._scored(item, reply, 0, response=text, closed=closed, tokens=tokens)

    def _complete(self, messages: Any, asked: Asked, start: int | None = None) -> Reply:
        def slim(content: Any) -> dict[str, Any]:
            kept = kept_of(content)
            at = answer_start(kept["logprobs"] or (), TAGS.answer_open) if start is None else start
            return {**kept, "logprobs": without_others(kept["logprobs"], at)}

        try:
            reply = self.chat.complete(messages, asked, slim=slim)
        except Refused as error:
            if "logprob" in error.message.casefold():
                raise _no_logprobs(f"it refuses them: {error.message}") from error
            raise
        if reply.positions is None and reply.text and not reply.refused:
            raise _no_logprobs("it gives none")
        return reply

    def _scored(self, item: Item, reply: Reply, start: int, **known: Any) -> Prediction:
        positions = (reply.positions or ())[start : start + NAME_TOKENS]
        if not positions:
            return prediction(item, None, unparsed=REFUSAL if reply.refused else NO_ANSWER, **known)
        try:
            listed: Listed = class_scores(positions, self.questions.categories)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise refuse_unlisted(error, WHERE) from error
        known |= {"class_mass": listed.class_mass}
        if listed.is_censored:
            return prediction(item, None, unparsed=CENSORED, **known)
        return prediction(item, listed.dist, **known)


def continues(chat: Chat) -> tuple[tuple[str, Any], ...] | None:
    """The settings by which a server goes on from a given text; None where it begins another turn, or refuses.

    It is seen from the number of tokens: a text of one token makes the prompt one token longer, and not by the tokens
    between two turns as well.

    Args:
        chat: The server.
    """
    turn = [{"role": "user", "content": "a"}]
    for extra in (CONTINUES, ()):
        try:
            begun = chat.complete(turn, Asked(1, extra=()))
            longer = chat.complete(turn, Asked(1, prefix="a", extra=extra))
        except Refused as error:
            if error.status in (400, 422, 500, 501):
                continue
            raise
        if begun.prompt_tokens and longer.prompt_tokens == begun.prompt_tokens + 1:
            return extra
    return None


def logits_reader(
    chat: Chat, questions: Questions, *, max_tokens: int, scoring: Scoring, has_sound: bool
) -> EndpointReader:
    """The way to read logits that this server allows: the names' own tokens, or else the likeliest ones.

    Args:
        chat: The server.
        questions: How items are asked about.
        max_tokens: Longest reasoning.
        scoring: How class names are scored.
        has_sound: Whether items have clips, which prompts of token ids cannot hold.
    """
    scorer = Scorer(chat.exchange, chat.extra)
    if not has_sound and scorer.can_score():
        names = name_scores(scorer, questions.categories, TAGS, scoring)
        return ScoredNames(scorer, questions, names, max_tokens)
    return ListedTokens(chat, questions, max_tokens, continues(chat))


def _sampled(chat: Chat) -> tuple[str, ...]:
    """That the server takes no temperature, where it does not."""
    if chat.form.temperature:
        return ()
    return ("the endpoint takes no temperature: its responses are sampled, and not the greedy ones",)


def _no_logprobs(why: str) -> InputError:
    return InputError(f"the endpoint gives no log-probabilities: {why}.", where=WHERE, remedy=VERBALISED)
