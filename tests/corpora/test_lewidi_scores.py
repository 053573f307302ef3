"""The organisers' baselines on the organisers' test labels, as published for the shared tasks (`slow`: real data)."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lalm_ambig.core.items import Item
from lalm_ambig.corpora.lewidi.corpus import Lewidi
from lalm_ambig.corpora.lewidi.parts import LABEL_SETS, LABELS, yes_shares
from lalm_ambig.metrics import shared_task

pytestmark = pytest.mark.slow
ALL_NO = [[1.0, 0.0]] * 3


def opened(root: Path, part: str) -> Lewidi:
    share = {"validation_share": 0.0} if part in ("mp", "csc") else {}
    return Lewidi(root / "LeWiDi", part=part, **share)


def prior_of(corpus: Lewidi) -> list[float]:
    """The mean label distribution of training items (of the dev file, for want of a train file)."""
    train: list[Item] = [item for item in corpus.read() if item.split == "train"]
    dists = zip(*(item.label_dist for item in train), strict=True)
    return [sum(shares) / len(train) for shares in dists]


def one_hot(shares: Sequence[float]) -> list[float]:
    return [float(place == shares.index(max(shares))) for place in range(len(shares))]


@pytest.mark.parametrize(
    ("part", "score", "published"),
    [
        ("mp", shared_task.manhattan, (0.619, 0.652, 0.520)),
        ("csc", shared_task.wasserstein, (1.395, 1.749, 1.164)),
        ("par", shared_task.wasserstein, (3.135, 4.600, 3.231)),
    ],
)
def test_uniform_most_frequent_and_prior_have_the_published_soft_scores(
    part: str, score: Callable[..., float], published: tuple[float, ...], shared_data: Path
) -> None:
    corpus = opened(shared_data, part)
    targets = [list(entry.soft_label) for entry in corpus.test_entries()]
    prior = prior_of(corpus)
    if part == "csc":  # the published uniform spreads over 0 to 6, and nobody may choose 0
        targets, prior = [[0.0, *target] for target in targets], [0.0, *prior]
    for predicted, wanted in zip(
        ([1 / len(prior)] * len(prior), one_hot(prior), prior), published, strict=True
    ):
        assert score(targets, [predicted] * len(targets)) == pytest.approx(wanted, abs=5.1e-4)


def test_the_baselines_of_varierr_have_the_published_soft_scores(shared_data: Path) -> None:
    corpus = opened(shared_data, "varierr_nli")
    targets = [[[1 - yes, yes] for yes in entry.soft_label] for entry in corpus.test_entries()]
    uniform = [[1 - yes, yes] for yes in yes_shares([1 / 6] * 6)]
    prior = [[1 - yes, yes] for yes in yes_shares(prior_of(corpus))]
    for predicted, wanted in ((uniform, 0.706), (ALL_NO, 0.690), (prior, 0.595)):
        found = shared_task.multilabel_manhattan(targets, [predicted] * len(targets))
        assert found == pytest.approx(wanted, abs=5.1e-4)


@pytest.mark.parametrize(
    ("part", "published"),
    [
        ("hs_brexit", (0.693, 0.388, 0.181)),
        ("armis", (0.693, 0.684, 0.232)),
        ("conv_abuse", (0.693, 0.453, 0.086)),
        ("md_agreement", (0.693, 0.653, 0.337)),
    ],
)
def test_the_cross_entropies_of_2023_are_the_published_ones(
    part: str, published: tuple[float, ...], shared_data: Path
) -> None:
    corpus = opened(shared_data, part)
    targets = [list(entry.soft_label) for entry in corpus.test_entries()]
    answers: tuple[list[list[float]], ...] = (
        [[0.5, 0.5]] * len(targets),
        [prior_of(corpus)] * len(targets),
        targets,
    )
    for predicted, wanted in zip(answers, published, strict=True):
        assert shared_task.cross_entropy(targets, predicted) == pytest.approx(wanted, abs=5.1e-4)


def test_perspectivist_baselines_of_the_sets_with_a_train_file_are_the_published_ones(
    shared_data: Path,
) -> None:
    par = opened(shared_data, "par")
    chosen: dict[str, Counter[int]] = {}
    for item in par.read():
        for name, place in item.ratings if item.split == "train" else ():
            chosen.setdefault(name, Counter())[place] += 1
    entries = par.test_entries()
    targets = [list(map(float, entry.classes)) for entry in entries]
    predicted = [[float(chosen[name].most_common(1)[0][0]) for name in entry.annotators] for entry in entries]
    assert shared_task.normalised_distance(targets, predicted, steps=11) == pytest.approx(0.362, abs=5e-4)
    sets: Any = [
        [[float(label in LABEL_SETS[place]) for place in entry.classes] for label in LABELS]
        for entry in opened(shared_data, "varierr_nli").test_entries()
    ]
    nobody = [[[0.0] * len(row) for row in item] for item in sets]
    assert shared_task.multilabel_error_rate(sets, nobody) == pytest.approx(0.345, abs=5e-4)
