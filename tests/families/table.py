"""The text families that are tried as tiny random checkpoints: one row per family.

A row names the family as `AutoConfig` does, its settings beside `checkpoints.SIZES`, and what is special about it.
Hybrids have at least one layer of each kind. Windows and chunks are smaller than the prompts of the tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WINDOW = 64
"""Tokens that a layer with a window or with chunks sees."""
CAP = 2.0
"""Of logits that a family caps: low enough to change those of a random model."""


@dataclass(frozen=True)
class Family:
    """One row: a family and the settings of its tiny checkpoint."""

    name: str
    """`model_type` of the configuration."""
    settings: Mapping[str, Any]
    """What differs from `checkpoints.SIZES`."""
    note: str = ""
    """What is special: kinds of layers, the head, windows, experts."""


SSD = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_chunk_size": 16}
DELTA = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
LATENT = {
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "num_key_value_heads": 4,
}
ROUTED = {
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
}
SLIDING: dict[str, Any] = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
LINEAR = {"layer_types": ["linear_attention", "full_attention"]}
CONVOLUTION = {"layer_types": ["conv", "full_attention"]}

HYBRIDS = (
    Family("bamba", {**SSD, "attn_layer_indices": [1]}, "Mamba 2 and attention"),
    Family(
        "falcon_h1",
        {**SSD, "mamba_d_ssm": 128, "lm_head_multiplier": 0.5, "initializer_range": 0.2},
        "Mamba 2 beside attention; scaled logits",
    ),
    Family(
        "jamba",
        {"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 4, "mamba_d_state": 8},
        "Mamba and attention; fused experts",
    ),
    Family(
        "zamba2",
        {
            "layers_block_type": ["linear_attention", "hybrid"] * 2,
            "num_hidden_layers": 4,
            "num_key_value_heads": 4,
            "time_step_min": 0.01,
            "n_mamba_heads": 8,
            "mamba_d_state": 8,
            "chunk_size": 16,
            "adapter_rank": 8,
            "use_mem_rope": True,
        },
        "Mamba 2 and one attention block that several layers share; cached steps leave a bound on time steps out",
    ),
    Family("mamba", {"state_size": 8, "initializer_range": 0.2}, "Mamba alone"),
    Family(
        "mamba2",
        {"num_heads": 8, "state_size": 8, "n_groups": 2, "chunk_size": 16, "initializer_range": 0.2},
        "Mamba 2 alone",
    ),
    Family("falcon_mamba", {"state_size": 8}, "Mamba alone"),
    Family(
        "rwkv", {"context_length": 2048, "rescale_every": 1}, "a recurrence alone; rescaled in evaluation"
    ),
    Family(
        "recurrent_gemma",
        {"num_hidden_layers": 3, "attention_window_size": WINDOW, "lru_width": 64, "logits_soft_cap": CAP},
        "a linear recurrence and windowed attention; soft cap on logits",
    ),
    Family(
        "nemotron_h",
        {
            "layers_block_type": ["linear_attention", "full_attention", "mlp", "moe"],
            "initializer_range": 0.2,
            "ssm_state_size": 8,
            "mamba_num_heads": 8,
            "mamba_head_dim": 16,
            "n_groups": 2,
            "chunk_size": 16,
            "n_routed_experts": 4,
            "moe_intermediate_size": 32,
            "moe_shared_expert_intermediate_size": 32,
        },
        "Mamba 2, attention and fused experts as layers of their own; cached steps as in Zamba 2",
    ),
    Family(
        "granitemoehybrid",
        {
            **SSD,
            **LINEAR,
            "num_local_experts": 4,
            "shared_intermediate_size": 32,
            "logits_scaling": 2.0,
            "attention_multiplier": 0.25,
        },
        "Mamba 2 and attention; fused experts; scaled logits",
    ),
    Family("lfm2", {**CONVOLUTION, "block_multiple_of": 16}, "short convolutions and attention"),
    Family(
        "lfm2_moe",
        {**CONVOLUTION, **EXPERTS, "num_dense_layers": 1},
        "short convolutions and attention; fused experts",
    ),
    Family("qwen3_5_text", {**LINEAR, **DELTA}, "gated delta rule and attention"),
    Family(
        "qwen3_next",
        {**LINEAR, **DELTA, **EXPERTS, "shared_expert_intermediate_size": 32},
        "gated delta rule and attention; fused experts",
    ),
    Family(
        "kimi_linear",
        {
            **LINEAR,
            **LATENT,
            "q_lora_rank": None,
            "moe_intermediate_size": 32,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "mlp_layer_types": ["dense", "sparse"],
            "linear_head_dim": 16,
            "linear_num_heads": 4,
        },
        "delta rule and latent attention; fused experts",
    ),
    Family("olmo_hybrid", {**LINEAR, **DELTA, "linear_num_key_heads": 4}, "gated delta rule and attention"),
    Family(
        "minimax",
        {**LINEAR, "num_local_experts": 4, "block_size": 32},
        "lightning attention and attention; fused experts",
    ),
)

OWN_ATTENTION = (
    Family("stablelm", {"use_qkv_bias": True}),
    Family("phi", {}, "head with a bias"),
    Family("falcon", {"multi_query": True}),
    Family("mpt", {"max_seq_len": 2048, "emb_pdrop": 0.0}, "ALiBi"),
    Family("bloom", {}, "ALiBi"),
    Family("gpt_neox", {}),
    Family("gptj", {"rotary_dim": 8}, "head with a bias"),
    Family("codegen", {"rotary_dim": 8, "n_ctx": 2048}, "head with a bias"),
    Family("opt", {"ffn_dim": 96, "word_embed_proj_dim": 64, "init_std": 0.1}, "learnt positions"),
    Family("gpt2", {}, "learnt positions"),
    Family(
        "gpt_neo",
        {"attention_types": [[["global", "local"], 1]], "window_size": WINDOW},
        "learnt positions; a window",
    ),
    Family("gpt_bigcode", {}, "learnt positions"),
    Family("biogpt", {}, "learnt positions"),
    Family("xglm", {"ffn_dim": 96, "init_std": 0.1}, "sinusoidal positions"),
    Family("persimmon", {}),
    Family("jetmoe", {"kv_channels": 16, "num_local_experts": 4}, "experts in attention too"),
    Family(
        "dbrx",
        {
            "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 10_000.0},
            "ffn_config": {"ffn_hidden_size": 96, "moe_num_experts": 4, "moe_top_k": 2},
        },
        "experts fused in one matrix",
    ),
    Family("diffllama", {}, "differential attention"),
    Family(
        "xlstm",
        {
            "num_heads": 4,
            "chunk_size": 16,
            "qk_dim_factor": 1.0,
            "ffn_round_up_to_multiple_of": 16,
            "output_logit_soft_cap": CAP,
        },
        "matrix LSTM alone; soft cap on logits",
    ),
)

WINDOWED = (
    Family("mistral", {"sliding_window": WINDOW}, "a window in each layer"),
    Family(
        "gemma2",
        {
            **SLIDING,
            "query_pre_attn_scalar": 16,
            "final_logit_softcapping": CAP,
            "attn_logit_softcapping": CAP,
        },
        "a window; soft caps on attention and logits",
    ),
    Family("gemma3_text", {**SLIDING, "query_pre_attn_scalar": 16}, "a window"),
    Family(
        "gemma3n_text",
        {
            **SLIDING,
            "layer_types": SLIDING["layer_types"] * 2,
            "num_hidden_layers": 4,
            "num_kv_shared_layers": 2,
            "hidden_size_per_layer_input": 16,
            "altup_num_inputs": 2,
            "laurel_rank": 8,
            "final_logit_softcapping": CAP,
            "activation_sparsity_pattern": [0.95, 0.0, 0.0, 0.0],
        },
        "ids needed beside embeddings; a window; soft cap on logits",
    ),
    Family(
        "gemma4_text",
        {**SLIDING, "hidden_size_per_layer_input": 16, "num_kv_shared_layers": 0},
        "ids needed beside embeddings; a window",
    ),
    Family(
        "gpt_oss",
        {**SLIDING, "num_local_experts": 4, "num_experts_per_tok": 2},
        "a window; sinks; fused experts",
    ),
    Family("cohere2", {**SLIDING, "logit_scale": 0.5}, "a window; scaled logits"),
    Family(
        "llama4_text",
        {
            "layer_types": ["chunked_attention", "full_attention"],
            "no_rope_layers": [1, 0],
            "attention_chunk_size": WINDOW,
            "num_local_experts": 4,
            "moe_layers": [1],
            "intermediate_size_mlp": 96,
        },
        "chunks; fused experts",
    ),
    Family("olmo3", SLIDING, "a window"),
    Family("exaone4", {**SLIDING, "sliding_window_pattern": 2}, "a window"),
    Family("starcoder2", {"sliding_window": WINDOW}, "a window in each layer; tied head"),
    Family("phi3", {"sliding_window": WINDOW}, "a window in each layer"),
    Family(
        "modernbert-decoder",
        {"layer_types": SLIDING["layer_types"], "local_attention": 2 * WINDOW},
        "a window; head with a bias",
    ),
    Family("qwen2", {**SLIDING, "use_sliding_window": True}, "a window"),
)

ATTENTION = (
    Family("llama", {}),
    Family("qwen3", {"tie_word_embeddings": True}, "tied head"),
    Family("gemma", {}, "tied head"),
    Family("smollm3", {"no_rope_layers": [1, 0]}, "tied head; a layer without positions"),
    Family("olmo2", {}),
    Family(
        "granite",
        {"logits_scaling": 2.0, "attention_multiplier": 0.25, "residual_multiplier": 0.5},
        "scaled logits",
    ),
    Family("cohere", {"logit_scale": 0.5}, "scaled logits; tied head"),
    Family("glm4", {}),
    Family("nemotron", {}),
    Family("nanochat", {"final_logit_softcapping": CAP}, "soft cap on logits"),
    Family("ernie4_5", {}, "tied head"),
    Family("hunyuan_v1_dense", {}),
    Family("seed_oss", {"residual_dropout": 0.0}),
    Family("apertus", {}),
    Family("bitnet", {}),
    Family("qwen2_moe", {**EXPERTS, "shared_expert_intermediate_size": 32}, "fused experts"),
    Family("qwen3_moe", EXPERTS, "fused experts"),
    Family("mixtral", {"num_local_experts": 4}, "fused experts"),
    Family("phimoe", {"num_local_experts": 4, "lm_head_bias": True}, "fused experts; head with a bias"),
    Family("olmoe", {"num_experts": 4, "num_experts_per_tok": 2}, "fused experts"),
    Family("granitemoe", {"num_local_experts": 4, "logits_scaling": 2.0}, "fused experts; scaled logits"),
    Family("minimax_m2", {"num_local_experts": 4, "num_experts_per_tok": 2}, "fused experts"),
    Family("deepseek_v2", {**LATENT, **ROUTED}, "latent attention; fused experts"),
    Family(
        "deepseek_v3", {**LATENT, **ROUTED, "n_group": 2, "topk_group": 1}, "latent attention; fused experts"
    ),
    Family("glm4_moe", {**ROUTED, "n_group": 1, "num_mtp_layers": 0}, "fused experts"),
)

FAMILIES: tuple[Family, ...] = HYBRIDS + OWN_ATTENTION + WINDOWED + ATTENTION
