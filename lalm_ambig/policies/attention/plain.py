"""The plain way: each text by itself, in batches that the model can take, by the model's own mask and cache.

It makes no assumption about how a model mixes tokens, so it also holds for recurrent and convolution layers. Texts that
the model gets wrong together, according to its self-check, are not batched.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from lalm_ambig.policies.attention.abilities import SupportsPasses
from lalm_ambig.policies.attention.tree import Segment

PARTABLE = (DynamicLayer, DynamicSlidingWindowLayer)
"""Kinds of a cache's layers that hold keys and values by row, and nothing else."""


def plain_states(policy: SupportsPasses, texts: Sequence[Segment]) -> list[Float[Tensor, "_ channel"]]:
    """Hidden states of each text's tokens; a text sees only itself."""
    states_of = {n: text.embeddings for n, text in enumerate(texts)}
    filled = [n for n, text in enumerate(texts) if len(text)]
    for group in policy.abilities.batches([len(texts[n]) for n in filled]):
        rows = [filled[n] for n in group]
        group_texts = [texts[n] for n in rows]
        embeddings, ids, mask = pad_texts(policy, group_texts, side="right")
        states = policy.hidden(embeddings, mask, ids=ids, has_padding=_ragged(group_texts))
        states_of.update((n, row[: len(texts[n])]) for n, row in zip(rows, states, strict=True))
    return list(states_of.values())


def _ragged(texts: Sequence[Segment]) -> bool:
    return len({len(text) for text in texts}) > 1


def path_states(policy: SupportsPasses, segments: Sequence[Segment]) -> list[Float[Tensor, "_ channel"]]:
    """Hidden states of each segment of a tree; each path from root to leaf is computed by itself."""
    paths: list[list[int]] = []
    for index, segment in enumerate(segments):
        paths.append([index] if segment.parent is None else [*paths[segment.parent], index])
    inner = {segment.parent for segment in segments}
    leaves = [path for path in paths if path[-1] not in inner]
    states_of: dict[int, Tensor] = {}
    texts = [_joined(segments, path) for path in leaves]
    for path, states in zip(leaves, plain_states(policy, texts), strict=True):
        parts = torch.split(states, [len(segments[n]) for n in path])
        states_of |= dict(zip(path, parts, strict=True))
    return [states_of[index] for index in range(len(segments))]


def _joined(segments: Sequence[Segment], path: Sequence[int]) -> Segment:
    """The segments of a path as one text."""
    text = segments[path[0]]
    for index in path[1:]:
        text = text.followed_by(segments[index])
    return text


def pad_texts(
    policy: SupportsPasses, texts: Sequence[Segment], *, side: str
) -> tuple[Float[Tensor, "row token channel"], Int[Tensor, "row token"] | None, Tensor]:
    """Texts as a rectangle.

    Returns:
        Embeddings; token ids if all texts have them, otherwise None; and the mask, True on tokens.
    """
    embeddings = pad_sequence([text.embeddings for text in texts], batch_first=True, padding_side=side)
    ids_given = [text.ids for text in texts if text.ids is not None]
    ids = None
    if len(ids_given) == len(texts):
        ids = pad_sequence(ids_given, batch_first=True, padding_value=policy.pad_id, padding_side=side)
    lengths = torch.tensor([len(text) for text in texts], device=embeddings.device)
    places = torch.arange(embeddings.shape[1], device=embeddings.device)
    mask = places < lengths[:, None] if side == "right" else places >= embeddings.shape[1] - lengths[:, None]
    return embeddings, ids, mask


