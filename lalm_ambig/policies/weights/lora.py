"""The weights of a base model that are trained: LoRA on the language model with options, or all of them."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.audio.side_path import SIDE_PATH, has_side_path
from lalm_ambig.policies.weights.checkpoint import UNREADABLE, read_model
from lalm_ambig.policies.weights.lora_targets import Targets, find_targets
from lalm_ambig.policies.weights.quantised_base import count_parameters


@dataclass(frozen=True)
class Beside:
    """Names of a model's modules for sound, which an adapter may train too."""

    projectors: tuple[str, ...] = ()
    """Last names of the modules between audio tower and decoder."""
    tower: str = ""
    """Path of the audio tower; empty for a text model."""
    unused: tuple[str, ...] = ()
    """Paths of modules that neither text nor sound passes through."""

    def excluded(self, *, trains_tower: bool) -> str | None:
        """Pattern of the layers that never get LoRA, whatever PEFT makes of the targets; None for a text model.

        For a mixture of experts PEFT replaces a pattern by the layers' last names, which the senses' layers have, too.

        Args:
            trains_tower: Whether the tower gets LoRA.
        """
        paths = [*self.unused, *([] if trains_tower else [self.tower])]
        names = "|".join(re.escape(path) for path in paths if path)
        return rf"({names})\..*" if names else None

    def in_tower(self, name: str) -> bool:
        """Whether a layer's name, or a pattern of names, is of the tower."""
        if any(f"{projector}." in name for projector in self.projectors):
            return False  # a Q-former has an `encoder` of its own, as Granite Speech calls its tower
        last = self.tower.removeprefix("model.")
        return bool(last) and (f"{last}." in name or name.endswith(last))

    def tower_pattern(self, model: nn.Module) -> str:
        """Full-match pattern of the linear layers of the tower's layers, and of no others.

        A bare name such as `q_proj` would also match the decoder.

        Args:
            model: The base model.
        """
        tower = model.get_submodule(self.tower)
        blocks = [name for name, module in tower.named_children() if isinstance(module, nn.ModuleList)]
        linear = [
            name
            for name, module in tower.named_modules()
            if isinstance(module, nn.Linear) and name.partition(".")[0] in blocks
        ]
        leaves = "|".join(sorted({re.escape(name.rpartition(".")[2]) for name in linear}))
        return rf"{re.escape(self.tower)}\.({'|'.join(map(re.escape, blocks))})\..*\.({leaves})"


@dataclass(frozen=True)
class Adapter:
    """Which weights are trained, and LoRA's settings. The defaults are those of ambiguity-aware LALM, Section 4.

    Raises:
        InputError: A setting is out of its range, or two contradict each other.
    """

    method: Literal["lora", "full"] = "lora"
    """`lora`: low-rank adapters on the language model's linear layers. `full`: all weights."""
    rank: int = 8
    """LoRA rank r."""
    alpha: float = 16
    """LoRA scale; the update is multiplied by alpha / rank."""
    dropout: float = 0.0
    """Dropout on the input of each adapter, in [0, 1)."""
    projector: bool = False
    """Also train all weights of the projector between audio tower and language model."""
    audio_tower: bool = False
    """Also put LoRA on the audio tower, whose features can then not be cached."""
    targets: list[str] | str | None = None
    """Layers of the decoder with LoRA: a regular expression that matches names such as `layers.0.self_attn.q_proj` in
    full, or a list of names such as `q_proj`. By default every linear layer of the attention, recurrent and
    feed-forward parts."""
    checkpoint_activations: bool = False
    """Keep only the input of each decoder layer in a training pass, and compute the rest again in the backward pass:
    far less memory for about a third more time. The numbers stay the same."""
    checkpoint_every: int = 1
    """With `checkpoint_activations`: every so many decoder layers one is computed again, the first to begin with, and
    the others keep what they computed. 2 costs about half the time and saves about half the memory."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InputError(f"rank must be at least 1, got {self.rank}", where="policy.adapter")
        if self.checkpoint_every < 1:
            raise InputError(
                f"checkpoint_every must be at least 1, got {self.checkpoint_every}", where="policy.adapter"
            )
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be in [0, 1), got {self.dropout}", where="policy.adapter")
        if self.method == "full" and (self.projector or self.audio_tower):
            raise InputError(
                "full fine-tuning already trains the projector and the audio tower:",
                where="policy.adapter",
                remedy="set projector and audio_tower to false.",
            )
        if self.targets is not None and (self.method == "full" or not self.targets):
            raise InputError(
                "targets names no layer." if not self.targets else "full fine-tuning has no targets.",
                where="policy.adapter",
                remedy="Leave targets out, or name layers with method: lora.",
            )

    @property
    def recompute_every(self) -> int:
        """Every so many decoder layers one is computed again in the backward pass; 0 for none."""
        return self.checkpoint_every if self.checkpoint_activations else 0

    @property
    def trains_tower(self) -> bool:
        """Whether the audio tower's features change in training."""
        return self.method == "full" or self.audio_tower

    def config(self, model: nn.Module, targets: Targets, *, beside: Beside) -> LoraConfig:
        """The PEFT configuration of a new adapter.

        Args:
            model: The base model.
            targets: The decoder's layers.
            beside: The modules for sound.

        Returns:
            PEFT's settings for these layers.
        """
        layers = [model.get_submodule(name) for name in targets.names]
        whole = [*beside.projectors] if self.projector else []
        if has_side_path(model):
            whole.append(SIDE_PATH)
        pattern = targets.pattern
        if self.audio_tower:
            pattern = f"({pattern}|{beside.tower_pattern(model)})"
        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=pattern,
            target_parameters=targets.weights,
            modules_to_save=whole or None,
            exclude_modules=beside.excluded(trains_tower=self.audio_tower),
            bias="none",
            fan_in_fan_out=all(isinstance(layer, Conv1D) for layer in layers),
        )


