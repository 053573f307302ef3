"""Responses that are asked for ahead: of a later step, with the weights of the present one, while it trains.

Only the wait for the servers is in threads. What comes is read in the main thread, when the next step begins and before
the weights that it was sampled with leave the servers.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lalm_ambig.core import distributed, stopping
from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.engines.at_once import Running
from lalm_ambig.rollouts.engines.base import Draw
from lalm_ambig.rollouts.engines.client import Client, Question
from lalm_ambig.rollouts.generate import Request, Response

SAVE_WAIT_S = 10.0
"""Seconds that a state is held up for responses, where a signal asks the run to end."""


@dataclass(frozen=True)
class Asked:
    """What has been asked of the servers for a later step."""

    draw: Draw
    request: Request
    questions: Sequence[Question]
    replies: Running[Any]
    """The JSON of each answer, unread."""


class Ahead:
    """Responses of a later step: first asked for, then there, then used."""

    def __init__(self, client: Client) -> None:
        """Args:
        client: Asks the servers.
        """
        self.client = client
        self.asked: Asked | None = None
        """What is not read yet."""
        self.draw: Draw | None = None
        """Of the responses that are there."""
        self.responses: dict[str, Sequence[Response]] = {}
        """Those that are there and not used yet, by the item's id."""

    def ask(self, questions: Sequence[Question], request: Request, draw: Draw) -> None:
        """Ask without waiting, about each item once; where nothing may be written, nothing is asked."""
        if self.asked is not None:
            self.asked.replies.give_up()
        each = [one for one in {one.item: one for one in questions}.values() if one.limit]
        self.asked = Asked(draw, request, each, self.client.begun(each))

    def settle(self, policy: Policy) -> None:
        """Wait for what was asked, and read it. All processes must call, and all fail together.

        Raises:
            InputError: A server has failed in one of the processes.
        """
        failure: InputError | None = None
        try:
            self._settle(policy)
        except InputError as error:
            failure = error
        failures = distributed.all_gather_object(None if failure is None else str(failure))
        if failure is not None:
            raise failure
        for line in failures:
            if line is not None:
                raise InputError(line)

    def _settle(self, policy: Policy) -> None:
        if (asked := self.asked) is None:
            return
        replies = dict(enumerate(self.client.completed(asked.replies)))
        answers = self.client.answers(policy, asked.request, asked.questions, replies)
        self.responses = {one.item: rows for one, rows in zip(asked.questions, answers, strict=True)}
        self.draw, self.asked = asked.draw, None

    def used(self, ids: Sequence[str], draw: Draw, *, group_size: int) -> dict[str, Sequence[Response]]:
        """The responses of these items, if they were asked for with the same random numbers. None comes twice.

        Args:
            ids: Ids of the items.
            draw: Seed and step.
            group_size: Responses per item.
        """
        if self.responses and self.draw != draw:
            print(f"responses sampled ahead are not of step {draw.step}, and not used", file=sys.stderr)
            self.responses = {}
        chosen = {one: self.responses.pop(one) for one in dict.fromkeys(ids) if one in self.responses}
        return {one: rows for one, rows in chosen.items() if len(rows) == group_size}

    # Checkpoints

    def state(self, policy: Policy) -> dict[str, Any]:
        """The responses as plain values, waited for. All processes must call.

        Where a signal asks the run to end, they are waited for a short time only, and some may be missing.

        Raises:
            InputError: A server has failed.
        """
        if not any(distributed.all_gather_object(stopping.requested_signal() is not None)):
            self.settle(policy)
        if self.asked is not None:
            return _state(self.asked.draw, self._there_in_time(policy, self.asked))
        return {} if self.draw is None else _state(self.draw, self.responses)

    def _there_in_time(self, policy: Policy, asked: Asked) -> dict[str, Sequence[Response]]:
        asked.replies.wait_at_most(SAVE_WAIT_S)
        responses: dict[str, Sequence[Response]] = {}
        for number, reply in asked.replies.results.items():
            rows = self.client.read_once(policy, asked.request, asked.questions[number], reply)
            if rows is not None:
                responses[asked.questions[number].item] = rows
        if missing := len(asked.questions) - len(responses):
            line = f"responses to {missing} of {len(asked.questions)} prompts of the next step have not come"
            print(f"{line}: they are sampled anew, by later weights", file=sys.stderr)
        return responses

    def restore(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Take the responses of a checkpoint: those of all processes, whose number may be another now."""
        for state in states:
            if state:
                self.draw = Draw(**state["draw"])
                self.responses |= {
                    item: [Response(**row) for row in rows] for item, rows in state["responses"].items()
                }

    def give_up(self) -> None:
        """Forget everything. What a server is being asked is read by nobody."""
        if self.asked is not None:
            self.asked.replies.give_up()
        self.asked, self.draw, self.responses = None, None, {}


def _state(draw: Draw, responses: Mapping[str, Sequence[Response]]) -> dict[str, Any]:
    rows = {item: [asdict(one) for one in of_item] for item, of_item in responses.items()}
    return {"draw": asdict(draw), "responses": rows}
