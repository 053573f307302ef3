"""Keys and values of rollouts in bfloat16 are kept and multiplied in float32 on a CPU, so that no score is rounded."""

import torch

from lalm_ambig.policies.attention.rollout_cache import RolloutCache
from lalm_ambig.policies.attention.tree import AttentionArguments

PROMPT, WIDTH = 7, 4


def test_a_step_in_bfloat16_is_one_in_float32_rounded_at_its_end() -> None:
    torch.manual_seed(0)
    prompt = [(3 * torch.randn(1, 2, PROMPT, WIDTH)).bfloat16() for _ in range(2)]
    step = [(3 * torch.randn(3, heads, 1, WIDTH)).bfloat16() for heads in (4, 2, 2)]
    outputs = []
    for kind in (torch.bfloat16, torch.float32):
        keys, values = (part.to(kind) for part in prompt)
        cache = RolloutCache([(keys, values)], [[slice(0, PROMPT)]], group_size=3)
        cache.expect(torch.full((3, 1), PROMPT))
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16):
            query, key, value = (part.to(kind) for part in step)
            outputs.append(cache.attend(0, query, key, value, AttentionArguments(scaling=0.5)))
    half, exact = outputs
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, exact.bfloat16())