def attach_adapter(
    model: nn.Module, adapter: Adapter, *, decoder: nn.Module, beside: Beside
) -> tuple[nn.Module, list[str]]:
    """Attach a new adapter, whose effect is exactly zero; or set all weights to be trained.

    Args:
        model: A model of transformers.
        adapter: Method and settings of the weights that are trained.
        decoder: The model's language model.
        beside: The modules for sound.

    Returns:
        The model with adapter, or the model itself; and lines for its user.

    Raises:
        InputError: The decoder has no layer for LoRA, or PEFT refuses the settings.
    """
    if adapter.method == "full":
        model.requires_grad_(True)
        return model, []
    targets = find_targets(model, decoder, adapter.targets)
    if targets.by_weight and adapter.dropout:
        raise InputError(
            f"PEFT takes no dropout on {', '.join(sorted({n.rpartition('.')[2] for n in targets.by_weight}))} of "
            f"{type(model).__name__}.",
            where="policy.adapter.dropout",
            remedy="Set it to 0, or choose other layers by policy.adapter.targets.",
        )
    wrapped = with_lora(model, adapter.config(model, targets, beside=beside))
    if trained := lora_b_norm(wrapped):
        raise RuntimeError(f"a fresh adapter must have no effect, but lora_B has norm {trained:.3g}")
    return wrapped, [] if targets.note is None else [targets.note]


def checkpoint_activations(decoder: Any, description: str, *, every: int = 1) -> None:
    """Make decoder layers keep only their input in a training pass (see `Adapter.checkpoint_activations`).

    Args:
        decoder: The language model.
        description: The policy's, for the message.
        every: Of so many layers one.

    Raises:
        InputError: The decoder's class cannot compute activations again; the policy's description is in the message.
    """
    try:
        decoder.activation_checkpointing_enable(every_n_layers=every)
    except ValueError as error:
        raise InputError(
            f"{description} cannot compute activations again: {error}",
            where="policy.adapter",
            remedy="Set checkpoint_activations to false.",
        ) from error


@contextmanager
def seeded_cpu_rng() -> Iterator[None]:
    """Inside, the CPU's generator starts from torch's seed; afterwards its state is that of before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(torch.initial_seed())
        yield


def with_lora(model: nn.Module, config: LoraConfig) -> nn.Module:
    """PEFT's model with that configuration, its weights drawn from torch's seed.

    Raises:
        InputError: PEFT takes no adapter for these layers.
    """
    try:
        with warnings.catch_warnings(), seeded_cpu_rng():
            warnings.simplefilter("ignore")  # what PEFT says of merging, which `export` looks at itself
            wrapped: nn.Module = get_peft_model(model, config)
    except Exception as error:  # the library's judgement of a saved adapter's or a user's settings
        raise InputError(
            f"PEFT refuses this adapter: {str(error).strip().split(chr(10))[0][:300]}",
            where="policy.adapter",
            remedy="Set policy.adapter.targets to other layers, or policy.adapter.method to full.",
        ) from error
    return wrapped


def lora_b_norm(model: nn.Module) -> float:
    """Sum of the Frobenius norms of all B matrices, ≥ 0; 0 for an adapter without effect."""
    return sum(float(p.detach().norm()) for name, p in model.named_parameters() if "lora_B" in name)


def shared_layers(model: nn.Module) -> list[str]:
    """Names of two layers with an adapter that share one base weight, to which both would add; empty if none do."""
    first: dict[int, str] = {}
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            weight: Any = module.get_base_layer().weight
            if id(weight) in first:
                return [first[id(weight)], name]
            first[id(weight)] = name
    return []


def load_model(model: Any, folder: Path) -> None:
    """Load a fully fine-tuned model's weights into a model of the same architecture, in float32 without rounding.

    Raises:
        InputError: The folder holds no model, or one of another shape.
    """
    if not (folder / "config.json").is_file():
        raise InputError(
            f"no config.json in {folder}",
            where="adapter",
            remedy="Give the folder of a fully fine-tuned model, or set policy.adapter to what the run had.",
        )
    try:
        saved = read_model(type(model), str(folder), dtype=torch.float32)
        model.load_state_dict(saved.state_dict())
    except UNREADABLE as error:
        raise InputError(
            f"the model is not of this policy: {str(error)[:300]}",
            where=str(folder),
            remedy="Check policy.adapter and the base model.",
        ) from error


def trained_parameters(model: nn.Module) -> Sequence[tuple[str, nn.Parameter]]:
    """Names and values of the parameters that the optimiser updates."""
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


def parameter_counts(policy: Any) -> dict[str, Any]:
    """Numbers of a policy's parameters, those set aside among them, and of trained ones, for the run's record."""
    total = count_parameters(policy) + sum(count_parameters(module) for (module,) in policy.aside.values())
    return {"parameters": total, "trained": sum(p.numel() for _, p in trained_parameters(policy))}
