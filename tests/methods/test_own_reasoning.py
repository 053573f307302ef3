"""What is learnt after the policy's own responses: where it is read, what it weighs, and what is refused."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from scripted import MakeMethod, gradients, say

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Groups, Item
from lalm_ambig.methods.curated_trajectory import CuratedTrajectory
from lalm_ambig.methods.dpo import DPO, Negatives
from lalm_ambig.methods.grouping import Grouping
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.dpo import DPOObjective
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rewards.format import Format
from lalm_ambig.rollouts import groups as groups_module

TEXTS = (
    "<think>calm</think><answer>fear</answer>",
    "loud and shrill, no tag at all",
    "<think>cut in the middle of its reas",
    "<think>a tag that goes on</think><answer>?!",
)
"""Four ends of a response: in form, without a tag, cut, and with another name."""
OWN: dict[str, tuple[Any, dict[str, Any]]] = {
    "sft": (
        SFT,
        {"objective": SFTObjective(ce_weight=0.0, kl_weight=0.0, on_policy_kl_weight=1.0), "group_size": 4},
    ),
    "dpo": (
        DPO,
        {
            "objective": DPOObjective(kl_weight=0.0, ce_weight=0.0, on_policy_kl_weight=1.0),
            "negatives": Negatives(group_size=4, js_threshold=1.0),
        },
    ),
    "grpo": (
        GRPO,
        {
            "objective": GRPOObjective(kl_weight=0.0, on_policy_kl_weight=1.0),
            "grouping": Grouping(group_size=4),
        },
    ),
    "grpoz": (
        GRPO,
        {
            "objective": GRPOObjective(kl_weight=0.0, on_policy_kl_weight=1.0),
            "grouping": Grouping(group_size=4),
            "curated": CuratedTrajectory(),
        },
    ),
}


def own_of(experience: Any) -> Any:
    return getattr(experience, "supervised", experience).own


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> list[Groups]:
    """Every group that is sampled."""
    kept, plain = [], groups_module._grouped

    def keeping(*args: Any, **kwargs: Any) -> Groups:
        kept.append(plain(*args, **kwargs))
        return kept[-1]

    monkeypatch.setattr(groups_module, "_grouped", keeping)
    return kept


@pytest.mark.parametrize("method", OWN)
@pytest.mark.parametrize("share", [True, False], ids=["shared", "plain"])
@pytest.mark.parametrize("scoring", ["first", "sequence"])
def test_the_training_pass_reads_what_was_read_while_sampling(
    on_policy: MakeMethod,
    items: Sequence[Item],
    sampled: list[Groups],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    share: bool,
    scoring: str,
) -> None:
    cls, settings = OWN[method]
    made = on_policy(cls, tokens=40, share_prompt=share, scoring=scoring, **settings)
    say(made.policy, monkeypatch, TEXTS)
    experience = made.gather(made.encoder(items[:1]))
    own = own_of(experience)
    assert own.category_logits.shape[:2] == (1, 4)
    assert sampled[0].was_completed.tolist() == [[False, True, True, False]]
    torch.testing.assert_close(own.category_logits, sampled[0].category_logits, atol=1e-3, rtol=1e-4)
    made.reduce(experience).total.backward()
    assert sum(float(g.abs().sum()) for g in gradients(made).values()) > 0


def test_the_four_methods_learn_the_same_after_the_same_responses(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With everything else at 0 the gradient is that of L_dist after own responses, whatever brings it."""
    learnt = {}
    for name, (cls, settings) in OWN.items():
        made = on_policy(cls, tokens=40, **settings)
        say(made.policy, monkeypatch, TEXTS)
        batch = made.encoder(items[:1])
        if name in ("grpo", "grpoz"):
            made.rewards = [Agreement(weight=0.0), Format(weight=0.0)]
        experience = made.gather(batch)
        if name == "grpoz":
            experience.advantages.zero_()
        made.reduce(experience).total.backward()
        learnt[name] = gradients(made)
    for name, others in learnt.items():
        assert any(float(value.abs().max()) > 1e-4 for value in others.values()), name
        for parameter, value in others.items():
            torch.testing.assert_close(value, learnt["sft"][parameter], atol=2e-5, rtol=2e-3)


