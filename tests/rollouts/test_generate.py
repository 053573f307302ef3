"""Greedy decoding with a cache is what a naive loop without one does, and what transformers' `generate` does."""

from collections.abc import Sequence

import pytest
import torch
from small_model import MakeEncoder, MakePolicy, nudge
from transformers import Qwen2AudioForConditionalGeneration

from lalm_ambig.audio.reading import read_audio
from lalm_ambig.core.types import Batch, Item, Tokens
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.readouts.logits import class_mass
from lalm_ambig.rollouts.generate import Request, Response, generate
from lalm_ambig.rollouts.reading import read_curated, read_generated
from lalm_ambig.rollouts.sampling import Sampling

NEW = 14


@pytest.fixture(scope="module")
def encoder(tiny: Tiny, make_encoder: MakeEncoder) -> Encoder:
    return make_encoder(tiny)


@pytest.fixture(scope="module")
def batch(encoder: Encoder, items: Sequence[Item]) -> Batch:
    return encoder(items)


def alone(encoder: Encoder, items: Sequence[Item]) -> list[Batch]:
    return [encoder([item]) for item in items]


@torch.no_grad()
def naive(policy: Tiny, batch: Batch, ids: list[int]) -> torch.Tensor:
    """Hidden state behind prompt and response of a batch of one, everything run again."""
    whole = torch.cat([batch.prompt.ids, torch.tensor([ids], dtype=torch.long)], dim=1)
    mask = torch.ones_like(whole, dtype=torch.bool)
    return policy.hidden(policy.embed(Tokens(whole, mask), batch.audio), mask)[0, -1]


def greedy(policy: Tiny, batch: Batch, tokens: int, *, share: bool = True) -> list[Response]:
    """Greedy responses up to `<answer>`."""
    request = Request(
        Sampling(max_new_tokens=tokens, temperature=0.0),
        stop=("<answer>",),
        anchor="<answer>",
        share_prompt=share,
    )
    return generate(policy, batch, request).responses


def spoken(rows: Sequence[Response]) -> list[list[int]]:
    """Tokens of each response without the end of the turn."""
    return [row.ids[:-1] if row.ended == "end" else row.ids for row in rows]


def read_to(policy: Tiny, row: Response) -> str:
    """The text that the answer is read behind."""
    return str(policy.tokenizer.decode([*row.ids[: row.prefix], *row.closing]))


def naive_greedy(policy: Tiny, batch: Batch, steps: int) -> list[int]:
    ids: list[int] = []
    for _ in range(steps):
        token = int(policy.logits(naive(policy, batch, ids)).argmax())
        if token in policy.end_ids:
            break
        ids.append(token)
        if "<answer>" in policy.tokenizer.decode(ids):
            break
    return ids


def script(policy: Tiny, monkeypatch: pytest.MonkeyPatch, scripts: Sequence[Sequence[int]]) -> None:
    """Make the model say these tokens, row by row, then end its turn; its hidden states stay its own."""
    said = [0]

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        step, said[0] = said[0], said[0] + 1
        rows = torch.zeros(len(scripts), len(policy.tokenizer))
        for row, tokens in enumerate(scripts):
            rows[row, tokens[step] if step < len(tokens) else policy.end_ids[0]] = 1.0
        assert len(hidden) == len(scripts)
        return rows

    monkeypatch.setattr(policy, "logits", logits)


def test_greedy_decoding_equals_a_naive_loop_without_a_cache(
    tiny: Tiny, encoder: Encoder, items: Sequence[Item], batch: Batch
) -> None:
    said = spoken(greedy(tiny, batch, NEW))
    assert said == [naive_greedy(tiny, one, NEW) for one in alone(encoder, items)]
    assert len({tuple(ids) for ids in said}) > 1
    assert spoken(greedy(tiny, batch, NEW, share=False)) == said


