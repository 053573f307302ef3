"""Bytes that a step holds, by arithmetic on the model's measures and on token counts.

The tensors that autograd keeps in a decoder layer of Llama's kind were listed with torch's `saved_tensors_hooks`
(transformers 5, PEFT 0.21; `tests/estimation` counts them again). The rest follows from this project's own code.
"""

from dataclasses import dataclass

from lalm_ambig.estimation.shapes import AudioEncoderShape, DecoderShape, Shapes
from lalm_ambig.estimation.workload import Workload
from lalm_ambig.policies.attention.rollout_cache import FIRST_ROOM
from lalm_ambig.policies.log_probs import LOGITS_AT_ONCE

FLOAT32 = 4
STATES = 3
"""Tensors of all tokens' states before and after the layers."""
FORWARD_TENSORS, BACKWARD_TENSORS = 5, 4
"""Tensors of a layer's feed-forward part that each pass holds beside what is kept."""
PROJECTIONS = 7
"""Linear layers of a decoder layer, each with an adapter."""


@dataclass(frozen=True)
class ComputeTypes:
    """Sizes of the types that a pass computes in."""

    bytes: int
    """Bytes of a number in the layers' products."""
    lora_bytes: int
    """Bytes of a number in an adapter's products."""
    casts: bool
    """Whether each adapted layer copies its input, which has another type than its product."""
    joins: bool = False
    """Whether a layer and its adapter are one product, which keeps no copy of the weight."""


def kv_bytes_per_token(decoder: DecoderShape, computing: ComputeTypes) -> int:
    r"""Bytes of the keys and values of one token in all layers.

    $$2 \cdot \text{layers} \cdot \text{kv\_heads} \cdot \text{head\_dim} \cdot \text{bytes per number}$$
    """
    return 2 * decoder.layers * decoder.kv_heads * decoder.head_dim * computing.bytes


def rollout_cache(decoder: DecoderShape, work: Workload, computing: ComputeTypes) -> int:
    """Bytes of the keys and values while K responses per prompt are sampled; 0 where none are sampled.

    With shared prompts, those of a prompt are kept once for its group; without, K times. Each response has buffers that
    start at 64 tokens and double (`policies.attention.rollout_cache`).
    """
    if not work.rollouts:
        return 0
    prompts = 1 if work.shares else work.rollouts
    tokens = prompts * work.prompt + work.rollouts * _buffer_length(work.longest)
    return work.items * tokens * kv_bytes_per_token(decoder, computing)


def _buffer_length(tokens: int) -> int:
    room = FIRST_ROOM
    while room < tokens:
        room *= 2
    return room


def layer_activations(decoder: DecoderShape, work: Workload, computing: ComputeTypes, *, rank: int) -> int:
    """Bytes that autograd keeps of one decoder layer over a training pass, without activation checkpointing.

    Per token:

    - the residual stream before both norms, in float32;
    - the norms' outputs, which adapters keep: one copy, or one for each of the five layers that read them;
    - queries, the attention's output and its contiguous copy;
    - gate, its SiLU, up and their product;
    - the adapters' r numbers;
    - under full fine-tuning (rank 0) also the norms' normalised input.

    Per response: its keys and values with those of its prompt, and its mask.
    """
    wide, inner = decoder.hidden, decoder.intermediate
    attention, kv = decoder.heads * decoder.head_dim, decoder.kv_heads * decoder.head_dim
    inputs = (5 if computing.casts else 2) * wide + attention + inner
    per_token = (
        2 * wide * FLOAT32
        + inputs * computing.lora_bytes
        + (2 * attention + 3 * inner + PROJECTIONS * rank) * computing.bytes
        + (0 if rank else 2 * wide * computing.bytes)
    )
    seen = sum(work.prompt + response for response in work.responses) + (work.prompt if work.shares else 0)
    masks = sum(response * (work.prompt + response) for response in work.responses) if work.shares else 0
    return work.tokens * per_token + work.items * (2 * kv * seen + masks) * computing.bytes


