"""The probe by layer: how much of the judgements each layer of an audio encoder holds, and all of them together.

Features of a clip and a layer are the mean and the standard deviation over time of the layer's pooled states. The
language model is never run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.baselines.base import BaselineInputs, BaselineResult, Features
from lalm_ambig.baselines.probe import FittedProbe
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.data.feature_cache import encoded
from lalm_ambig.policies.audio.side_path import MOST_LAYERS, check_depth
from lalm_ambig.policies.audio_model import AudioModel

LAST = "last"
JOINED = "joined"


@dataclass(frozen=True)
class LayerStatistics:
    """Mean and deviation over time of the states of several layers, per clip."""

    layers: tuple[int, ...]
    """The layers beside the last one, in ascending order."""
    rows: Mapping[str, int]
    """Row of each clip in `values`, by the path of its audio file."""
    values: Float[Tensor, "clip layer statistic"]
    """The last layer comes first."""
    encoder: str
    """Description of the policy."""

    def of(self, layers: Sequence[int], *, last: bool) -> Features:
        """Features of these layers, side by side, with or without the last one before them."""
        columns = [0] if last else []
        columns += [1 + self.layers.index(layer) for layer in layers]
        names = [*([LAST] if last else []), *map(str, layers)]
        return _StatisticsOf(self, tuple(columns), names)


@dataclass(frozen=True)
class _StatisticsOf(Features):
    """Some layers of `LayerStatistics`."""

    statistics: LayerStatistics
    columns: tuple[int, ...]
    names: Sequence[str]

    @property
    def meaning(self) -> str:
        word = "layer" if len(self.names) == 1 else "layers"
        return (
            f"mean and deviation over time of {word} {', '.join(self.names)} of {self.statistics.encoder}'s "
            "audio encoder"
        )

    def __call__(self, items: Sequence[Item]) -> Float[Tensor, "item feature"]:
        rows = [self.statistics.rows[str(item.audio)] for item in items]
        return self.statistics.values[rows][:, list(self.columns)].flatten(1)


@dataclass(frozen=True)
class ProbedLayers:
    """Answers of the probe on each layer by itself, and on the chosen ones with the last."""

    results: dict[str, BaselineResult]
    """By name: a layer's number, `last`, and `joined`."""
    layers: tuple[int, ...]
    """The layers of `joined`, beside the last one."""
    kl: dict[str, float]
    """KL on the validation split, in nats."""

    @property
    def option(self) -> str:
        """The option of `fit` that hears these layers."""
        return f"--policy.audio_layers '{str(list(self.layers)).replace(' ', '')}'"


def asked_layers(text: str, policy: AudioModel) -> tuple[int, ...]:
    """Return the layers that an option names.

    Args:
        text: `all`, or numbers with commas between them.
        policy: A loaded policy.

    Raises:
        InputError: The text is neither, or names a layer that the encoder lacks.
    """
    depth = len(policy.tower_layers)
    if text == "all":
        return tuple(range(depth))
    try:
        layers = tuple(sorted({int(number) for number in text.split(",")}))
    except ValueError:
        raise InputError(f"expected all, or numbers such as 0,2,4; got {text!r}.", where="--layers") from None
    if layers[0] < 0:
        raise InputError(f"expected numbers from 0 on, got {layers[0]}.", where="--layers")
    check_depth(layers, depth, where="--layers")
    return layers


def layer_statistics(policy: AudioModel, items: Sequence[Item], layers: tuple[int, ...]) -> LayerStatistics:
    """Encode each clip once, and keep the statistics of the layers only.

    Args:
        policy: A loaded policy.
        items: Items with sound.
        layers: The layers beside the last one.

    Raises:
        InputError: An item has no sound.
    """
    if silent := [item for item in items if not item.has_sound]:
        raise InputError(
            f"item {silent[0].id} has no sound:",
            where="--layers",
            remedy="leave it out; layers are the audio encoder's.",
        )
    clips = sorted({str(item.audio): item.duration_s for item in items}.items(), key=lambda clip: clip[1])
    rows: dict[str, int] = {}
    values: list[Tensor] = []
    with policy.eval_mode(), policy.hearing(layers):
        for path, features in encoded(policy, [path for path, _ in clips]):
            rows[path] = len(rows)
            values.append(_statistics(policy.sounding(features), len(layers), policy.side_channels))
    return LayerStatistics(layers, rows, torch.stack(values), policy.description)


def _statistics(features: Tensor, layers: int, side_channels: int) -> Float[Tensor, "layer statistic"]:
    """Mean and deviation of each layer; where layers differ in width, the narrower are filled up with zeros."""
    widths = [features.shape[1] - side_channels, *[side_channels // layers] * layers]
    table = torch.zeros(1 + layers, 2 * max(widths))
    for row, states in enumerate(torch.split(features.float(), widths, dim=1)):
        moments = torch.cat([states.mean(0), states.std(0, correction=0)])
        table[row, : len(moments)] = moments
    return table


def probe_layers(inputs: BaselineInputs, statistics: LayerStatistics) -> ProbedLayers:
    """Fit the probe on each layer, and on joined ones; the layers that are joined are chosen on validation.

    Joined with the last are tried: the best two, four and six by themselves, and six evenly spaced.

    Args:
        inputs: The items.
        statistics: Of all their clips.

    Raises:
        InputError: There are no training or validation items.
    """
    results: dict[str, BaselineResult] = {}
    kl: dict[str, float] = {}
    for name, features in _single(statistics):
        fitted = FittedProbe.fit(replace(inputs, features=features))
        results[name], kl[name] = fitted.answer(inputs), fitted.validation_kl
    best: FittedProbe | None = None
    chosen: tuple[int, ...] = ()
    for layers in _candidates(statistics.layers, kl):
        fitted = FittedProbe.fit(replace(inputs, features=statistics.of(layers, last=True)))
        if best is None or fitted.validation_kl < best.validation_kl:
            best, chosen = fitted, layers
    assert best is not None, "a layer was asked for"
    results[JOINED], kl[JOINED] = best.answer(inputs), best.validation_kl
    return ProbedLayers(results, chosen, kl)


def _single(statistics: LayerStatistics) -> Iterator[tuple[str, Features]]:
    for layer in statistics.layers:
        yield str(layer), statistics.of([layer], last=False)
    yield LAST, statistics.of([], last=True)


def _candidates(layers: tuple[int, ...], kl: Mapping[str, float]) -> list[tuple[int, ...]]:
    """Sets of layers to be joined with the last, the smaller first."""
    ranking = sorted(layers, key=lambda layer: kl[str(layer)])
    most = min(MOST_LAYERS, len(layers))
    sets = [tuple(sorted(ranking[:count])) for count in (2, 4, most) if count <= most]
    spaced = tuple(layers[round(n * (len(layers) - 1) / max(1, most - 1))] for n in range(most))
    return list(dict.fromkeys([*sets, spaced]))