def test_a_curated_trajectory_is_not_the_policys_own(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    cls, settings = OWN["grpoz"]
    settings = {**settings, "objective": GRPOObjective(on_policy_kl_weight=1.0, class_mass_weight=1.0)}
    made = on_policy(cls, **settings)
    experience = made.gather(made.encoder(items))
    assert experience.log_probs.shape[1] == 5
    assert experience.own.category_logits.shape[1] == 4
    assert experience.own.log_class_mass.shape == (len(items), 4)
    assert experience.curated_log_class_mass.shape == (len(items),)
    kept_out = on_policy(cls, **{**settings, "curated": CuratedTrajectory(in_loss=False)})
    assert kept_out.gather(kept_out.encoder(items)).curated_log_class_mass is None


@pytest.mark.parametrize("truncated", [False, True])
def test_a_later_update_weighs_own_responses_by_how_likely_they_are_now(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch, truncated: bool
) -> None:
    made = on_policy(
        GRPO,
        tokens=12 if truncated else 40,
        grouping=Grouping(group_size=4, updates=2, mask_truncated=truncated),
        objective=GRPOObjective(kl_weight=0.0, on_policy_kl_weight=1.0),
    )
    say(made.policy, monkeypatch, TEXTS)
    batch = made.encoder(items[:1])
    first = made.gather(batch)
    in_loss = first.mask.any(-1)
    assert torch.equal(first.own.importance, in_loss.float())
    assert in_loss.all() != truncated
    with torch.no_grad():
        for parameter in made.policy.parameters():
            if parameter.requires_grad:
                parameter.add_(0.0005)
    (held,) = made.rollout_buffer.held.values()
    second = made.gather(batch)
    before = torch.arange(second.mask.shape[-1]) < held.rollouts.answer_position[..., None]
    counts = second.mask & before
    ratio = ((second.log_probs - second.old_log_probs) * counts).sum(-1).exp().detach()
    torch.testing.assert_close(second.own.importance, ratio.clamp(max=2) * in_loss)
    assert not torch.allclose(ratio, torch.ones_like(ratio), atol=1e-4)
    if not truncated:
        assert (second.mask & ~before)[0, 0].any(), (
            "what closes the answer is in the loss, and not in the weight"
        )
    assert not second.own.importance.requires_grad


def test_only_own_responses_need_no_rationale(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    cls, settings = OWN["sft"]
    made = on_policy(cls, **settings)
    assert not made.needs_rationale
    bare = [Item(id=item.id, votes=item.votes, audio=item.audio, text=item.text) for item in items]
    made.reduce(made.gather(made.encoder(bare))).total.backward()
    for objective in (SFTObjective(on_policy_kl_weight=1.0), SFTObjective(class_mass_weight=1.0)):
        assert on_policy(SFT, objective=objective).needs_rationale


def test_weights_add_up(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {"ce_weight": 0.5, "kl_weight": 2.0, "class_mass_weight": 0.3, "on_policy_kl_weight": 1.5}
    made = on_policy(SFT, objective=SFTObjective(**weights), group_size=4, tokens=40)
    say(made.policy, monkeypatch, TEXTS)
    experience = made.gather(made.encoder(items[:1]))
    loss = made.reduce(experience)
    mass = -(experience.log_class_mass.mean() + experience.own.log_class_mass.mean())
    wanted = 0.5 * loss.parts["ce"] + 2.0 * loss.parts["kl"] + 1.5 * loss.parts["on_policy_kl"] + 0.3 * mass
    assert float(loss.total.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
    assert 0 < float(loss.parts["on_policy_class_mass"]) < 1


@pytest.mark.parametrize("cls", [SFT, DPO, GRPO])
def test_a_stated_distribution_has_no_gradient(on_policy: MakeMethod, cls: Any) -> None:
    objective = {SFT: SFTObjective, DPO: DPOObjective, GRPO: GRPOObjective}[cls]
    for weight in ("on_policy_kl_weight", "class_mass_weight"):
        with pytest.raises(
            InputError, match=rf"{weight} is 0.5, but a verbalised distribution has no gradient"
        ):
            on_policy(cls, readout="verbalised", objective=objective(kl_weight=0.0, **{weight: 0.5}))


def test_own_responses_are_refused_where_there_are_none(on_policy: MakeMethod) -> None:
    with pytest.raises(InputError, match="without reasoning no response comes before the answer"):
        on_policy(SFT, reasoning=False, objective=SFTObjective(on_policy_kl_weight=1.0))
    with pytest.raises(InputError, match="group_size must be at least 1, got 0"):
        on_policy(SFT, group_size=0)


@pytest.mark.parametrize("form", [0.0, 1.0])
def test_a_name_and_its_tag_are_weighed_by_the_form_alone(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch, form: float
) -> None:
    settings: dict[str, Any] = {"rewards": [Agreement(), Format(weight=form or 0.1)], "tokens": 40}
    made = on_policy(GRPO, grouping=Grouping(group_size=4, name_in_loss=bool(form)), **settings)
    say(made.policy, monkeypatch, TEXTS)
    batch = made.encoder(items[:1])
    experience = made.gather(batch)
    place = len(made.policy.text_ids(TEXTS[0].split("fear")[0]))
    name = len(made.policy.text_ids("fear"))
    counts = experience.mask[0, 0]
    weights = experience.token_advantages()
    if not form:
        assert not counts[place : place + name].any()
        assert counts[place + name :].any()
        assert torch.equal(weights[0, 0], experience.advantages[0, 0].expand(weights.shape[-1]))
        return
    assert counts[: place + name].all()
    rewards = made.values["reward"].view(1, 4)
    parts = made.values["reward/format"].view(1, 4)
    wanted = (parts - parts.mean()) / (rewards.std() + 1e-4)
    torch.testing.assert_close(experience.form_advantages, wanted)
    torch.testing.assert_close(weights[0, 0, :place], experience.advantages[0, 0].expand(place))
    length = int(counts.sum())
    torch.testing.assert_close(weights[0, 0, place:length], wanted[0, 0].expand(length - place))
    for row in (1, 2):  # they never reach an answer by themselves
        torch.testing.assert_close(weights[0, row], experience.advantages[0, row].expand(weights.shape[-1]))


def test_names_are_refused_where_no_reward_tells_them_apart(on_policy: MakeMethod) -> None:
    named = Grouping(group_size=4, name_in_loss=True)
    with pytest.raises(InputError, match="no reward depends on the class name"):
        on_policy(GRPO, grouping=named, rewards=[Agreement()])
    with pytest.raises(InputError, match="a verbalised answer has no class name"):
        on_policy(GRPO, grouping=named, readout="verbalised")
    with pytest.raises(InputError, match="leave_one_out compares a response with the others"):
        on_policy(
            GRPO,
            grouping=Grouping(group_size=1, advantage_scale="leave_one_out"),
            curated=CuratedTrajectory(),
        )


@pytest.mark.parametrize("name", ["on_policy_kl_weight", "class_mass_weight", "curated_ce_weight"])
def test_no_item_is_skipped_that_a_term_acts_on(on_policy: MakeMethod, name: str) -> None:
    from lalm_ambig.rewards.shala import Shala

    with pytest.raises(InputError, match=rf"{name} \(0.5\) acts on every response"):
        on_policy(
            GRPO,
            rewards=[Shala()],
            grouping=Grouping(group_size=4, skip_unanimous=True, advantage_scale="none"),
            objective=GRPOObjective(kl_weight=0.0, **{name: 0.5}),
        )


def test_imitation_beside_the_groups_is_the_cross_entropy_of_sft(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    made = on_policy(
        GRPO,
        grouping=Grouping(group_size=2),
        objective=GRPOObjective(kl_weight=0.0, curated_ce_weight=0.7, class_mass_weight=0.2),
    )
    batch: Batch = made.encoder(items)
    experience = made.gather(batch)
    assert made.needs_rationale
    assert experience.log_probs.shape[1] == 2
    assert experience.curated_log_class_mass.shape == (len(items),)
    loss = made.reduce(experience)
    sft = on_policy(SFT, objective=SFTObjective(1.0, 1.0, class_mass_weight=1.0))
    other = sft.reduce(sft.gather(batch))
    assert float(loss.parts["ce"]) == pytest.approx(float(other.parts["ce"]), rel=1e-4)
    assert float(loss.parts["class_mass"]) == pytest.approx(float(other.parts["class_mass"]), rel=1e-3)
    without = made.objective.__class__(kl_weight=0.0, class_mass_weight=0.2)(experience).total
    assert float((loss.total - without).detach()) == pytest.approx(0.7 * float(other.parts["ce"]), rel=1e-3)


@pytest.mark.parametrize("average", ["sum", "token"])
def test_a_preference_compares_sums_or_means(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch, average: str
) -> None:
    made = on_policy(
        DPO,
        tokens=40,
        objective=DPOObjective(preference_average=average),
        negatives=Negatives(group_size=4, js_threshold=0.0, choose="all"),
    )
    say(made.policy, monkeypatch, TEXTS)
    batch = made.encoder(items[:1])
    experience = made.gather(batch)
    summed = on_policy(DPO, tokens=40, negatives=Negatives(group_size=4, js_threshold=0.0, choose="all"))
    say(summed.policy, monkeypatch, TEXTS)
    sums = summed.gather(batch)
    lengths = []
    for text in TEXTS:
        ids = made.policy.text_ids(text)
        lengths.append(len(ids) - (len(made.policy.text_ids("fear")) if "fear" in text else 0))
    lengths[3] -= len(made.policy.text_ids("?!"))
    curated = batch.curated
    assert curated is not None
    ends = torch.isin(curated.response.ids, torch.tensor(made.policy.end_ids))
    count = (curated.response.mask & ~curated.is_answer_token & ~ends).sum()
    divisors = (count, torch.tensor(lengths)) if average == "token" else (1, 1)
    for name, divisor in (("chosen", divisors[0]), ("rejected", divisors[1])):
        for suffix in ("", "_ref"):
            torch.testing.assert_close(
                getattr(experience, name + suffix),
                getattr(sums, name + suffix) / divisor,
                atol=1e-4,
                rtol=1e-4,
            )
