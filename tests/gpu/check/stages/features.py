"""The audio encoder at true size on the CPU, where `fit` fills its cache of features, and on the device."""

from collections.abc import Sequence
from typing import Any

import torch
from product.assembly import audio_features, qwen2_audio, reading
from torch import Tensor

from check.runner import Stage
from check.true_size import Size, write_qwen2_audio

CLIPS = 8
SAMPLES = 40_000
"""Of a clip: 2.5 s, about CREMA-D's mean."""
OF_CREMA_D = 7442
REPEATS = {"cpu": 1, "cuda": 20}


def run(stage: Stage) -> None:
    size = Size(narrower=8, layers=2, vocabulary=8192) if stage.options.toy else Size(vocabulary=8192)
    folder = stage.options.out / "random-ears"
    model = write_qwen2_audio(folder, size, device=stage.device.name, decoder_layers=1)
    policy = qwen2_audio(model.folder)
    with reading(model.make):
        policy.load()
    policy.eval()
    clips = [torch.randn(SAMPLES) * 0.1 for _ in range(CLIPS)]
    for place in dict.fromkeys(("cpu", stage.device.name)):
        with stage.facts.attempt(f"encoder on {place}"), torch.inference_mode():
            _speed(stage, policy, clips, place)


def _speed(stage: Stage, policy: Any, clips: Sequence[Tensor], place: str) -> None:
    """Note the clips a second, after two that are not counted."""
    policy.to(place)
    audio_features(policy, clips[:2])

    def encode() -> None:
        for _ in range(REPEATS[place]):
            audio_features(policy, clips)

    each_s = stage.device.seconds(encode) / (len(clips) * REPEATS[place])
    stage.facts.note(
        f"encoder on {place}",
        f"{1 / each_s:.1f} clips/s",
        threads=torch.get_num_threads(),
        minutes_for_crema_d=round(OF_CREMA_D * each_s / 60, 1),
    )