@torch.no_grad()
def test_greedy_decoding_equals_generate(
    tiny: Tiny, items: Sequence[Item], batch: Batch, tiny_folder: object
) -> None:
    model = Qwen2AudioForConditionalGeneration.from_pretrained(tiny_folder, dtype="float32").eval()
    clips = [read_audio(str(item.audio)).numpy() for item in items]
    sound = tiny.extractor(
        clips, sampling_rate=16_000, return_attention_mask=True, padding="max_length", return_tensors="pt"
    )
    out = model.generate(
        input_ids=batch.prompt.ids,
        attention_mask=batch.prompt.mask.long(),
        input_features=sound["input_features"],
        feature_attention_mask=sound["attention_mask"],
        max_new_tokens=NEW,
        do_sample=False,
    )[:, batch.prompt.ids.shape[1] :]
    said = spoken(greedy(tiny, batch, NEW))
    assert all("<answer>" not in tiny.tokenizer.decode(ids) for ids in said)
    assert [row[: len(ids)] for row, ids in zip(out.tolist(), said, strict=True)] == said


@torch.no_grad()
def test_the_reading_equals_a_fresh_pass_over_prompt_and_response(
    tiny: Tiny, encoder: Encoder, items: Sequence[Item], batch: Batch
) -> None:
    reading = read_generated(tiny, batch, encoder.answer, max_new_tokens=NEW)
    names = torch.tensor(encoder.answer.first_ids)
    said = spoken(greedy(tiny, batch, NEW))
    for row, one in enumerate(alone(encoder, items)):
        ids = said[row] + tiny.text_ids(reading.responses[row][len(tiny.tokenizer.decode(said[row])) :])
        assert tiny.tokenizer.decode(ids) == reading.responses[row]
        everything = tiny.logits(naive(tiny, one, ids))[None]
        expected = torch.softmax(everything[:, names], -1)
        torch.testing.assert_close(reading.predicted_dist[row : row + 1], expected, atol=1e-5, rtol=1e-4)
        mass = class_mass(everything[:, names], everything)
        torch.testing.assert_close(reading.class_mass[row : row + 1], mass, atol=1e-6, rtol=1e-3)


def test_truncated_rows_are_closed_and_marked(tiny: Tiny, encoder: Encoder, batch: Batch) -> None:
    reading = read_generated(tiny, batch, encoder.answer, max_new_tokens=3)
    assert all(reading.was_completed)
    assert all(text.endswith("</think><answer>") for text in reading.responses)


def test_no_new_tokens_ask_at_once(tiny: Tiny, encoder: Encoder, items: Sequence[Item], batch: Batch) -> None:
    reading = read_generated(tiny, batch, encoder.answer, max_new_tokens=0)
    assert set(reading.responses) == {"<answer>"}
    assert not any(reading.was_completed), "nothing was cut short"
    names = torch.tensor(encoder.answer.first_ids)
    for row, one in enumerate(alone(encoder, items)):
        state = naive(tiny, one, list(encoder.answer.open_ids))
        expected = torch.softmax(tiny.category_logits(state[None], names), -1)
        torch.testing.assert_close(reading.predicted_dist[row : row + 1], expected, atol=1e-5, rtol=1e-4)


