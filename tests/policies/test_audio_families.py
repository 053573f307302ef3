"""Every family that hears, against transformers' own processor, forward and `generate` on the same checkpoint."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from family_oracles import (
    kind_of,
    own_embeddings,
    own_greedy,
    own_inputs,
    own_log_probs,
    own_logits,
    own_model,
    voice,
)
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from small_families import WRITERS, write_family
from small_model import nudge

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Audio, Batch, Item, Tokens
from lalm_ambig.data.encoding import pad
from lalm_ambig.exporting.card import loading_lines
from lalm_ambig.policies.audio_lm import AudioLM
from lalm_ambig.policies.weights.lora import Adapter, trained_parameters
from lalm_ambig.rollouts.generate import Request, generate
from lalm_ambig.rollouts.passages import PassSettings, ScoredSpan, score_spans
from lalm_ambig.rollouts.sampling import Sampling

pytestmark = pytest.mark.slow

TEXTS = ("which emotion do listeners hear?", "is the voice calm", "say it again and again", "who is it")
CASES = {"one": (0.2,), "two": (1.0, 1.0), "ragged": (0.2, 3.1, 1.2), "long": (30.0, 0.5)}
"""Seconds of the clips of a batch."""
FEWEST_SAMPLES = {
    "qwen2_audio": 321,
    "qwen2_5_omni": 321,
    "audioflamingo3": 321,
    "qwen3_omni_moe": 201,
    "voxtral": 1,
    "granite_speech": 257,
    "gemma3n": 513,
    "gemma4": 161,
    "phi4_multimodal": 400,
}
"""Of the shortest clip that transformers' own processor and forward take and that makes a token."""
CLOSE: dict[str, Any] = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {name: write_family(root / name, name) for name in WRITERS}


def loaded(folder: Path, **adapter: Any) -> AudioLM:
    torch.manual_seed(0)
    policy = AudioLM(str(folder), adapter=Adapter(**adapter))
    policy.load()
    policy.eval()
    return policy


@pytest.fixture(scope="module", params=WRITERS)
def family(request: pytest.FixtureRequest) -> str:
    """Name of a family and of its layout."""
    return str(request.param)


@pytest.fixture(scope="module")
def folder(family: str, folders: dict[str, Path]) -> Path:
    return folders[family]


@pytest.fixture(scope="module")
def oracle(family: str, folders: dict[str, Path]) -> Path:
    """The checkpoint in a layout that transformers' processor takes without further packages."""
    return folders["voxtral" if family == "voxtral_tekken" else family]


@pytest.fixture(scope="module")
def policy(folder: Path) -> AudioLM:
    return loaded(folder)


