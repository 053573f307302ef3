"""The readout `sampled`: which answers name a class, and what their shares come to."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from scripted import say
from small_model import MakeEncoder, MakePolicy

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.types import Batch, Item, Reading
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.readouts.labels import class_named
from lalm_ambig.readouts.response import TAGS, Tags
from lalm_ambig.rollouts import labels
from lalm_ambig.rollouts.generate import GeneratedBatch, generate
from lalm_ambig.rollouts.labels import LabelSampling, read_labels
from lalm_ambig.rollouts.reading import read_generated

CLASSES = CategorySet(("joy", "fear", "no one"), prompt_names=("joy", "dread", "no one"))
MANY = 4000
LIKELIER = 5.0
"""Added to the logits of the class names, in nats."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>low</think><answer> joy</answer>", 0),
        ("<answer>\n FEAR </answer>", 1),
        ("<answer> no   One", 2),
        ("<answer> joy</answer><answer> fear</answer>", 0),
        ("<answer> joy<|im_end|>", 0),
        ("<answer> joyful</answer>", "no class name"),
        ("<answer> joy and fear</answer>", "no class name"),
        ("<answer> dread</answer>", "no class name"),
        ("<answer></answer>", "no class name"),
        ("<answer>", "no class name"),
        ("<think>joy</think> joy", "no answer"),
        ("", "no answer"),
    ],
)
def test_an_answer_is_a_class_name_or_none(text: str, expected: int | str) -> None:
    assert class_named(text, CLASSES, TAGS) == expected


def test_an_answer_inside_an_open_thought_is_none() -> None:
    tags = Tags(opened=True)
    assert class_named("so <answer> joy</answer>", CLASSES, tags) == "no answer"
    assert class_named("so <answer> joy</answer></think><answer> fear</answer>", CLASSES, tags) == 1


@pytest.fixture(scope="module")
def direct(tiny: Tiny, make_encoder: MakeEncoder) -> Encoder:
    return make_encoder(tiny, reasoning=False)


@pytest.fixture(scope="module")
def batch(direct: Encoder, items: Sequence[Item]) -> Batch:
    return direct(items)


def reading(
    encoder: Encoder, batch: Batch, samples: int, *, temperature: float = 1.0, share: bool = True
) -> Reading:
    return read_labels(encoder, batch, LabelSampling(samples, temperature, 20, share))


@pytest.fixture
def eager(direct: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make class names likely enough that thousands of samples name many."""
    assert direct.answer is not None
    assert {len(ids) for ids in direct.answer.name_ids} == {1}, (
        "one token a name: what is sampled is the readout"
    )
    plain, names = direct.policy.logits, torch.tensor(direct.answer.first_ids)

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        rows = plain(hidden).clone()
        rows[:, names] += LIKELIER
        return rows

    monkeypatch.setattr(direct.policy, "logits", logits)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_share_of_many_answers_is_the_softmax_of_the_class_names(
    direct: Encoder, batch: Batch, temperature: float
) -> None:
    """The law of large numbers: names are sampled from all tokens, and among those that name a class it is p̂."""
    assert direct.answer is not None
    read = read_generated(direct.policy, batch, direct.answer, max_new_tokens=0)
    expected = torch.softmax(read.predicted_dist.log() / temperature, -1)
    found = reading(direct, batch.select([0, 1]), MANY, temperature=temperature)
    assert found.labels is not None
    for row in range(2):
        count = int(found.labels[row])
        assert MANY / 10 < count < MANY if temperature == 1 else count > MANY / 2
        spread = (expected[row] * (1 - expected[row]) / count).sqrt()
        assert bool(((found.predicted_dist[row] - expected[row]).abs() < 4.5 * spread + 1e-6).all())
    if temperature == 1:
        assert read.class_mass is not None
        mass = read.class_mass[:2] * math.exp(LIKELIER)  # of scores that know nothing of the fixture
        spread = (mass * (1 - mass) / MANY).sqrt()
        assert bool(((found.labels / MANY - mass).abs() < 4.5 * spread).all())


@pytest.mark.usefixtures("eager")
def test_the_first_answers_are_the_same_for_any_number_and_company(direct: Encoder, batch: Batch) -> None:
    few, more = reading(direct, batch, 3), reading(direct, batch, 6)
    assert few.labels is not None and more.labels is not None
    counts, further = (r.predicted_dist * r.labels[:, None] for r in (few, more))
    assert bool((further - counts > -1e-5).all()), "the first three are among the six"
    assert bool((further.sum(-1) - counts.sum(-1) <= 3).all())
    alone = reading(direct, batch.select([2]), 6)
    torch.testing.assert_close(alone.predicted_dist[0], more.predicted_dist[2])
    plain = reading(direct, batch, 6, share=False)
    torch.testing.assert_close(plain.predicted_dist, more.predicted_dist)


@pytest.mark.usefixtures("eager")
def test_without_reasoning_only_the_name_is_written(
    direct: Encoder, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[list[int]] = []

    def noting(*given: Any, **more: Any) -> GeneratedBatch:
        generated = generate(*given, **more)
        written.extend(row.ids for row in generated.responses)
        return generated

    monkeypatch.setattr(labels, "generate", noting)
    found = reading(direct, batch, 8)
    assert [len(ids) for ids in written] == [1] * 32
    assert all(text.startswith("<answer>") for text in found.responses)
    assert (found.class_mass, found.well_formed, found.tokens) == (None, None, None)


def test_a_name_of_several_tokens_is_written_to_its_end(
    make_policy: MakePolicy, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = CategorySet(("calm", "zqx", "anger"))
    encoder = Encoder(make_policy(), classes, Elicitation("speech_emotion_short", False, scoring="sequence"))
    assert encoder.answer is not None and [len(ids) for ids in encoder.answer.name_ids] == [1, 4, 1]
    say(
        encoder.policy,
        monkeypatch,
        [" calm and so", " zqx", " zqq", " calm", " the zqx", " anger", "zqx and so", " zq"],
    )
    batch = encoder([replace(item, votes=(1.0, 2.0, 1.0)) for item in items[:2]])
    found = reading(encoder, batch, 4)
    assert found.labels is not None and found.labels.tolist() == [3, 2]
    torch.testing.assert_close(found.predicted_dist, torch.tensor([[2 / 3, 1 / 3, 0], [0, 0.5, 0.5]]))


def test_only_answers_that_name_a_class_count_and_none_is_uniform_with_the_reason(
    make_policy: MakePolicy, make_encoder: MakeEncoder, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_policy()
    encoder = make_encoder(policy)
    anger, fear = (f"<think>calm</think><answer> {name}</answer>" for name in ("anger", "fear"))
    said = [
        anger,
        fear,
        "<answer> calm</answer>",
        anger,
        "the voice",
        "<think>calm",
        "",
        "<answer> the</answer>",
    ]
    say(policy, monkeypatch, said)
    found = reading(encoder, encoder(items[:2]), 4)
    names = encoder.categories.names
    expected = torch.zeros(2, len(names))
    expected[0, names.index("anger")], expected[0, names.index("fear")] = 2 / 3, 1 / 3
    expected[1] = 1 / len(names)
    torch.testing.assert_close(found.predicted_dist, expected)
    assert found.labels is not None and found.labels.tolist() == [3, 0]
    assert found.unparsed == (None, "no answer")
    assert found.responses == (anger, "the voice")
    assert found.class_mass is None
    assert found.well_formed is not None and found.well_formed.tolist() == [0.75, 0]
    assert found.tokens is not None and float(found.tokens[0]) > float(found.tokens[1])
