"""Every family of the table by what its class's own forward says: evaluation, decoding, gradients, adapters, steps.

`make test` tries a quick tenth, `make families` all of them.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from families.checkpoints import write
from families.oracle import own_forward_fails, prompts
from families.outcomes import FOLDER, keep
from families.table import FAMILIES, Family
from families.texts import items
from families.tried import Tried, apart, encoder_of, taken
from peft.tuners.lora import LoraLayer
from torch import Tensor

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.methods.base import Method, Sharing
from lalm_ambig.methods.dpo import DPO, Negatives
from lalm_ambig.methods.grpo import GRPO, Grouping
from lalm_ambig.methods.optimisation import parameter_groups
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.policies.attention.tree import Segment
from lalm_ambig.policies.attention.tree_pass import tree_states
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.self_check.adapter import adapter_problems
from lalm_ambig.rollouts.generate import Request, generate
from lalm_ambig.rollouts.groups import GroupSampling, sample_groups
from lalm_ambig.rollouts.passages import PassSettings, response_spans, score_spans
from lalm_ambig.rollouts.reading import read_generated
from lalm_ambig.rollouts.sampling import Sampling

QUICK = {
    "mistral": True,
    "lfm2": False,
    "mamba2": False,
    "falcon": False,
    "gemma3n_text": True,
    "nanochat": True,
    "mixtral": True,
    "rwkv": False,
}
"""A window, a hybrid, a recurrence alone, attention of its own, ids beside embeddings, a soft cap, fused experts, and
a class that ignores its mask; and whether they share the prompt."""
CLOSE = 1e-4
"""Between predicted shares in float32."""
SHORT = slice(0, None, 3)
"""The items whose prompts are shorter than a window."""
TOKENS = 9
"""Of a response: enough for the adapter to be merged into the weights."""
LONG_NAMES = CategorySet(
    ("calm", "very calm", "sounds very bright", "quite", "no feeling", "very quiet", "full of fear")
)
"""Names of several tokens, in which scoring by sequence goes on behind a shared answer's place."""


def _marked(family: Family) -> Any:
    marks = [] if family.name in QUICK else [pytest.mark.families]
    return pytest.param(family, id=family.name, marks=marks)


