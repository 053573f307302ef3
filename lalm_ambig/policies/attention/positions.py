"""Number of tokens for which a decoder has positions, from its configuration.

Longer texts raise an index error in a table of learnt positions. Rotary positions give no error, but angles that the
model has never seen. In both cases an item must fit.
"""

from typing import Any

NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_target_positions")
"""Keys of the number in configurations. Nearly all families use the first; gpt2, gptj, codegen and ctrl `n_positions`;
mpt and dbrx `max_seq_len`; whisper's decoder the last. `seq_length` and `context_length` of old bloom and rwkv files
are left out: these models have no positions."""
WITHOUT = frozenset(
    (
        *("mamba", "mamba2", "falcon_mamba", "rwkv", "xlstm"),  # recurrent: nothing counts positions
        *(
            "jamba",
            "zamba",
            "nemotron_h",
        ),  # hybrids whose attention has none; the number is that of their training
        "recurrent_gemma",  # turned positions, but seen through a window of fixed length only
        "bloom",  # a bias by distance (ALiBi), made for whatever length there is
        *("xlnet", "cpmant"),  # relative distances, of which the far ones are one
    )
)
"""Model types whose texts may have any length."""
AFTER_PADDING = frozenset(
    (
        *("roberta", "roberta-prelayernorm", "camembert", "xlm-roberta", "xlm-roberta-xl", "xmod"),
        "data2vec-text",
    )
)
"""Model types that count positions from after the padding token's id; that many fewer are left for the text."""
STRETCHED = ("linear",)
"""Kinds of rotary scaling that multiply what the configuration states."""
CHANGING = ("dynamic", "longrope")
"""Kinds of rotary scaling whose frequencies change for an entire batch once one of its texts exceeds a limit. They may
stay changed for later batches. A text's states would depend on its neighbours, so texts stop at that limit."""


def position_limit(config: Any) -> int | None:
    """Longest text of a decoder in tokens; None if it has no limit, or states none.

    mpt's bias by distance is a table of fixed length in transformers, so its number is a limit; falcon's is made to
    measure, so with `alibi` it has none. A hybrid that was made without positions (granitemoehybrid,
    `position_embedding_type` other than `rope`) has none either.

    Args:
        config: A configuration of transformers; of an audio model the decoder's part is used.
    """
    text = config.get_text_config(decoder=True)
    kind = text.model_type
    if kind in WITHOUT or (kind == "falcon" and text.alibi):
        return None
    if kind == "granitemoehybrid" and text.position_embedding_type != "rope":
        return None
    settings = text.to_dict()
    stated = next((getattr(text, name) for name in NAMES if name in settings), None)
    if not isinstance(stated, int) or stated <= 0:
        return None
    if kind in AFTER_PADDING:
        stated -= (text.pad_token_id or 0) + 1
    limit = max(stated, _stretched(stated, settings.get("rope_parameters")))
    changing = rotary_limit(config)
    return limit if changing is None else min(limit, changing)


def rotary_limit(config: Any) -> int | None:
    """Length in tokens above which rotary frequencies change for a batch (see `CHANGING`); None if they never do."""
    settings = config.get_text_config()
    rope = vars(settings).get("rope_parameters") or {}
    kinds = [rope] if "rope_type" in rope else [kind for kind in rope.values() if isinstance(kind, dict)]
    limits = [
        kind.get("original_max_position_embeddings") or settings.max_position_embeddings
        for kind in kinds
        if kind.get("rope_type") in CHANGING
    ]
    return min(limits, default=None)


def _stretched(stated: int, rope: Any) -> int:
    """Positions under rotary scaling, if the stated number is that without it; otherwise 0.

    Only a scaling of all layers counts: families with one per kind of layer (gemma3) state the scaled number.
    """
    factor = rope.get("factor") if isinstance(rope, dict) else None
    if not isinstance(factor, int | float):
        return 0
    kind = rope.get("rope_type")
    if kind in STRETCHED:
        return int(stated * factor)
    original = rope.get("original_max_position_embeddings")
    return int(original * factor) if kind == "yarn" and isinstance(original, int) else 0
