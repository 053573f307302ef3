"""Features of a frozen audio encoder, computed once per clip and memory-mapped from disk.

They are computed where the policy is, in the encoder's own type, without autocast. Each process of a run computes its
share of the parts that are missing. A part is on disk as soon as it is done, so that a killed run goes on from there.
Other kinds of device round otherwise: a cache that was not made on a CPU is found on that kind of device only.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from lalm_ambig.audio.reading import read_audio
from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.files.atomic import new_folder, write_text
from lalm_ambig.files.text import readable_size
from lalm_ambig.policies.base import Policy

CLIPS_PER_PASS = 8
CLIPS_PER_PART = 128
"""Clips of a part: what a killed run computes again at most, per process. Whole passes."""
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
    part: str = ""
    """Folder of the flat file inside the cache."""


@dataclass(frozen=True)
class FeatureCache:
    """Features of every clip of a corpus: flat files, and an index of each clip's rows."""

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
        flat: Any = np.memmap(self.folder / rows.part / "features.bin", _BYTES[self.dtype], mode="r")
        part = np.array(flat[rows.first * self.channels : (rows.first + rows.count) * self.channels])
        return torch.from_numpy(part).view(self.dtype).view(rows.count, self.channels)

    def moments(
        self, clips: Sequence[str], policy: Policy
    ) -> tuple[Float[Tensor, " channel"], Float[Tensor, " channel"]]:
        """Mean and standard deviation of each channel over all audio tokens of the clips that hold sound.

        Args:
            clips: Paths of the clips.
            policy: The policy whose features these are.
        """
        return moments(policy.sounding(self.get(clip)) for clip in clips)


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
        return moments(policy.sounding(features) for _, features in encoded(policy, _paths(items)))


def _by_length(items: Sequence[Item]) -> list[tuple[str, float]]:
    """Each clip's path and seconds, the shortest first."""
    clips = {item.audio: item.duration_s for item in items if item.audio is not None}
    return sorted(clips.items(), key=lambda clip: (clip[1], clip[0]))


def _paths(items: Sequence[Item]) -> list[str]:
    return [path for path, _ in _by_length(items)]


@dataclass(frozen=True)
class _Part:
    """A few clips of a cache, and the folder that holds their features."""

    folder: Path
    clips: list[tuple[str, float]]
    """Path and seconds of each clip."""

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.clips]

    @property
    def is_done(self) -> bool:
        return _open(self.folder) is not None


def cached_features(
    policy: Policy,
    items: Sequence[Item],
    root: Path,
    *,
    limit_gb: float = float("inf"),
    among: Sequence[Item] = (),
) -> FeatureCache:
    """Return the cache of these items' clips, from disk where this encoder has computed them all before.

    All processes must call. Each computes a share; the features are those that one process would compute.

    Args:
        policy: A loaded policy whose audio encoder is frozen.
        items: All items that the policy will hear; those without audio are passed over.
        root: Folder of all feature caches.
        limit_gb: Largest cache in GB that may be written.
        among: More items, with these among them: a cache of all of them serves, if there is one.

    Raises:
        InputError: The cache would be larger than that, or than what is free on its disk.
    """
    clips, more = _by_length(items), _by_length(among)
    if len(more) > len(clips) and distributed.on_rank_zero(lambda: _is_whole(policy, more, root)):
        clips = more
    folder = root / f"features-{_key(policy, clips)}"
    parts = _parts(folder, clips)
    missing = distributed.on_rank_zero(lambda: _missing(policy, parts, root, limit_gb))
    _compute(policy, [parts[number] for number in distributed.shard(missing)])
    if missing:
        distributed.barrier()
        _compute(policy, parts)  # nothing, unless this process has another disk than the others
    return _joined(folder, parts)


def _is_whole(policy: Policy, clips: list[tuple[str, float]], root: Path) -> bool:
    """Whether a cache of these clips is on disk."""
    return all(part.is_done for part in _parts(root / f"features-{_key(policy, clips)}", clips))


def _key(policy: Policy, clips: Sequence[tuple[str, float]]) -> str:
    """Digest of all that the features depend on: encoder, files, and a kind of device other than the CPU."""
    digest = hashlib.sha256(policy.encoder_fingerprint().encode())
    if policy.device.type != "cpu":
        digest.update(f"on {policy.device.type}\n".encode())
    for path in sorted(path for path, _ in clips):
        stat = Path(path).stat()
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _parts(folder: Path, clips: list[tuple[str, float]]) -> list[_Part]:
    """The parts of a cache: the folder itself for few clips, and for one of an earlier version, which had no parts."""
    if len(clips) <= CLIPS_PER_PART or _open(folder) is not None:
        return [_Part(folder, clips)]
    starts = range(0, len(clips), CLIPS_PER_PART)
    return [_Part(folder / f"{first:07d}", clips[first : first + CLIPS_PER_PART]) for first in starts]