def test_rows_that_stop_at_different_steps_do_not_disturb_each_other(
    tiny: Tiny, encoder: Encoder, items: Sequence[Item], batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["<think>the voice is calm</think><answer>", "<answer>", "", "<think>the words and the voice"]
    scripts = [tiny.text_ids(text) for text in texts]
    with monkeypatch.context() as patch:
        script(tiny, patch, scripts)
        rows = greedy(tiny, batch, 30)
    assert [read_to(tiny, row) for row in rows] == [
        texts[0],
        "<answer>",
        "<answer>",
        texts[3] + "</think><answer>",
    ]
    assert [row.was_completed for row in rows] == [False, False, True, True]
    with monkeypatch.context() as patch:
        script(tiny, patch, scripts)
        patch.setattr("lalm_ambig.rollouts.reading.class_mass", lambda *_: torch.ones(4))
        reading = read_generated(tiny, batch, encoder.answer, max_new_tokens=30)
    names = torch.tensor(encoder.answer.first_ids)
    for row, one in enumerate(alone(encoder, items)):
        state = naive(tiny, one, tiny.text_ids(reading.responses[row]))
        expected = torch.softmax(tiny.category_logits(state[None], names), -1)
        torch.testing.assert_close(reading.predicted_dist[row : row + 1], expected, atol=1e-5, rtol=1e-4)


def test_a_row_says_the_same_in_any_company(tiny: Tiny, encoder: Encoder, items: Sequence[Item]) -> None:
    together = spoken(greedy(tiny, encoder(items), NEW))
    turned = spoken(greedy(tiny, encoder(items[::-1]), NEW))
    assert together == turned[::-1]


@pytest.mark.parametrize(
    "before", ["<think>calm</think><answer", "<think>calm</think>", "<think>calm<answer"]
)
def test_a_last_token_that_holds_more_than_the_tags_end_is_taken_back(
    tiny: Tiny, encoder: Encoder, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """A tokenizer may join the end of the tag and what comes behind it in one token."""
    joined, decode_plain = len(tiny.tokenizer) - 1, tiny.tokenizer.decode
    rest = ("<answer>" if before.endswith("</think>") else ">") + " fear"

    def with_joined(ids: Sequence[int]) -> str:
        return "".join(rest if token == joined else decode_plain([token]) for token in ids)

    monkeypatch.setattr(tiny, "tokenizer", FakeDecoder(tiny.tokenizer, with_joined))
    script(tiny, monkeypatch, [[*tiny.text_ids(before), joined]])
    [row] = greedy(tiny, encoder(items[:1]), 30)
    assert read_to(tiny, row) == "<think>calm" + ("</think>" if "</think>" in before else "") + "<answer>"
    assert not row.was_completed
    assert [*row.ids[: row.prefix], *row.closing] == tiny.text_ids(before) + tiny.text_ids(
        rest[: -len(" fear")]
    )


class FakeDecoder:
    """A tokenizer that decodes in another way."""

    def __init__(self, real: object, decode: object) -> None:
        self.real, self.decode = real, decode

    def __call__(self, *args: object, **settings: object) -> object:
        return self.real(*args, **settings)  # type: ignore[operator]

    def __len__(self) -> int:
        return len(self.real)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


@torch.no_grad()
def test_reading_behind_the_curated_reasoning_equals_a_pass_without_padding(
    tiny: Tiny, encoder: Encoder, items: Sequence[Item], batch: Batch
) -> None:
    reading = read_curated(tiny, batch, encoder.answer)
    names = torch.tensor(encoder.answer.first_ids)
    assert reading.responses == tuple(f"<think>{item.rationale}</think><answer>" for item in items)
    assert not any(reading.was_completed)
    for row, one in enumerate(alone(encoder, items)):
        state = naive(tiny, one, tiny.text_ids(f"<think>{items[row].rationale}</think><answer>"))
        expected = torch.softmax(tiny.category_logits(state[None], names), -1)
        torch.testing.assert_close(reading.predicted_dist[row : row + 1], expected, atol=1e-5, rtol=1e-4)


def test_the_adapter_takes_part_in_decoding(
    make_policy: MakePolicy, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    policy = make_policy()
    encoder = make_encoder(policy)
    base = read_generated(policy, encoder(items), encoder.answer, max_new_tokens=4)
    nudge(policy)
    moved = read_generated(policy, encoder(items), encoder.answer, max_new_tokens=4)
    with policy.adapter_off():
        off = read_generated(policy, encoder(items), encoder.answer, max_new_tokens=4)
    assert torch.equal(off.predicted_dist, base.predicted_dist)
    assert (moved.predicted_dist - base.predicted_dist).abs().max() > 1e-3