def activations(
    decoder: DecoderShape, work: Workload, computing: ComputeTypes, *, rank: int, recompute_every: int = 0
) -> int:
    """Bytes that autograd keeps of a training pass: all layers, and the states before and after them.

    Layers that are computed again keep their input only. When the last of them is, those above it are done with.
    """
    layer = layer_activations(decoder, work, computing, rank=rank)
    states = work.tokens * decoder.hidden * FLOAT32
    if recompute_every:
        again = -(-decoder.layers // recompute_every)
        return held_layers(decoder.layers, recompute_every) * layer + (again + 1) * states
    return decoder.layers * layer + STATES * states


def held_layers(layers: int, recompute_every: int) -> int:
    """Most layers whose activations are held at once, with that which is being computed again."""
    if not recompute_every:
        return layers
    kept = layers - -(-layers // recompute_every)
    above = (layers - 1) % recompute_every
    return max(kept, kept - above + 1)


def layer_at_work(
    decoder: DecoderShape, tokens: int, computing: ComputeTypes, *, recompute_every: int = 0
) -> int:
    """Bytes that a layer in progress holds beside what is kept: tensors of its feed-forward part.

    Where layers are computed again the peak is in the backward pass, otherwise at the end of the forward pass. The
    numbers of tensors are those that peaks on a pretend accelerator show (`tests/gpu/memory_cases.py`).
    """
    return (
        (BACKWARD_TENSORS if recompute_every else FORWARD_TENSORS)
        * tokens
        * decoder.intermediate
        * computing.bytes
    )


def weight_copies(shapes: Shapes, computing: ComputeTypes, *, recompute_every: int = 0) -> int:
    """Bytes of autocast's copies of weights of a wider type, which autograd keeps for the backward pass.

    Of the decoder's linear layers, as many as activations are held of. Quantised weights and those of a joint product
    are not kept, but the largest is made whole at a time.
    """
    if not shapes.quantised and shapes.base_bytes == computing.bytes:
        return 0
    if shapes.quantised or computing.joins:
        return shapes.decoder.hidden * shapes.decoder.intermediate * computing.bytes
    layers = shapes.decoder.layers
    return shapes.linear * computing.bytes * held_layers(layers, recompute_every) // layers


def head_copy(shapes: Shapes, computing: ComputeTypes) -> int:
    """Bytes of autocast's copy of the head; 0 where the head has the type of the computation."""
    return 0 if shapes.base_bytes == computing.bytes else shapes.head * computing.bytes


def encoder_activations(encoder: AudioEncoderShape, work: Workload, computing: ComputeTypes) -> int:
    """Bytes that autograd keeps of a trained audio encoder.

    They are the inputs and outputs of both norms, queries, keys, values, the attention's output twice, and the
    feed-forward part before and after its activation.
    """
    positions = work.items * work.audio * encoder.states_per_token
    numbers = 9 * encoder.hidden + 2 * encoder.intermediate
    return encoder.layers * positions * numbers * computing.bytes


def training_logits(
    decoder: DecoderShape, work: Workload, computing: ComputeTypes, *, head_trained: bool
) -> int:
    """Bytes of the logits while log-probabilities are computed (`policies.log_probs`).

    With a frozen head: one chunk in the computed type, in float32 and as probabilities, and the gradient of each
    counted token. A trained head keeps the logits of all counted tokens, in float32 and for the cross-entropy's
    gradient.
    """
    rows = min(work.counted, max(1, LOGITS_AT_ONCE // decoder.vocabulary))
    if head_trained:
        return work.counted * decoder.vocabulary * (computing.bytes + 3 * FLOAT32)
    chunk = rows * decoder.vocabulary * (2 * computing.bytes + 2 * FLOAT32)
    return chunk + work.counted * decoder.hidden * computing.bytes


def step_logits(decoder: DecoderShape, rows: int, computing: ComputeTypes) -> int:
    """Bytes of the logits of one decoding step: once in the computed type, and three times in float32 for sampling."""
    return rows * decoder.vocabulary * (computing.bytes + 3 * FLOAT32)


def audio_features(encoder: AudioEncoderShape, decoder: DecoderShape, work: Workload) -> int:
    """Bytes of a batch's audio features from the encoder and from the projector, in float32."""
    return work.items * work.audio * (encoder.features + decoder.hidden) * FLOAT32
