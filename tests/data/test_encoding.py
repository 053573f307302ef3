"""Items as a batch: prompts, sound, targets and curated responses."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_model import MakeEncoder
from transformers import AutoProcessor

from lalm_ambig.audio.reading import read_audio
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.corpora.crema_d.votes import CATEGORIES
from lalm_ambig.data.encoding import Elicitation, Encoder, approximate_length, pad, prompt_notes
from lalm_ambig.files.config_files import config_folder
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.policies.audio_lm import AudioLM
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.readouts.response import Tags
from lalm_ambig.rollouts.reading import read_generated


@pytest.fixture
def encoder(tiny: Tiny, make_encoder: MakeEncoder) -> Encoder:
    return make_encoder(tiny)


def test_ragged_rows_are_padded_on_the_side_asked_for() -> None:
    left, right = pad([[1, 2, 3], [4]], 9, side="left"), pad([[1, 2, 3], [4]], 9, side="right")
    assert left.ids.tolist() == [[1, 2, 3], [9, 9, 4]]
    assert left.mask.tolist() == [[True] * 3, [False, False, True]]
    assert right.ids.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert right.mask.tolist() == [[True] * 3, [True, False, False]]


def test_prompts_are_left_padded_and_hold_the_item(
    tiny: Tiny, encoder: Encoder, items: Sequence[Item]
) -> None:
    batch = encoder(items)
    assert bool(batch.prompt.mask[:, -1].all())
    assert not bool(batch.prompt.mask[:, 0].all())
    for row, item in enumerate(items):
        text = tiny.tokenizer.decode(batch.prompt.ids[row][batch.prompt.mask[row]].tolist())
        assert f'"{item.text}"' in text
        assert ", ".join(CATEGORIES.names) in text
        frames = tiny.log_mel(read_audio(str(item.audio)))
        assert text.count("<|AUDIO|>") == tiny.audio_tokens(frames) == tiny.encode_audio([frames])[0].shape[0]
        assert text.endswith("assistant\n")


def test_prompt_ids_equal_the_processors_expansion(
    tiny: Tiny, encoder: Encoder, items: Sequence[Item]
) -> None:
    for item in items:
        batch = encoder([item])
        text = f'<|im_start|>user\n<|audio_bos|><|AUDIO|><|audio_eos|>\n"{item.text}"\n'
        text += f"Which emotion do listeners hear: {', '.join(CATEGORIES.names)}? Think first.<|im_end|>\n"
        inputs = AutoProcessor.from_pretrained(tiny.checkpoint())(
            text=[text + "<|im_start|>assistant\n"],
            audio=[read_audio(str(item.audio)).numpy()],
            sampling_rate=16_000,
            return_tensors="pt",
        )
        assert batch.prompt.ids.tolist() == inputs["input_ids"].tolist()


def test_targets_are_votes_over_their_sum(encoder: Encoder, items: Sequence[Item]) -> None:
    torch.testing.assert_close(
        encoder(items[:2]).label_dist, torch.tensor([[0.3, 0, 0.1, 0, 0.6, 0], [0, 0, 0, 1.0, 0, 0]])
    )


def test_curated_responses_are_complete_and_marked(
    tiny: Tiny, encoder: Encoder, items: Sequence[Item]
) -> None:
    curated = encoder(items).curated
    assert curated is not None
    names = ("neutral", "happiness", "anger", "sadness")  # of the third, four classes tie: the first counts
    for row, (item, name) in enumerate(zip(items, names, strict=True)):
        ids = curated.response.ids[row][curated.response.mask[row]].tolist()
        at = int(curated.answer_position[row])
        assert tiny.tokenizer.decode(ids[:at]) == f"<think>{item.rationale}</think><answer>"
        assert tiny.tokenizer.decode(ids[at:]) == f" {name}</answer><|im_end|>"
        marked = curated.response.ids[row][curated.is_answer_token[row]].tolist()
        assert tiny.tokenizer.decode(marked) == f" {name}"
        assert bool(curated.response.mask[row, 0]), "right-padded"


def test_without_reasoning_the_answer_comes_at_once(
    tiny: Tiny, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    encoder = make_encoder(tiny, reasoning=False)
    bare = [replace(item, rationale=None) for item in items]
    curated = encoder(bare).curated
    assert curated is not None
    text = tiny.tokenizer.decode(curated.response.ids[0][curated.response.mask[0]].tolist())
    assert text == "<answer> neutral</answer><|im_end|>"
    assert "Think first" not in tiny.tokenizer.decode(encoder(bare).prompt.ids[0].tolist())


def test_one_item_without_a_rationale_leaves_the_batch_without_curated_responses(
    encoder: Encoder, items: Sequence[Item]
) -> None:
    assert encoder([items[0], replace(items[1], rationale=None)]).curated is None


def test_items_without_sound_are_passed_over_and_rows_say_so(encoder: Encoder, items: Sequence[Item]) -> None:
    mixed = encoder([replace(items[0], audio=None), items[1], items[2]])
    assert mixed.audio is not None
    assert mixed.audio.rows == (1, 2)
    assert not bool((mixed.prompt.ids[0] == encoder.policy.audio_token_id).any())  # type: ignore[attr-defined]
    assert encoder([replace(items[0], audio=None)]).audio is None


def test_an_item_without_text_loses_that_line(tiny: Tiny, encoder: Encoder, items: Sequence[Item]) -> None:
    text = tiny.tokenizer.decode(encoder([replace(items[0], text=None)]).prompt.ids[0].tolist())
    assert '"' not in text
    assert "None" not in text


def test_a_prompt_of_ones_own_needs_a_place_for_the_sound(
    tiny: Tiny, items: Sequence[Item], tmp_path: Path
) -> None:
    prompt = tmp_path / "own.txt"
    prompt.write_text("Which of {classes}?")
    encoder = Encoder(tiny, CATEGORIES, Elicitation(str(prompt), reasoning=False))
    with pytest.raises(
        InputError, match=r"data.prompt: the prompt has no \{audio\}, but the items have sound"
    ):
        encoder([items[0]])
    assert "Which of anger, disgust" in tiny.tokenizer.decode(
        encoder([replace(items[0], audio=None)]).prompt.ids[0].tolist()
    )


def test_braces_in_a_transcript_are_text(tiny: Tiny, encoder: Encoder, items: Sequence[Item]) -> None:
    odd = replace(items[0], text="say {audio} or {classes}")
    text = tiny.tokenizer.decode(encoder([odd]).prompt.ids[0].tolist())
    assert '"say {audio} or {classes}"' in text


def test_an_unknown_prompt_lists_the_known_ones(tiny: Tiny) -> None:
    with pytest.raises(InputError, match=r"no prompt 'nope': expected one of .*speech_emotion"):
        Encoder(tiny, CATEGORIES, Elicitation("nope", reasoning=True))


def test_longer_sound_and_longer_reasoning_are_longer(items: Sequence[Item]) -> None:
    assert approximate_length(items[1]) > approximate_length(replace(items[1], duration_s=1.0))
    assert approximate_length(items[1]) > approximate_length(replace(items[1], rationale=None))
    assert approximate_length(replace(items[1], audio=None, text=None, rationale=None, duration_s=2.0)) == 50


def test_moving_a_batch_keeps_everything(encoder: Encoder, items: Sequence[Item]) -> None:
    batch = encoder(items)
    moved = batch.to("meta")
    assert moved.prompt.ids.device.type == moved.label_dist.device.type == "meta"
    assert moved.audio is not None and moved.curated is not None
    assert moved.audio.frames[0].device.type == moved.curated.is_answer_token.device.type == "meta"
    assert moved.items == batch.items


def test_audio_reasoner_is_asked_taught_and_read_in_its_own_form(
    tiny_folder: Path, items: Sequence[Item]
) -> None:
    """By its file in configs/policy, on a tiny checkpoint of its layout; nobody has run its own weights here."""
    settings = read_yaml(config_folder() / "policy" / "audio_reasoner.yaml")["policy"]["init_args"]
    own = Tags(**settings["tags"])
    policy = AudioLM(str(tiny_folder), system=settings["system"], tags=own)
    policy.load()
    encoder = Encoder(policy, CATEGORIES, Elicitation("speech_emotion", reasoning=True))
    batch = encoder(items[:1])
    asked = policy.tokenizer.decode(batch.prompt.ids[0])
    assert "Give each answer in two sections, <THINK> and <RESPONSE>." in asked
    assert "<THINK> … </THINK>" in asked
    assert "<think>" not in asked
    assert batch.curated is not None
    taught = policy.tokenizer.decode(batch.curated.response.ids[0])
    assert taught.startswith(f"<THINK>{items[0].rationale}</THINK><RESPONSE> neutral</RESPONSE>")
    assert encoder.answer is not None
    reading = read_generated(policy, batch, encoder.answer, max_new_tokens=3)
    assert reading.responses[0].endswith("</THINK><RESPONSE>")


def test_items_with_sound_and_texts_have_each_their_prompt(tiny: Tiny, items: Sequence[Item]) -> None:
    asked = Elicitation("speech_emotion", reasoning=True, prompt_for_texts="text_emotion")
    batch = Encoder(tiny, CATEGORIES, asked)([items[0], replace(items[1], audio=None)])
    rows = zip(batch.prompt.ids, batch.prompt.mask, strict=True)
    heard, read = (tiny.tokenizer.decode(ids[mask]) for ids, mask in rows)
    assert "heard this recording" in heard and "Take" not in read
    assert "recording" not in read and "pitch" not in read
    assert f'Comment: "{items[1].text}"' in read
    same = Encoder(tiny, CATEGORIES, Elicitation("speech_emotion", reasoning=True))
    assert same.text_template == same.template


def test_a_prompt_that_does_not_suit_the_items_is_noted_or_refused(tmp_path: Path) -> None:
    mixed = Elicitation("speech_emotion", reasoning=True, prompt_for_texts="text_emotion")
    assert prompt_notes(mixed, CATEGORIES, heard=3, texts=4) == []
    speech = Elicitation("speech_emotion_short", reasoning=True)
    (note,) = prompt_notes(speech, CATEGORIES, heard=1_000, texts=4_000)
    assert note.startswith(
        "prompt speech_emotion_short asks about a recording ({audio}), but 4,000 of 5,000 items"
    )
    assert prompt_notes(speech, CATEGORIES, heard=3, texts=0) == []
    text = Elicitation("text_emotion", reasoning=False)
    assert prompt_notes(text, CATEGORIES, heard=0, texts=3) == []
    with pytest.raises(
        InputError, match=r"data.prompt: the prompt has no \{audio\}, but the items have sound"
    ):
        prompt_notes(text, CATEGORIES, heard=1, texts=3)
    blind = tmp_path / "blind.txt"
    blind.write_text("Which of {classes}?")
    with pytest.raises(
        InputError, match=r"data.prompt: prompt .*blind.txt has no \{text\}, but the items are texts"
    ):
        prompt_notes(Elicitation(str(blind), reasoning=False), CATEGORIES, heard=0, texts=1)


def test_what_cannot_be_encoded_names_its_item(tiny: Tiny, encoder: Encoder, items: Sequence[Item]) -> None:
    gone = replace(items[1], id="clip 7", audio="/nowhere/7.wav")
    with pytest.raises(InputError, match=r"^item 'clip 7': .*/nowhere/7\.wav"):
        encoder([items[0], gone])
    prompt = Encoder(tiny, CATEGORIES, Elicitation("text_emotion", reasoning=False))
    with pytest.raises(InputError, match=r"^item 'i0': data.prompt: the prompt has no \{audio\}"):
        prompt(items[:2])


def test_lengths_are_those_of_what_is_encoded(encoder: Encoder, items: Sequence[Item]) -> None:
    batch = encoder(items)
    assert batch.curated is not None
    assert [encoder.curated_length(item) for item in items] == batch.curated.response.mask.sum(1).tolist()
    text = replace(items[0], audio=None)
    assert len(encoder.prompt_ids(text)) == int(encoder([text]).prompt.mask.sum())
