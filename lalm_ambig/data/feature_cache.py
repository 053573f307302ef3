"""Features of a frozen audio encoder, computed once per clip and memory-mapped from disk."""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

from lalm_ambig.audio.reading import read_audio
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.files.atomic import new_folder, write_text
from lalm_ambig.files.text import readable_size
from lalm_ambig.policies.base import Policy

CLIPS_PER_PASS = 8
GB = 1e9
_BYTES: dict[torch.dtype, Any] = {
    torch.float32: np.dtype("float32"),
    torch.bfloat16: np.dtype("int16"),
    torch.float16: np.dtype("float16"),
}


@dataclass(frozen=True)
class ClipRows:
    """The place of a clip's features in the flat file."""

    first: int
    """Row of its first audio token."""
    count: int
    """Rows: one per audio token."""


@dataclass(frozen=True)
class FeatureCache:
    """Features of every clip of a corpus: one flat file, and an index of each clip's rows."""

    folder: Path
    channels: int
    dtype: torch.dtype
    index: dict[str, ClipRows]
    """Rows of each clip, by the path of its audio file."""

    def get(self, audio: str) -> Float[Tensor, "audio_token channel"]:
        """Return a clip's encoder features.

        Args:
            audio: Path of the clip's audio file.

        Raises:
            KeyError: The clip was not there when the cache was made.
        """
        rows = self.index[audio]
        flat: Any = np.memmap(self.folder / "features.bin", _BYTES[self.dtype], mode="r")
        part = np.array(flat[rows.first * self.channels : (rows.first + rows.count) * self.channels])
        return torch.from_numpy(part).view(self.dtype).view(rows.count, self.channels)

    def moments(self, clips: Sequence[str]) -> tuple[Float[Tensor, " channel"], Float[Tensor, " channel"]]:
        """Mean and standard deviation of each channel over all audio tokens of the clips."""
        return moments(map(self.get, clips))


def moments(
    clips: Iterable[Float[Tensor, "_ channel"]],
) -> tuple[Float[Tensor, " channel"], Float[Tensor, " channel"]]:
    """Mean and standard deviation of each channel over all audio tokens.

    Args:
        clips: Features of each clip, at least one.
    """
    count, total, squares = 0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for features in clips:
        values = features.double()
        count += len(values)
        total = total + values.sum(0)
        squares = squares + values.square().sum(0)
    mean = total / count
    return mean.float(), (squares / count - mean.square()).clamp(min=0).sqrt().float()


def encoder_moments(
    policy: Policy, items: Sequence[Item]
) -> tuple[Float[Tensor, " channel"], Float[Tensor, " channel"]]:
    """The moments of the items' clips under the policy's present encoder. Nothing is written.

    Args:
        policy: A loaded policy.
        items: Items with sound.
    """
    with policy.eval_mode():
        return moments(features for _, features in encoded(policy, _paths(items)))


def _by_length(items: Sequence[Item]) -> list[tuple[str, float]]:
    """Each clip's path and seconds, the shortest first."""
    clips = {item.audio: item.duration_s for item in items if item.audio is not None}
    return sorted(clips.items(), key=lambda clip: (clip[1], clip[0]))


def _paths(items: Sequence[Item]) -> list[str]:
    return [path for path, _ in _by_length(items)]


def cached_features(
    policy: Policy, items: Sequence[Item], root: Path, *, limit_gb: float = float("inf")
) -> FeatureCache:
    """Return the cache of these items' clips, from disk where this encoder has computed them all before.

    Args:
        policy: A loaded policy whose audio encoder is frozen.
        items: All items that the policy will hear; those without audio are passed over.
        root: Folder of all feature caches.
        limit_gb: Largest cache in GB that may be written.

    Raises:
        InputError: The cache would be larger than that, or than what is free on its disk.
    """
    clips, paths = _by_length(items), _paths(items)
    digest = hashlib.sha256(policy.encoder_fingerprint().encode())
    for path in sorted(paths):
        stat = Path(path).stat()
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    folder = root / f"features-{digest.hexdigest()[:16]}"
    if (cache := _open(folder)) is not None:
        return cache
    shutil.rmtree(folder, ignore_errors=True)  # what is there is damaged
    _tell_size(policy, clips, root, limit_gb)
    _build(policy, paths, folder)
    cache = _open(folder)
    assert cache is not None, "it was just written"
    return cache


def _tell_size(policy: Policy, clips: Sequence[tuple[str, float]], root: Path, limit_gb: float) -> None:
    """Say how large the features will be, from those of the longest clip; refuse what is too large."""
    longest, seconds = clips[-1]
    ((_, features),) = encoded(policy, [longest])
    heard = [min(duration, policy.window_s) for _, duration in clips]
    tokens = len(features) * sum(heard) / min(seconds, policy.window_s) if seconds else 0.0
    size = round(tokens * features.shape[1] * features.element_size())
    channels = f"{features.shape[1]:,} channels per token"
    text = f"audio features of {len(clips):,} clips ({channels}): {readable_size(size)}"
    remedy = (
        "hear fewer layers (policy.audio_layers), or set data.cache_features to false: each use encodes anew."
    )
    if size > limit_gb * GB:
        raise InputError(f"{text}, and data.feature_cache_gb is {limit_gb:g}:", where="data", remedy=remedy)
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free
    if size > free:
        raise InputError(
            f"{text}, and {readable_size(free)} are free in {root}:", where="data", remedy=remedy
        )
    print(f"{text}, written to {root}", file=sys.stderr)


def _open(folder: Path) -> FeatureCache | None:
    """The cache in a folder; None where there is none, or a damaged one."""
    try:
        saved = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        index = {path: ClipRows(first, count) for path, first, count in saved["clips"]}
        channels, dtype = int(saved["channels"]), getattr(torch, saved["dtype"])
        size = sum(rows.count for rows in index.values()) * channels * dtype.itemsize
        is_complete = (folder / "features.bin").stat().st_size == size
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return FeatureCache(folder, channels, dtype, index) if is_complete else None


def _build(policy: Policy, paths: Sequence[str], folder: Path) -> None:
    clips, row, channels, dtype = [], 0, 0, torch.float32
    with new_folder(folder) as unfinished:
        with (unfinished / "features.bin").open("wb") as out:
            for path, features in encoded(policy, paths):
                channels, dtype = features.shape[1], features.dtype
                out.write(features.contiguous().view(torch.uint8).numpy().tobytes())
                clips.append((path, row, features.shape[0]))
                row += features.shape[0]
        about = {"channels": channels, "dtype": str(dtype).removeprefix("torch."), "clips": clips}
        write_text(unfinished / "index.json", json.dumps(about))


def encoded(
    policy: Policy, paths: Sequence[str]
) -> Iterator[tuple[str, Float[Tensor, "audio_token channel"]]]:
    """Yield each clip's path and features under the policy's present audio encoder, on the CPU.

    Args:
        policy: A loaded policy.
        paths: Audio files; several are encoded in one pass.
    """
    passes = [paths[i : i + CLIPS_PER_PASS] for i in range(0, len(paths), CLIPS_PER_PASS)]
    with torch.inference_mode():
        for group in track(passes, description="audio features", transient=True):
            frames = [policy.log_mel(read_audio(path, max_s=policy.window_s)) for path in group]
            for path, features in zip(group, policy.encode_audio(frames), strict=True):
                yield path, features.cpu()
