"""A server of the parts of vLLM's interface that an engine uses. It answers with the decode loop, and fails on demand.

It samples with a policy of its own, whose adapter it reads from the folders that it is told to load. The random numbers
are those of the seed that comes with a request, as in `uniform_noise`, so its tokens are those of the loop itself.
"""

import base64
import io
import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from lalm_ambig.core.items import Item
from lalm_ambig.core.types import Batch, Tokens
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.engines.agreement import own_log_probs
from lalm_ambig.rollouts.generate import Request, generate
from lalm_ambig.rollouts.sampling import Sampling

BASE = "base-model"


class EngineStub:
    """The server; use it as a context. `faults` are taken by the next completions, one each."""

    def __init__(self, policy: Policy, *, pauses: bool = True) -> None:
        self.policy, self.pauses = policy, pauses
        self.fresh = {
            n: p.detach().clone() for n, p in policy.named_parameters() if ".lora_" in n and "tower" not in n
        }
        self.adapters: dict[str, dict[str, torch.Tensor]] = {}
        self.faults: deque[str] = deque()
        """Of the next completions of adapters."""
        self.stale_loads = 0
        """Loads after which the weights are the old ones."""
        self.unavailable = 0
        """Requests of any kind that are answered with 503."""
        self.raw_temperature = False
        self.paused = False
        self.largest_rank = 16
        self.asked: list[dict[str, Any]] = []
        self.loads: list[str] = []
        self.names_seen: list[str] = []
        self.lock = threading.Lock()

    def __enter__(self) -> "EngineStub":
        self._listen(0)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _listen(self, port: int) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def restart(self, *, after_s: float = 0.0) -> None:
        """End, forget all adapters, and start again at the same port."""
        self.stop()
        self.adapters.clear()
        self.paused = False
        time.sleep(after_s)
        self._listen(self.port)

    # What is answered

    def answer(self, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        if self.unavailable:
            self.unavailable -= 1
            return 503, {"error": {"message": "the engine is paused"}}
        route = path.partition("?")[0]
        if route == "/v1/models":
            return 200, {
                "data": [{"id": BASE, "parent": None}, *({"id": n, "parent": BASE} for n in self.adapters)]
            }
        if route == "/is_paused" and self.pauses:
            return 200, {"is_paused": self.paused}
        if route in ("/pause", "/resume") and self.pauses:
            self.paused = route == "/pause"
            return 200, {}
        answers = {
            "/tokenize": self._tokenize,
            "/v1/load_lora_adapter": self._load,
            "/v1/unload_lora_adapter": self._unload,
            "/v1/completions": self._complete,
        }
        if route not in answers or body is None:
            return 404, {"detail": "Not Found"}
        with self.lock:
            return answers[route](body)

    def _tokenize(self, body: dict[str, Any]) -> tuple[int, Any]:
        ids = self.policy.tokenizer(body["prompt"], add_special_tokens=body["add_special_tokens"])[
            "input_ids"
        ]
        return 200, {"tokens": list(ids)}

    def _load(self, body: dict[str, Any]) -> tuple[int, Any]:
        name, folder = body["lora_name"], Path(body["lora_path"])
        if name in self.adapters:
            return 400, {"error": {"message": f"The lora adapter '{name}' has already been loaded."}}
        assert name not in self.names_seen or not self.loads or self.adapters == {}, "a name is used once"
        rank = json.loads((folder / "adapter_config.json").read_text())["r"]
        if rank > self.largest_rank:
            return 500, {
                "error": {"message": f"LoRA rank {rank} is greater than max_lora_rank {self.largest_rank}."}
            }
        weights = load_file(folder / "adapter_model.safetensors")
        if self.stale_loads and self.adapters:
            self.stale_loads -= 1
            weights = list(self.adapters.values())[-1]
        self.adapters[name] = weights
        self.names_seen.append(name)
        self.loads.append("paused" if self.paused else "running")
        return 200, "Success"

    def _unload(self, body: dict[str, Any]) -> tuple[int, Any]:
        if self.adapters.pop(body["lora_name"], None) is None:
            return 404, {"error": {"message": "cannot be found"}}
        return 200, "Success"

    def _complete(self, body: dict[str, Any]) -> tuple[int, Any]:
        name = body["model"]
        if name != BASE and name not in self.adapters:
            return 404, {"error": {"message": f"The model `{name}` does not exist."}}
        self.asked.append(body)
        fault = self.faults.popleft() if self.faults and name != BASE else ""
        if fault == "paused":
            return 503, {"error": {"message": "the engine is paused"}}
        if fault == "slow":
            time.sleep(1.0)
        if fault in ("html", "reset", "empty"):
            return 200, fault
        if fault == "restart":
            self.adapters.clear()
            return 404, {"error": {"message": f"The model `{name}` does not exist."}}
        self._use(self.adapters.get(name))
        choices = [_choice(n, self.policy, row, fault) for n, row in enumerate(self._sampled(body))]
        return 200, {"model": "someone-else" if fault == "name" else name, "choices": choices}

    def _use(self, weights: dict[str, torch.Tensor] | None) -> None:
        parameters = dict(self.policy.named_parameters())
        values = self.fresh
        if weights is not None:
            known = {f"model.{n}".replace(".weight", ".default.weight"): v for n, v in weights.items()}
            assert known.keys() == self.fresh.keys()
            values = known
        for name, value in values.items():
            parameters[name].data.copy_(value)

    def _sampled(self, body: dict[str, Any]) -> list[Any]:
        sampling = Sampling(max_new_tokens=body["max_tokens"], temperature=body["temperature"])
        generator = torch.Generator().manual_seed(body["seed"])
        noise = torch.rand(body["n"], body["max_tokens"], generator=generator)
        if "prompt" in body:
            ids, embeddings = torch.tensor([body["prompt"]]), None
        else:
            embeddings = torch.load(io.BytesIO(base64.b64decode(body["prompt_embeds"])), weights_only=True)
            ids = torch.full((1, len(embeddings)), self.policy.pad_id)
        batch = Batch(
            (Item("x", (1.0, 1.0)),),
            Tokens(ids, torch.ones_like(ids, dtype=torch.bool)),
            None,
            torch.ones(1, 2),
        )
        request = Request(sampling, group_size=body["n"], stop=tuple(body["stop"]))
        if embeddings is not None:
            self.policy.embed = lambda *_: embeddings[None]  # type: ignore[method-assign]
        try:
            rows = generate(self.policy, batch, request, noise=noise).responses
        finally:
            vars(self.policy).pop("embed", None)
        for row in rows if self.raw_temperature else ():
            row.log_probs = own_log_probs(self.policy, batch, row.ids, temperature=1.0).tolist()
        return rows


def _choice(index: int, policy: Policy, row: Any, fault: str) -> dict[str, Any]:
    ids, log_probs = list(row.ids), list(row.log_probs)
    text, reason = policy.tokenizer.decode(ids), "length" if row.ended == "length" else "stop"
    names = None
    if fault == "truncated":
        ids, log_probs = ids[: len(ids) // 2], log_probs[: len(ids) // 2]
        text = policy.tokenizer.decode(ids)
    if fault == "wrong text":
        ids[0] = (ids[0] + 1) % 256
    if fault == "wrong names":
        names = [f"token_id:{token + 1}" for token in ids]
    if fault == "no such token":
        ids[-1] = 10**7
    if fault == "nan":
        log_probs[0] = float("nan")
    if fault == "aborted":
        reason = "abort"
    if fault == "other weights":
        log_probs = [value - 1.5 for value in log_probs]
    return {
        "index": index,
        "text": text,
        "finish_reason": reason,
        "token_ids": ids,
        "logprobs": {"token_logprobs": log_probs, "tokens": names or [f"token_id:{token}" for token in ids]},
    }


def _handler(stub: EngineStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(None)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self._reply(json.loads(self.rfile.read(length) or b"{}"))

        def _reply(self, body: dict[str, Any] | None) -> None:
            status, answer = stub.answer(self.path, body)
            if answer == "reset":
                self.close_connection = True
                return
            content = (
                b"<html>" if answer == "html" else b"" if answer == "empty" else json.dumps(answer).encode()
            )
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
