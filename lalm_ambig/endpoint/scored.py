"""Logit readout from the tokens of the class names, on servers that score the tokens of a prompt (vLLM does).

It is the readout of a policy: the class names' log-probabilities where the answer starts. The server makes the tokens,
too, so that no other tokeniser comes in between.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.endpoint.exchange import Exchange, Question
from lalm_ambig.endpoint.limits import Usage
from lalm_ambig.endpoint.listed import Faulty
from lalm_ambig.endpoint.questions import Message
from lalm_ambig.readouts.logits import AnswerTokens, Scoring, answer_tokens
from lalm_ambig.readouts.response import Tags
from lalm_ambig.remote.server import Refused

TOKENIZE, COMPLETIONS = "/tokenize", "/completions"
ABSENT = (400, 401, 403, 404, 405, 422, 501)
"""Status codes of a server that has no such path, or does not take such a request."""
ANCHOR = "\n"
"""A text that no tokeniser joins with the next one."""


@dataclass(frozen=True)
class Written:
    """Text that the server has written after a prompt."""

    text: str
    was_cut: bool
    tokens: int | None


class Scorer:
    """A server's tokens and their log-probabilities.

    Args:
        exchange: The server.
        extra: Settings of chat templates, as the user gave them for each request.
    """

    def __init__(self, exchange: Exchange, extra: dict[str, Any] | None = None) -> None:
        self._exchange = exchange
        kwargs = (extra or {}).get("chat_template_kwargs")
        self._template = {} if kwargs is None else {"chat_template_kwargs": kwargs}

    def can_score(self) -> bool:
        """Whether the server gives token ids, and log-probabilities of a prompt's tokens."""
        try:
            first, second = self.text_ids("a"), self.text_ids("b")
            self.scores([first + second, second + first], lengths=[1, 1])
        except Refused as error:
            if error.status not in ABSENT:
                raise
            return False
        except Faulty:
            return False
        return True

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of a chat, up to where the model's turn begins."""
        body = {"messages": list(messages), "add_generation_prompt": True, **self._template}
        return self._tokens(body)

    def text_ids(self, text: str) -> list[int]:
        """Tokens of a text that continues another.

        Raises:
            Faulty: The tokeniser joins it with what comes before, or gives no ids.
        """
        whole = self._tokens({"prompt": ANCHOR + text, "add_special_tokens": False})
        anchor = self._anchor
        if whole[: len(anchor)] != anchor or len(whole) == len(anchor):
            raise Faulty(f"its tokeniser joins {text!r} with the line before")
        return whole[len(anchor) :]

    @cached_property
    def _anchor(self) -> list[int]:
        return self._tokens({"prompt": ANCHOR, "add_special_tokens": False})

    def _tokens(self, body: dict[str, Any]) -> list[int]:
        question = Question(TOKENIZE, {"model": self._exchange.model, **body}, is_above=True)
        tokens: list[int] = self._exchange.ask(question, slim=_token_ids, is_lesson=_is_absent)
        if not tokens:
            raise Faulty("it gives no token ids")
        return tokens

    def scores(self, rows: Sequence[Sequence[int]], lengths: Sequence[int]) -> list[float]:
        """Log-probability in nats of the last tokens of each row.

        Args:
            rows: Token ids.
            lengths: Number of last tokens of each.

        Raises:
            Faulty: The server gives no log-probabilities, or impossible ones.
        """
        body = {
            "model": self._exchange.model,
            "prompt": [list(row) for row in rows],
            "max_tokens": 1,
            "temperature": 0,
            "prompt_logprobs": 0,
            "add_special_tokens": False,
        }
        worst = Usage(sum(map(len, rows)), len(rows))
        longest = max(lengths)
        kept = self._exchange.ask(
            Question(COMPLETIONS, body, worst),
            slim=lambda content: _last_log_probs(content, len(rows), longest),
            is_lesson=_is_absent,
        )
        if len(kept) != len(rows) or any(len(of_row) < longest for of_row in kept):
            raise Faulty("it gives no log-probabilities of a prompt's tokens")
        return [
            sum(_log_prob(entry, token) for entry, token in zip(of_row[-n:], row[-n:], strict=True))
            for of_row, row, n in zip(kept, rows, lengths, strict=True)
        ]

    def write(self, ids: Sequence[int], *, stop: str, max_tokens: int) -> Written:
        """What the model writes after a prompt, greedily, up to and with a text.

        Args:
            ids: Tokens of the prompt.
            stop: The text.
            max_tokens: Longest response.
        """
        body = {
            "model": self._exchange.model,
            "prompt": list(ids),
            "max_tokens": max_tokens,
            "temperature": 0,
            "stop": [stop],
            "include_stop_str_in_output": True,
            "add_special_tokens": False,
        }
        kept = self._exchange.ask(Question(COMPLETIONS, body, Usage(len(ids), max_tokens)), slim=_written)
        return Written(**kept)


