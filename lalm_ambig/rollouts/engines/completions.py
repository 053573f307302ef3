"""What a server is asked to write, in the terms of /v1/completions, and its answer, checked before it is used."""

import base64
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lalm_ambig.core.types import Batch
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.generate import Request
from lalm_ambig.rollouts.sampling import Sampling

HALF = "\ufffd"
"""What stands for a part of a character in decoded text."""
ROUNDING = 1e-3
"""How far above 0 a log-probability may lie, in nats."""


class Faulty(Exception):
    """An answer that must not be used."""


@dataclass(frozen=True)
class Completion:
    """A sampled response, as it came."""

    ids: list[int]
    log_probs: list[float]
    """Of each token, in nats."""


def prompts_of(policy: Policy, batch: Batch) -> list[dict[str, Any]]:
    """Each item's prompt: as token ids, or as embeddings where it has sound, whose features are then inside.

    Args:
        policy: The policy.
        batch: Items with left-padded prompts.
    """
    heard = () if batch.audio is None else batch.audio.rows
    embedded = policy.embed(batch.prompt, batch.audio) if heard else None
    prompts: list[dict[str, Any]] = []
    for row, (ids, mask) in enumerate(zip(batch.prompt.ids, batch.prompt.mask, strict=True)):
        if embedded is None or row not in heard:
            prompts.append({"prompt": ids[mask].tolist()})
        else:
            prompts.append({"prompt_embeds": _packed(embedded[row][mask])})
    return prompts


def _packed(embeddings: Tensor) -> str:
    buffer = io.BytesIO()
    torch.save(embeddings.detach().cpu().clone(), buffer)
    return base64.b64encode(buffer.getvalue()).decode()


def asked(policy: Policy, request: Request, *, limit: int, seed: int) -> dict[str, Any]:
    """The settings of a request, all of them spelt out: a server takes others from the checkpoint's own files.

    Args:
        policy: The policy, whose tokens end the turn.
        request: Number and ends of the responses.
        limit: Longest response in tokens, at least 1.
        seed: Seed of the item's random numbers.
    """
    # In a thought that the prompt has opened, stop texts do not count, and a server does not know: `Replay` cuts.
    stop = [] if request.tags.opened else list(request.stop)
    return {
        "n": request.group_size,
        "max_tokens": limit,
        "seed": seed,
        "stop": stop,
        "stop_token_ids": policy.end_ids,
        "ignore_eos": True,  # those of the policy count, and are in the line above
        **plain_sampling(request.sampling),
        "include_stop_str_in_output": True,
        "skip_special_tokens": False,
        "logprobs": 0,
        "return_token_ids": True,
        "return_tokens_as_token_ids": True,
        "stream": False,
    }


def plain_sampling(sampling: Sampling) -> dict[str, Any]:
    """How tokens are chosen: by temperature alone."""
    return {
        "temperature": sampling.temperature,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
    }


def completions(policy: Policy, reply: Any, *, model: str, count: int) -> list[Completion]:
    """The completions of an answer, in their order.

    Args:
        policy: The policy, whose tokens they must be.
        reply: The answer's JSON.
        model: Name of the weights that were asked.
        count: Completions that were asked for.

    Raises:
        Faulty: The answer is of other weights, has another shape, or its tokens, texts and numbers contradict each
            other.
    """
    try:
        named, choices = reply["model"], sorted(reply["choices"], key=lambda choice: choice["index"])
        if named != model:
            raise Faulty(f"it answered as {named!r}, and {model!r} was asked")
        if [choice["index"] for choice in choices] != list(range(count)):
            raise Faulty(f"it answered with {len(choices)} responses, and {count} were asked for")
        return [_completion(policy, choice) for choice in choices]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Faulty(f"its answer has another form: {type(error).__name__} {error}") from error


def _completion(policy: Policy, choice: Any) -> Completion:
    ids, scores = choice["token_ids"], choice["logprobs"]
    values, names = scores["token_logprobs"], scores["tokens"]
    if choice["finish_reason"] not in ("stop", "length"):
        raise Faulty(f"it ended a response with {choice['finish_reason']!r}")
    if not ids or not len(ids) == len(values) == len(names):
        raise Faulty(f"it gave {len(ids)} tokens and {len(values)} log-probabilities")
    vocabulary = policy.base.get_input_embeddings().num_embeddings
    if any(type(token) is not int or not 0 <= token < vocabulary for token in ids):
        raise Faulty(f"it gave a token that is not among the policy's {vocabulary}")
    if names != [f"token_id:{token}" for token in ids]:
        raise Faulty("its tokens and the names of its log-probabilities differ")
    if not all(
        isinstance(value, float | int) and math.isfinite(value) and value <= ROUNDING for value in values
    ):
        raise Faulty("a log-probability is missing, above 0, or not finite")
    if not _is_text_of(policy, choice["text"], ids):
        raise Faulty(f"its text {choice['text'][-40:]!r} is not that of its tokens")
    return Completion(list(ids), [float(value) for value in values])


def _is_text_of(policy: Policy, text: str, ids: Sequence[int]) -> bool:
    """Whether a text is that of the tokens; it may end inside the last token, or lack it.

    White space is not compared: servers decode token by token, and some tokenizers then treat it otherwise.
    """
    given, whole, without_last = _comparable(
        iter((text, policy.tokenizer.decode(ids), policy.tokenizer.decode(ids[:-1])))
    )
    return whole.startswith(given) and given.startswith(without_last)


def _comparable(texts: Iterator[str]) -> Iterator[str]:
    return ("".join(text.split()).rstrip(HALF) for text in texts)
