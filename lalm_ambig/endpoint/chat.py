"""Chat completions: the body of a request in the form that a server takes, and what a reply says.

Servers differ in the name of the token limit and in whether a temperature may be set. A refusal that names either
changes the form of all later requests.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lalm_ambig.endpoint.exchange import Exchange, Question
from lalm_ambig.endpoint.questions import Message, worst_usage
from lalm_ambig.remote.server import Refused

PATH = "/chat/completions"
TOP = 20
"""Most likely tokens that are asked for at each position: the most that servers give."""
FILTERS = ("content_filter", "content_policy", "responsible ai")
"""Signs of a refusal that is about the item and not about the form."""


@dataclass(frozen=True)
class Form:
    """The form of requests."""

    limit: str = "max_tokens"
    temperature: bool = True
    """Whether a temperature of 0 is set; servers that refuse it sample at their own."""

    def taught(self, error: Refused) -> "Form | None":
        """The form after a refusal; None where the refusal is about something else."""
        said = error.message.casefold()
        if error.status not in (400, 422):
            return None
        if self.limit == "max_tokens" and "max_completion_tokens" in said:
            return replace(self, limit="max_completion_tokens")
        if self.temperature and "temperature" in said:
            return replace(self, temperature=False)
        return None


@dataclass(frozen=True)
class Asked:
    """What is asked beside the messages."""

    max_tokens: int
    logprobs: bool = False
    prefix: str | None = None
    """Text that the answer goes on from, where the server can do that."""
    extra: tuple[tuple[str, Any], ...] = ()
    """Further settings of the body."""


@dataclass(frozen=True)
class Reply:
    """A reply: the first choice's text, and what is known of its tokens."""

    text: str
    refused: bool = False
    """Whether the model, or the server's filter, has declined to answer."""
    was_cut: bool = False
    """Whether it reached the token limit."""
    positions: tuple[Mapping[str, Any], ...] | None = None
    """Each token with its likeliest alternatives; None where the server gave none."""
    tokens: int | None = None
    """Tokens that were written, hidden ones included; None where the server does not count."""
    prompt_tokens: int | None = None


class Chat:
    """A Chat Completions server, asked in the form that it has taken before.

    Args:
        exchange: The server.
        extra: Further settings of each request's body, as the user gave them.
    """

    def __init__(self, exchange: Exchange, extra: Mapping[str, Any] | None = None) -> None:
        self.exchange, self.extra = exchange, dict(extra or {})
        self.form = Form()

    def complete(
        self, messages: Sequence[Message], asked: Asked, *, slim: Callable[[Any], Any] | None = None
    ) -> Reply:
        """The reply to messages.

        Args:
            messages: From the user's turn on.
            asked: What is asked.
            slim: What is kept of a reply beside `reply_of`'s needs; by default all of it.

        Raises:
            Refused: The server does not take the request.
            InputError: It does not answer, or a cap is reached.
        """
        while True:
            form = self.form
            try:
                kept = self.exchange.ask(
                    self._question(messages, asked, form),
                    slim=slim or kept_of,
                    is_lesson=partial(_is_lesson, form, asked),
                )
            except Refused as error:
                if is_filter(error):
                    return Reply("", refused=True)
                taught = form.taught(error)
                if taught is None:
                    raise
                self.form = taught
                continue
            return reply_of(kept)

    def _question(self, messages: Sequence[Message], asked: Asked, form: Form) -> Question:
        turns, more = list(messages), dict[str, Any]()
        if asked.prefix is not None:
            turns.append({"role": "assistant", "content": asked.prefix})
        if form.temperature:
            more["temperature"] = 0
        if asked.logprobs:
            more |= {"logprobs": True, "top_logprobs": TOP}
        more |= dict(asked.extra) | self.extra
        body = {"model": self.exchange.model, "messages": turns, form.limit: asked.max_tokens, **more}
        return Question(PATH, body, worst_usage(turns, max_tokens=asked.max_tokens))


def _is_lesson(form: Form, asked: Asked, error: Refused) -> bool:
    """Whether a refusal is kept, so that the same command need not ask again."""
    says_no = asked.prefix is not None and error.status in (400, 422)
    return says_no or form.taught(error) is not None or is_filter(error)


def is_filter(error: Refused) -> bool:
    """Whether a server's filter has declined an item, which is an answer like a model's refusal."""
    said = error.message.casefold()
    return error.status in (400, 403) and any(sign in said for sign in FILTERS)


def kept_of(content: Any) -> dict[str, Any]:
    """What is kept of a reply.

    Raises:
        LookupError: There is no choice or no message (TypeError: or something else in their place).
        ValueError: The choice is one that the server has not finished.
    """
    choice = content["choices"][0]
    message, reason = choice["message"], choice.get("finish_reason")
    text = message.get("content")
    if text is not None and not isinstance(text, str):
        text = "".join(part["text"] for part in text if part.get("type") == "text")
    if reason in ("error", "abort", "aborted", "cancelled"):
        raise ValueError(f"the server ended it with {reason!r}")
    usage = content.get("usage") or {}
    return {
        "text": text or "",
        "refusal": bool(message.get("refusal")),
        "finish": reason,
        "logprobs": (choice.get("logprobs") or {}).get("content"),
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
    }


def reply_of(kept: Mapping[str, Any]) -> Reply:
    """The reply that was kept."""
    positions = kept["logprobs"]
    return Reply(
        kept["text"],
        refused=kept["refusal"] or kept["finish"] in ("content_filter", "safety"),
        was_cut=kept["finish"] in ("length", "max_tokens"),
        positions=None if not positions else tuple(positions),
        tokens=kept["completion_tokens"],
        prompt_tokens=kept["prompt_tokens"],
    )
