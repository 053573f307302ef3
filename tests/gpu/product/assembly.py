"""A run put together around a model of true size with random weights: no checkpoint of it is ever written."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lalm_ambig.config.cli import Cli, parse
from lalm_ambig.core.types import Batch
from lalm_ambig.estimation.estimate import _setting
from lalm_ambig.estimation.memory import CONTEXT, estimate, evaluation_workload
from lalm_ambig.estimation.shapes import on_a_gpu, shapes_of
from lalm_ambig.estimation.workload import Lengths, workload
from lalm_ambig.methods import base
from lalm_ambig.policies import audio_model, causal_lm
from lalm_ambig.policies.attention.tree import common_prefix_length
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.tiny import CHAT_TEMPLATE, WORDS, make_tokenizer
from lalm_ambig.rollouts import step
from lalm_ambig.runs.processes.launch import launch, quiet_libraries
from lalm_ambig.runs.session import connect

TIMED: dict[str, tuple[Any, ...]] = {"sample_groups": (step,), "score_spans": (base,)}
"""Functions whose time is told, and the modules that call them."""
READERS: tuple[Any, ...] = (audio_model, causal_lm)
"""Modules of policies that read weights."""
Measure = Callable[[str, Callable[[], Any]], Any]
"""Takes a function's name and the call; makes the call and gives its result."""


def filled_tokenizer(size: int) -> Any:
    """The tiny model's chat tokenizer, filled up with words so that every id below `size` can be decoded."""
    tokenizer = make_tokenizer(WORDS.read_text().split())
    core = json.loads(tokenizer.backend_tokenizer.to_str())
    core["model"]["vocab"] |= {f"Ġw{number}": number for number in range(len(tokenizer), size)}
    filled = type(tokenizer.backend_tokenizer).from_str(json.dumps(core))
    filled = type(tokenizer)(
        tokenizer_object=filled,
        eos_token=tokenizer.eos_token,
        pad_token=tokenizer.pad_token,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
    filled.chat_template = CHAT_TEMPLATE
    return filled


@contextmanager
def reading(make_model: Callable[[], Any]) -> Iterator[None]:
    """Inside, policies take their weights from `make_model`, whatever their checkpoint folder lacks."""
    plain = audio_model.read_model
    for module in READERS:
        module.read_model = lambda *_, **__: make_model()
    try:
        yield
    finally:
        for module in READERS:
            module.read_model = plain


def qwen2_audio(folder: Path) -> Qwen2Audio:
    """A policy of that class, nothing loaded yet."""
    return Qwen2Audio(str(folder), dtype="bfloat16")


def with_rationales(words: Sequence[str], file: Path) -> list[str]:
    """The arguments with a file of rationales, each five times as long as the corpus's own."""
    if not file.is_file():
        data = parse(list(words)).datamodule
        data.setup()
        rows = [
            {"id": item.id, "rationale": " ".join([item.rationale or ""] * 5)} for item in data.items("train")
        ]
        file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return [*words, "--data.rationales", str(file)]


def assembled(words: Sequence[str]) -> Cli:
    """Method, policy and data of these arguments, ready to train, nothing trained yet."""
    quiet_libraries()
    cli = parse(list(words))
    device = launch(cli).strategy.root_device
    cli.datamodule = connect(cli.model, cli.datamodule, training=True, device=device)
    return cli


def trainer_of(cli: Cli, callback: Any) -> Any:
    """A trainer of the assembled parts that writes nothing."""
    cli.model.prepare()
    return cli.make_trainer(
        strategy="auto",
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
    )


@dataclass(frozen=True)
class Sizes:
    """Tokens of a batch."""

    prompt: int
    audio: int
    curated: int
    rows: int
    common: int = 0
    """Tokens that all prompts begin with."""


def mean_sizes_of(batch: Batch, policy: Any) -> Sizes:
    """How long the batch's texts are in the mean, of which the numbers of its step follow but for rounding."""
    longest = sizes_of(batch, policy)
    rows = [ids[mask] for ids, mask in zip(batch.prompt.ids.cpu(), batch.prompt.mask.cpu(), strict=True)]
    heard = getattr(policy, "audio_token_id", None)
    own = [torch.where(row == heard, -1 - n, row) if heard else row for n, row in enumerate(rows)]
    common = common_prefix_length([row[:, None].float() for row in own])
    curated = 1.0
    if batch.curated:
        curated = float(batch.curated.response.mask.sum(1).float().mean())
    return replace(
        longest, prompt=round(sum(map(len, rows)) / len(rows)), curated=round(curated), common=common
    )


def sizes_of(batch: Batch, policy: Any) -> Sizes:
    """How long the batch's longest texts are."""
    audio = getattr(policy, "audio_token_id", None)
    heard = 0 if audio is None else int((batch.prompt.ids == audio).sum(1).max())
    curated = batch.curated.response.ids.shape[1] if batch.curated else 1
    rows, prompt = batch.prompt.ids.shape
    return Sizes(prompt, heard, curated, rows)


def estimated(cli: Cli, sizes: Sizes) -> dict[str, Any]:
    """What `--estimate` says that a step of such a batch holds on a card, by part, without CUDA's own context."""
    method, trainer = cli.model, cli.config_init["trainer"]
    whole = shapes_of(method.policy)
    card = on_a_gpu(whole, trains_tower=method.policy.adapter.trains_tower, cached=True)
    shapes, setting = _setting(card, trainer, trains_tower=False)
    setting = replace(setting, recompute_every=method.policy.adapter.recompute_every, on_cpu=False)
    lengths = Lengths(sizes.prompt, sizes.audio, sizes.curated, sizes.common)
    work = workload(method, lengths, items=cli.datamodule.batch_size)
    found = estimate(shapes, work, evaluation_workload(work, items=1, responses=0, longest=1), setting)
    return {"estimate": found.peak - CONTEXT, "resident": found.resident, "by phase": found.phases}


def estimated_bytes(cli: Cli, sizes: Sizes) -> float:
    """The estimate of a step without CUDA's own context."""
    return float(estimated(cli, sizes)["estimate"])


@contextmanager
def timed(measure: Measure) -> Iterator[None]:
    """Inside, sampling and training passes are called through `measure`."""
    plain = [(module, name, getattr(module, name)) for name, modules in TIMED.items() for module in modules]

    def measured(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **named: measure(name, lambda: function(*args, **named))

    for module, name, function in plain:
        setattr(module, name, measured(name, function))
    try:
        yield
    finally:
        for module, name, function in plain:
            setattr(module, name, function)


def audio_features(policy: Any, clips: Sequence[Tensor]) -> list[Tensor]:
    """What the audio encoder makes of clips, each [sample] at 16 kHz."""
    heard = [policy.log_mel(clip) for clip in clips]
    features: list[Tensor] = policy.encode_audio(heard)
    return features
