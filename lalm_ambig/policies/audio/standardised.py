"""A projector that is trained on standardised audio features, and saved as a plain one."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class StandardisedLinear(nn.Linear):
    """A projector on (x − mean) / deviation; `folded` is the same function of x. Training is better conditioned."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, like: nn.Linear, mean: Tensor, deviation: Tensor, *, scale: float) -> None:
        super().__init__(like.in_features, like.out_features, device=like.weight.device)
        self.register_buffer("mean", mean.float().to(like.weight.device))
        self.register_buffer("deviation", deviation.float().clamp(min=1e-5).to(like.weight.device))
        with (
            torch.no_grad()
        ):  # drawn from torch's seed on the CPU: the same on any device, and after any other draws
            drawn = torch.randn(
                self.weight.shape, generator=torch.Generator().manual_seed(torch.initial_seed())
            )
            self.weight.copy_(drawn * (scale / like.in_features**0.5))
        nn.init.zeros_(self.bias)

    def forward(self, features: Float[Tensor, "*token channel"]) -> Tensor:
        return super().forward((features - self.mean) / self.deviation)

    def folded(self) -> nn.Linear:
        """A plain layer with the same outputs: W/σ and b − W(μ/σ)."""
        plain = nn.Linear(self.in_features, self.out_features, device=self.weight.device)
        with torch.no_grad():
            plain.weight.copy_(self.weight / self.deviation)
            plain.bias.copy_(self.bias - plain.weight @ self.mean)
        return plain.requires_grad_(self.weight.requires_grad)
