"""How many tokens a decoder has positions for, as its configuration says it.

Beyond them a table of learnt positions ends in an error of an index, and turned (rotary) positions are read without a
word at angles that the model has never seen. Both are the same to us: an item must fit.
"""

from typing import Any

NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_target_positions")
"""Where families keep the number: nearly all in the first; gpt2, gptj, codegen and ctrl in `n_positions`; mpt and dbrx
in `max_seq_len`; whisper's decoder in the last. `seq_length` and `context_length`, which old files of bloom and rwkv
have, are not among them: these models have no positions."""
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
"""Model types that count positions from behind the padding token's id on: so many fewer are left for the text."""
STRETCHED = ("linear",)
"""Kinds of rotary scaling that multiply what the configuration states."""
CHANGING = ("dynamic", "longrope")
"""Kinds of rotary scaling that take other frequencies for a whole batch once one of its texts passes a limit, and may
keep them for later ones: what a text says would depend on its neighbours, so texts stop at that limit."""


def position_limit(config: Any) -> int | None:
    """Longest text of a decoder in tokens; None where it has no limit, or states none.

    mpt's bias by distance is a table of fixed length in transformers, so its number is a limit; falcon's is made to
    measure, so with `alibi` it has none. A hybrid that was made without positions (granitemoehybrid,
    `position_embedding_type` other than `rope`) has none either.

    Args:
        config: A configuration of transformers; of a model with ears, that of its decoder is looked at.
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
    """Tokens beyond which rotary frequencies change for a whole batch (see `CHANGING`); None where they never do."""
    settings = config.get_text_config()
    found = vars(settings).get("rope_parameters") or {}
    kinds = [found] if "rope_type" in found else [kind for kind in found.values() if isinstance(kind, dict)]
    limits = [
        kind.get("original_max_position_embeddings") or settings.max_position_embeddings
        for kind in kinds
        if kind.get("rope_type") in CHANGING
    ]
    return min(limits, default=None)


def _stretched(stated: int, rope: Any) -> int:
    """Positions under rotary scaling, where the stated number is that without it. Only a scaling of all layers counts:
    families that set one for each kind of layer (gemma3) state the number that comes out."""
    factor = rope.get("factor") if isinstance(rope, dict) else None
    if not isinstance(factor, int | float):
        return 0
    kind = rope.get("rope_type")
    if kind in STRETCHED:
        return int(stated * factor)
    original = rope.get("original_max_position_embeddings")
    return int(original * factor) if kind == "yarn" and isinstance(original, int) else 0
