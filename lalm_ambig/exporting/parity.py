"""Whether what was written answers as the policy does: next-token logits on prompts of the corpus, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.audio.reading import read_audio
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import SPLITS, Audio, Item, Tokens
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.audio.mel import padded_window
from lalm_ambig.policies.base import Policy

PROMPTS = 2
FIXED = "It is eleven o'clock. How does the speaker feel?"
"""Asked where the corpus is not at hand."""
TOLERANCE = {torch.float32: 3e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest difference of a logit that is allowed, as a share of the largest logit, by the type of the weights.

Ours. The most that was seen on models of 135 and 184 million parameters is 2e-6, 3e-3 and 2e-2. A larger one may need
more: it has more layers, and in float32 what remains is mostly the encoder's, which runs on a clip's own frames here
and on a 30 s window there.
"""


@dataclass(frozen=True)
class Prompt:
    """One question up to the place of the answer."""

    ids: tuple[int, ...]
    samples: Float[Tensor, " _"] | None
    """16 kHz mono, where the policy hears a clip."""


@dataclass(frozen=True)
class Probe:
    """What both are asked."""

    prompts: tuple[Prompt, ...]
    class_ids: tuple[int, ...]
    """First tokens of the class names; empty where there are none, which means the whole vocabulary."""
    about: str
    """In words, for the reader."""
    note: str = ""
    """Why the corpus was not asked; for its user's eyes, since it may name folders."""
    template: str | None = None
    """The corpus's prompt, with {audio} and {text} where they go."""
    names: tuple[str, ...] = ()
    """Class names as they follow the answer's tag."""
    answer_open: str = ""
    """That tag."""


@dataclass(frozen=True)
class Difference:
    """Largest differences over all prompts."""

    logit: float
    """Of a next-token logit over the whole vocabulary."""
    largest: float
    """The policy's largest logit, absolute."""
    share: float
    """Of a class's probability (of a token's, where no classes were asked for), in [0, 1]."""


def make_probe(model: Method, data: DataModule) -> Probe:
    """The first items of the corpus, or a fixed question where the corpus cannot be read. The policy is loaded."""
    try:
        data.setup()
        items = next(filter(None, (list(data.items(split)[:PROMPTS]) for split in reversed(SPLITS))))
        return _corpus_probe(model, data, items)
    except InputError as error:
        ids = model.policy.prompt_ids([{"type": "text", "text": FIXED}])
        return Probe((Prompt(tuple(ids), None),), (), "a fixed sentence", note=str(error))


def _corpus_probe(model: Method, data: DataModule, items: Sequence[Item]) -> Probe:
    policy, categories = model.policy, data.categories
    asked = data.elicitation(reasoning=model.reasoning, readout=model.readout)
    encoder = Encoder(policy, categories, asked)
    opening = () if encoder.answer is None else encoder.answer.open_ids
    prompts = tuple(
        Prompt((*encoder([item]).prompt.ids[0].tolist(), *opening), _samples(policy, item)) for item in items
    )
    heard = ", with sound" if any(prompt.samples is not None for prompt in prompts) else ""
    return Probe(
        prompts,
        () if encoder.answer is None else tuple(dict.fromkeys(encoder.answer.first_ids)),
        f"{len(prompts)} prompts of {data.corpus.name}{heard}",
        template=encoder.template if heard else encoder.text_template,
        names=() if encoder.answer is None else categories.verbalisers,
        answer_open=policy.tags.answer_open,
    )


def _samples(policy: Policy, item: Item) -> Tensor | None:
    return None if item.audio is None else read_audio(item.audio, max_s=policy.window_s or None)


@torch.no_grad()
def policy_logits(policy: Policy, probe: Probe) -> list[Float[Tensor, " vocabulary"]]:
    """Next-token logits behind each prompt, by this project's own passes."""
    found = []
    with policy.eval_mode():
        for prompt in probe.prompts:
            ids = torch.tensor([prompt.ids])
            tokens = Tokens(ids, torch.ones_like(ids, dtype=torch.bool))
            audio = None
            if prompt.samples is not None:
                audio = Audio((0,), (policy.log_mel(prompt.samples),), encoded=False)
            known = tokens.ids if audio is None else None
            hidden = policy.hidden(policy.embed(tokens, audio), tokens.mask, ids=known)
            found.append(policy.logits(hidden[0, -1]).float())
    return found


@torch.no_grad()
def plain_logits(model: Any, extractor: Any, probe: Probe) -> list[Float[Tensor, " vocabulary"]]:
    """The same by transformers' own forward, on the audio's whole window."""
    found = []
    model.eval()
    for prompt in probe.prompts:
        ids = torch.tensor([prompt.ids])
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if prompt.samples is not None:
            mel, own = padded_window(extractor, [prompt.samples])
            inputs |= {
                "input_features": mel.to(next(model.parameters()).dtype),
                "feature_attention_mask": own,
            }
        found.append(model(**inputs).logits[0, -1].float())
    return found


def difference(expected: Sequence[Tensor], found: Sequence[Tensor], probe: Probe) -> Difference:
    """How far logits are from those expected. NaN where one of them is not a number."""
    columns = list(probe.class_ids) or slice(None)
    pairs = list(zip(expected, found, strict=True))
    return Difference(
        _largest([(b - a).abs().max() for a, b in pairs]),
        _largest([a.abs().max() for a, _ in pairs]),
        _largest([(b[columns].softmax(-1) - a[columns].softmax(-1)).abs().max() for a, b in pairs]),
    )


def _largest(values: Sequence[Tensor]) -> float:
    return float(torch.stack(list(values)).max())


def require_parity(found: Difference, dtype: torch.dtype) -> None:
    """InputError where the difference is more than rounding to that type explains."""
    allowed = TOLERANCE[dtype] * found.largest
    if not found.logit <= allowed:  # NaN, too
        name = str(dtype).removeprefix("torch.")
        raise InputError(
            f"read back with plain transformers, the {name} weights give logits up to {found.logit:.3g} from the "
            f"policy's, and {allowed:.3g} is allowed ({TOLERANCE[dtype]:g} of the largest logit); nothing was written.",
            where="export",
            remedy="" if dtype is torch.float32 else "Try --dtype float32.",
        )
