"""What SFT gathers, what it trains, and what the one loop keeps."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import lightning
import pytest
import torch
from scipy.stats import entropy
from small_model import MakeEncoder, MakePolicy, nudge
from torch.utils.data import DataLoader

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Item
from lalm_ambig.methods.dpo import DPO
from lalm_ambig.methods.generation import Generation
from lalm_ambig.methods.optimisation import Optimiser
from lalm_ambig.methods.readers import Reader
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.dpo import DPOObjective
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts.reading import read_curated

Make = Any


@pytest.fixture
def make(make_policy: MakePolicy, make_encoder: MakeEncoder) -> Make:
    """Builds SFT around a tiny policy of its own, ready for batches."""

    def build(
        ce: float = 1.0, kl: float = 1.0, *, reasoning: bool = True, lr: float = 1e-3, **adapter: Any
    ) -> SFT:
        policy = make_policy(**adapter)
        method = SFT(
            policy,
            objective=SFTObjective(ce, kl),
            reasoning=reasoning,
            optimiser=Optimiser(learning_rate=lr, warmup_share=0.0),
            generation=Generation(max_new_tokens=4, validation_items=2),
        )
        method.attach(make_encoder(policy, reasoning=reasoning))
        method.log = method.log_dict = lambda *_, **__: None  # type: ignore[assignment, method-assign]
        return method

    return build


def rows_of_the_head(policy: Tiny, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Notes how many rows go through the whole head at each call."""
    seen, token_log_probs = [], policy.token_log_probs

    def counting(hidden: torch.Tensor, ids: torch.Tensor, *, temperature: float) -> torch.Tensor:
        seen.append(hidden.shape[0])
        return token_log_probs(hidden, ids, temperature=temperature)

    monkeypatch.setattr(policy, "token_log_probs", counting)
    return seen


@pytest.mark.parametrize(("kl", "counts_name"), [(1.0, False), (0.1, False), (0.0, True)])
def test_the_class_name_is_left_to_the_divergence_where_there_is_one(
    make: Make, items: Sequence[Item], kl: float, counts_name: bool
) -> None:
    method = make(kl=kl)
    batch = method.encoder(items)
    experience = method.gather(batch)
    assert batch.curated is not None
    assert bool(experience.mask[batch.curated.is_answer_token].all()) == counts_name
    assert bool(experience.mask[batch.curated.is_answer_token].any()) == counts_name
    others = batch.curated.response.mask & ~batch.curated.is_answer_token
    assert bool(experience.mask[others].all())
    assert not bool(experience.mask[~batch.curated.response.mask].any())


def test_token_log_probs_are_the_full_forwards(make: Make, items: Sequence[Item]) -> None:
    method = make(kl=0.0)
    experience = method.gather(method.encoder(items))
    policy = method.policy
    for row, item in enumerate(items):
        one = method.encoder([item])
        ids = one.curated.response.ids
        sequence = torch.cat([one.prompt.ids, ids], dim=1)
        sound = policy.embed(one.prompt, one.audio)
        embeddings = torch.cat([sound, policy.embed_ids(ids)], dim=1)
        out = policy.base(
            inputs_embeds=embeddings, attention_mask=torch.ones_like(sequence)
        ).logits.log_softmax(-1)
        expected = out[0, one.prompt.ids.shape[1] - 1 : -1].gather(-1, ids[0][:, None])[:, 0]
        torch.testing.assert_close(
            experience.token_log_probs[row, : len(expected)], expected, atol=1e-4, rtol=1e-4
        )


def test_the_head_sees_only_counted_rows(
    make: Make, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    for weights in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0)):
        method = make(*weights)
        seen = rows_of_the_head(method.policy, monkeypatch)
        experience = method.gather(method.encoder(items))
        assert seen == [int(experience.mask.sum())]
    assert seen == [0]


@pytest.mark.parametrize("reasoning", [True, False])
def test_the_divergence_is_that_of_the_readout(make: Make, items: Sequence[Item], reasoning: bool) -> None:
    method = make(0.0, 1.0, reasoning=reasoning)
    nudge(method.policy)
    batch = method.encoder(items)
    loss = method.reduce(method.gather(batch))
    reading = read_curated(method.policy, batch, method.encoder.answer)
    by_scipy = entropy(batch.label_dist.numpy().T, reading.predicted_dist.numpy().T).mean()
    assert loss.total.item() == pytest.approx(by_scipy, rel=1e-4)
    if not reasoning:
        direct = method.read(batch)
        torch.testing.assert_close(direct.predicted_dist, reading.predicted_dist, atol=1e-5, rtol=1e-4)


