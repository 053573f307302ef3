"""Responses sampled by vLLM servers, which run in environments of their own, on this machine or on others.

docs/guides/engines.md says what is checked, and what happens on faults. An answer is used only if its weights,
tokens, text and numbers are those that were asked for, and agree with the policy. Otherwise it is asked for again, and
at last the run stops in one line, from where the same command goes on.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.served_adapter import check_served
from lalm_ambig.remote.server import GOES_ON, Server
from lalm_ambig.rollouts.engines import agreement
from lalm_ambig.rollouts.engines.adapters import Adapters, load, unload
from lalm_ambig.rollouts.engines.ahead import Ahead
from lalm_ambig.rollouts.engines.base import Draw, Engine, Sampled
from lalm_ambig.rollouts.engines.client import TRIES, Client, Question
from lalm_ambig.rollouts.engines.completions import Faulty, asked, prompts_of
from lalm_ambig.rollouts.generate import Request
from lalm_ambig.rollouts.sampling import Sampling, item_seed

BEFORE = -1
"""The step of the weights that training starts from, which the servers are given to see that they take them."""
AT_START_S = 10.0
"""Seconds that a server may take to answer before a run begins."""


@dataclass
class _Probe:
    """What a server said of the probe, and the policy at the same time."""

    ids: list[int]
    given: list[float]
    own: Tensor


class VLLM(Engine):
    """Samples on vLLM servers, which are given the adapter anew after each optimiser step."""

    is_exact: ClassVar[bool] = False

    def __init__(  # noqa: PLR0913  # the configuration's keys
        self,
        urls: list[str],
        *,
        model: str | None = None,
        folder: Path | None = None,
        timeout_s: float = 600.0,
        patience_s: float = 300.0,
        requests: int = 64,
        overlap: bool = False,
    ) -> None:
        """Args:
        urls: Addresses of the servers, such as http://127.0.0.1:8000. Prompts go to them in turn.
        model: Name under which the servers have the base model; by default the only one that they serve.
        folder: Where adapters are written, a folder that the servers can read; by default a temporary one.
        timeout_s: Longest silence of a server within a request, in seconds.
        patience_s: Seconds for which a server that is paused, busy or being started is asked again.
        requests: Prompts that this process sends at a time.
        overlap: Let the servers sample the next step's responses while this one trains, with weights that are then one
            step old. The loss corrects for that; see docs/guides/engines.md.

        Raises:
            InputError: A setting is out of its range, or an address is none.
        """
        wrong = [url for url in urls if not url.startswith(("http://", "https://"))]
        if wrong or not urls:
            raise InputError(
                f"urls must be addresses such as http://127.0.0.1:8000, got {wrong[0] if wrong else urls!r}",
                where="model.engine",
            )
        for name, value in (("timeout_s", timeout_s), ("patience_s", patience_s), ("requests", requests)):
            if not 0 < value < float("inf"):
                raise InputError(f"{name} must be positive, got {value}", where="model.engine")
        self.servers = [Server(url.rstrip("/"), timeout_s) for url in urls]
        self.model, self.folder = model, folder
        self.overlap = overlap
        self.client = Client(patience_s=patience_s, requests=requests)
        self.ahead = Ahead(self.client)
        self.adapters: Adapters | None = None
        self.path: Path | None = None
        """Folder of the adapter that is sampled with."""
        self.step: int | None = None
        self.sampling: Sampling | None = None
        self.tolerance = agreement.MOST_MISMATCH
        self.probes: dict[str, _Probe] = {}
        """The newest answers to the probe that differ from those before, by server."""

    # Before training

    def check_reachable(self) -> None:
        distributed.on_rank_zero(
            lambda: [self._base_model(server, patience_s=AT_START_S) for server in self.servers]
        )

    def check(self, policy: Policy, sampling: Sampling) -> None:
        if self.sampling == sampling:
            return
        check_served(policy)
        if sampling.top_p < 1 or sampling.top_k:
            raise InputError(
                "a server's log-probabilities do not say what top_p and top_k leave out:",
                where="model.sampling",
                remedy="set top_p to 1 and top_k to 0, or leave model.engine out.",
            )
        self.sampling = sampling
        self.tolerance = distributed.on_rank_zero(lambda: self._agree(policy))
        self.update(policy, BEFORE)

    def _agree(self, policy: Policy) -> float:
        """Compare tokens and base model of each server with the policy's. Return the mismatch to allow, in nats."""
        largest = 0.0
        for server in self.servers:
            base = self._base_model(server)
            self._compare_tokens(server, policy, base)
            with policy.adapter_off():
                probe = self._ask_probe(server, policy, base)
                self._refuse_other_temperature(server, policy, probe)
            largest = max(largest, self._compare(server, probe, agreement.MOST_MISMATCH, "another model"))
        return min(agreement.MOST_MISMATCH, max(agreement.LEAST_MISMATCH, 4 * largest))

    def _base_model(self, server: Server, *, patience_s: float | None = None) -> str:
        """The name of a server's base model."""
        cards = self.client.call(server, lambda: server.get("/v1/models"), patience_s=patience_s)
        try:
            names = [card["id"] for card in cards["data"] if not card.get("parent")]
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError("it does not list its models.", where=server.url) from error
        if self.model is None and len(names) == 1:
            return str(names[0])
        if self.model not in names:
            raise InputError(
                f"it serves {', '.join(map(str, names))}, and not {self.model or 'one model'}:",
                where=server.url,
                remedy=f"set model.engine.model to one of {names}.",
            )
        return str(self.model)

    def _compare_tokens(self, server: Server, policy: Policy, base: str) -> None:
        text = f"{agreement.PROBE} <think>É, 12 words.</think><answer> no</answer>\n"
        body = {"model": base, "prompt": text, "add_special_tokens": False}
        reply = self.client.call(server, lambda: server.post("/tokenize", body))
        own = list(policy.tokenizer(text, add_special_tokens=False)["input_ids"])
        if not isinstance(reply, dict) or reply.get("tokens") != own:
            raise InputError(
                f"its tokenizer is not that of {policy.description}.",
                where=server.url,
                remedy="Serve the checkpoint that the policy is read from.",
            )

    def _refuse_other_temperature(self, server: Server, policy: Policy, probe: _Probe) -> None:
        """Refuse log-probabilities of another temperature than the one that was sampled with."""
        assert self.sampling is not None
        if self.sampling.temperature in (0.0, 1.0):
            return
        plain = agreement.own_log_probs(policy, agreement.probe_batch(policy), probe.ids, temperature=1.0)
        if agreement.mismatch(plain, probe.given) < agreement.mismatch(probe.own, probe.given):
            raise InputError(
                f"its log-probabilities are those of temperature 1, not {self.sampling.temperature}.",
                where=server.url,
                remedy="Start it with --logprobs-mode processed_logprobs.",
            )

    # Weights

    def update(self, policy: Policy, step: int) -> None:
        if self.step == step:
            return
        if self.overlap:
            self.ahead.settle(policy)  # what was asked of the old weights, while they are there
        self.path = distributed.on_rank_zero(lambda: self._publish(policy, step))
        self.client.use(self.path)
        self.step = step

    @torch.no_grad()
    def _publish(self, policy: Policy, step: int) -> Path:
        """Put the policy's adapter onto every server, and see that it is there; return its folder."""
        self.adapters = self.adapters or Adapters(self.folder)
        for attempt in range(1, TRIES + 1):
            path = self.adapters.write(policy, step)
            try:
                for server in self.servers:
                    self._load(server, path)
                    self._verify(server, policy, path.name)
            except Faulty as fault:
                self._drop(path)
                if attempt == TRIES:
                    raise InputError(
                        f"{fault}, {TRIES} times.", where="model.engine", remedy=GOES_ON
                    ) from fault
                print(f"{fault}: the adapter is loaded anew", file=sys.stderr)
                continue
            if self.path is not None:
                self._drop(self.path)
            return path
        raise AssertionError

    def _load(self, server: Server, path: Path) -> None:
        self.client.call(server, lambda: load(server, path))

    def _drop(self, path: Path) -> None:
        """Take an adapter from the servers and from the disk."""
        for server in self.servers:
            unload(server, path.name)
        if self.adapters is not None:
            self.adapters.remove(path)

    def _verify(self, server: Server, policy: Policy, name: str) -> None:
        """See that a server computes with the new weights.

        Raises:
            Faulty: It computes with others.
        """
        probe = self._ask_probe(server, policy, name)
        old = self.probes.get(server.url)
        if old is None or (old.ids, old.given) != (probe.ids, probe.given):
            self.probes[server.url] = probe
        elif float((old.own - probe.own).abs().max()) > agreement.MOVED:
            raise Faulty(f"{server.url} says of new weights what it said of old ones")
        off = agreement.mismatch(probe.own, probe.given)
        if off > self.tolerance:
            raise Faulty(f"{server.url} differs by {off:.2f} nats a token from the weights that it was given")

    def _ask_probe(self, server: Server, policy: Policy, name: str) -> _Probe:
        """A short response by those weights of a server, and what the policy says of its tokens."""
        assert self.sampling is not None, "settings are checked before anything is sampled"
        batch = agreement.probe_batch(policy)
        body = asked(policy, Request(self.sampling), limit=agreement.PROBE_TOKENS, seed=0)
        body |= {"model": name, **prompts_of(policy, batch)[0]}
        (one,) = self.client.completions(server, policy, body)
        own = agreement.own_log_probs(policy, batch, one.ids, temperature=self.sampling.temperature)
        return _Probe(one.ids, one.log_probs, own)

    def _compare(self, server: Server, probe: _Probe, most: float, meaning: str) -> float:
        off = agreement.mismatch(probe.own, probe.given)
        if off > most:
            raise InputError(
                f"it differs from the policy by {off:.2f} nats a token, more than rounding explains: {meaning}.",
                where=server.url,
                remedy="Serve the checkpoint that the policy is read from, in its own type (--dtype).",
            )
        return off

    # Sampling

    @torch.no_grad()
    def sample(self, policy: Policy, batch: Batch, request: Request, draw: Draw) -> Sampled:
        ready = self.ahead.used([item.id for item in batch.items], draw, group_size=request.group_size)
        rows = [row for row, item in enumerate(batch.items) if item.id not in ready]
        questions = self._questions(policy, batch, request, draw, rows)
        come = iter(self.client.answers(policy, request, questions))
        responses = [next(come) if item.id not in ready else ready[item.id] for item in batch.items]
        return Sampled([one for of_item in responses for one in of_item], ahead=bool(ready))

    def _questions(
        self, policy: Policy, batch: Batch, request: Request, draw: Draw, rows: list[int]
    ) -> list[Question]:
        """What is asked about some rows of a batch: of the present weights, of one server after another."""
        assert self.path is not None, "the engine has been given weights"
        every = request.limits or (request.sampling.max_new_tokens,) * len(batch.items)
        prompts = prompts_of(policy, batch.select(rows)) if rows else []
        questions = []
        for place, (row, prompt) in enumerate(zip(rows, prompts, strict=True), distributed.rank()):
            seed = item_seed(batch.items[row].id, seed=draw.seed, step=draw.step)
            body = asked(policy, request, limit=every[row], seed=seed) | prompt | {"model": self.path.name}
            questions.append(Question(batch.items[row].id, self.servers[place % len(self.servers)], body))
        return questions

    # Sampling ahead

    @torch.no_grad()
    def begin(self, policy: Policy, batches: Sequence[Batch], request: Request, draw: Draw) -> None:
        questions = [
            question
            for batch in batches
            for question in self._questions(policy, batch, request, draw, list(range(len(batch.items))))
        ]
        self.ahead.ask(questions, request, draw)

    def pending(self, policy: Policy) -> dict[str, Any]:
        return self.ahead.state(policy) if self.overlap else {}

    def restore(self, pending: Sequence[dict[str, Any]]) -> None:
        self.ahead.restore(pending)

    def close(self) -> None:
        self.ahead.give_up()
        if self.path is not None and distributed.is_first():
            self._drop(self.path)
        self.path, self.step = None, None
        self.client.use(None)
