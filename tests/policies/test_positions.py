"""How long a text a decoder takes, by what configurations of transformers say."""

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, Qwen2_5OmniThinkerConfig, Qwen2AudioConfig

from lalm_ambig.policies.attention.positions import position_limit

STATED: list[tuple[str, dict[str, Any], int | None]] = [
    ("llama", {"max_position_embeddings": 2048}, 2048),
    ("gpt2", {"n_positions": 512}, 512),
    ("gptj", {"n_positions": 300}, 300),
    ("codegen", {"n_positions": 300, "n_ctx": 900}, 300),
    ("ctrl", {"n_positions": 256}, 256),
    ("mpt", {"max_seq_len": 640}, 640),
    ("dbrx", {"max_seq_len": 640}, 640),
    ("opt", {"max_position_embeddings": 640}, 640),
    ("whisper", {}, 448),
    ("roberta", {"max_position_embeddings": 514, "pad_token_id": 1}, 512),
    ("falcon", {"max_position_embeddings": 640}, 640),
    ("falcon", {"max_position_embeddings": 640, "alibi": True}, None),
    ("granitemoehybrid", {"max_position_embeddings": 640, "position_embedding_type": "rope"}, 640),
    ("granitemoehybrid", {"max_position_embeddings": 640}, None),
    ("bloom", {"seq_length": 640}, None),
    ("xlnet", {}, None),
    ("rwkv", {"context_length": 640}, None),
    ("mamba2", {}, None),
    ("falcon_mamba", {}, None),
    ("recurrent_gemma", {}, None),
    ("jamba", {"max_position_embeddings": 640}, None),
    ("nemotron_h", {"max_position_embeddings": 640}, None),
    ("zamba2", {"max_position_embeddings": 640}, 640),
    ("falcon_h1", {"max_position_embeddings": 640}, 640),
    ("gemma3_text", {"max_position_embeddings": 640}, 640),
]


@pytest.mark.parametrize(("family", "settings", "limit"), STATED)
def test_the_limit_is_the_number_of_positions(
    family: str, settings: dict[str, Any], limit: int | None
) -> None:
    assert position_limit(AutoConfig.for_model(family, **settings)) == limit


@pytest.mark.parametrize(
    ("rope", "limit"),
    [
        ({"rope_type": "default"}, 1000),
        ({"rope_type": "linear", "factor": 4.0}, 4000),
        ({"rope_type": "dynamic", "factor": 2.5}, 1000),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1000}, 4000),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 250}, 1000),
        (
            {
                "rope_type": "llama3",
                "factor": 8.0,
                "original_max_position_embeddings": 125,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
            },
            1000,
        ),
    ],
)
def test_stretched_positions_count(rope: dict[str, Any], limit: int) -> None:
    settings = {"rope_theta": 10_000.0, **rope}
    config = AutoConfig.for_model("llama", max_position_embeddings=1000, rope_parameters=settings)
    assert position_limit(config) == limit


def test_a_model_with_ears_has_its_decoders_limit() -> None:
    assert (
        position_limit(Qwen2AudioConfig(text_config={"model_type": "qwen2", "max_position_embeddings": 77}))
        == 77
    )
    assert position_limit(Qwen2_5OmniThinkerConfig(text_config={"max_position_embeddings": 77})) == 77


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("gpt2", {"n_positions": 8, "n_embd": 16, "n_head": 2, "n_layer": 1}),
        ("mpt", {"max_seq_len": 8, "d_model": 16, "n_heads": 2, "n_layers": 1}),
        (
            "opt",
            {
                "max_position_embeddings": 8,
                "hidden_size": 16,
                "num_attention_heads": 2,
                "num_hidden_layers": 1,
            },
        ),
    ],
)
def test_a_table_of_positions_ends_where_the_limit_says(family: str, settings: dict[str, Any]) -> None:
    config = AutoConfig.for_model(
        family, vocab_size=11, pad_token_id=0, eos_token_id=1, bos_token_id=1, **settings
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    limit = position_limit(config)
    assert limit == 8
    assert model(torch.ones(1, limit, dtype=torch.long)).logits.shape[1] == limit
    with pytest.raises((IndexError, RuntimeError)):
        model(torch.ones(1, limit + 1, dtype=torch.long))
