"""The small checkpoints of audio families are what the hub's are: files, clips that are told apart, and answers."""

from pathlib import Path

import pytest
import torch
from family_oracles import (
    ALONE,
    kind_of,
    own_embeddings,
    own_greedy,
    own_inputs,
    own_logits,
    own_model,
    prompt_text,
    voice,
)
from family_tokenizers import TEKKEN
from small_families import WRITERS, write_family
from transformers import AutoTokenizer

pytestmark = pytest.mark.slow

CHATS = [name for name in WRITERS if name != "voxtral_tekken"]
TEXTS = ("which emotion do listeners hear?", "is the voice calm")
SECONDS = (0.2, 1.3)


@pytest.fixture(scope="module", params=CHATS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("families") / request.param, request.param)


def test_a_clip_moves_the_logits_and_a_batch_is_as_each_alone(folder: Path) -> None:
    clips = [voice(seconds, seed=n) for n, seconds in enumerate(SECONDS)]
    others = [voice(seconds, seed=9) for seconds in SECONDS]
    alone, other = (
        torch.cat([own_logits(folder, [clip], [text]) for clip, text in zip(heard, TEXTS, strict=True)])
        for heard in (clips, others)
    )
    assert alone.isfinite().all()
    assert (alone - other).abs().amax(-1).min() > 0.05
    together = (own_logits(folder, clips, TEXTS) - alone).abs().max()
    assert together > 1e-3 if kind_of(folder) in ALONE else together < 1e-4
    assert all(len(answer) for answer in own_greedy(folder, clips[:1], TEXTS[:1], 4))


def test_each_place_of_the_sound_has_an_embedding_of_its_own(folder: Path) -> None:
    ids = own_inputs(folder, [voice(1.3, seed=1)], TEXTS[:1])["input_ids"][0]
    embeddings = own_embeddings(folder, [voice(1.3, seed=1)], TEXTS[:1])[0]
    config = own_model(folder).config
    token = getattr(config, "audio_token_id", None) or config.audio_config.audio_token_id
    heard = embeddings[ids == token]
    assert heard.isfinite().all()
    assert len(torch.unique(heard, dim=0)) > 5
    assert prompt_text(folder, "x").count(AutoTokenizer.from_pretrained(folder).decode([token])) == 1


def test_no_saved_number_is_left_at_zero_or_one(folder: Path) -> None:
    for name, value in own_model(folder).named_parameters():
        assert not (value == 0).all(), name
        assert not (value == 1).all(), name


def test_voxtrals_own_file_and_its_conversion_write_what_mistral_common_writes(tmp_path: Path) -> None:
    """The ids are those of mistral-common 1.13 for the same file."""
    own = AutoTokenizer.from_pretrained(write_family(tmp_path / "own", "voxtral_tekken"))
    converted = write_family(tmp_path / "converted", "voxtral")
    inputs = own_inputs(converted, [voice(0.2, seed=0)], ["which emotion do listeners hear? 3 things"])
    text = [159, 144, 145, 139, 144, 520, 498, 710, 631, 103, 72, 91, 1074, 143, 155]
    assert own("which emotion do listeners hear? 3 things", add_special_tokens=False).input_ids == text
    assert inputs["input_ids"].tolist() == [[1, 3, 25, *[24] * 375, *text, 4]]
    assert inputs["input_features"].shape == (1, 16, 3000)
    assert own.convert_ids_to_tokens(list(range(len(TEKKEN)))) == TEKKEN