def _missing(policy: Policy, parts: Sequence[_Part], root: Path, limit_gb: float) -> list[int]:
    """The numbers of the parts that are to be computed, once it is sure that there is room for them."""
    missing = [number for number, part in enumerate(parts) if not part.is_done]
    if missing:
        clips = [clip for part in parts for clip in part.clips]
        to_come = [clip for number in missing for clip in parts[number].clips]
        _tell_size(policy, clips, to_come, root, limit_gb)
    return missing


def _tell_size(
    policy: Policy,
    clips: Sequence[tuple[str, float]],
    to_come: Sequence[tuple[str, float]],
    root: Path,
    limit_gb: float,
) -> None:
    """Say how large the features will be, from those of the longest clip; refuse what is too large."""
    longest, seconds = clips[-1]
    ((_, features),) = encoded(policy, [longest])

    def size_of(some: Sequence[tuple[str, float]]) -> int:
        heard = sum(min(duration, policy.window_s) for _, duration in some)
        tokens = len(features) * heard / min(seconds, policy.window_s) if seconds else 0.0
        return round(tokens * features.shape[1] * features.element_size())

    size, still = size_of(clips), size_of(to_come)
    channels = f"{features.shape[1]:,} channels per token"
    text = f"audio features of {len(clips):,} clips ({channels}): {readable_size(size)}"
    remedy = (
        "hear fewer layers (policy.audio_layers), or set data.cache_features to false: each use encodes anew."
    )
    if size > limit_gb * GB:
        raise InputError(f"{text}, and data.feature_cache_gb is {limit_gb:g}:", where="data", remedy=remedy)
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free
    if still > free:
        raise InputError(
            f"{text}, and {readable_size(free)} are free in {root}:", where="data", remedy=remedy
        )
    by = f" by {count} processes" if (count := distributed.world_size()) > 1 else ""
    ready = f", {len(clips) - len(to_come):,} of them are there" if len(to_come) < len(clips) else ""
    print(f"{text}, written to {root}, computed on {policy.device}{by}{ready}", file=sys.stderr)


def _joined(folder: Path, parts: Sequence[_Part]) -> FeatureCache:
    """The finished parts as one cache."""
    caches = {part.folder: cache for part in parts if (cache := _open(part.folder)) is not None}
    assert len(caches) == len(parts), "they were just written"
    index = {
        path: replace(rows, part="" if place == folder else place.name)
        for place, cache in caches.items()
        for path, rows in cache.index.items()
    }
    first = next(iter(caches.values()))
    return FeatureCache(folder, first.channels, first.dtype, index)


def _open(folder: Path) -> FeatureCache | None:
    """The features in a folder; None where there are none, or damaged ones."""
    try:
        saved = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        index = {path: ClipRows(first, count) for path, first, count in saved["clips"]}
        channels, dtype = int(saved["channels"]), getattr(torch, saved["dtype"])
        size = sum(rows.count for rows in index.values()) * channels * dtype.itemsize
        is_complete = (folder / "features.bin").stat().st_size == size
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return FeatureCache(folder, channels, dtype, index) if is_complete else None


def _compute(policy: Policy, parts: Sequence[_Part]) -> None:
    """Compute and write those parts that are not there, as another run may have made them in the meantime."""
    missing = [part for part in parts if not part.is_done]
    with _bar(sum(len(part.clips) for part in missing)) as advance:
        for part in missing:
            if part.is_done:
                advance(len(part.clips))
                continue
            shutil.rmtree(part.folder, ignore_errors=True)  # what is there is damaged
            _build(policy, part.paths, part.folder, advance)


def _build(policy: Policy, paths: Sequence[str], folder: Path, advance: Callable[[int], None]) -> None:
    clips, row, channels, dtype = [], 0, 0, torch.float32
    with new_folder(folder) as unfinished:
        with (unfinished / "features.bin").open("wb") as out:
            for path, features in _encoded(policy, paths, advance):
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
    with _bar(len(paths)) as advance:
        yield from _encoded(policy, paths, advance)


def _encoded(
    policy: Policy, paths: Sequence[str], advance: Callable[[int], None]
) -> Iterator[tuple[str, Float[Tensor, "audio_token channel"]]]:
    with torch.inference_mode():
        for start in range(0, len(paths), CLIPS_PER_PASS):
            group = paths[start : start + CLIPS_PER_PASS]
            frames = [policy.log_mel(read_audio(path, max_s=policy.window_s)) for path in group]
            for path, features in zip(group, policy.encode_audio(frames), strict=True):
                yield path, features.cpu()
            advance(len(group))


@contextmanager
def _bar(clips: int) -> Iterator[Callable[[int], None]]:
    """Show how many clips are encoded, on the first process's terminal, if it has one."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    is_quiet = not (clips and distributed.is_first() and console.is_terminal)
    share = f" (each of {count} processes)" if (count := distributed.world_size()) > 1 else ""
    with Progress(*columns, console=console, disable=is_quiet, transient=True) as progress:
        task = progress.add_task(f"audio features{share}", total=clips)
        yield lambda count: progress.update(task, advance=count)
