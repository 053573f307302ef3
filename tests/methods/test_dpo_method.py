"""What on-policy DPO rejects, compares and trains on."""

from collections.abc import Sequence

import pytest
import torch
from scripted import MakeMethod, gradients, say

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item, Tokens
from lalm_ambig.methods.dpo import DPO, Negatives
from lalm_ambig.objectives.dpo import DPOObjective

JS = torch.tensor([[0.1, 0.4, 0.3], [0.05, 0.1, 0.15]])


def test_the_worst_response_over_the_threshold_is_rejected() -> None:
    assert Negatives(js_threshold=0.15).chosen(JS).tolist() == [[False, True, False], [False] * 3]


def test_all_responses_over_the_threshold_can_be_rejected() -> None:
    assert Negatives(choose="all").chosen(JS).tolist() == [[False, True, True], [False] * 3]


def plain_sum(method: DPO, item: Item, ids: list[int], skip: list[bool]) -> torch.Tensor:
    """Log-probability of a response by transformers' way: one row, no sharing, the whole head."""
    batch = method.encoder([item])
    sequence = torch.cat([batch.prompt.ids, torch.tensor([ids])], dim=1)
    mask = torch.ones_like(sequence, dtype=torch.bool)
    states = method.policy.hidden(method.policy.embed(Tokens(sequence, mask), batch.audio), mask)[0]
    start = batch.prompt.ids.shape[1] - 1
    shares = method.policy.logits(states[start:-1]).log_softmax(-1)
    values = shares.gather(-1, torch.tensor(ids)[:, None])[:, 0]
    return values[~torch.tensor(skip)].sum()


RESPONSES = (
    "<think>the voice is loud</think><answer> anger</answer>",
    "<think>calm</think><answer> fear</answer>",
)


@torch.no_grad()
def test_margins_are_those_of_two_plain_forward_passes_without_the_name(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = on_policy(DPO, negatives=Negatives(group_size=2, js_threshold=0.0, choose="all"), tokens=40)
    say(method.policy, monkeypatch, RESPONSES)
    item = items[0]
    batch = method.encoder([item])
    experience = method.gather(batch)
    assert experience.is_pair.tolist() == [[True, True]]
    assert batch.curated is not None
    curated = batch.curated.response.ids[0].tolist()
    ends = method.policy.end_ids
    skip = [
        name or token in ends
        for name, token in zip(batch.curated.is_answer_token[0].tolist(), curated, strict=True)
    ]
    assert any(token in ends for token in curated)
    policy_sums = torch.stack([experience.chosen[0], *experience.rejected[0]])
    reference = torch.stack([experience.chosen_ref[0], *experience.rejected_ref[0]])

    def expected() -> torch.Tensor:
        rows = [plain_sum(method, item, curated, skip)]
        for text in RESPONSES:
            ids = method.policy.text_ids(text)
            name = method.policy.text_ids(text.split("<answer>")[1].split("<")[0])
            place = len(method.policy.text_ids(text.split("<answer>")[0] + "<answer>"))
            rows.append(
                plain_sum(method, item, ids, [place <= n < place + len(name) for n in range(len(ids))])
            )
        return torch.stack(rows)

    torch.testing.assert_close(policy_sums, expected(), atol=1e-3, rtol=1e-4)
    with method.policy.adapter_off():
        torch.testing.assert_close(reference, expected(), atol=1e-3, rtol=1e-4)
    assert not torch.allclose(policy_sums, reference, atol=1e-2)


def test_the_shared_way_gives_the_plain_ways_loss_and_gradients(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    results = []
    for share in (True, False):
        method = on_policy(DPO, negatives=Negatives(js_threshold=0.1), share_prompt=share)
        loss = method.reduce(method.gather(method.encoder(items))).total
        loss.backward()
        results.append((float(loss.detach()), gradients(method)))
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-3)
    for name, plain in results[1][1].items():
        assert (results[0][1][name] - plain).abs().max() <= 1e-3 * plain.abs().max().clamp(min=1e-6), name


def test_without_negatives_the_reference_is_not_asked_and_the_other_terms_train(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = on_policy(DPO, negatives=Negatives(js_threshold=1.0))
    monkeypatch.setattr(method.reference, "active", lambda _: pytest.fail("the reference was asked"))
    experience = method.gather(method.encoder(items))
    assert not experience.is_pair.any()
    loss = method.reduce(experience)
    assert float(loss.parts["items_with_negative"]) == 0
    loss.total.backward()
    assert gradients(method)


def test_without_the_divergence_ce_covers_the_name_and_the_preference_does_not(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    with_kl, without = (
        on_policy(DPO, objective=DPOObjective(kl_weight=kl), negatives=Negatives(js_threshold=0.0))
        for kl in (0.1, 0.0)
    )
    batch = with_kl.encoder(items)
    assert batch.curated is not None
    one, two = with_kl.gather(batch), without.gather(batch)
    names = batch.curated.is_answer_token.sum()
    assert two.supervised.mask.sum() - one.supervised.mask.sum() == names > 0
    torch.testing.assert_close(one.chosen, two.chosen, atol=1e-3, rtol=1e-4)


def test_no_gradient_reaches_the_reference(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    method = on_policy(DPO, negatives=Negatives(js_threshold=0.0))
    experience = method.gather(method.encoder(items))
    assert experience.chosen.requires_grad
    assert experience.rejected.requires_grad
    assert not experience.chosen_ref.requires_grad
    assert not experience.rejected_ref.requires_grad


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"js_threshold": 1.2}, r"js_threshold must be in \[0, 1\], got 1.2"),
        ({"group_size": 0}, "group_size must be at least 1, got 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Negatives(**settings)  # type: ignore[arg-type]


def test_preferences_need_reasoning(on_policy: MakeMethod) -> None:
    with pytest.raises(InputError, match="without reasoning there is nothing to prefer"):
        on_policy(DPO, reasoning=False)