@pytest.fixture(scope="module", params=[_marked(family) for family in FAMILIES])
def tried(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cache_home: Path
) -> Iterator[Tried]:
    """A family, loaded; which of its checks have passed is left for the documentation."""
    family: Family = request.param
    root = tmp_path_factory.mktemp(family.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        found = Tried(family, write(family, root / family.name), root / "adapter")
        yield found
    if FOLDER in os.environ:
        keep(found.outcome(), Path(os.environ[FOLDER]))


@pytest.fixture
def used(tried: Tried) -> Tried:
    """A family that is not refused."""
    if tried.refused:
        pytest.skip("refused")
    return tried


def test_it_loads_or_its_own_forward_cannot_be_used(tried: Tried) -> None:
    if tried.refused:
        assert own_forward_fails(tried.folder), tried.refused
        return
    abilities = tried.policy.abilities
    assert not (abilities.shares and tried.elsewhere), (
        "tokens meet outside of the attention interface, and prompts are shared"
    )
    assert abilities.shares or abilities.reason
    assert abilities.shares == QUICK.get(tried.family.name, abilities.shares)
    assert adapter_problems(tried.policy, torch.arange(20, 30)) == []
    tried.passed.append("loaded")


def test_predictions_of_a_batch_are_those_of_each_text_alone(used: Tried) -> None:
    encoder = used.encoder(reasoning=False)
    theirs = _alone(used, encoder, items())
    assert (theirs - theirs.mean(0)).abs().max() > 10 * CLOSE, "all items are alike: nothing is shown"
    for share in (True, False):
        for kept in (slice(None), SHORT):
            ours = _read(encoder, items()[kept], share=share)
            assert (ours - theirs[kept]).abs().max() < CLOSE
    used.passed.append("evaluated")


def test_whole_names_are_scored_as_behind_each_text_alone(used: Tried) -> None:
    encoder = used.encoder(reasoning=False, categories=LONG_NAMES, scoring="sequence")
    theirs = _alone(used, encoder, items())
    assert (_read(encoder, items()) - theirs).abs().max() < CLOSE
    used.passed.append("whole names")


def _alone(used: Tried, encoder: Encoder, own: Sequence[Item]) -> Tensor:
    """Predictions at once by the class itself."""
    answer = encoder.answer
    assert answer is not None
    texts = [[*prompt, *answer.open_ids] for prompt in prompts(encoder(own))]
    if answer.scoring == "sequence":
        return torch.stack([used.oracle.name_shares(ids, answer.name_ids) for ids in texts])
    return torch.stack([used.oracle.shares(ids, answer.first_ids) for ids in texts])


def _read(encoder: Encoder, own: Sequence[Item], *, share: bool = True) -> Tensor:
    """Predictions at once by the policy."""
    assert encoder.answer is not None
    batch = encoder(own)
    return read_generated(encoder.policy, batch, encoder.answer, max_new_tokens=0, share=share).predicted_dist


@pytest.mark.parametrize("share", [True, False])
def test_greedy_responses_and_predictions_behind_them_are_the_class_s_own(used: Tried, share: bool) -> None:
    encoder = used.encoder(reasoning=True)
    batch = encoder(items())
    answer = encoder.answer
    assert answer is not None
    tag = answer.tags.answer_open
    greedy = Sampling(max_new_tokens=TOKENS, temperature=0.0)
    request = Request(greedy, stop=(tag,), anchor=tag, tags=answer.tags, share_prompt=share)
    with used.moved():
        said = generate(used.policy, batch, request).responses
        ours = read_generated(used.policy, batch, answer, max_new_tokens=TOKENS, share=share).predicted_dist
    own = list(zip(prompts(batch), said, strict=True))
    assert [r.ids for r in said] == [used.moved_oracle.greedy(prompt, r.ids) for prompt, r in own]
    whole = [[*prompt, *r.ids[: r.prefix], *r.closing] for prompt, r in own]
    theirs = torch.stack([used.moved_oracle.shares(ids, answer.first_ids) for ids in whole])
    assert (ours - theirs).abs().max() < CLOSE
    used.passed += ["evaluated behind reasoning"] * share


def test_what_is_trained_is_what_is_evaluated(used: Tried) -> None:
    encoder = used.encoder(reasoning=False)
    with used.moved():
        texts = [torch.tensor(ids) for ids in prompts(encoder(items()))]
        said = []
        for training in (True, False):
            used.policy.train(training)
            said.append(_logits(used.policy, texts))
    assert used.draws or apart(*said) < CLOSE
    used.passed.append("trained as evaluated")


@torch.no_grad()
def _logits(policy: CausalLM, texts: Sequence[Tensor]) -> list[Tensor]:
    """Of each token of each text."""
    states = tree_states(policy, [Segment(policy.embed_ids(ids), None, ids) for ids in texts])
    return [policy.logits(rows).float() for rows in states]


@torch.no_grad()
def test_a_saved_adapter_has_equal_logits_in_peft(used: Tried) -> None:
    texts = [torch.tensor(ids) for ids in prompts(used.encoder(reasoning=False)(items()))]
    with used.moved():
        ours = _logits(used.policy, texts)
    theirs = [used.moved_oracle.logits(ids.tolist()) for ids in texts]
    base = [used.oracle.logits(ids.tolist()) for ids in texts]
    assert apart(ours, theirs) < CLOSE
    assert apart(base, theirs) > 100 * CLOSE, "the adapter hardly acts: nothing is shown"
    used.passed.append("saved")


@pytest.mark.parametrize("share", ["auto", False])
def test_gradients_are_those_of_the_class_and_peft(used: Tried, share: Sharing) -> None:
    method = SFT(used.policy, share_prompt=share)
    method.attach(used.encoder(reasoning=True))
    batch = method.encoder(items())
    assert method.encoder.answer is not None
    oracle = used.moved_oracle
    oracle.model.train(not used.draws)
    loss = oracle.sft_loss(batch, method.encoder.answer.first_ids)
    theirs = taken(oracle.model, loss)
    with used.moved():
        used.policy.train(not used.draws)
        our_loss = method.reduce(method.gather(batch)).total
        ours = taken(used.policy.model, our_loss)
    oracle.model.eval()
    assert float((our_loss - loss).abs().detach()) < CLOSE * float(loss.detach())
    assert ours.keys() == theirs.keys()
    floor = 1e-3 * max(float(g.norm()) for g in theirs.values())
    for name, theirs_own in theirs.items():
        difference = float((ours[name] - theirs_own).norm())
        assert difference < 1e-3 * max(float(theirs_own.norm()), floor), name
    if share == "auto":
        used.passed.append("gradients")


def methods() -> dict[str, tuple[type[Method], dict[str, Any]]]:
    """How each method is set up."""
    sampling = Sampling(max_new_tokens=5)
    return {
        "KL-only": (SFT, {"reasoning": False, "objective": SFTObjective(ce_weight=0.0)}),
        "SFT": (SFT, {}),
        "GRPO": (GRPO, {"grouping": Grouping(group_size=2), "sampling": sampling}),
        "DPO": (DPO, {"negatives": Negatives(group_size=1, js_threshold=0.0), "sampling": sampling}),
    }


@pytest.mark.parametrize("name", methods())
def test_a_step_moves_every_adapter_that_is_called(used: Tried, name: str) -> None:
    kind, settings = methods()[name]
    method = kind(used.policy, **settings)
    with used.moved():
        method.attach(used.encoder(reasoning=method.reasoning))
        if method.reference is not None:
            method.reference.snapshot(used.policy)
        batch = method.encoder(items()[:3])
        called = _called(used.policy)
        loss = used.policy.run_step(lambda: method.reduce(method.gather(batch))).total
        loss.backward()
        assert loss.isfinite()
        layers = called()
        trained = {n: p for n, p in used.policy.model.named_parameters() if p.requires_grad}
        of_called = [n for n in trained if n.partition(".lora_")[0] in layers]
        assert of_called
        without = [n for n in of_called if trained[n].grad is None or not trained[n].grad.any()]
        assert without == []
        assert all(p.grad.isfinite().all() for p in trained.values() if p.grad is not None)
        before = {n: trained[n].detach().clone() for n in of_called}
        torch.optim.AdamW(parameter_groups(used.policy, method.optimiser), lr=1e-3).step()
        assert all(not torch.equal(trained[n], before[n]) for n in of_called)
    used.passed.append(name)


def _called(policy: CausalLM) -> Any:
    """Names of the adapted layers that are called from now on, once it is asked."""
    names: set[str] = set()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: names.add(name))
        for name, module in policy.model.named_modules()
        if isinstance(module, LoraLayer)
    ]

    def asked() -> set[str]:
        for hook in hooks:
            hook.remove()
        return names

    return asked


