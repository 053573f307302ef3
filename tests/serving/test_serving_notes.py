"""What the interface tells of an answer: whether the item was trained on, and nothing about a command's options."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hostile import sound_file
from live import Live

from lalm_ambig.core.types import Item
from lalm_ambig.corpora.duplicates.contents import contents
from lalm_ambig.evaluation.trained_items import TrainedItem, TrainedItems, TrainedRun
from lalm_ambig.inference.identity import Seen
from lalm_ambig.inference.model import Model
from lalm_ambig.serving.app import Service
from lalm_ambig.serving.limits import Limits
from lalm_ambig.serving.schema import without_options

TEXT = "The train to the north leaves at half past nine."
NOTE = "run r was trained on this, or chose its checkpoint by it"


def clip(seed: int, seconds: float = 1.5) -> np.ndarray:
    """A sound with low frequencies, by which clips are told apart."""
    noise = np.random.default_rng(seed).normal(size=int(16_000 * seconds))
    smooth = np.convolve(noise, np.ones(80) / 80, mode="same")
    return (0.5 * smooth / np.abs(smooth).max()).astype(np.float32)


def as_flac(samples: np.ndarray) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, 16_000, format="FLAC")
    return content.getvalue()


@pytest.fixture
def record(tmp_path: Path) -> TrainedItems:
    soundfile.write(tmp_path / "a.wav", clip(0), 16_000)
    items = [Item("a", (1.0, 0.0), audio=str(tmp_path / "a.wav")), Item("b", (1.0, 0.0), text=TEXT)]
    trained = tuple(
        TrainedItem(item.id, "train", None, content)
        for item, content in zip(items, contents(items), strict=True)
    )
    return TrainedItems((TrainedRun("r", {"corpus": "jsonl"}, trained),))


def test_an_item_of_the_training_is_told(small_model: Model, record: TrainedItems) -> None:
    service = Service(small_model, Limits())
    service.seen = Seen(record)
    with Live(service) as server:
        replies = {
            "sound": server.post(audio=sound_file(clip(0))),
            "another format": server.post(audio=as_flac(clip(0)), text="with its words"),
            "another sound": server.post(audio=sound_file(clip(1))),
            "text": server.post(text=TEXT.upper()),
            "another text": server.post(text="The train to the south leaves at half past nine."),
            "a short text": server.post(text="nine"),
        }
        told = {name: reply.json["seen_in_training"] for name, reply in replies.items()}
    assert told == {
        "sound": NOTE,
        "another format": NOTE,
        "another sound": None,
        "text": NOTE,
        "another text": None,
        "a short text": None,
    }


def test_where_nothing_is_known_that_is_told(small_model: Model) -> None:
    service = Service(small_model, Limits())
    service.seen = Seen(TrainedItems(unknown=("whether run r was trained on an input is not known",)))
    with Live(service) as server:
        assert (
            server.post(text="It is cold.").json["seen_in_training"].startswith("whether run r was trained")
        )


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("it is cold", "it is cold"),
        (
            "prompt x asks about a recording ({audio}), but 1 of 1 items have no sound; without --data.prompt "
            "(--prompt) these are asked about a text",
            "prompt x asks about a recording ({audio}), but 1 of 1 items have no sound",
        ),
        ("It has no place. Leave --data.prompt (--prompt) out.", "It has no place."),
        ("take --run DIR", "take"),
        ("a dash -- and a well-known word", "a dash -- and a well-known word"),
    ],
)
def test_clauses_about_options_are_left_out(line: str, plain: str) -> None:
    assert without_options(line) == plain


def test_notes_of_the_model_name_no_options(small_model: Model) -> None:
    model = replace(small_model, notes=("It is small. Give --policy NAME for another.",))
    with Live(Service(model, Limits())) as server:
        assert server.get("/v1/model").json["notes"] == ["It is small."]
