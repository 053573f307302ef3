"""Compares an export with the policy: their next-token logits on prompts of the corpus."""

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
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.families.base import AudioFamily

PROMPTS = 2
FIXED_PROMPT = "It is eleven o'clock. How does the speaker feel?"
"""Prompt where the corpus cannot be read."""
TOLERANCE = {torch.float32: 3e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest allowed difference of a logit, as a share of the largest logit, by the type of the weights.

The values are ours. The largest differences seen on models of 135 and 184 million parameters are 2e-6, 3e-3 and 2e-2. A
larger model may need more, since it has more layers. In float32 most of the difference comes from the audio encoder:
the policy runs it on a clip's frames only, transformers on a window of 30 s.
"""


@dataclass(frozen=True)
class ProbePrompt:
    """One prompt, up to the position of the answer."""

    ids: tuple[int, ...]
    samples: Float[Tensor, " _"] | None
    """16 kHz mono waveform; None without sound."""


@dataclass(frozen=True)
class ParityProbe:
    """The prompts that both models are asked."""

    prompts: tuple[ProbePrompt, ...]
    class_ids: tuple[int, ...]
    """First tokens of the class names; empty for a verbalised readout, where the whole vocabulary is compared."""
    about: str
    """Description of the prompts, for the user."""
    note: str = ""
    """Why the corpus was not used. It may name folders, so it is shown to the user only."""
    template: str | None = None
    """The corpus's prompt, with {audio} and {text} as placeholders."""
    names: tuple[str, ...] = ()
    """Class names as they follow the answer tag."""
    answer_open: str = ""
    """The answer tag."""


@dataclass(frozen=True)
class LogitDifference:
    """Largest differences of two models over all prompts."""

    logit: float
    """Largest difference of a next-token logit over the whole vocabulary."""
    largest: float
    """Largest absolute logit of the policy."""
    share: float
    """Largest difference of a probability, in [0, 1]: of a class, or of a token where there are no class tokens."""


def make_probe(model: Method, data: DataModule) -> ParityProbe:
    """A probe of the first items of the corpus, or of a fixed prompt where the corpus cannot be read.

    Args:
        model: The method, whose policy is loaded.
        data: The data of the run.
    """
    try:
        data.setup()
        items = next(filter(None, (list(data.items(split)[:PROMPTS]) for split in reversed(SPLITS))))
        return _corpus_probe(model, data, items)
    except InputError as error:
        ids = model.policy.prompt_ids([{"type": "text", "text": FIXED_PROMPT}])
        return ParityProbe((ProbePrompt(tuple(ids), None),), (), "a fixed sentence", note=str(error))


def _corpus_probe(model: Method, data: DataModule, items: Sequence[Item]) -> ParityProbe:
    policy, categories = model.policy, data.categories
    asked = data.elicitation(reasoning=model.reasoning, readout=model.readout)
    encoder = Encoder(policy, categories, asked)
    opening = () if encoder.answer is None else encoder.answer.open_ids
    prompts = tuple(
        ProbePrompt((*encoder([item]).prompt.ids[0].tolist(), *opening), _samples(policy, item))
        for item in items
    )
    heard = ", with sound" if any(prompt.samples is not None for prompt in prompts) else ""
    return ParityProbe(
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
def policy_logits(policy: Policy, probe: ParityProbe) -> list[Float[Tensor, " vocabulary"]]:
    """Next-token logits after each prompt, by the policy."""
    logits = []
    with policy.eval_mode():
        for prompt in probe.prompts:
            ids = torch.tensor([prompt.ids])
            tokens = Tokens(ids, torch.ones_like(ids, dtype=torch.bool))
            audio = None
            if prompt.samples is not None:
                audio = Audio((0,), (policy.log_mel(prompt.samples),), encoded=False)
            token_ids = tokens.ids if audio is None or policy.takes_ids else None
            hidden = policy.hidden(policy.embed(tokens, audio), tokens.mask, ids=token_ids)
            logits.append(policy.logits(hidden[0, -1]).float())
    return logits


@torch.no_grad()
def plain_logits(
    model: Any, family: AudioFamily | None, probe: ParityProbe
) -> list[Float[Tensor, " vocabulary"]]:
    """Next-token logits after each prompt, by the forward of transformers on the audio's full window."""
    logits = []
    model.eval()
    for prompt in probe.prompts:
        ids = torch.tensor([prompt.ids])
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if prompt.samples is not None:
            assert family is not None
            dtype = next(model.parameters()).dtype
            inputs |= {
                name: value.to(dtype) if value.is_floating_point() else value
                for name, value in family.inputs([prompt.samples]).items()
            }
        logits.append(model(**inputs).logits[0, -1].float())
    return logits


def difference(
    expected: Sequence[Float[Tensor, " vocabulary"]],
    actual: Sequence[Float[Tensor, " vocabulary"]],
    probe: ParityProbe,
) -> LogitDifference:
    """Largest differences between two lists of logits; NaN where a logit is not a number.

    Args:
        expected: Logits of the policy, one vector per prompt.
        actual: Logits of the export.
        probe: The prompts and class tokens.
    """
    columns = list(probe.class_ids) or slice(None)
    pairs = list(zip(expected, actual, strict=True))
    return LogitDifference(
        _largest([(b - a).abs().max() for a, b in pairs]),
        _largest([a.abs().max() for a, _ in pairs]),
        _largest([(b[columns].softmax(-1) - a[columns].softmax(-1)).abs().max() for a, b in pairs]),
    )


def _largest(values: Sequence[Tensor]) -> float:
    return float(torch.stack(list(values)).max())


def require_parity(gap: LogitDifference, dtype: torch.dtype, *, reader: str = "plain transformers") -> None:
    """Refuse a difference that is larger than rounding to the type explains.

    Args:
        gap: The difference.
        dtype: Type of the weights that were read back.
        reader: The library that read them.

    Raises:
        InputError: The largest difference of a logit exceeds `TOLERANCE`, or is NaN.
    """
    allowed = TOLERANCE[dtype] * gap.largest
    if not gap.logit <= allowed:  # NaN, too
        name = str(dtype).removeprefix("torch.")
        raise InputError(
            f"read back with {reader}, the {name} weights give logits up to {gap.logit:.3g} from the "
            f"policy's, and {allowed:.3g} is allowed ({TOLERANCE[dtype]:g} of the largest logit); nothing was written.",
            where="export",
            remedy="" if dtype is torch.float32 else "Try --dtype float32.",
        )
