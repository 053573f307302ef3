"""A class's own forward on token ids, one text at a time, with nothing of ours in it: what a policy must equal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, AutoModelForCausalLM
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from lalm_ambig.core.types import Batch

DIAGONAL = "diagonal"
LONG = 50
"""Tokens of a text that no class computes as one chunk."""
ROUNDING = 1e-4
"""Of logits: experts that get other tokens as well sum in another order."""
TIE = 1e-3
"""Logits that are no farther apart may come out either way round."""


class Oracle:
    """A checkpoint as transformers and PEFT alone load it."""

    def __init__(
        self, folder: Path, adapter: Path | None = None, *, dtype: torch.dtype = torch.float32
    ) -> None:
        """
        Args:
            folder: Of the checkpoint.
            adapter: Folder of a saved adapter to put on.
            dtype: Of the weights.
        """
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        model.requires_grad_(False)
        if adapter is not None:
            model = PeftModel.from_pretrained(model, adapter, is_trainable=True)
        self.model = model.eval()

    def logits(self, ids: Sequence[int]) -> Tensor:
        """Of each token of one text, over the whole vocabulary, in float32."""
        logits: Tensor = self.model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits
        return logits[0].float()

    @torch.no_grad()
    def shares(self, ids: Sequence[int], classes: Sequence[int]) -> Tensor:
        """The distribution over the classes' tokens behind a text."""
        return self.logits(ids)[-1, list(classes)].softmax(-1)

    @torch.no_grad()
    def name_shares(self, ids: Sequence[int], names: Sequence[Sequence[int]]) -> Tensor:
        """The distribution over names of several tokens behind a text, by their log-probabilities."""
        found = []
        for name in names:
            log_probs = self.logits([*ids, *name])[len(ids) - 1 : -1].log_softmax(-1)
            found.append(log_probs.gather(1, torch.tensor(name)[:, None]).sum())
        return torch.stack(found).softmax(-1)

    @torch.no_grad()
    def greedy(self, prompt: Sequence[int], said: Sequence[int]) -> list[int]:
        """The likeliest tokens behind a prompt, each by a whole forward; of tied ones the one that was `said`."""
        ids: list[int] = []
        for token in said:
            last = self.logits([*prompt, *ids])[-1]
            tied = last[token] >= last.max() - TIE
            ids.append(token if tied else int(last.argmax()))
            if not tied:
                break
        return ids

    @torch.no_grad()
    def draws(self) -> bool:
        """Whether a pass in training mode is left to chance, dropout apart: some routers draw experts there."""
        without_dropout(self.model.train())
        before = torch.get_rng_state()
        self.logits(range(20, 20 + LONG))
        self.model.eval()
        return not torch.equal(before, torch.get_rng_state())

    def sft_loss(self, batch: Batch, classes: Sequence[int]) -> Tensor:
        """CE per token of the curated response, its class name left out, plus KL(p ‖ p̂), a mean over items."""
        assert batch.curated is not None
        losses = []
        for row, prompt in enumerate(prompts(batch)):
            mask = batch.curated.response.mask[row]
            ids = batch.curated.response.ids[row][mask]
            logits = self.logits([*prompt, *ids.tolist()])[len(prompt) - 1 :]
            log_probs = logits[:-1].log_softmax(-1).gather(1, ids[:, None])[:, 0]
            ce = -log_probs[~batch.curated.is_answer_token[row][mask]].mean()
            ours = logits[int(batch.curated.answer_position[row]), list(classes)].log_softmax(-1)
            p = batch.label_dist[row]
            losses.append(ce + (torch.xlogy(p, p) - p * ours).sum())
        return torch.stack(losses).mean()


def prompts(batch: Batch) -> list[list[int]]:
    """Token ids of each prompt, without padding."""
    rows = zip(batch.prompt.ids, batch.prompt.mask, strict=True)
    return [ids[mask].tolist() for ids, mask in rows]


def without_dropout(model: nn.Module) -> None:
    """Nothing of a model is dropped, in training mode either."""
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, float) and (name == "p" or "dropout" in name):
                setattr(module, name, 0.0)


@torch.no_grad()
def own_forward_fails(folder: Path, *, dtype: torch.dtype = torch.float32) -> bool:
    """Whether a class cannot make a forward pass of one text, or one that holds no numbers."""
    try:
        return not bool(Oracle(folder, dtype=dtype).logits(range(20, 20 + LONG)).isfinite().all())
    except Exception:  # a class's own code
        return True


@torch.no_grad()
def mixes_tokens_elsewhere(folder: Path) -> bool:
    """Whether tokens of a text meet outside of transformers' attention interface.

    There, each token is made to see itself only; if the one before it still matters, it got there by another way.
    """
    AttentionInterface.register(DIAGONAL, _own_value)
    AttentionMaskInterface.register(DIAGONAL, ALL_MASK_ATTENTION_FUNCTIONS["eager"])
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.config._attn_implementation = DIAGONAL
    ids = torch.arange(20, 32)[None]
    other = ids.clone()
    other[0, -2] = 40
    one, two = (model(input_ids=text, use_cache=False).logits[0, -1] for text in (ids, other))
    return bool((one - two).abs().max() > ROUNDING)


def _own_value(
    _module: Any, query: Tensor, _key: Tensor, value: Tensor, *_: Any, **__: Any
) -> tuple[Tensor, None]:
    return value.repeat_interleave(query.shape[1] // value.shape[1], 1).transpose(1, 2).contiguous(), None