@dataclass(frozen=True)
class NameScores:
    """The tokens of the class names, and how a name is scored."""

    answer: AnswerTokens
    scoring: Scoring

    def read(self, scorer: Scorer, before: Sequence[int]) -> tuple[tuple[float, ...], float]:
        """The distribution and the class mass after these tokens.

        Args:
            scorer: The server.
            before: Tokens up to and with the tag that opens the answer.
        """
        names = [ids[:1] if self.scoring == "first" else ids for ids in self.answer.name_ids]
        scores = scorer.scores([[*before, *ids] for ids in names], [len(ids) for ids in names])
        highest = max(scores)
        weights = [math.exp(score - highest) for score in scores]
        return tuple(weight / sum(weights) for weight in weights), min(1.0, sum(map(math.exp, scores)))


def name_scores(scorer: Scorer, categories: CategorySet, tags: Tags, scoring: Scoring) -> NameScores:
    """Names scored as they are asked for; as sequences where their first tokens cannot tell them apart.

    Args:
        scorer: The server, which makes the tokens.
        categories: The classes.
        tags: The tags around reasoning and answer.
        scoring: How they are scored if possible.

    Raises:
        InputError: The names cannot be scored.
    """
    try:
        return NameScores(answer_tokens(scorer.text_ids, categories, scoring=scoring, tags=tags), scoring)
    except InputError:
        if scoring == "sequence":
            raise
        return name_scores(scorer, categories, tags, "sequence")


def _is_absent(error: Refused) -> bool:
    return error.status in (404, 405, 501)


def _token_ids(content: Any) -> list[int]:
    """Token ids of an answer; none where it has another form."""
    tokens = content.get("tokens") if isinstance(content, dict) else None
    if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
        return []
    return tokens


def _last_log_probs(content: Any, count: int, length: int) -> list[list[dict[str, float]]]:
    """Log-probability by token id, for the last tokens of each prompt."""
    choices = sorted(content["choices"], key=lambda choice: choice["index"])
    if [choice["index"] for choice in choices] != list(range(count)):
        return []
    rows = []
    for choice in choices:
        last = (choice.get("prompt_logprobs") or [])[-length:]
        rows.append(
            [{str(token): values["logprob"] for token, values in (entry or {}).items()} for entry in last]
        )
    return rows


def _log_prob(entry: dict[str, float], token: int) -> float:
    value = entry.get(str(token))
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= 1e-3:
        raise Faulty(f"token {token} has no log-probability but {value!r}")
    return max(min(float(value), 0.0), -1e4)


def _written(content: Any) -> dict[str, Any]:
    [choice] = content["choices"]
    usage = content.get("usage") or {}
    return {
        "text": str(choice["text"]),
        "was_cut": choice.get("finish_reason") == "length",
        "tokens": usage.get("completion_tokens"),
    }