class PlainDecoding:
    """Texts that are continued token by token from the model's own cache."""

    def __init__(self, policy: SupportsPasses, texts: Sequence[Segment]) -> None:
        """Args:
        policy: A loaded policy.
        texts: The beginning of each row.
        """
        self.policy, self.texts = policy, list(texts)
        self.caches = policy.abilities.decoding != "never"
        self.groups = policy.abilities.decoded_together([len(text) for text in texts])
        self.masks: list[Tensor] = []
        self.ragged: list[bool] = []
        self.states: list[dict[str, object]] = []

    def start(self) -> Float[Tensor, "row channel"]:
        """Hidden state of each text's last token."""
        if not self.caches:
            return self._again()
        last_states: dict[int, Tensor] = {}
        for rows in self.groups:
            embeddings, ids, mask = pad_texts(self.policy, [self.texts[n] for n in rows], side="left")
            state: dict[str, object] = {}
            ragged = _ragged([self.texts[n] for n in rows])
            states = self.policy.hidden(embeddings, mask, ids=ids, past=state, has_padding=ragged)
            self._store(last_states, rows, states)
            self.masks.append(mask)
            self.ragged.append(ragged)
            self.states.append(state)
        return self._in_order(last_states)

    def step(self, tokens: Int[Tensor, " row"]) -> Float[Tensor, "row channel"]:
        """Hidden state of these tokens, one per row."""
        if not self.caches:
            more = self.policy.embed_ids(tokens[:, None])
            added = [Segment(e, None, i[None]) for e, i in zip(more, tokens, strict=True)]
            self.texts = [text.followed_by(new) for text, new in zip(self.texts, added, strict=True)]
            return self._again()
        last_states: dict[int, Tensor] = {}
        for number, (rows, state) in enumerate(zip(self.groups, self.states, strict=True)):
            ids = tokens[rows][:, None]
            self.masks[number] = torch.cat(
                [self.masks[number], torch.ones_like(ids, dtype=torch.bool)], dim=1
            )
            embeddings = self.policy.embed_ids(ids)
            states = self.policy.hidden(
                embeddings, self.masks[number], ids=ids, past=state, has_padding=self.ragged[number]
            )
            self._store(last_states, rows, states)
        return self._in_order(last_states)

    def keep(self, kept: Sequence[int]) -> list[int]:
        """Go on with some rows only, and with those whose cache cannot be parted from theirs.

        Args:
            kept: Numbers of rows, ascending; at least one.

        Returns:
            The rows that go on, ascending. They are numbered anew, from 0.
        """
        wanted = set(kept)
        left = [number for number, rows in enumerate(self.groups) if wanted.intersection(rows)]
        groups = [self._parted(number, wanted) for number in left] if self.caches else [list(kept)]
        places = sorted(row for rows in groups for row in rows)
        numbers = {row: number for number, row in enumerate(places)}
        self.groups = [[numbers[row] for row in rows] for rows in groups]
        self.texts = [self.texts[row] for row in places]
        if self.caches:
            self.masks = [self.masks[number] for number in left]
            self.ragged = [self.ragged[number] for number in left]
            self.states = [self.states[number] for number in left]
        return places

    def _parted(self, number: int, wanted: set[int]) -> list[int]:
        """Leave a group's wanted rows where its cache holds keys and values only; returns the rows that are left."""
        rows, layers = self.groups[number], getattr(self.states[number].get("cache"), "layers", [])
        places = [place for place, row in enumerate(rows) if row in wanted]
        if len(places) == len(rows) or len(self.states[number]) > 1:
            return rows
        if not layers or any(type(layer) not in PARTABLE for layer in layers):
            return rows
        chosen = torch.tensor(places, device=self.masks[number].device)
        for layer in layers:
            layer.batch_select_indices(chosen)
        self.masks[number] = self.masks[number].index_select(0, chosen)
        return [rows[place] for place in places]

    def _again(self) -> Tensor:
        return torch.stack([states[-1] for states in plain_states(self.policy, self.texts)])

    @staticmethod
    def _store(last_states: dict[int, Tensor], rows: Sequence[int], states: Tensor) -> None:
        last_states.update(dict(zip(rows, states[:, -1], strict=True)))

    @staticmethod
    def _in_order(last_states: dict[int, Tensor]) -> Tensor:
        return torch.stack([last_states[n] for n in range(len(last_states))])
