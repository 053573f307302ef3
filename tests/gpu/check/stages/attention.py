"""Attention of packed rows and the choice of tokens: the code that takes other kernels on a GPU than on a CPU.

Attention to a prefix is lower-right causal: flash in bfloat16, the efficient or the plain kernel in float32, with heads
that share keys and without. Choosing inverts a running sum over the vocabulary, which a GPU makes of parts that
rounding need not join smoothly.
"""

import torch
from product.decoding import attend, next_tokens, sampling_settings
from torch import Tensor

from check.runner import Stage

TOLERANCE = {torch.bfloat16: 0.03, torch.float32: 1e-4}
"""Largest difference to float64, relative to the largest value: about four roundings of the type."""
HEADS = ((32, 32), (28, 4))
"""Heads of queries, and of keys and values: Qwen2-Audio-7B's and Qwen2.5-Omni-7B's."""
LENGTHS = ((64, 64), (40, 300), (1, 300), (256, 700))
"""Tokens of the response, and of prompt and response."""
CHANNELS = 128
VOCABULARY = 156_032
REPEATS = 5


def run(stage: Stage) -> None:
    compared = 0
    for heads in HEADS:
        for new, tokens in LENGTHS:
            shape = f"{heads[0]}/{heads[1]} heads {new}/{tokens} tokens"
            with stage.facts.attempt(f"attention {shape}"):
                for dtype, worst in _differences(
                    heads, tokens, prefix=tokens - new, place=stage.device.name
                ).items():
                    compared += 1
                    if not worst <= TOLERANCE[dtype]:
                        stage.facts.note(f"WRONG attention {dtype} {shape}", worst, failed=True)
    stage.facts.note(
        "attention compared with float64", f"{compared} shapes and types, the wrong ones are listed"
    )
    with stage.facts.attempt("choice of tokens"):
        _choice(stage)


def _differences(heads: tuple[int, int], tokens: int, *, prefix: int, place: str) -> dict[torch.dtype, float]:
    """By type: the largest difference of the output and of all gradients to those in float64 on the CPU."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, count, tokens, CHANNELS) for count in (heads[0], heads[1], heads[1])]
    given = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]

    def computed(kind: torch.dtype, where: str) -> list[Tensor]:
        query, key, value = (t.to(where, kind, copy=True).requires_grad_() for t in given)
        out = attend(query, key, value, prefix=prefix)
        out.to(torch.promote_types(kind, torch.float32)).square().sum().backward()
        results = [out.detach(), *(t.grad for t in (query, key, value) if t.grad is not None)]
        return [t.double().cpu() for t in results]

    true = computed(torch.float64, "cpu")
    return {
        kind: max(
            float((ours - exact).abs().max() / exact.abs().max())
            for ours, exact in zip(computed(kind, place), true, strict=True)
        )
        for kind in TOLERANCE
    }


def _choice(stage: Stage) -> None:
    """Whether running sums fall, reach tokens without a share, or differ when repeated; tokens beside the CPU's."""
    torch.manual_seed(0)
    logits = (torch.randn(16, VOCABULARY) * 3).to(stage.device.name)
    noise = torch.rand(16)
    for name, settings in sampling_settings().items():
        shares = torch.softmax(logits, -1)
        if settings.top_k:
            shares = shares.masked_fill(shares < shares.topk(settings.top_k).values[:, -1:], 0)
        sums = shares.cumsum(-1)
        step = sums.diff(dim=-1)
        rises = (step > 0) & (shares[:, 1:] == 0)
        ours = next_tokens(logits, settings, noise).cpu()
        stage.facts.note(
            f"running sum, {name}",
            f"{int((ours == next_tokens(logits.cpu(), settings, noise)).sum())} of 16 tokens as on the CPU",
            falls=int((step < 0).sum()),
            rises_without_a_share=int(rises.sum()),
            their_width=float(step[rises].sum()),
            same_when_repeated=all(torch.equal(shares.cumsum(-1), sums) for _ in range(REPEATS)),
        )
