"""Attention, the choice of tokens, and the decode loop: what a GPU computes in another way than a CPU."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lalm_ambig.core.types import Item
from lalm_ambig.policies.attention import tree
from lalm_ambig.policies.attention.tree import AttentionArguments, TreeLayout
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.quantised_base import QuantisedLinear, Quantize, pack
from lalm_ambig.rollouts.generate import GeneratedBatch, Request, generate
from lalm_ambig.rollouts.sampling import Sampling, choose_tokens, uniform_noise


def attend(query: Tensor, key: Tensor, value: Tensor, *, prefix: int) -> Tensor:
    """The product's attention of a packed row: `prefix` tokens shared, the rest one response to them."""
    tokens = query.shape[2]
    lengths = [prefix, tokens - prefix] if prefix else [tokens]
    layout = TreeLayout(lengths, [None, 0][: len(lengths)])
    return layout.attend(0, query, key, value, AttentionArguments(scaling=query.shape[-1] ** -0.5))


def sampling_settings() -> dict[str, Sampling]:
    """Ways of choosing a token, by name."""
    return {
        "plain": Sampling(),
        "top_k 50": Sampling(top_k=50),
        "top_p 0.9": Sampling(top_p=0.9),
        "greedy": Sampling(temperature=0.0),
    }


def next_tokens(logits: Tensor, settings: Sampling, noise: Tensor) -> Tensor:
    """The token that the product chooses for each row."""
    return choose_tokens(logits, settings, noise)[0]


def fused_in(replaced: Callable[..., Any]) -> Any:
    """The context `replaced`, given the product's modules that call torch's attention by a name of their own."""
    return replaced(tree)


@contextmanager
def never_ending(policy: Any) -> Iterator[None]:
    """Inside, no token ends a response: every row is decoded to its full length."""
    ends, policy.ends = policy.ends, [-1]
    try:
        yield
    finally:
        policy.ends = ends


@dataclass(frozen=True)
class Decoding:
    """Responses of one length to some items."""

    items: Sequence[Item]
    group_size: int
    share_prompt: bool = True
    autocast: torch.dtype | None = torch.bfloat16
    merge: bool = False
    graphs: bool = False

    def run(self, policy: Policy, encoder: Any, *, tokens: int) -> GeneratedBatch:
        """So many tokens of every row by the product's loop."""
        batch = encoder(list(self.items)).to(policy.device)
        noise = uniform_noise(
            [item.id for item in batch.items], seed=0, step=0, group_size=self.group_size, tokens=tokens
        )
        request = Request(
            Sampling(max_new_tokens=tokens, merge_adapter=self.merge, cuda_graphs=self.graphs),
            group_size=self.group_size,
            stop=("</answer>",),
            anchor="<answer>",
            share_prompt=self.share_prompt,
        )
        cast: Any = nullcontext()
        if self.autocast is not None:
            cast = torch.autocast(policy.device.type, dtype=self.autocast, cache_enabled=False)
        with torch.no_grad(), cast:
            return generate(policy, batch, request, noise=noise)


def decode_by_transformers(policy: Policy, *, rows: int, prompt: int, tokens: int) -> None:
    """As many tokens of as many rows with transformers' own loop, behind random text, the adapter off."""
    text = torch.randint(300, 1000, (rows, prompt), device=policy.device)
    with torch.no_grad(), policy.adapter_off():
        policy.base.generate(
            input_ids=text,
            attention_mask=torch.ones_like(text),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            pad_token_id=policy.pad_id,
        )


def decoder_bytes(policy: Policy) -> int:
    """Bytes of the weights that every decode step reads."""
    return sum(p.numel() * p.element_size() for p in policy.language_model.parameters())


def packed_layer(kind: Quantize | None, width: int, *, device: str) -> tuple[torch.nn.Module, Tensor]:
    """A square linear layer of such weights in bfloat16 on the device, and 16 rows for it."""
    plain = torch.nn.Linear(width, width, bias=False, dtype=torch.bfloat16, device=device)
    rows = torch.randn(16, width, dtype=torch.bfloat16, device=device)
    if kind is None:
        return plain, rows
    return QuantisedLinear(plain, kind, pack(plain.weight.detach(), kind)), rows
