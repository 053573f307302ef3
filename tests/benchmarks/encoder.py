"""Milliseconds a clip of the audio encoder, on the clip's own frames against transformers' whole window.

    python tests/benchmarks/encoder.py CHECKPOINT CLIP.wav [CLIP.wav ...] [--repeats N]

Both run in one process, turn by turn, on the same batch; medians, and the largest difference of the features. The last
line is JSON.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers.masking_utils import create_bidirectional_mask

from lalm_ambig.audio import read_audio
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.runs import quiet


def whole_window(policy: Qwen2Audio, clips: Sequence[torch.Tensor]) -> Callable[[], list[torch.Tensor]]:
    """transformers' encoder as its model calls it, on mel frames padded to the window."""
    extractor = policy.processor.feature_extractor
    inputs = extractor(
        [clip.numpy() for clip in clips],
        sampling_rate=16_000,
        return_attention_mask=True,
        return_tensors="pt",
    )
    positions, tokens = policy.tower._get_feat_extract_output_lengths(inputs["attention_mask"].sum(-1))
    width = (inputs["input_features"].shape[-1] - 2) // 2 + 1
    seen = (torch.arange(width)[None] < positions[:, None]).long()

    def encode() -> list[torch.Tensor]:
        mask = create_bidirectional_mask(
            config=policy.tower.config, inputs_embeds=torch.zeros(len(clips), width, 1), attention_mask=seen
        )
        states = policy.tower(inputs["input_features"], attention_mask=mask).last_hidden_state
        return [row[:count] for row, count in zip(states, tokens.tolist(), strict=True)]

    return encode


def compare(policy: Qwen2Audio, clips: Sequence[torch.Tensor], repeats: int) -> dict[str, Any]:
    """Medians in milliseconds a clip, their ratio, and how far the features are apart."""
    frames = [policy.listen(clip) for clip in clips]
    ways = {"own_frames": lambda: policy.encode_audio(frames), "window": whole_window(policy, clips)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    features = {name: way() for name, way in ways.items()}  # also the warm-up
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    each = {name: 1000 * statistics.median(values) / len(clips) for name, values in seconds.items()}
    pairs = list(zip(features["own_frames"], features["window"], strict=True))
    return {
        "ms_per_clip": {name: round(value, 2) for name, value in each.items()},
        "ratio": round(each["window"] / each["own_frames"], 2),
        "largest_difference": max(float((a - b).abs().max()) for a, b in pairs),
        "largest_value": max(float(b.abs().max()) for _, b in pairs),
    }


def main() -> None:
    """Parse, measure, print."""
    quiet.silence()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint")
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    policy = Qwen2Audio(options.checkpoint, dtype="float32")
    policy.load()
    policy.eval()
    with torch.inference_mode():
        clips = [read_audio(path, max_s=policy.window_s) for path in options.clips]
        found = compare(policy, clips, options.repeats)
    seconds = [clip.numel() / 16_000 for clip in clips]
    about = {
        "clips": len(clips),
        "mean_s": round(statistics.mean(seconds), 2),
        "threads": torch.get_num_threads(),
    }
    print(json.dumps({**about, **found, "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
