"""The arithmetic against numbers worked out by hand, and against the tensors that autograd keeps."""

from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

from lalm_ambig.estimation import formulas
from lalm_ambig.estimation.formulas import ComputeTypes
from lalm_ambig.estimation.shapes import AudioEncoderShape, DecoderShape
from lalm_ambig.estimation.workload import Workload
from lalm_ambig.policies.attention.tree import TreeLayout, enable_layout_attention
from lalm_ambig.policies.weights.lora_product import join_products

FLOAT32, MIXED = ComputeTypes(4, 4, casts=False), ComputeTypes(2, 2, casts=True)
SEVEN_B = DecoderShape(32, 4096, 32, 32, 128, 11008, 156032)
SMALL = DecoderShape(layers=1, hidden=64, heads=4, kv_heads=2, head_dim=16, intermediate=160, vocabulary=50)
GROUP = Workload(items=1, prompt=96, audio=0, responses=(32, 32, 32), rollouts=3, longest=32)


def kept_by_autograd(work: Workload, *, mixed: bool, full: bool, joins: bool) -> int:
    """Bytes of the distinct tensors that one more layer makes autograd keep, weights and their casts left out."""
    settings = {"mixed": mixed, "full": full, "joins": joins}
    return _saved_bytes(work, 2, **settings) - _saved_bytes(work, 1, **settings)


def _saved_bytes(work: Workload, layers: int, *, mixed: bool, full: bool, joins: bool) -> int:
    torch.manual_seed(0)
    config = Qwen2Config(
        hidden_size=SMALL.hidden,
        intermediate_size=SMALL.intermediate,
        num_hidden_layers=layers,
        num_attention_heads=SMALL.heads,
        num_key_value_heads=SMALL.kv_heads,
        vocab_size=SMALL.vocabulary,
    )
    dtype = torch.bfloat16 if mixed else torch.float32
    model = Qwen2ForCausalLM._from_config(config, dtype=dtype, attn_implementation="sdpa")
    if not full:
        model = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear"))
        if joins:
            join_products(model)
    decoder = (model if full else model.get_base_model()).model
    enable_layout_attention(decoder.config)
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    seen: dict[int, tuple[int, torch.Tensor]] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters and tensor.dim() > 0:
            seen[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no address comes again
        return tensor

    lengths = [work.prompt, *work.responses]
    layout = TreeLayout(lengths, [None, *[0] * len(work.responses)])
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=mixed),
    ):
        decoder(
            inputs_embeds=torch.randn(1, sum(lengths), SMALL.hidden, dtype=dtype),
            attention_mask=torch.zeros(1, 1, 1, 1),
            position_ids=layout.positions[None],
            use_cache=False,
            layout=layout,
        )
    return sum(size for size, _ in seen.values())


@pytest.mark.parametrize(("full", "joins"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize("mixed", [False, True], ids=["float32", "bf16-mixed"])
def test_a_layers_activations_are_what_autograd_keeps_of_it(mixed: bool, full: bool, joins: bool) -> None:
    """The base has the type of the computation, so joint products copy nothing."""
    computing = replace(MIXED, casts=not full and not joins) if mixed else FLOAT32
    computed = formulas.layer_activations(SMALL, GROUP, computing, rank=0 if full else 8)
    measured = kept_by_autograd(GROUP, mixed=mixed, full=full, joins=joins)
    assert computed == pytest.approx(
        measured, rel=0.04
    )  # a few numbers a token, and casts of the adapters' weights


def test_a_tokens_keys_and_values_take_half_a_megabyte_in_the_7b_model() -> None:
    assert formulas.kv_bytes_per_token(SEVEN_B, MIXED) == 2 * 32 * 32 * 128 * 2 == 524_288
    shared = replace(SEVEN_B, kv_heads=4)  # GQA
    assert formulas.kv_bytes_per_token(shared, MIXED) == 65_536


def test_a_cache_holds_the_prompt_once_and_buffers_that_double() -> None:
    work = Workload(items=2, prompt=100, audio=0, responses=(), rollouts=8, longest=65)
    token = formulas.kv_bytes_per_token(SEVEN_B, MIXED)
    assert formulas.rollout_cache(SEVEN_B, work, MIXED) == 2 * (100 + 8 * 128) * token
    plain = replace(work, shares=False)
    assert formulas.rollout_cache(SEVEN_B, plain, MIXED) == 2 * 8 * (100 + 128) * token
    assert formulas.rollout_cache(SEVEN_B, replace(work, rollouts=0), MIXED) == 0


def test_a_tokens_activations_in_the_7b_model_by_hand() -> None:
    work = Workload(items=1, prompt=1, audio=0, responses=(0,))
    wide, inner = 4096, 11008
    by_hand = 2 * wide * 4  # the residual stream before both norms
    by_hand += (5 * wide + wide + inner) * 2  # the adapters' own copies of their inputs
    by_hand += (2 * wide + 3 * inner + 7 * 8) * 2  # queries, attention's output, feed-forward part, r numbers
    by_hand += 2 * (2 * wide) * 2  # keys and values: as the prompt's, and before the empty response
    assert formulas.layer_activations(SEVEN_B, work, MIXED, rank=8) == by_hand == 186_480 + 32_768


def test_logits_of_a_frozen_head_are_a_chunk_and_of_a_trained_one_all_that_count() -> None:
    work = Workload(items=1, prompt=10, audio=0, responses=(1000,))
    rows = 4_000_000 // 156032
    assert (
        formulas.training_logits(SEVEN_B, work, MIXED, head_trained=False)
        == rows * 156032 * (4 + 8) + 1000 * 4096 * 2
    )
    assert formulas.training_logits(SEVEN_B, work, MIXED, head_trained=True) == 1000 * 156032 * 14


def test_the_encoder_keeps_two_positions_for_each_audio_token() -> None:
    encoder = AudioEncoderShape(layers=3, hidden=10, intermediate=20, features=10, longest=750)
    work = Workload(items=2, prompt=50, audio=40, responses=(5,))
    assert formulas.encoder_activations(encoder, work, FLOAT32) == 3 * (2 * 40 * 2) * (90 + 40) * 4
    assert formulas.audio_features(encoder, SMALL, work) == 2 * 40 * (10 + 64) * 4


def test_layers_that_are_computed_again_leave_what_each_begins_with_and_one_at_work() -> None:
    layer = formulas.layer_activations(SMALL, GROUP, FLOAT32, rank=8)
    begins = GROUP.tokens * SMALL.hidden * 4
    computed = formulas.activations(SMALL, GROUP, FLOAT32, rank=8, recompute_every=1)
    assert computed == layer + begins * (SMALL.layers + 1)


@pytest.mark.parametrize(
    ("layers", "every", "held"), [(8, 0, 8), (8, 1, 1), (8, 2, 4), (8, 4, 6), (9, 4, 7), (9, 2, 5), (2, 4, 1)]
)
def test_layers_held_at_the_peak(layers: int, every: int, held: int) -> None:
    """Walks through a pass: layers that are kept, and one that is computed again while those above it are gone."""
    again = [every > 0 and layer % every == 0 for layer in range(layers)]
    forward = again.count(False)
    backward = [again[:layer].count(False) + 1 for layer in range(layers) if again[layer]]
    assert formulas.held_layers(layers, every) == held == max([forward, *backward])