def test_the_loss_of_a_batch_is_the_mean_over_its_items(make: Make, items: Sequence[Item]) -> None:
    method = make()
    batch_loss = method.reduce(method.gather(method.encoder(items))).total
    parts = [method.reduce(method.gather(method.encoder([item]))).total for item in items]
    torch.testing.assert_close(batch_loss, torch.stack(parts).mean(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.0, 1.0), (1.0, 0.0)])
def test_steps_on_one_batch_lower_the_loss(
    make: Make, items: Sequence[Item], weights: tuple[float, float]
) -> None:
    method = make(*weights, lr=5e-3)
    batch = method.encoder(items)
    optimiser = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=5e-3)
    losses = []
    for _ in range(8):
        loss = method.training_step(batch, 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_training_moves_the_prediction_towards_people(make: Make, items: Sequence[Item]) -> None:
    method = make(0.0, 1.0, reasoning=False, projector=True)
    batch = method.encoder(items)
    optimiser = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(25):
        optimiser.zero_grad()
        method.training_step(batch, 0).backward()
        optimiser.step()
    method.eval()
    predicted = method.read(batch).predicted_dist
    assert predicted.argmax(-1).tolist()[:2] == [4, 3]
    assert (predicted - batch.label_dist).abs().mean() < 0.05


def test_only_what_is_trained_gets_a_gradient(make: Make, items: Sequence[Item]) -> None:
    method = make(projector=True)
    nudge(method.policy)
    method.training_step(method.encoder(items), 0).backward()
    for name, parameter in method.policy.named_parameters():
        trained = "lora_" in name or "modules_to_save" in name
        assert (parameter.grad is not None) == trained == parameter.requires_grad, name
        if trained and "lora_A" not in name:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_a_checkpoint_leaves_the_frozen_base_out(make: Make) -> None:
    method = make(projector=True)
    checkpoint = {"state_dict": dict(method.state_dict())}
    method.on_save_checkpoint(checkpoint)
    saved = set(checkpoint["state_dict"])
    assert saved == {f"policy.{name}" for name, p in method.policy.named_parameters() if p.requires_grad}
    assert saved


@pytest.fixture
def quiet_trainer() -> lightning.Trainer:
    return lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


class Spy(SFT):
    """Notes the policy's mode where it is used."""

    modes: list[tuple[str, bool]]

    def gather(self, batch: Batch) -> Any:
        self.modes.append(("gather", self.policy.language_model.training))
        return super().gather(batch)

    def read(self, batch: Batch, reader: Reader | None = None) -> Any:
        self.modes.append(("read", self.policy.language_model.training))
        return super().read(batch, reader)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::DeprecationWarning")
def test_dropout_acts_in_training_and_never_in_reading(
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    items: Sequence[Item],
    quiet_trainer: lightning.Trainer,
) -> None:
    policy = make_policy(dropout=0.5)
    method = Spy(policy, generation=Generation(max_new_tokens=2, validation_items=2))
    method.modes = []
    encoder = make_encoder(policy)
    method.attach(encoder)
    loader: Any = DataLoader(list(items), batch_size=2, collate_fn=encoder)  # type: ignore[arg-type]
    quiet_trainer.fit(method, train_dataloaders=loader, val_dataloaders=loader)
    quiet_trainer.predict(method, dataloaders=loader, return_predictions=False)
    assert [mode for what, mode in method.modes if what == "gather"] == [True, True]
    assert {mode for what, mode in method.modes if what == "read"} == {False}
    assert [p.id for p in method.predictions] == [item.id for item in items]
    nudge(policy)
    batch = encoder(items)
    policy.train()
    assert not torch.equal(method.gather(batch).category_logits, method.gather(batch).category_logits)
    policy.eval()
    assert torch.equal(method.gather(batch).category_logits, method.gather(batch).category_logits)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::DeprecationWarning")
def test_validation_generates_for_the_first_items_only(
    make: Make, items: Sequence[Item], quiet_trainer: lightning.Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = make()
    monkeypatch.undo()
    del method.log, method.log_dict
    generated: list[str] = []
    read = method.read

    def noting(batch: Batch, reader: Reader) -> Any:
        if reader.generates_text:
            generated.extend(item.id for item in batch.items)
        return read(batch, reader)

    method.read = noting
    loader: Any = DataLoader(list(items[:3]), batch_size=2, collate_fn=method.encoder)  # type: ignore[arg-type]
    (logged,) = quiet_trainer.validate(method, dataloaders=loader, verbose=False)
    assert generated == ["i0", "i1"]
    assert {name.split("/")[0] for name in logged} == {"curated", "generated"}
    assert method.monitor in logged
    assert 0 < logged["curated/class_mass"] < 1
    own = read(method.encoder(items[:2]), method.reader)
    measures = {name.removeprefix("generated/"): value for name, value in logged.items()}
    for name in ("class_mass", "well_formed", "tokens"):
        assert measures[name] == pytest.approx(float(own.measures[name].mean()), rel=1e-5)
    assert not {"curated/well_formed", "curated/tokens", "generated/parsed"} & set(logged)


def test_the_monitor_is_of_the_reading_that_is_evaluated(make: Make) -> None:
    assert make().monitor == "generated/js_div_bits"
    assert make(reasoning=False).monitor == "direct/js_div_bits"


def test_no_new_tokens_and_no_items_are_refused() -> None:
    with pytest.raises(ValueError, match="max_new_tokens must be at least 1, got 0"):
        Generation(max_new_tokens=0)
    with pytest.raises(ValueError, match="validation_items must be at least 1, got 0"):
        Generation(validation_items=0)  # nothing would choose the best checkpoint


@pytest.mark.parametrize("reasoning", [True, False])
@pytest.mark.parametrize("scoring", ["first", "sequence"])
def test_the_class_mass_is_the_whole_vocabularys(
    make_policy: MakePolicy, make_encoder: MakeEncoder, items: Sequence[Item], reasoning: bool, scoring: str
) -> None:
    """Each name's probability after the curated `<answer>`, by the policy's own logits, token by token."""
    policy = make_policy()
    nudge(policy)
    method = SFT(
        policy,
        objective=SFTObjective(0.0, 1.0, class_mass_weight=1.0),
        reasoning=reasoning,
        generation=Generation(max_new_tokens=4, validation_items=2),
    )
    encoder = make_encoder(policy, reasoning=reasoning)
    assert encoder.answer is not None
    encoder.answer = replace(encoder.answer, scoring=scoring)  # type: ignore[arg-type]
    method.attach(encoder)
    batch = method.encoder(items)
    mass = method.gather(batch).log_class_mass
    assert mass is not None and mass.requires_grad
    for row, item in enumerate(items):
        expected = torch.zeros(())
        for name in encoder.answer.name_ids:
            expected = expected + name_probability(method, item, name[: 1 if scoring == "first" else None])
        assert mass[row].exp().item() == pytest.approx(expected.item(), rel=1e-3)


@torch.no_grad()
def name_probability(method: SFT, item: Item, name: Sequence[int]) -> torch.Tensor:
    one = method.encoder([item])
    assert one.curated is not None
    start = one.curated.response.ids[:, : int(one.curated.answer_position[0])]
    ids = torch.cat([start, torch.tensor([list(name)])], dim=1)
    policy = method.policy
    embeddings = torch.cat([policy.embed(one.prompt, one.audio), policy.embed_ids(ids)], dim=1)
    mask = torch.ones(embeddings.shape[:2], dtype=torch.bool)
    logits = policy.logits(policy.hidden(embeddings, mask))[0, -len(name) - 1 : -1]
    return logits.log_softmax(-1)[torch.arange(len(name)), torch.tensor(list(name))].sum().exp()


def test_the_class_mass_of_words_is_refused(make_policy: MakePolicy) -> None:
    objective = SFTObjective(kl_weight=0.0, class_mass_weight=0.5)
    with pytest.raises(
        InputError, match=r"class_mass_weight is 0\.5, but a verbalised distribution has no grad"
    ):
        SFT(make_policy(), objective=objective, readout="verbalised")
    preference = DPOObjective(kl_weight=0.0, class_mass_weight=0.5)
    with pytest.raises(InputError, match="set class_mass_weight to 0"):
        DPO(make_policy(), objective=preference, readout="verbalised")
