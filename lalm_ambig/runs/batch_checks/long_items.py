"""Items that are too long for the model. They are refused or left out before anything is trained or answered.

An item must fit together with the longest response that may follow it. Only items that could be too long are tokenised:
a token has at least one byte of the text that the tokenizer normalises, so bytes bound tokens.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item, Portion
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.data.items import Items
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.attention.positions import position_limit

GROWTH = 11
"""Most bytes that Unicode's normal forms make of one byte: U+FDFA has 3 bytes, and 33 when spelt out."""
SPARE = 16
"""Tokens added to the bound, since a tokenizer may split the prompt differently around a text, or add a blank."""
RATE_HZ = 25
"""Audio tokens per second, of every model here."""
SHOWN = 3
"""Items that a message names."""


@dataclass(frozen=True)
class LongItem:
    """An item that does not fit; its parts are in tokens."""

    id: str
    split: Portion
    prompt: int
    fixed_response: int
    """The curated response, or an answer without reasoning."""
    appended: int
    """The part that is appended to the policy's text, to read its answer."""
    written: int
    """The longest text that the policy writes."""

    @property
    def response(self) -> int:
        """The longest response that may follow."""
        return max(self.fixed_response, self.appended + self.written)

    @property
    def tokens(self) -> int:
        return self.prompt + self.response

    def __str__(self) -> str:
        return f"{self.id} ({self.tokens:,} tokens, {self.response:,} of them for a response)"


@dataclass(frozen=True)
class LeftOut:
    """Items that the policy will not see."""

    ids: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    """For the user, one line each."""


def leave_out_long(model: Method, data: DataModule, encoder: Encoder, *, training: bool) -> LeftOut:
    """Find the items that do not fit, and refuse them unless `data.skip_long` is set.

    The first process looks, and all processes take its answer.

    Args:
        model: The method, which limits the length of responses.
        data: Data that is read, for the splits that the policy sees.
        encoder: The encoder of a loaded policy.
        training: Whether the options of `fit` are named as remedies, not those of `evaluate`.

    Raises:
        InputError: Items do not fit and may not be left out, or nothing of a split would be left.
    """
    limit = position_limit(encoder.policy.base.config)
    if limit is None:
        return LeftOut()
    long_items = distributed.on_rank_zero(lambda: too_long(model, data, encoder, limit=limit))
    if not long_items:
        return LeftOut()
    where = f"corpus {data.corpus.name}"
    counts = {split: len(data.items(split)) for split in data.needs.splits}
    count = f"{len(long_items):,} of {sum(counts.values()):,}"
    what = f"{count} items do not fit into the model's {limit:,} positions"
    listed = ", ".join(map(str, long_items[:SHOWN])) + (", …" if len(long_items) > SHOWN else "")
    if not data.skip_long:
        option = "--data.skip_long true" if training else "--skip-long"
        ways = [f"{option} leaves such items out", *_shorter(long_items, limit=limit, training=training)]
        raise InputError(f"{what}: {listed}.", where=where, remedy=f"{', or '.join(ways)}.")
    ids = frozenset(item.id for item in long_items)
    rest = data.without(ids)
    emptied = next((split for split, count in counts.items() if count and not rest.items(split)), None)
    if emptied is not None:
        raise InputError(
            f"every item of the {emptied} split is too long for the model's {limit:,} positions: {listed}.",
            where=where,
        )
    return LeftOut(ids, (f"{what} and are left out: {listed}",))


def refuse_long(model: Method, encoder: Encoder, *, prompt: int) -> None:
    """Check that a single question fits together with its answer.

    Args:
        model: The method, which limits the length of responses.
        encoder: The encoder of a loaded policy.
        prompt: Tokens of the question's prompt.

    Raises:
        InputError: It does not fit.
    """
    limit = position_limit(encoder.policy.base.config)
    long = _measured(model, encoder, "test", prompt=prompt)
    if limit is None or long.tokens <= limit:
        return
    ways = _shorter([long], limit=limit, training=False) or ["give a shorter one"]
    raise InputError(
        f"it does not fit into the model's {limit:,} positions: {long}:",
        where="predict",
        remedy=f"{ways[0]}.",
    )


