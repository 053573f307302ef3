"""What the self-check finds: models that can share a row, models that cannot, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from peft.tuners.lora import Linear as LoraLinear
from small_checkpoints import write_causal_lm, write_omni
from torch import nn

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.attention.abilities import Abilities, equal_groups
from lalm_ambig.policies.attention.native_forward import NativeForward
from lalm_ambig.policies.attention.plain import PlainDecoding, plain_states
from lalm_ambig.policies.attention.positions import rotary_limit
from lalm_ambig.policies.attention.tree import Segment
from lalm_ambig.policies.attention.tree_pass import tree_states
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.self_check import examination as module
from lalm_ambig.policies.self_check import shared as check_shared
from lalm_ambig.policies.self_check.examination import examine
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.lora import Adapter

FULL = Adapter(method="full")


def loaded(folder: Path, family: str, **settings: Any) -> CausalLM:
    dtype = settings.pop("dtype", "float32")
    write_causal_lm(folder, family, **settings)
    policy = CausalLM(str(folder), adapter=FULL, dtype=dtype)
    policy.load()
    policy.eval()
    return policy


def own(policy: Policy, ids: torch.Tensor) -> torch.Tensor:
    """The class's own states of one text."""
    return NativeForward(policy.base)(input_ids=ids[None], use_cache=False)[0][0]


def text(policy: Policy, length: int, *, seed: int) -> Segment:
    ids = torch.randint(40, 200, (length,), generator=torch.Generator().manual_seed(seed))
    return Segment(policy.embed_ids(ids), None, ids)


@torch.no_grad()
def test_a_llama_shares_a_row(tmp_path: Path) -> None:
    policy = loaded(tmp_path, "llama")
    assert policy.abilities.shares
    assert (policy.abilities.batching, policy.abilities.decoding) == ("padded", "padded")
    assert policy.abilities.longest_shared is None
    assert all(finding.ok for finding in policy.abilities.findings)
    assert policy.abilities.notes == []


