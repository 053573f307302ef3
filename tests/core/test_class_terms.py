"""The terms of a divergence sum to it over the classes."""

import pytest
import torch

from lalm_ambig.core.class_terms import brier_terms, js_terms, kl_terms
from lalm_ambig.core.distributions import brier_sum, js_divergence, kl

TARGET = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5]], dtype=torch.float64)
PREDICTED = torch.tensor([[0.25, 0.5, 0.25], [0.0, 1.0, 0.0], [0.5, 0.3, 0.2]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("terms", "divergence"), [(js_terms, js_divergence), (kl_terms, kl), (brier_terms, brier_sum)]
)
def test_terms_sum_to_the_divergence(terms, divergence) -> None:
    torch.testing.assert_close(terms(TARGET, PREDICTED).sum(-1), divergence(TARGET, PREDICTED))