def too_long(model: Method, data: DataModule, encoder: Encoder, *, limit: int) -> list[LongItem]:
    """Return the items of the policy's splits that do not fit, in the corpus's order.

    Args:
        model: The method, which limits the length of responses.
        data: Data that is read.
        encoder: The encoder of a loaded policy.
        limit: Most tokens of an item with its response.
    """
    long_items = []
    for split in data.needs.splits:
        reads_curated = any(reader.needs_rationale for reader in model.readers)
        curated = model.needs_rationale if split == "train" else reads_curated
        items = data.items(split, with_rationale=split == "train" and model.needs_rationale)
        bare = _measured(model, encoder, split, prompt=0)
        for item in _could_be(items, encoder, curated=curated, room=limit - bare.response):
            fixed = encoder.curated_length(item) if curated and item.rationale else bare.fixed_response
            long = replace(bare, id=item.id, prompt=_prompt_tokens(encoder, item), fixed_response=fixed)
            if long.tokens > limit:
                long_items.append(long)
    return long_items


def _measured(model: Method, encoder: Encoder, split: Portion, *, prompt: int) -> LongItem:
    """Return an item of a split without a curated response.

    Reasoning is followed by the rest of the form and a class name. A verbalised answer is all of the response.
    """
    shortest = _shortest(encoder)
    evaluated = model.generation.max_new_tokens if model.generates_text else 0
    written = model.sampled_tokens if split == "train" else evaluated
    return LongItem("input", split, prompt, shortest, 0 if encoder.answer is None else shortest, written)


def _shorter(long_items: Sequence[LongItem], *, limit: int, training: bool) -> list[str]:
    """Return the settings that would let all items in, if only the policy's own text is too long."""
    room = limit - max(item.prompt + item.appended for item in long_items)
    if room < 1 or any(item.prompt + item.fixed_response > limit for item in long_items):
        return []
    ours = "model.generation.max_new_tokens" if training else "--max-new-tokens"
    splits = {item.split for item in long_items}
    keys = ["model.sampling.max_new_tokens"] * ("train" in splits) + [ours] * bool(splits - {"train"})
    return [f"{' and '.join(keys)} of at most {room:,} lets them in"]


def _shortest(encoder: Encoder) -> int:
    """Return tokens of the longest answer in the prescribed form, without reasoning."""
    count = len(encoder.categories)
    rows = [tuple(float(place == chosen) for place in range(count)) for chosen in range(count)]
    return max(encoder.curated_length(Item(id="", votes=votes, text="", rationale="")) for votes in rows)


def _could_be(items: Items, encoder: Encoder, *, curated: bool, room: int) -> Iterator[Item]:
    """Yield the items whose prompt may be longer than the room, by an upper bound."""
    view = items.view
    if not len(view):
        return
    seconds = view.durations_s().numpy()
    if encoder.policy.window_s:
        seconds = np.minimum(seconds, encoder.policy.window_s)
    heard = seconds > 0
    texts = _tokens_at_most(*view.sizes("text")) + _tokens_at_most(*view.sizes("about_annotator"))
    bound = texts + np.ceil(seconds * RATE_HZ) + SPARE
    blank = Item(id="", votes=(1.0,) * len(encoder.categories), text="")
    if heard.any():
        bound += heard * len(encoder.prompt_ids(blank, audio_tokens=1))
    if not heard.all():
        bound += ~heard * len(encoder.prompt_ids(blank))
    if curated:
        bound += _tokens_at_most(*items.sizes("rationale")) + _shortest(encoder)
    for place in np.flatnonzero(bound > room):
        yield items[int(place)]


def _tokens_at_most(sizes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return an upper bound on the tokens of texts with these numbers of bytes and characters.

    Characters that Unicode may spell out have at most twice as many bytes as the surplus of bytes over characters.
    """
    bound: np.ndarray = sizes + 2 * (GROWTH - 1) * (sizes - lengths)
    return bound


def _prompt_tokens(encoder: Encoder, item: Item) -> int:
    if not item.has_sound:
        return len(encoder.prompt_ids(item))
    if encoder.features is not None:
        return len(encoder.prompt_ids(item, audio_tokens=encoder.features.index[str(item.audio)].count))
    seconds = min(item.duration_s, encoder.policy.window_s or item.duration_s)
    return len(encoder.prompt_ids(item, audio_tokens=max(1, math.ceil(seconds * RATE_HZ))))