@torch.no_grad()
@pytest.mark.parametrize(
    ("family", "settings", "reason"),
    [
        (
            "stablelm",
            {},
            "it does not hold that texts in one row come out as each alone",
        ),  # attention code of its own
        (
            "lfm2",
            {"layer_types": ["conv", "full_attention"]},
            "it does not hold that texts in one row come out as each alone",
        ),
        (
            "gpt_oss",
            {"num_local_experts": 2, "num_experts_per_tok": 1, "head_dim": 16},
            "its attention is eager",
        ),  # attention sinks
    ],
)
def test_who_cannot_share_says_so_and_is_right_by_itself(
    tmp_path: Path, family: str, settings: dict[str, Any], reason: str
) -> None:
    policy = loaded(tmp_path, family, **settings)
    assert not policy.abilities.shares
    assert reason in policy.abilities.reason
    assert policy.abilities.notes[0].startswith("prompts are not shared but computed for each response: ")
    texts = [text(policy, 13, seed=1), text(policy, 6, seed=2)]
    for found, segment in zip(tree_states(policy, texts), texts, strict=True):
        torch.testing.assert_close(found, own(policy, segment.ids), atol=2e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("family", ["gemma3_text", "mistral", "cohere2"])
def test_a_sliding_window_is_kept_in_a_shared_row(tmp_path: Path, family: str) -> None:
    policy = loaded(tmp_path, family, head_dim=16, sliding_window=12)
    assert policy.abilities.shares
    assert policy.abilities.longest_shared is None
    prompt, short = text(policy, 40, seed=1), text(policy, 5, seed=2)
    response = text(policy, 9, seed=3)
    tree = [prompt, short, Segment(response.embeddings, 0, response.ids)]
    states = tree_states(policy, tree)
    whole = own(policy, torch.cat([prompt.ids, response.ids]))
    torch.testing.assert_close(torch.cat([states[0], states[2]]), whole, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(states[1], own(policy, short.ids), atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_beyond_a_window_that_layers_do_not_tell_texts_are_computed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = loaded(tmp_path, "mistral", head_dim=16, sliding_window=500)  # wider than any probe
    assert policy.abilities.longest_shared is None
    real = check_shared._limit
    monkeypatch.setattr(check_shared, "_limit", lambda config, told: real(config, [None] * len(told)))
    found = examine(policy)
    assert found.shares
    assert found.longest_shared == 500
    assert found.shares_texts_of(500, row=9000)
    assert not found.shares_texts_of(501, row=501)


def test_attention_in_chunks_is_shared_up_to_a_chunk_only(tmp_path: Path) -> None:
    settings = {"num_local_experts": 2, "num_experts_per_tok": 1, "head_dim": 16, "intermediate_size_mlp": 96}
    policy = loaded(tmp_path, "llama4_text", attention_chunk_size=32, **settings)
    assert policy.abilities.longest_shared == 32
    prompt, other = text(policy, 50, seed=1), text(policy, 20, seed=2)
    with torch.no_grad():
        for found, segment in zip(tree_states(policy, [prompt, other]), (prompt, other), strict=True):
            torch.testing.assert_close(found, own(policy, segment.ids), atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_frequencies_that_change_with_length_are_not_given_to_shorter_texts(tmp_path: Path) -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 4.0}
    policy = loaded(tmp_path, "llama", max_position_embeddings=24, rope_parameters=rope)
    assert policy.abilities.rotary_limit == policy.abilities.longest_shared == 24
    long, short = text(policy, 40, seed=1), text(policy, 9, seed=2)
    for found, segment in zip(tree_states(policy, [long, short]), (long, short), strict=True):
        torch.testing.assert_close(found, own(policy, segment.ids), atol=2e-5, rtol=1e-4)


def test_the_limit_of_frequencies_is_found_in_each_form() -> None:
    class Config:
        max_position_embeddings = 100

        def __init__(self, rope: Any) -> None:
            self.rope_parameters = rope

        def get_text_config(self) -> "Config":
            return self

    assert rotary_limit(Config({"rope_type": "default"})) is None
    assert rotary_limit(Config(None)) is None
    assert rotary_limit(Config({"rope_type": "longrope", "original_max_position_embeddings": 40})) == 40
    assert (
        rotary_limit(Config({"full_attention": {"rope_type": "dynamic"}, "other": {"rope_type": "yarn"}}))
        == 100
    )


@torch.no_grad()
def test_a_model_whose_cache_takes_one_row_writes_responses_one_by_one(tmp_path: Path) -> None:
    policy = loaded(tmp_path, "rwkv", attention_hidden_size=64)
    assert policy.abilities.decoding == "single"
    assert any("responses are written one by one" in note for note in policy.abilities.notes)
    texts = [text(policy, n, seed=n) for n in (7, 4, 7)]
    decoding = PlainDecoding(policy, texts)
    last = decoding.start()
    after = decoding.step(torch.tensor([50, 51, 52]))
    for n, segment in enumerate(texts):
        whole = own(policy, torch.cat([segment.ids, torch.tensor([50 + n])]))
        torch.testing.assert_close(torch.stack([last[n], after[n]]), whole[-2:], atol=2e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("decoding", ["padded", "equal", "single", "never"])
def test_each_way_of_decoding_gives_the_states_of_the_whole_text(tmp_path: Path, decoding: Any) -> None:
    policy = loaded(tmp_path, "llama")
    policy.abilities = Abilities(decoding=decoding)
    texts = [text(policy, n, seed=n) for n in (7, 4, 7)]
    rows = PlainDecoding(policy, texts)
    rows.start()
    rows.step(torch.tensor([50, 51, 52]))
    after = rows.step(torch.tensor([60, 61, 62]))
    for n, segment in enumerate(texts):
        whole = own(policy, torch.cat([segment.ids, torch.tensor([50 + n, 60 + n])]))
        torch.testing.assert_close(after[n], whole[-1], atol=2e-5, rtol=1e-4)


class Leak(nn.Module):
    """A decoder layer that mixes a little of the row's other tokens into each token."""

    def __init__(self, layer: nn.Module, share: float, *, backwards: bool) -> None:
        super().__init__()
        self.layer, self.share, self.backwards = layer, share, backwards

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)

    def forward(self, hidden: torch.Tensor, *words: Any, **named: Any) -> Any:
        out = self.layer(hidden, *words, **named)
        if named.get("layout") is None:  # the class by itself is causal and leaks nothing
            return out
        before = hidden.flip(1) if self.backwards else hidden
        running = before.cumsum(1) / torch.arange(1, hidden.shape[1] + 1)[:, None]
        running = running.flip(1) if self.backwards else running
        return out + (self.share * running).to(out.dtype)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("dtype", "share"), [("float32", 1e-4), ("bfloat16", 0.05)])
def test_what_leaks_from_text_to_text_is_found_in_any_type(
    tmp_path: Path, dtype: str, share: float, backwards: bool
) -> None:
    policy = loaded(tmp_path, "llama", dtype=dtype)
    assert policy.abilities.shares
    layers: Any = policy.language_model.layers
    layers[0] = Leak(layers[0], share, backwards=backwards)
    with torch.no_grad():
        found = examine(policy)
    assert not found.shares
    assert found.reason


def test_a_leak_that_rounding_would_hide_moves_with_the_other_text(tmp_path: Path) -> None:
    """In bfloat16 the agreement alone would let it pass."""
    policy = loaded(tmp_path, "llama", dtype="bfloat16")
    layers: Any = policy.language_model.layers
    layers[0] = Leak(layers[0], 0.04, backwards=False)
    with torch.no_grad():
        found = examine(policy)
    assert "it does not hold that a text stays as it is when others in its row are exchanged" in found.reason


def test_sound_is_part_of_the_check(tmp_path: Path) -> None:
    omni = Qwen2_5Omni(str(write_omni(tmp_path)))
    tiny = Tiny()
    for policy in (omni, tiny):
        policy.load()
        assert policy.abilities.shares
        segment, ids, _ = policy.native_states(torch.arange(40, 60), 0.7)
        assert segment.ids is None
        assert (ids == policy.audio_token_id).sum() == policy.audio_tokens(
            policy.log_mel(torch.zeros(11_200))
        )


def test_an_encoder_that_hears_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    omni = Qwen2_5Omni(str(write_omni(tmp_path)), adapter=Adapter(rank=3))  # not found in the cache
    real = AudioModel.log_mel
    monkeypatch.setattr(AudioModel, "log_mel", lambda self, samples: real(self, samples.flip(0)))
    with pytest.raises(
        InputError, match="one text by itself comes out otherwise than by its class's own forward"
    ):
        omni.load()


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    policy = loaded(tmp_path, "llama")
    with torch.no_grad():
        policy.language_model.norm.weight.mul_(torch.inf)
        with pytest.raises(InputError, match="values that are not finite in float32: Try float32"):
            examine(policy)


def test_a_class_that_fails_on_one_text_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no kernel image\nis available")

    policy = loaded(tmp_path, "llama")
    monkeypatch.setattr(policy.language_model.layers[1], "forward", broken)
    with pytest.raises(
        InputError, match="forward pass of one short text fails: no kernel image is available"
    ):
        examine(policy)


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often a checkpoint was tried out."""
    calls: list[str] = []
    real = module.examine
    monkeypatch.setattr(module, "examine", lambda policy: calls.append("") or real(policy))
    return lambda: len(calls)


def test_a_checkpoint_is_tried_out_once_for_its_weights_and_settings(
    tmp_path: Path, count: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = loaded(tmp_path / "a", "llama")
    again = CausalLM(str(tmp_path / "a"), adapter=FULL, dtype="float32")
    again.load()
    assert count() == 1
    assert again.abilities == first.abilities
    loaded(tmp_path / "b", "llama", num_hidden_layers=3)
    assert count() == 2
    CausalLM(str(tmp_path / "a"), adapter=FULL, dtype="bfloat16").load()
    assert count() == 3
    CausalLM(str(tmp_path / "a"), adapter=FULL, dtype="float32", attention="eager").load()
    assert count() == 4


def test_what_the_cache_holds_is_tried_again_where_it_cannot_be_read(
    tmp_path: Path, count: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    loaded(tmp_path / "a", "llama")
    (file,) = (tmp_path / "cache").glob("lalm_ambig/self_check/*.json")
    file.write_text('{"shares": tr')
    CausalLM(str(tmp_path / "a"), adapter=FULL, dtype="float32").load()
    assert count() == 2
    assert file.read_text().startswith("{\n")


def test_equal_values_are_grouped_in_their_order() -> None:
    assert equal_groups([5, 3, 5, 4, 3]) == [[0, 2], [1, 4], [3]]
    assert equal_groups([]) == []
    assert Abilities(batching="padded").batches([5, 3]) == [[0, 1]]
    assert Abilities(batching="equal").batches([5, 3, 5]) == [[0, 2], [1]]
    assert Abilities(batching="single").batches([5, 5]) == [[0], [1]]
    assert Abilities(decoding="equal").decoded_together([5, 3, 5]) == [[0, 2], [1]]
    assert Abilities(rotary_limit=4).batches([5, 3, 4]) == [[0], [1, 2]]


@torch.no_grad()
def test_a_text_without_tokens_has_no_states(tmp_path: Path) -> None:
    policy = loaded(tmp_path, "llama")
    whole = text(policy, 5, seed=1)
    found = plain_states(policy, [whole.part(slice(0), None), whole])
    assert [len(states) for states in found] == [0, 5]


def test_a_row_ends_where_queries_are_scaled_by_their_place(tmp_path: Path) -> None:
    settings = {"num_local_experts": 2, "num_experts_per_tok": 1, "head_dim": 16, "intermediate_size_mlp": 96}
    nowhere = {"no_rope_layers": [0, 0], "attn_temperature_tuning": True, "floor_scale": 40}
    policy = loaded(tmp_path, "llama4_text", **settings, **nowhere)
    assert policy.abilities.shares_texts_of(20, row=39)
    assert not policy.abilities.shares_texts_of(20, row=40)
    texts = [text(policy, 25, seed=n) for n in range(3)]
    with torch.no_grad():
        for found, segment in zip(tree_states(policy, texts), texts, strict=True):
            torch.testing.assert_close(found, own(policy, segment.ids), atol=2e-5, rtol=1e-4)


def test_an_adapter_on_the_head_is_in_the_readout(tmp_path: Path) -> None:
    write_causal_lm(tmp_path, "llama")
    policy = CausalLM(str(tmp_path), adapter=FULL, dtype="float32")
    policy.load()
    policy.eval()
    policy.base.lm_head = LoraLinear(policy.base.lm_head, "default", config=LoraConfig(r=4), r=4)
    torch.nn.init.normal_(policy.base.lm_head.lora_B["default"].weight)
    hidden, chosen = torch.randn(3, 64), torch.tensor([5, 99, 44])
    expected = policy.logits(hidden)[:, chosen]
    torch.testing.assert_close(policy.category_logits(hidden, chosen), expected, atol=1e-5, rtol=1e-5)


def test_logits_of_another_number_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = loaded(tmp_path, "llama")
    real = NativeForward.logits
    monkeypatch.setattr(NativeForward, "logits", lambda self, ids: real(self, ids)[:, :-3])
    with pytest.raises(InputError, match="does more behind its head than scaling or capping its logits"):
        examine(policy)


def test_a_check_while_a_trainer_predicts_finds_what_one_before_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = loaded(tmp_path, "llama")
    before = policy.abilities
    monkeypatch.setattr(module, "read_abilities", lambda _: None)
    with torch.inference_mode():
        policy.check()
    assert policy.abilities == before
    assert policy.abilities.untrainable == ""