def test_no_text_moves_with_its_neighbours_in_bfloat16(used: Tried) -> None:
    policy = CausalLM(str(used.folder), dtype="bfloat16")
    torch.manual_seed(1)
    try:
        policy.load()
    except InputError:
        assert own_forward_fails(used.folder, dtype=torch.bfloat16)
        used.notes.append("refused in bfloat16, in which its own forward fails")
    else:
        _unmoved(policy.eval(), ulp=2**-8)
    used.passed.append("unmoved in bfloat16")


def test_no_text_moves_with_its_neighbours_in_float32(used: Tried) -> None:
    _unmoved(used.policy, ulp=2**-20)
    used.passed.append("unmoved in float32")


def _unmoved(policy: CausalLM, *, ulp: float) -> None:
    """Every other text of the batch is exchanged for one of equal length; predictions of the rest stay."""
    encoder = encoder_of(policy, reasoning=False)
    own, others = items(), items(seed=1)
    before = _read(encoder, own)
    for still in (0, 1):
        mixed = [own[n] if n % 2 == still else others[n] for n in range(len(own))]
        assert torch.equal(encoder(mixed).prompt.mask, encoder(own).prompt.mask)
        moved = (_read(encoder, mixed) / before - 1).abs().amax(-1)
        assert moved[still::2].max() <= ulp
        assert moved[1 - still :: 2].max() > ulp, "the exchanged texts say the same: nothing is shown"


def test_own_answers_are_read_again_where_they_were_read_while_sampling(used: Tried) -> None:
    with used.moved():
        encoder = used.encoder(reasoning=True)
        batch = encoder(items()[:3])
        groups = sample_groups(encoder, batch, GroupSampling(Sampling(max_new_tokens=5), 2, 0))
        assert groups.was_completed.all(), "a random model does not write the tag, so it has to be appended"
        with torch.no_grad(), used.policy.eval_mode():
            nothing = torch.zeros_like(groups.mask)
            spans = response_spans(groups.ids, groups.mask, nothing, groups.answers)
            scores = score_spans(used.policy, batch, spans, PassSettings(encoder.answer)).scores
    assert groups.category_logits is not None
    torch.testing.assert_close(
        scores.view_as(groups.category_logits), groups.category_logits, atol=1e-3, rtol=1e-3
    )
    used.passed.append("own answers")
