"""Temperature scaling by hand, and that it finds what was done to the predictions."""

import pytest
import torch

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.temperature import apply_temperature, fit_temperature


def made(label: list[float], predicted: list[float], name: str = "a") -> Prediction:
    votes = tuple(10 * share for share in label)
    return Prediction(name, "validation", None, votes, tuple(label), tuple(predicted), 0.5, "text", False)


def test_squaring_and_the_square_root() -> None:
    """p̂ = (4/5, 1/5): T = ½ squares it, (16/17, 1/17); T = 2 takes the root, (2/3, 1/3)."""
    one = made([1.0, 0.0], [0.8, 0.2])
    assert apply_temperature([one], 0.5)[0].predicted_dist == pytest.approx((16 / 17, 1 / 17))
    assert apply_temperature([one], 2.0)[0].predicted_dist == pytest.approx((2 / 3, 1 / 3))
    assert apply_temperature([one], 1.0)[0].predicted_dist == pytest.approx((0.8, 0.2))
    assert apply_temperature([one], 2.0)[0].class_mass is None


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_it_finds_the_temperature_that_was_applied(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 4, generator=generator, dtype=torch.float64)
    label, predicted = logits.softmax(-1), (logits * temperature).softmax(-1)
    rows = [
        made(p, q, f"i{n}") for n, (p, q) in enumerate(zip(label.tolist(), predicted.tolist(), strict=True))
    ]
    assert fit_temperature(rows) == pytest.approx(temperature, rel=1e-3)


def test_it_is_the_best_of_a_grid() -> None:
    rows = [made([0.7, 0.3], [0.9, 0.1], "a"), made([0.2, 0.8], [0.3, 0.7], "b")]
    best = fit_temperature(rows)

    def divergence(temperature: float) -> float:
        found = torch.tensor([p.predicted_dist for p in apply_temperature(rows, temperature)])
        label = torch.tensor([p.label_dist for p in rows])
        return float((label * (label / found).log()).sum(-1).mean())

    assert divergence(best) <= min(divergence(0.2 + 0.05 * n) for n in range(100)) + 1e-7


def test_what_cannot_be_scaled_is_refused() -> None:
    with pytest.raises(InputError, match="there is no validation item"):
        fit_temperature([])
    with pytest.raises(
        InputError, match=r"item a is predicted with probability 0 .* needs the logit readout"
    ):
        apply_temperature([made([0.5, 0.5], [1.0, 0.0])], 2.0)