def asked(policy: AudioLM, clips: Sequence[torch.Tensor]) -> Batch:
    """Chats of one turn, a clip before a text."""
    frames = tuple(policy.log_mel(clip) for clip in clips)
    prompts = [
        policy.prompt_ids(
            [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": text}],
            audio_tokens=policy.audio_tokens(clip),
        )
        for clip, text in zip(frames, TEXTS, strict=False)
    ]
    return batch_of(
        pad(prompts, policy.pad_id, side="left"), Audio(tuple(range(len(clips))), frames, encoded=False)
    )


def batch_of(prompt: Tokens, audio: Audio | None) -> Batch:
    """With votes that nothing here asks for."""
    items = tuple(Item(f"i{n}", (1.0, 1.0)) for n in range(len(prompt.ids)))
    return Batch(items, prompt, audio, torch.full((len(items), 2), 0.5))


def voices(seconds: Sequence[float]) -> list[torch.Tensor]:
    return [voice(length, seed=n) for n, length in enumerate(seconds)]


def logits(policy: AudioLM, batch: Batch) -> torch.Tensor:
    prompt = batch.prompt
    states = policy.hidden(policy.embed(prompt, batch.audio), prompt.mask, ids=prompt.ids)
    return policy.logits(states[:, -1])


@torch.no_grad()
@pytest.mark.parametrize("seconds", CASES.values(), ids=CASES)
def test_prompts_embeddings_and_logits_are_those_of_each_clip_alone(
    policy: AudioLM, oracle: Path, seconds: tuple[float, ...]
) -> None:
    clips = voices(seconds)
    batch = asked(policy, clips)
    embeddings, answers = policy.embed(batch.prompt, batch.audio), logits(policy, batch)
    for row, (clip, text) in enumerate(zip(clips, TEXTS, strict=False)):
        mask = batch.prompt.mask[row]
        ids = own_inputs(oracle, [clip], [text])["input_ids"]
        assert batch.prompt.ids[row, mask].tolist() == ids[0].tolist()
        expected = own_embeddings(oracle, [clip], [text])[0]
        torch.testing.assert_close(embeddings[row, mask], expected, **CLOSE)
        torch.testing.assert_close(answers[row], own_logits(oracle, [clip], [text])[0], **CLOSE)


@torch.no_grad()
def test_greedy_answers_are_those_of_generate(policy: AudioLM, oracle: Path) -> None:
    clips = voices(CASES["ragged"])
    request = Request(Sampling(max_new_tokens=8, temperature=0.0))
    rows = generate(policy, asked(policy, clips), request).responses
    spoken = [row.ids[:-1] if row.ended == "end" else row.ids for row in rows]
    expected = [own_greedy(oracle, [clip], [text], 8)[0] for clip, text in zip(clips, TEXTS, strict=False)]
    assert spoken == expected


@torch.no_grad()
@pytest.mark.parametrize("share", [True, False])
def test_sampled_and_given_responses_have_the_own_forwards_log_probs(
    policy: AudioLM, oracle: Path, share: bool
) -> None:
    clips = voices((0.2, 1.2))
    batch = asked(policy, clips)
    request = Request(Sampling(max_new_tokens=10), group_size=2, share_prompt=share)
    noise = torch.rand(4, 10, generator=torch.Generator().manual_seed(0))
    rows = generate(policy, batch, request, noise=noise).responses
    spans = [
        ScoredSpan(n // 2, torch.tensor(row.ids), torch.ones(len(row.ids), dtype=torch.bool))
        for n, row in enumerate(rows)
    ]
    given = score_spans(policy, batch, spans, PassSettings(None, share_prompt=share)).log_probs
    for n, row in enumerate(rows):
        expected = own_log_probs(oracle, clips[n // 2], TEXTS[n // 2], row.ids)
        torch.testing.assert_close(torch.tensor(row.log_probs), expected, **CLOSE)
        torch.testing.assert_close(given[n, : len(row.ids)], expected, **CLOSE)


@torch.no_grad()
def test_the_shortest_clip_is_heard_and_a_shorter_one_refused(policy: AudioLM, oracle: Path) -> None:
    fewest = max(FEWEST_SAMPLES[kind_of(oracle).removesuffix("_thinker")], policy.family.least_samples)
    assert fewest < 0.1 * 16_000
    clip = voice(1, seed=0)[:fewest]
    expected = own_logits(oracle, [clip], TEXTS[:1])
    torch.testing.assert_close(logits(policy, asked(policy, [clip])), expected, **CLOSE)
    for samples in {n for n in (1, 80, fewest - 1) if 0 < n < fewest}:
        with pytest.raises(InputError, match="too short to be heard"):
            asked(policy, [voice(1, seed=0)[:samples]])


@torch.no_grad()
def test_what_comes_after_thirty_seconds_is_not_heard(policy: AudioLM, oracle: Path) -> None:
    clip = voice(31.3, seed=3)
    heard = own_logits(oracle, [clip[:480_000]], TEXTS[:1])
    torch.testing.assert_close(logits(policy, asked(policy, [clip])), heard, **CLOSE)


@torch.no_grad()
def test_a_clip_moves_the_answer_and_the_adapter_off_is_the_base(folder: Path) -> None:
    policy = loaded(folder)
    batch = asked(policy, voices(CASES["ragged"]))
    base = logits(policy, batch)
    nudge(policy)
    assert (logits(policy, batch) - base).abs().amax(-1).min() > 0.01
    with policy.adapter_off():
        assert torch.equal(logits(policy, batch), base)


@torch.no_grad()
def test_the_adapter_is_on_the_decoder_and_nothing_else(policy: AudioLM) -> None:
    names = [name for name, _ in trained_parameters(policy)]
    assert names
    decoder = f".{policy.find_kind().decoder}.layers."
    assert [name for name in names if decoder not in name] == []
    assert [name for name in names if f"{policy.tower_name}." in name] == []


def test_lora_on_the_encoder_is_learnt_by_the_own_forwards_gradients(folder: Path, oracle: Path) -> None:
    policy = loaded(folder, audio_tower=True, projector=bool(policy_projectors(folder)))
    names = [name for name, _ in trained_parameters(policy)]
    assert any(policy.tower_name in name for name in names)
    assert not any(eyes in name for name in names for eyes in policy.unused_names)
    nudge(policy)  # A's gradient is zero while B is
    clip = voice(1.2, seed=1)
    ours = gradients(policy, logits(policy, asked(policy, [clip])))
    theirs = gradients(policy, policy.base(**own_inputs(oracle, [clip], TEXTS[:1])).logits[:, -1])
    for name, expected in theirs.items():
        if (
            "k_proj" not in name and "key" not in name
        ):  # a query of one position moves no key, nor does a bias
            assert expected.any(), name
        torch.testing.assert_close(ours[name], expected, atol=1e-4, rtol=1e-3)


def gradients(policy: AudioLM, outputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of a loss of these outputs, by the name of what is trained."""
    parts = dict(trained_parameters(policy))
    return dict(zip(parts, torch.autograd.grad(outputs.square().mean(), list(parts.values())), strict=True))


@torch.no_grad()
@pytest.mark.parametrize("audio_tower", [False, True])
def test_a_pass_in_training_mode_changes_no_number_by_itself(folder: Path, audio_tower: bool) -> None:
    """What is frozen has no dropout, and running means of an encoder that is trained do not move."""
    policy = loaded(folder, audio_tower=audio_tower)
    batch = asked(policy, voices((1.2, 0.5)))
    before = logits(policy, batch)
    policy.train()
    trained = logits(policy, batch)
    assert audio_tower or torch.equal(trained, before)
    policy.eval()
    assert torch.equal(logits(policy, batch), before)


def test_full_tuning_trains_what_sound_and_text_pass_through_and_saves_a_checkpoint(
    folder: Path, tmp_path: Path
) -> None:
    policy = loaded(folder, method="full")
    clip = voice(1.2, seed=1)
    batch = asked(policy, [clip])
    logits(policy, batch).square().mean().backward()
    assert [name for name, part in trained_parameters(policy) if part.grad is None] == []
    frozen = {name for name, part in policy.base.named_parameters() if not part.requires_grad}
    assert all(name.startswith(policy.unused_names) for name in frozen)
    with torch.no_grad():
        for _, part in trained_parameters(policy):
            part.add_(0.01)
        policy.save(tmp_path)
        tuned = logits(policy, batch)
        torch.testing.assert_close(logits(loaded(tmp_path), batch), tuned, **CLOSE)
        torch.testing.assert_close(own_logits(tmp_path, [clip], TEXTS[:1]), tuned, **CLOSE)


@torch.no_grad()
def test_a_saved_adapter_gives_the_same_logits_when_it_is_read_again(folder: Path, tmp_path: Path) -> None:
    policy = loaded(folder, audio_tower=True, projector=bool(policy_projectors(folder)))
    nudge(policy)
    batch = asked(policy, voices(CASES["ragged"]))
    policy.save(tmp_path)
    other = loaded(folder, audio_tower=True, projector=bool(policy_projectors(folder)))
    other.load_weights(tmp_path)
    other.eval()
    torch.testing.assert_close(logits(other, batch), logits(policy, batch), **CLOSE)


def policy_projectors(folder: Path) -> tuple[str, ...]:
    return AudioLM(str(folder)).find_kind().projectors


@torch.no_grad()
@pytest.mark.parametrize("ears", [False, True])
def test_plain_peft_reads_a_saved_adapter(folder: Path, oracle: Path, tmp_path: Path, ears: bool) -> None:
    policy = loaded(folder, audio_tower=ears, projector=ears and bool(policy_projectors(folder)))
    nudge(policy)
    policy.save(tmp_path)
    plain = PeftModel.from_pretrained(merged(own_model.__wrapped__(oracle)), tmp_path).eval()
    clip = voice(1.2, seed=1)
    theirs = plain(**own_inputs(oracle, [clip], TEXTS[:1]), use_cache=False).logits[:, -1]
    torch.testing.assert_close(logits(policy, asked(policy, [clip])), theirs, **CLOSE)


def merged(model: Any) -> Any:
    """The model with the checkpoint's own LoRA, if transformers has loaded one, in its weights."""
    layers = [(name, part) for name, part in model.named_modules() if isinstance(part, BaseTunerLayer)]
    for name, layer in layers:
        layer.merge()
        model.set_submodule(name, layer.get_base_layer())
    if layers:
        model._hf_peft_config_loaded = False
        del model.peft_config
    return model


@torch.no_grad()
def test_a_prompt_without_sound_is_the_own_forward_on_text(policy: AudioLM) -> None:
    ids = torch.tensor([policy.prompt_ids([{"type": "text", "text": TEXTS[0]}])])
    tokens = Tokens(ids, torch.ones_like(ids, dtype=torch.bool))
    with policy.adapter_off():
        theirs = policy.base(input_ids=ids, use_cache=False).logits[:, -1]
    torch.testing.assert_close(logits(policy, batch_of(tokens, None)), theirs, **CLOSE)


def change(folder: Path, **settings: Any) -> None:
    """Change settings in a checkpoint's config.json."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **settings}))


def without(*names: str) -> Callable[[Path], None]:
    """Deletes these files of a checkpoint."""
    return lambda folder: [(folder / name).unlink() for name in names] and None


BROKEN: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "no ears": ("gemma4", lambda folder: change(folder, audio_config=None), "without ears"),
    "lost LoRA": (
        "granite_speech_lora",
        without("adapter_config.json", "adapter_model.safetensors"),
        "says has_lora_adapter",
    ),
    "lost weights of LoRA": (
        "granite_speech_lora",
        without("adapter_model.safetensors"),
        r"lacks its weights: adapter_model\.safetensors",
    ),
    "lost weights of LoRA for speech": (
        "phi4_multimodal",
        without("speech-lora/adapter_model.safetensors"),
        r"lacks its weights: speech-lora/adapter_model\.safetensors",
    ),
    "another kind": (
        "voxtral",
        lambda folder: change(folder, model_type="voxtral_realtime"),
        r"\(voxtral_realtime\)",
    ),
    "no extractor": ("gemma3n", without("preprocessor_config.json"), "feature extractor"),
    "no template": ("audioflamingo3", without("chat_template.jinja"), "has no chat template"),
}


@pytest.mark.parametrize(("name", "spoil", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_checkpoint_is_refused_in_one_line(
    name: str, spoil: Callable[[Path], None], expected: str, tmp_path: Path
) -> None:
    broken = write_family(tmp_path / name, name)
    spoil(broken)
    with pytest.raises(InputError, match=expected) as raised:
        loaded(broken)
    assert "\n" not in str(raised.value)


def test_gemma_3n_without_timm_says_what_to_install(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lalm_ambig.policies.families.gemma3n.is_timm_available", lambda: False)
    with pytest.raises(InputError, match="timm is not installed: pip install timm"):
        loaded(folders["gemma3n"])


@torch.no_grad()
@pytest.mark.parametrize("name", ["granite_speech_lora", "phi4_multimodal", "granite_speech"])
def test_the_printed_lines_load_an_adapter_as_it_was_trained(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """The checkpoint's own LoRA comes first, where it has one."""
    policy = loaded(folders[name])
    nudge(policy)
    policy.save(tmp_path)
    lines = loading_lines(
        "adapter",
        type(policy.base).__name__,
        base=str(folders[name]),
        address=str(tmp_path),
        own_lora=policy.own_lora,
    )
    made: dict[str, Any] = {}
    exec("\n".join(lines), made)
    clip = voice(1.2, seed=1)
    theirs = made["model"].eval()(**own_inputs(folders[name], [clip], TEXTS[:1]), use_cache=False)
    torch.testing.assert_close(logits(policy, asked(policy, [clip])), theirs.logits[:, -1], **CLOSE)


def test_every_family_shares_its_prompts(policy: AudioLM) -> None:
    """What docs/reference/audio_families.md says; a family that stops sharing is slower, not wrong."""
    assert policy.abilities.shares, policy.abilities.reason
    assert policy.abilities.batching == policy.abilities.decoding == "padded"
