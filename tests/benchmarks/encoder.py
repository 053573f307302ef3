"""CPU milliseconds a clip from samples to audio features, on the clip's own frames against transformers' whole window.

    python tests/benchmarks/encoder.py {qwen2_audio,qwen2_5_omni} CLIP.wav [...] [--checkpoint DIR] [--repeats N]

Both run in one process, turn by turn, on the same batch; medians of the spectrum and of the encoder apart, and the
largest difference of the features. Without --checkpoint the encoder has the 7B model's size and random weights, which
cost the same, beside the smallest decoder. The last line is JSON.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    WhisperFeatureExtractor,
)

from lalm_ambig.audio.reading import read_audio
from lalm_ambig.policies.audio.mel import feature_counts, padded_window
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.families.whisper import seeing_first
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.tiny import CHAT_TEMPLATE, WORDS, make_tokenizer
from lalm_ambig.runs.processes.launch import quiet_libraries

FAMILIES: dict[str, type[Qwen2Audio] | type[Qwen2_5Omni]] = {
    "qwen2_audio": Qwen2Audio,
    "qwen2_5_omni": Qwen2_5Omni,
}
DECODER = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}
WINDOW_S = {"qwen2_audio": 30, "qwen2_5_omni": 300}


def write_random(family: str, folder: Path) -> None:
    """A checkpoint whose encoder has the configuration classes' default size, which is the 7B models'."""
    tokenizer = make_tokenizer(WORDS.read_text().split())
    tokenizer.chat_template = CHAT_TEMPLATE
    audio_id = tokenizer.convert_tokens_to_ids("<|AUDIO|>")
    text = {**DECODER, "vocab_size": len(tokenizer)}
    extractor = WhisperFeatureExtractor(
        feature_size=128, chunk_length=WINDOW_S[family], return_attention_mask=True
    )
    if family == "qwen2_audio":
        config: Any = Qwen2AudioConfig(
            text_config={**text, "model_type": "qwen2"}, audio_token_index=audio_id
        )
        model: Any = Qwen2AudioForConditionalGeneration(config)
        Qwen2AudioProcessor(extractor, tokenizer, chat_template=CHAT_TEMPLATE).save_pretrained(folder)
    else:
        rotary = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}
        eyes = {"depth": 1, "hidden_size": 32, "num_heads": 2, "out_hidden_size": 64, "intermediate_size": 32}
        config = Qwen2_5OmniThinkerConfig(
            text_config={**text, "rope_parameters": rotary},
            vision_config={**eyes, "fullatt_block_indexes": [0]},
            audio_token_index=audio_id,
        )
        model = Qwen2_5OmniThinkerForConditionalGeneration(config)
        extractor.save_pretrained(folder)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def window_features(policy: AudioModel, mel: torch.Tensor, own: torch.Tensor) -> list[torch.Tensor]:
    """Features by transformers' own encoder on its padded window."""
    positions, tokens = feature_counts(own.sum(-1))
    if isinstance(policy, Qwen2_5Omni):
        encoded = policy.base.get_audio_features(mel, feature_attention_mask=own).last_hidden_state
        return list(encoded.split(tokens.tolist()))
    seen = seeing_first(policy.tower, mel.new_zeros(len(mel), mel.shape[-1] // 2, 1), positions)
    states = policy.tower(mel, attention_mask=seen).last_hidden_state
    return [row[:n] for row, n in zip(states, tokens.tolist(), strict=True)]


def compare(policy: AudioModel, clips: Sequence[torch.Tensor], repeats: int) -> dict[str, Any]:
    """Medians in milliseconds a clip of each part, their ratio, and how far the features are apart."""
    frames = [policy.log_mel(clip) for clip in clips]
    mel, own = padded_window(policy.extractor, clips)
    parts: dict[str, dict[str, Callable[[], Any]]] = {
        "own_frames": {
            "spectrum": lambda: [policy.log_mel(clip) for clip in clips],
            "encoder": lambda: policy.encode_audio(frames),
        },
        "window": {
            "spectrum": lambda: padded_window(policy.extractor, clips),
            "encoder": lambda: window_features(policy, mel, own),
        },
    }
    seconds: dict[tuple[str, str], list[float]] = {(w, p): [] for w in parts for p in parts[w]}
    ours, theirs = parts["own_frames"]["encoder"](), parts["window"]["encoder"]()  # also the warm-up
    for _ in range(repeats):
        for way, part in seconds:
            start = time.process_time()
            parts[way][part]()
            seconds[way, part].append(time.process_time() - start)
    each = {key: 1000 * statistics.median(values) / len(clips) for key, values in seconds.items()}
    return {
        "ms_per_clip": {way: {part: round(each[way, part], 2) for part in parts[way]} for way in parts},
        "ratio": {
            part: round(each["window", part] / each["own_frames", part], 2) for part in parts["window"]
        },
        "largest_difference": max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True)),
        "largest_value": max(float(b.abs().max()) for b in theirs),
    }


def main() -> None:
    """Parse, measure, print."""
    quiet_libraries()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--checkpoint")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.checkpoint is None:
            write_random(options.family, Path(folder))
        policy = FAMILIES[options.family](options.checkpoint or folder, dtype="float32")
        policy.load()
    policy.eval()
    with torch.inference_mode():
        clips = [read_audio(path, max_s=policy.window_s) for path in options.clips]
        found = compare(policy, clips, options.repeats)
    about = {
        "family": options.family,
        "encoder_parameters_m": round(sum(p.numel() for p in policy.tower.parameters()) / 1e6),
        "clips": len(clips),
        "mean_s": round(statistics.mean(clip.numel() for clip in clips) / 16_000, 2),
        "threads": torch.get_num_threads(),
    }
    print(json.dumps({**about, **found, "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
