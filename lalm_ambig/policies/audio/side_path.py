"""The side path: earlier layers of an audio encoder, beside the last one that its model passes on.

An encoder that was trained to transcribe speech forgets in its last layers how a thing was said. The side path reads
the states of chosen layers, standardised over the training clips, and adds one linear map of them to the projector's
output:

    embedding = projector(last layer) + W · (layers − mean) / deviation

W starts at zero beside a trained projector, so that training starts exactly at the checkpoint.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from peft.utils import ModulesToSaveWrapper
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.atomic import write_text

AudioLayers = Literal["last"] | list[int]
"""Value of `policy.audio_layers`."""
SIDE_PATH = "audio_side_path"
"""Name of the side path's module in the model."""
MOST_LAYERS = 6
PEFT_TYPE = "LORA_WITH_AUDIO_SIDE_PATH"
"""Kind of a saved adapter with a side path. PEFT knows no such kind and refuses it, since it would leave the side path
out without a word."""
WHERE = "policy.audio_layers"
ADAPTER_FILE, SETTINGS_FILE = "adapter_model.safetensors", "adapter_config.json"


class SidePath(nn.Module):
    """One linear map of standardised encoder states to input embeddings, without a bias.

    Its weights are zero until `draw` or training changes them.
    """

    layers: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: Sequence[int], *, channels: int, outputs: int) -> None:
        """Args:
        layers: The encoder layers that are read, in the order of the input's channels.
        channels: Channels of one layer.
        outputs: Channels of an input embedding.
        """
        super().__init__()
        inputs = len(layers) * channels
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.register_buffer("layers", torch.tensor(layers))
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))

    def forward(self, states: Float[Tensor, "audio_token channel"]) -> Float[Tensor, "audio_token model"]:
        """Return what is added to the embeddings of audio tokens.

        Args:
            states: Pooled states of the layers, side by side.
        """
        standard = (states.float() - self.mean.float()) / self.deviation.float()
        return nn.functional.linear(standard.to(self.weight.dtype), self.weight)

    def standardise(self, mean: Float[Tensor, " channel"], deviation: Float[Tensor, " channel"]) -> None:
        """Set the moments of the input. A channel that does not vary over the training clips is read as 0."""
        varies = deviation > 1e-5 * mean.abs().clamp(min=1e-3)
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(varies, deviation, torch.inf))

    def draw(self, deviation: float) -> None:
        """Draw the weights from torch's seed, normally distributed: the same on any device, after any other draws."""
        generator = torch.Generator().manual_seed((torch.initial_seed() + 1) % 2**63)
        with torch.no_grad():
            self.weight.copy_(deviation * torch.randn(self.weight.shape, generator=generator))


def chosen_layers(audio_layers: AudioLayers, *, trains_all: bool) -> tuple[int, ...]:
    """Return the encoder layers that are read beside the last one, in ascending order.

    Args:
        audio_layers: Value of the setting.
        trains_all: Whether all weights are trained.

    Raises:
        InputError: The list is empty, too long, names a layer twice or below 0, or all weights are trained.
    """
    if audio_layers == "last":
        return ()
    if not isinstance(audio_layers, list):  # a file may say null
        raise InputError(f"expected last or a list such as [1,2], got {audio_layers}", where=WHERE)
    layers = tuple(sorted(audio_layers))
    if not layers or len(layers) > MOST_LAYERS:
        raise InputError(
            f"names {len(layers)} layers, and may name 1 to {MOST_LAYERS} beside the last:",
            where=WHERE,
            remedy="write last to hear the last layer only.",
        )
    if layers[0] < 0 or len(set(layers)) < len(layers):
        raise InputError(
            f"must name different layers from 0 on, got {list(audio_layers)}.",
            where=WHERE,
            remedy="0 is the output of the convolutions, n that of the n-th layer.",
        )
    if trains_all:
        raise InputError(
            "full fine-tuning writes a plain checkpoint, which has no place for a side path:",
            where=WHERE,
            remedy="set policy.adapter.method to lora, or audio_layers to last.",
        )
    return layers


def check_depth(layers: Sequence[int], depth: int, *, where: str = WHERE) -> None:
    """Refuse a layer that the encoder lacks, and its last one, which is read in any case.

    Args:
        layers: The layers asked for.
        depth: Number of the encoder's layers.
        where: The setting, for messages.

    Raises:
        InputError: For the first such layer.
    """
    for layer in layers:
        if layer >= depth:
            which = "is its last, which is always heard" if layer == depth else "is none of them"
            raise InputError(
                f"the audio encoder has {depth} layers, and {layer} {which}:",
                where=where,
                remedy=f"name layers from 0 (the convolutions) to {depth - 1}.",
            )


