"""Predictions to evaluate: three classes, four speakers."""

import pytest
import torch

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About

ABOUT = About("demo", "test", "logits", "generated", "tiny, sft")


@pytest.fixture(scope="session")
def about() -> About:
    return ABOUT


@pytest.fixture(scope="session")
def categories() -> CategorySet:
    return CategorySet(("anger", "neutral", "sadness"))


@pytest.fixture(scope="session")
def predictions() -> list[Prediction]:
    generator = torch.Generator().manual_seed(0)
    votes = torch.randint(0, 5, (60, 3), generator=generator).double()
    votes[:, 1] += 1
    predicted = torch.randn(60, 3, generator=generator, dtype=torch.float64).softmax(-1)
    rows = zip(votes, predicted, strict=True)
    return [
        Prediction(
            id=f"clip {number}",
            split="test",
            speaker=str(number % 4),
            votes=tuple(vote.tolist()),
            label_dist=tuple((vote / vote.sum()).tolist()),
            predicted_dist=tuple(dist.tolist()),
            class_mass=0.5 + number / 200,
            response="<think>so – it seems</think><answer>",
            closed=number % 3 == 0,
        )
        for number, (vote, dist) in enumerate(rows)
    ]
