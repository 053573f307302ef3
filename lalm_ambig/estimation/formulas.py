"""Bytes of what a step holds, as plain arithmetic over measures and token counts.

Sources: which tensors autograd keeps in a decoder layer of Llama's kind was listed with torch's `saved_tensors_hooks`
(transformers 5, PEFT 0.21; `tests/estimation` counts them again), the rest follows from this project's own code.
"""

from dataclasses import dataclass

from lalm_ambig.estimation.shapes import POSITIONS_PER_TOKEN, Decoder, Encoder
from lalm_ambig.estimation.workload import Workload
from lalm_ambig.policies.attention.rollout_cache import FIRST_ROOM
from lalm_ambig.policies.log_probs import LOGITS_AT_ONCE

FLOAT32 = 4
PROJECTIONS = 7
"""Linear layers of a decoder layer, each with an adapter."""


@dataclass(frozen=True)
class Computing:
    """The types that a pass computes in."""

    bytes: int
    """Of a number in the layers' products."""
    lora_bytes: int
    """Of a number in an adapter's products."""
    casts: bool
    """Whether each adapter makes a copy of its input of its own: where its weights have another type than the model."""


def kv_bytes_per_token(decoder: Decoder, computing: Computing) -> int:
    """Keys and values of one token in all layers: 2 · layers · kv_heads · head_dim · bytes of a number."""
    return 2 * decoder.layers * decoder.kv_heads * decoder.head_dim * computing.bytes


def rollout_cache(decoder: Decoder, work: Workload, computing: Computing) -> int:
    """Keys and values while K responses to each prompt are sampled; 0 where none are.

    A prompt's are kept once for its group; a response has buffers that double from 64 tokens on (`rollout_cache`).
    The plain way keeps a prompt's K times.
    """
    if not work.rollouts:
        return 0
    prompts = 1 if work.shares else work.rollouts
    tokens = prompts * work.prompt + work.rollouts * _room(work.longest)
    return work.items * tokens * kv_bytes_per_token(decoder, computing)


def _room(tokens: int) -> int:
    room = FIRST_ROOM
    while room < tokens:
        room *= 2
    return room


def layer_activations(decoder: Decoder, work: Workload, computing: Computing, *, rank: int) -> int:
    """What autograd keeps of one decoder layer over a training pass, no activation checkpointing.

    Of each token: the residual stream before both norms in float32; the norms' outputs, which adapters keep (one copy,
    or one for each of the five layers that read them); queries, the attention's output and its contiguous copy; gate,
    its SiLU, up and their product; the adapters' r numbers. Under full fine-tuning (rank 0) the norms keep their
    normalised input as well. Keys and values are kept per response, the prompt's before it each time, and a response's
    mask with them.
    """
    wide, inner = decoder.hidden, decoder.intermediate
    attention, kept = decoder.heads * decoder.head_dim, decoder.kv_heads * decoder.head_dim
    inputs = (5 if computing.casts else 2) * wide + attention + inner
    per_token = (
        2 * wide * FLOAT32
        + inputs * computing.lora_bytes
        + (2 * attention + 3 * inner + PROJECTIONS * rank) * computing.bytes
        + (0 if rank else 2 * wide * computing.bytes)
    )
    seen = sum(work.prompt + response for response in work.behind) + (work.prompt if work.shares else 0)
    masks = sum(response * (work.prompt + response) for response in work.behind) if work.shares else 0
    return work.tokens * per_token + work.items * (2 * kept * seen + masks) * computing.bytes


def activations(
    decoder: Decoder, work: Workload, computing: Computing, *, rank: int, recomputes: bool = False
) -> int:
    """What autograd keeps of a training pass: all layers, one more for the one that is computed, and embeddings.

    Where layers are computed again (`checkpoint_activations`), only what each begins with, and two at work.
    """
    layer = layer_activations(decoder, work, computing, rank=rank)
    if recomputes:
        return 2 * layer + (decoder.layers + 3) * work.tokens * decoder.hidden * FLOAT32
    return (decoder.layers + 1) * layer + 3 * work.tokens * decoder.hidden * FLOAT32


def encoder_activations(encoder: Encoder, work: Workload, computing: Computing) -> int:
    """What autograd keeps of an audio encoder that is trained: inputs and outputs of both norms, queries, keys, values,
    the attention's output twice, and the feed-forward part before and behind its activation."""
    positions = work.items * work.audio * POSITIONS_PER_TOKEN
    numbers = 9 * encoder.hidden + 2 * encoder.intermediate
    return encoder.layers * positions * numbers * computing.bytes


def training_logits(decoder: Decoder, work: Workload, computing: Computing, *, head_trained: bool) -> int:
    """Logits while log-probabilities are made (`policies.log_probs`).

    A frozen head: a chunk in the computed type, in float32 and as shares, and each counted token's slope. A trained one
    keeps all counted tokens' logits, in float32 and for the gradient of the cross-entropy.
    """
    rows = min(work.counted, max(1, LOGITS_AT_ONCE // decoder.vocabulary))
    if head_trained:
        return work.counted * decoder.vocabulary * (computing.bytes + 3 * FLOAT32)
    chunk = rows * decoder.vocabulary * (2 * computing.bytes + 2 * FLOAT32)
    return chunk + work.counted * decoder.hidden * computing.bytes


def step_logits(decoder: Decoder, rows: int, computing: Computing) -> int:
    """Logits of one decoding step: the rows' in the computed type, and three times in float32 for choosing."""
    return rows * decoder.vocabulary * (computing.bytes + 3 * FLOAT32)


def audio_features(encoder: Encoder, decoder: Decoder, work: Workload) -> int:
    """A batch's audio features as the encoder gives them and as the projector does, in float32."""
    return work.items * work.audio * (encoder.hidden + decoder.hidden) * FLOAT32
