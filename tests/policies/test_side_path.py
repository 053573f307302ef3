"""The side path: earlier layers of the audio encoder beside the last; until it is trained, it changes nothing."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from peft import PeftConfig, PeftModel
from safetensors.torch import load_file, save_file
from small_checkpoints import HEARING, SIDE_PATH, MakeAny
from small_model import noise, nudge

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Audio, Tokens
from lalm_ambig.data.encoding import pad
from lalm_ambig.methods.optimisation import Optimiser, parameter_groups
from lalm_ambig.policies.audio.mel import feature_counts, padded_window
from lalm_ambig.policies.audio.side_path import SidePath, chosen_layers, saved_layers
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.lora import Adapter

PARTS = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": "which emotion do listeners hear?"}]
CLIPS = [noise(seconds, seed=n) for n, seconds in enumerate((0.4, 3.1, 0.05, 1.2))]


@pytest.fixture(autouse=True)
def _cache(cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


def prompted(policy: AudioModel, clips: Sequence[torch.Tensor]) -> tuple[Tokens, Audio]:
    frames = tuple(policy.log_mel(clip) for clip in clips)
    prompts = [policy.prompt_ids(PARTS, audio_tokens=policy.audio_tokens(f)) for f in frames]
    return pad(prompts, policy.pad_id, side="left"), Audio(tuple(range(len(clips))), frames, encoded=False)


def answers(policy: AudioModel, clips: Sequence[torch.Tensor] = CLIPS) -> torch.Tensor:
    tokens, audio = prompted(policy, clips)
    with torch.no_grad():
        return policy.logits(policy.hidden(policy.embed(tokens, audio), tokens.mask)[:, -1])


def encoded(policy: AudioModel, clips: Sequence[torch.Tensor] = CLIPS) -> list[torch.Tensor]:
    with torch.no_grad():
        return policy.encode_audio([policy.log_mel(clip) for clip in clips])


@pytest.fixture(params=HEARING)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def plain(name: str, make_named: MakeAny) -> AudioModel:
    return make_named(name)  # type: ignore[no-any-return]


@pytest.fixture
def beside(name: str, make_named: MakeAny) -> AudioModel:
    return make_named(name + SIDE_PATH)  # type: ignore[no-any-return]


def standardised(policy: AudioModel) -> AudioModel:
    """The policy, with the moments of the clips."""
    features = torch.cat(encoded(policy)).double()
    policy.standardise(features.mean(0).float(), features.std(0, correction=0).float())
    return policy


def test_training_starts_exactly_at_the_checkpoint(plain: AudioModel, beside: AudioModel) -> None:
    assert torch.equal(answers(standardised(beside)), answers(plain))


def test_the_last_layers_features_come_first_and_are_the_same(plain: AudioModel, beside: AudioModel) -> None:
    for ours, theirs in zip(encoded(beside), encoded(plain), strict=True):
        assert torch.equal(ours[:, : theirs.shape[1]], theirs)
        assert ours.shape[1] == theirs.shape[1] + 2 * beside.tower.config.d_model


def native_layers(policy: AudioModel, clips: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """States of the first two layers by transformers' own forward on the window, pooled by torch's own pooling."""
    _, mask = padded_window(policy.extractor, clips)
    positions, tokens = (counts.tolist() for counts in feature_counts(mask.sum(-1)))
    taken: dict[int, torch.Tensor] = {}
    hooks = [
        policy.tower.layers[n].register_forward_hook(
            lambda _, inputs, output, n=n: taken.update(
                {n: inputs[0], n + 1: output[0] if isinstance(output, tuple) else output}
            )
        )
        for n in range(1)
    ]
    with torch.no_grad():
        rows = pad([[policy.audio_token_id] * count for count in tokens], policy.pad_id, side="left")
        heard = policy.family.inputs(clips)
        policy.base.model(input_ids=rows.ids, attention_mask=rows.mask.long(), **heard)
    for hook in hooks:
        hook.remove()
    by_clip = [s.split(positions) if s.ndim == 2 else [row[:n] for row, n in zip(s, positions, strict=True)]
               for s in (taken[0], taken[1])]  # fmt: skip
    pool = torch.nn.AvgPool1d(2, 2)
    return [
        torch.cat([pool(layer[n].T[None])[0].T[:count] for layer in by_clip], dim=-1)
        for n, count in enumerate(tokens)
    ]


def test_layers_are_those_of_transformers_pooled_as_the_last_one(beside: AudioModel) -> None:
    for ours, expected in zip(encoded(beside), native_layers(beside, CLIPS), strict=True):
        torch.testing.assert_close(ours[:, -expected.shape[1] :], expected, atol=5e-4, rtol=1e-3)


def test_a_batch_equals_each_clip_alone_once_the_side_path_is_trained(beside: AudioModel) -> None:
    nudge(standardised(beside))
    together = answers(beside)
    for row, clip in enumerate(CLIPS):
        torch.testing.assert_close(together[row : row + 1], answers(beside, [clip]), atol=1e-3, rtol=1e-3)


def test_a_trained_side_path_is_heard_and_switched_off_with_the_adapter(
    plain: AudioModel, beside: AudioModel
) -> None:
    standardised(beside)
    with torch.no_grad():
        beside.side_path.weight.normal_(0, 0.05, generator=torch.Generator().manual_seed(0))
    assert (answers(beside) - answers(plain)).abs().max() > 0.01
    with beside.adapter_off():
        assert torch.equal(answers(beside), answers(plain))


def test_the_self_check_of_a_trained_side_path_looks_past_it(beside: AudioModel) -> None:
    nudge(standardised(beside))
    beside.checked_device_type = "elsewhere"
    beside.check_again_if_moved()
    assert beside.checked_device_type == "cpu"


def test_it_learns_from_the_first_step(beside: AudioModel) -> None:
    standardised(beside)
    tokens, audio = prompted(beside, CLIPS[:1])
    states = beside.hidden(beside.embed(tokens, audio), tokens.mask)
    torch.autograd.backward(beside.logits(states[:, -1])[0, 5])
    gradient = beside.side_path.weight.grad
    assert gradient is not None and gradient.abs().max() > 0
    assert not beside.side_path.get_buffer("mean").requires_grad


def test_inputs_are_standardised_and_a_channel_that_does_not_vary_says_nothing() -> None:
    states = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1, 9, 0.1, 0, 2, 1]
    )
    states[:, 3] = 4.0
    side = SidePath([0, 2], channels=3, outputs=6)
    side.standardise(states.mean(0), states.std(0, correction=0))
    with torch.no_grad():
        side.weight.copy_(torch.eye(6))
        given = side(states)
        elsewhere = side(torch.full((1, 6), 100.0))
    expected = torch.tensor([1, 1, 1, 0, 1, 1.0])
    torch.testing.assert_close(given.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(given.std(0, correction=0), expected, atol=1e-4, rtol=0)
    assert elsewhere[0, 3] == 0


def test_beside_a_fresh_projector_it_starts_like_it_at_the_scale_of_the_embeddings() -> None:
    torch.manual_seed(3)
    policy = Tiny(adapter=Adapter(projector=True), standardise_audio=True, audio_layers=[0, 1])
    policy.load()
    standardised(policy)
    with torch.no_grad():
        features = torch.cat(encoded(policy))
        last, layers = policy.project_last(features[:, :128]), policy.side_path(features[:, 128:])
        embeddings = policy.base.get_input_embeddings().weight.detach()
        both, parts = policy.project(features), [float(part.var()) for part in (last, layers)]
    assert float(both.square().mean().sqrt() / embeddings.square().mean().sqrt()) == pytest.approx(1, abs=0.1)
    assert parts[1] / parts[0] == pytest.approx(2, rel=0.2)  # two layers beside one


def test_moments_over_training_clips_are_noted_whatever_the_seed_of_the_weights() -> None:
    policies = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        policy = Tiny(adapter=Adapter(projector=True), standardise_audio=True, audio_layers=[1])
        policy.load()
        policies.append(standardised(policy).side_path)
    first, same, other = policies
    assert torch.equal(first.weight, same.weight) and not torch.equal(first.weight, other.weight)
    assert torch.equal(first.mean, other.mean)


def test_a_saved_side_path_answers_alike_in_a_new_policy(
    name: str, make_named: MakeAny, tmp_path: Path
) -> None:
    trained = make_named(name + SIDE_PATH)
    nudge(standardised(trained))
    trained.save(tmp_path)
    read = make_named(name + SIDE_PATH)
    read.load_weights(tmp_path)
    torch.testing.assert_close(answers(read), answers(trained), atol=1e-6, rtol=1e-6)
    assert saved_layers(tmp_path) == (0, 1)


def test_plain_peft_refuses_it_in_place_of_leaving_it_out(
    beside: AudioModel, plain: AudioModel, tmp_path: Path
) -> None:
    beside.save(tmp_path)
    for load in (PeftConfig.from_pretrained, lambda path: PeftModel.from_pretrained(plain.base, path)):
        with pytest.raises(KeyError, match="LORA_WITH_AUDIO_SIDE_PATH"):
            load(str(tmp_path))


@pytest.mark.parametrize(
    ("saved", "asked", "message"),
    [
        (
            " with a side path",
            "",
            r"policy.audio_layers is last, and the saved adapter's is \[0,1\]: set .* to \[0,1\]",
        ),
        (
            "",
            " with a side path",
            r"policy.audio_layers is \[0,1\], and the saved adapter's is last: set .* to last",
        ),
    ],
)
def test_weights_that_hear_other_layers_are_refused(
    name: str, make_named: MakeAny, tmp_path: Path, saved: str, asked: str, message: str
) -> None:
    make_named(name + saved).save(tmp_path)
    with pytest.raises(InputError, match=message):
        make_named(name + asked).load_weights(tmp_path)


def test_a_text_policy_refuses_it(make_named: MakeAny, tmp_path: Path) -> None:
    make_named("Tiny" + SIDE_PATH).save(tmp_path)
    with pytest.raises(
        InputError, match=r"audio_layers is last, and the saved adapter's|not of this policy|PEFT refuses"
    ):
        make_named("CausalLM").load_weights(tmp_path)


def test_a_damaged_file_is_refused_in_one_line(make_named: MakeAny, tmp_path: Path) -> None:
    make_named("Tiny" + SIDE_PATH).save(tmp_path)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    side = {key: value for key, value in weights.items() if key.endswith("audio_side_path.weight")}
    save_file(
        {**weights, **{key: value[:, :5].clone() for key, value in side.items()}},
        tmp_path / "adapter_model.safetensors",
    )
    with pytest.raises(
        InputError, match=r"audio_side_path.weight is \[192, 5\] in the adapter and \[192, 256\]"
    ):
        make_named("Tiny" + SIDE_PATH).load_weights(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"{}")
    with pytest.raises(InputError):
        make_named("Tiny" + SIDE_PATH).load_weights(tmp_path)


def test_the_rate_is_its_own_or_the_projectors() -> None:
    policy = Tiny(adapter=Adapter(projector=True), audio_layers=[0])
    policy.load()
    side = policy.side_path.weight
    for settings, expected in (
        (Optimiser(learning_rate=1e-4), 1e-4),
        (Optimiser(learning_rate=1e-4, projector_learning_rate=1e-3), 1e-3),
        (Optimiser(learning_rate=1e-4, projector_learning_rate=1e-3, side_path_learning_rate=3e-3), 3e-3),
    ):
        (group,) = (g for g in parameter_groups(policy, settings) if any(p is side for p in g["params"]))
        assert group["lr"] == expected


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "names 0 layers, and may name 1 to 6 beside the last: write last"),
        ([0, 1, 2, 3, 4, 5, 6], "names 7 layers"),
        ([1, 1], r"must name different layers from 0 on, got \[1, 1\]"),
        ([-1], r"different layers from 0 on, got \[-1\]"),
    ],
)
def test_settings_that_make_no_sense_are_refused(layers: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen_layers(layers, trains_all=False)


@pytest.mark.parametrize(
    ("layer", "message"), [(2, "is its last, which is always heard"), (9, "is none of them")]
)
def test_layers_that_the_encoder_lacks_are_refused(layer: int, message: str) -> None:
    with pytest.raises(
        InputError, match=f"the audio encoder has 2 layers, and {layer} {message}: name layers from 0"
    ):
        Tiny(audio_layers=[layer]).load()


def test_full_fine_tuning_has_no_place_for_it() -> None:
    for make in (Qwen2Audio, Qwen2_5Omni):
        with pytest.raises(
            InputError, match=r"full fine-tuning writes a plain checkpoint.*adapter.method to lora"
        ):
            make(adapter=Adapter(method="full"), audio_layers=[0])


def test_layers_are_read_in_ascending_order_and_count_in_the_fingerprint() -> None:
    policies = [Tiny(audio_layers=layers) for layers in ([1, 0], [0, 1], [1], "last")]  # type: ignore[arg-type]
    for policy in policies:
        policy.load()
    first, same, one, last = (policy.encoder_fingerprint() for policy in policies)
    assert first == same and len({first, one, last}) == 3
    assert policies[0].side_layers == (0, 1)


def test_the_settings_say_what_the_adapter_is(beside: AudioModel, tmp_path: Path) -> None:
    beside.save(tmp_path)
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    assert settings["peft_type"] == "LORA_WITH_AUDIO_SIDE_PATH" and settings["modules_to_save"] == [
        "audio_side_path"
    ]


def test_a_missing_or_cut_file_is_named_by_its_reader(make_named: MakeAny, tmp_path: Path) -> None:
    make_named("Tiny" + SIDE_PATH).save(tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match="not a readable safetensors file"):
        make_named("Tiny" + SIDE_PATH).load_weights(tmp_path)
    file.unlink()
    with pytest.raises(InputError, match=r"no adapter_model\.safetensors in"):
        make_named("Tiny" + SIDE_PATH).load_weights(tmp_path)


def test_a_batch_without_sound_gives_all_that_hears_a_gradient_of_zero(
    name: str, make_named: MakeAny
) -> None:
    """DDP waits for one."""
    adapter = {"audio_tower": True} if name == "Qwen2_5Omni" else {"projector": True, "audio_tower": True}
    policy = make_named(name + SIDE_PATH, **adapter)
    ids = torch.tensor([policy.prompt_ids(PARTS[1:])])
    tokens = Tokens(ids, torch.ones_like(ids, dtype=torch.bool))
    embedded = policy.embed(tokens)
    assert torch.equal(embedded, policy.embed_ids(ids))
    torch.autograd.backward(policy.hidden(embedded, tokens.mask).sum())
    missing = [name for name, p in policy.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == [] and not bool(policy.side_path.weight.grad.any())
    with torch.no_grad():
        assert torch.equal(policy.embed(tokens), embedded)