def add_side_path(model: Any, layers: Sequence[int], *, channels: int, depth: int) -> None:
    """Add a side path without effect to a model of transformers, on the device of its embeddings.

    Args:
        model: The model, whose `model` holds the audio encoder and the decoder.
        layers: The layers that are read; without any, nothing is added.
        channels: Channels of a layer of the audio encoder.
        depth: Number of the encoder's layers.

    Raises:
        InputError: The encoder lacks one of the layers.
    """
    if layers:
        check_depth(layers, depth)
        embeddings = model.get_input_embeddings().weight
        side_path = SidePath(layers, channels=channels, outputs=embeddings.shape[1])
        model.model.add_module(SIDE_PATH, side_path.to(embeddings.device))


def has_side_path(model: nn.Module) -> bool:
    """Whether the model, with or without an adapter around it, has a side path."""
    return any(name.endswith(SIDE_PATH) for name, _ in model.named_modules())


@contextmanager
def captured(layers: nn.ModuleList, chosen: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """Inside, note the states that a pass of the encoder has after the chosen layers, by layer.

    Args:
        layers: The encoder's layers.
        chosen: Which are noted; 0 is the input of the first layer.
    """
    states: dict[int, Tensor] = {}

    def note(layer: int) -> Any:
        def hook(_: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
            states[layer] = positional[0] if positional else named["hidden_states"]

        return hook

    with ExitStack() as hooks:
        for layer in chosen:  # what comes into the next layer is what came out of this one
            handle = layers[layer].register_forward_pre_hook(note(layer), with_kwargs=True)
            hooks.callback(handle.remove)
        yield states


def pooled(
    states: Float[Tensor, "position channel"], tokens: int, share: int
) -> Float[Tensor, "token channel"]:
    """Means of the first positions, as many to a token as the encoder pools; zeros where there are fewer.

    Args:
        states: One clip's states.
        tokens: Its audio tokens.
        share: Positions per token.
    """
    own = states[: share * tokens]
    filled = nn.functional.pad(own, (0, 0, 0, share * tokens - len(own)))
    return filled.reshape(tokens, share, states.shape[-1]).mean(1)


def saved_layers(folder: Path) -> tuple[int, ...] | None:
    """Return the layers that a saved adapter reads beside the last, () for one without a side path.

    None where there is no readable file; whoever loads the weights says so.
    """
    try:
        with safe_open(folder / ADAPTER_FILE, framework="pt") as tensors:
            names = [name for name in tensors.keys() if name.endswith(f"{SIDE_PATH}.layers")]  # noqa: SIM118
            return tuple(tensors.get_tensor(names[0]).flatten().tolist()) if names else ()
    except (OSError, SafetensorError):
        return None


def check_saved_layers(folder: Path, layers: Sequence[int]) -> None:
    """Refuse a saved adapter that hears other layers than the policy.

    Args:
        folder: The saved adapter.
        layers: The policy's layers.

    Raises:
        InputError: The two differ.
    """
    saved = saved_layers(folder)
    if saved is not None and saved != tuple(layers):
        texts = ["last" if not which else str(list(which)).replace(" ", "") for which in (layers, saved)]
        raise InputError(
            f"{WHERE} is {texts[0]}, and the saved adapter's is {texts[1]}:",
            where=str(folder),
            remedy=f"set {WHERE} to {texts[1]} (fit: --{WHERE} '{texts[1]}'; a run: its config.yaml).",
        )


def mark_saved(folder: Path) -> None:
    """Give a saved adapter with a side path the kind that plain PEFT refuses (see `PEFT_TYPE`)."""
    file = folder / SETTINGS_FILE
    settings = json.loads(file.read_text(encoding="utf-8"))
    settings["peft_type"] = PEFT_TYPE
    write_text(file, json.dumps(settings, indent=2, sort_keys=True) + "\n")


def trained_copy(module: nn.Module) -> nn.Module:
    """The copy of a module that the adapter trains, or the module itself."""
    if not isinstance(module, ModulesToSaveWrapper):
        return module
    copy: nn.Module = module.modules_to_save["default"]
    return copy
