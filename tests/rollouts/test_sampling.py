"""Sampled tokens follow the tempered, truncated distribution, and their log-probabilities are the policy's."""

import pytest
import torch

from lalm_ambig.core.errors import InputError
from lalm_ambig.rollouts.sampling import Sampling, choose_tokens, uniform_noise

LOGITS = torch.tensor([2.0, 1.0, 0.5, -1.0, 1.5])
MANY = 20_000


def shares_of(sampling: Sampling) -> torch.Tensor:
    noise = torch.linspace(0, 1, MANY + 1)[:-1]
    tokens, _ = choose_tokens(LOGITS.expand(MANY, -1), sampling, noise)
    return torch.bincount(tokens, minlength=len(LOGITS)) / MANY


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.2])
def test_tokens_come_as_often_as_the_tempered_policy_says(temperature: float) -> None:
    expected = torch.softmax(LOGITS / temperature, -1)
    torch.testing.assert_close(shares_of(Sampling(temperature=temperature)), expected, atol=2e-4, rtol=0)


def test_top_k_leaves_the_k_most_likely() -> None:
    kept = torch.softmax(LOGITS, -1) * torch.tensor([1, 0, 0, 0, 1])
    torch.testing.assert_close(shares_of(Sampling(top_k=2)), kept / kept.sum(), atol=2e-4, rtol=0)


def test_top_p_leaves_the_smallest_set_that_holds_the_share() -> None:
    """Shares 0.43, 0.26, 0.16, 0.10, 0.02: 0.6 needs two, 0.75 needs three."""
    shares = torch.softmax(LOGITS, -1)
    for top_p, chosen in ((0.6, [1, 0, 0, 0, 1]), (0.75, [1, 1, 0, 0, 1]), (0.01, [1, 0, 0, 0, 0])):
        kept = shares * torch.tensor(chosen)
        torch.testing.assert_close(shares_of(Sampling(top_p=top_p)), kept / kept.sum(), atol=2e-4, rtol=0)


def test_log_probs_are_the_tempered_policys_before_truncation() -> None:
    tokens, log_probs = choose_tokens(
        LOGITS.expand(4, -1), Sampling(temperature=1.2, top_k=2), torch.tensor([0.0, 0.3, 0.7, 0.999])
    )
    expected = torch.log_softmax(LOGITS / 1.2, -1)[tokens]
    torch.testing.assert_close(log_probs, expected)


def test_temperature_zero_is_greedy_with_the_plain_log_prob() -> None:
    tokens, log_probs = choose_tokens(LOGITS[None], Sampling(temperature=0.0), torch.tensor([0.9]))
    assert tokens.tolist() == [0]
    torch.testing.assert_close(log_probs, torch.log_softmax(LOGITS, -1)[:1])


def test_a_number_just_below_one_never_takes_a_token_that_was_left_out() -> None:
    noise = torch.full((8,), 1 - 2**-24)
    tokens, _ = choose_tokens(LOGITS.flip(0).expand(8, -1), Sampling(top_k=1), noise)
    assert set(tokens.tolist()) == {4}
    tokens, _ = choose_tokens(LOGITS.expand(8, -1), Sampling(top_k=1), noise)
    assert set(tokens.tolist()) == {0}


@pytest.mark.parametrize("settings", [{}, {"top_k": 2}, {"top_p": 0.6}])
def test_a_running_sum_that_falls_and_jumps_takes_no_token_without_a_share(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, float]
) -> None:
    """Parallel sums on a GPU are rounded along other paths than their neighbours."""
    exact = torch.Tensor.cumsum
    generator = torch.Generator().manual_seed(0)

    def rounded(self: torch.Tensor, dim: int) -> torch.Tensor:
        return exact(self, dim) + 0.01 * torch.randn(self.shape, generator=generator)

    logits = torch.tensor([0.0, -torch.inf, 1.0, -torch.inf, -torch.inf, 0.5, -torch.inf, -1.0])
    left_out = logits.topk(settings.get("top_k", 4)).values[-1] if "top_k" in settings else -1.0
    monkeypatch.setattr(torch.Tensor, "cumsum", rounded)
    monkeypatch.setattr("lalm_ambig.rollouts.sampling.MONOTONE", ())
    noise = torch.cat([torch.linspace(0, 1, 2000), torch.tensor([1 - 2**-24])])
    tokens, log_probs = choose_tokens(logits.expand(len(noise), -1), Sampling(**settings), noise)
    assert bool((logits[tokens] >= left_out).all())
    assert bool(log_probs.isfinite().all())


@pytest.mark.parametrize("settings", [{}, {"top_k": 40}, {"top_p": 0.6}, {"temperature": 0.5}])
def test_the_search_chooses_what_the_passes_choose(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, float]
) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(300, 997, generator=generator)
    logits[:, ::3] = -torch.inf
    noise = torch.rand(300, generator=generator)
    noise[0], noise[1] = 0.0, 1 - 2**-24
    searched = choose_tokens(logits, Sampling(**settings), noise)
    monkeypatch.setattr("lalm_ambig.rollouts.sampling.MONOTONE", ())
    passed = choose_tokens(logits, Sampling(**settings), noise)
    assert torch.equal(searched[0], passed[0])
    assert torch.equal(searched[1], passed[1])


@pytest.mark.parametrize("settings", [{"top_k": 3}, {"top_p": 0.5}, {}])
def test_a_number_of_one_takes_a_token_with_a_share(settings: dict[str, float]) -> None:
    """`torch.rand` is below 1; noise of others need not be."""
    logits = torch.cat([torch.arange(9.0).flip(0), torch.full((4,), -torch.inf)]).expand(2, -1)
    tokens, log_probs = choose_tokens(logits, Sampling(**settings), torch.tensor([1.0, 1.0]))
    assert bool((tokens < {"top_k": 3, "top_p": 1}.get(next(iter(settings), ""), 9)).all())
    assert bool(log_probs.isfinite().all())


def test_noise_belongs_to_item_seed_and_step() -> None:
    both = uniform_noise(["a", "b"], seed=1, step=2, group_size=2, tokens=3)
    assert both.shape == (4, 3)
    assert torch.equal(both[2:], uniform_noise(["b"], seed=1, step=2, group_size=2, tokens=3))
    for seed, step in ((2, 2), (1, 3)):
        assert not torch.equal(both, uniform_noise(["a", "b"], seed=seed, step=step, group_size=2, tokens=3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, "temperature must be at least 0, got -1.0"),
        ({"top_p": 0.0}, r"top_p must be in \(0, 1\], got 0.0"),
        ({"top_k": -1}, "top_k must be at least 0, got -1"),
        ({"max_new_tokens": -1}, "max_new_tokens must be at least 0, got -1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Sampling(**settings)  # type: ignore[arg-type]
