"""A fresh adapter and a fresh projector depend on torch's seed, and on nothing that was drawn before."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lalm_ambig.policies.audio.standardised import StandardisedLinear
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.lora import Adapter, attach_adapter


def fresh(seed: int, drawn: int) -> tuple[Tensor, Tensor]:
    """An adapter's weights, and a projector's."""
    torch.manual_seed(seed)
    torch.rand(drawn)
    policy = Tiny(adapter=Adapter())
    policy.load()
    weights = torch.cat([p.flatten() for name, p in policy.named_parameters() if "lora_A" in name])
    projector = StandardisedLinear(nn.Linear(8, 4), torch.zeros(8), torch.ones(8), scale=1.0)
    return weights, projector.weight.detach()


def test_what_training_starts_from_follows_the_seed_alone(
    cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    first, again, other = fresh(1, 0), fresh(1, 5), fresh(2, 0)
    for part in range(2):
        assert torch.equal(first[part], again[part])
        assert not torch.equal(first[part], other[part])
    assert float(first[1].std()) == pytest.approx(8**-0.5, rel=0.5)


def test_a_fresh_adapter_draws_nothing_from_what_others_draw(
    cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    torch.manual_seed(3)
    policy = Tiny(adapter=Adapter())
    policy.tokenizer, base = policy.load_base()
    policy.model = base
    before = torch.get_rng_state()

    attach_adapter(base, policy.adapter, decoder=policy.language_model, beside=policy.beside)
    assert torch.equal(before, torch.get_rng_state())
