"""Keys and values of rollouts: those of each prompt once, and those of each response."""

from collections.abc import Sequence
from copy import copy

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lalm_ambig.policies.attention.tree import AttentionArguments, AttentionLayout

FIRST_ROOM = 64
"""Initial capacity of a response's buffers in tokens; it doubles when they are full."""


class RolloutCache(AttentionLayout):
    """The state of K responses to each of G prompts; row g·K + k is response k to prompt g."""

    def __init__(
        self, packed: Sequence[tuple[Tensor, Tensor]], paths: Sequence[Sequence[slice]], *, group_size: int
    ) -> None:
        """Args:
        packed: Keys and values of each layer [1, head, token, channel], with all prompts in one row.
        paths: Slices of each prompt's tokens in that row; a common beginning is in every path.
        group_size: Responses per prompt, K.
        """
        super().__init__()
        self.group_size = group_size
        self.groups = [group for group in range(len(paths)) for _ in range(group_size)]
        """Number of each row's prompt."""
        self.slots: Int[Tensor, " slot"] | None = None
        """The row in each slot, where prompts have unequally many rows (see `put_aside`); None if slots are rows."""
        self.places: Int[Tensor, " row"] | None = None
        """The slot of each row."""
        values = packed[0][1]
        self.kind = torch.float32 if values.device.type == "cpu" else values.dtype
        """Type of what is kept: on a CPU float32, in which products as small as these take no longer than in bfloat16,
        and scores are not rounded. Training passes do not round them either."""
        self.prompts = [
            (_by_prompt(keys, paths).to(self.kind), _by_prompt(values, paths).to(self.kind))
            for keys, values in packed
        ]
        lengths = [sum(place.stop - place.start for place in path) for path in paths]
        self.longest = max(lengths)
        """Tokens of the longest prompt."""
        # Masks and positions are made on the device once: in a decode step nothing is copied there.
        device = packed[0][0].device
        prompts = torch.tensor(lengths).repeat_interleave(group_size)
        absent = torch.arange(self.longest) >= prompts[:, None]
        self.prompt_lengths = prompts.to(device)
        """Prompt tokens of each row."""
        self.absent = absent[:, None, None].to(device) if min(lengths) < self.longest else None
        self.responses: list[tuple[Tensor, Tensor]] = []
        self.used = 0
        self.hidden: Bool[Tensor, "row 1 new token"] | None = None
        """True where a new token may not see a token of its own response; None if it sees all of them."""
        self.positions: Int[Tensor, "row new"] = self.prompt_lengths[:, None]
        """Positions of the new tokens on their paths."""
        self._beyond: dict[int, tuple[Tensor, Tensor]] = {}
        """By window, what is outside of it in this pass (see `_outside`)."""
        self.place: Int[Tensor, " 1"] | None = None
        """With fixed shapes (see `fix_shapes`), the number of kept tokens on the device; None otherwise."""
        self.later: Bool[Tensor, " column"] | None = None
        """With fixed shapes, True on the buffers' columns that come after the new token."""

    def put_aside(self, kept: Sequence[int], dropped: Sequence[int]) -> "RolloutCache":
        """Go on with some rows only, and return a cache of the others, at the same place.

        Keys and values of responses are held once, and those of prompts at most twice.

        Args:
            kept: Numbers of the rows that stay, ascending. They are numbered anew, from 0.
            dropped: The other rows, ascending.
        """
        device = self.prompt_lengths.device
        rows = [torch.tensor(part, device=device) for part in (dropped, kept)]
        alone = self.group_size == 1 and self.slots is None
        aside = copy(self)
        aside.windows, aside._beyond, aside.prompts = [], {}, list(self.prompts)
        aside.responses, self.responses = _parted(self.responses, rows)
        if alone:  # each row has a prompt of its own
            del aside.prompts[:]
            aside.prompts, self.prompts = _parted(self.prompts, rows)
        for cache, chosen in zip((aside, self), rows, strict=True):
            cache.prompt_lengths = cache.prompt_lengths.index_select(0, chosen)
            cache.absent = None if cache.absent is None else cache.absent.index_select(0, chosen)
            cache.positions = cache.prompt_lengths[:, None]
            groups = [cache.groups[row] for row in chosen.tolist()]
            cache._arrange(list(range(len(groups))) if alone else groups)
        if 2 * len(set(self.groups)) <= len(self.prompts[0][0]):
            self._leave_out_prompts()
        aside.free_shapes()
        return aside

    def _leave_out_prompts(self) -> None:
        """Leave out prompts that no row belongs to. It takes a copy, while caches put aside hold them all."""
        present = sorted(set(self.groups))
        held = torch.tensor(present, device=self.prompt_lengths.device)
        self.prompts = [
            (keys.index_select(0, held), values.index_select(0, held)) for keys, values in self.prompts
        ]
        self._arrange([present.index(group) for group in self.groups])

    def _arrange(self, groups: Sequence[int]) -> None:
        """Set the number of each row's prompt, and its slot: prompts have as many slots as one has rows at most."""
        self.groups = list(groups)
        members: list[list[int]] = [[] for _ in range(len(self.prompts[0][0]))]
        for row, group in enumerate(groups):
            members[group].append(row)
        self.group_size = max(map(len, members))
        self.slots = self.places = None
        if min(map(len, members)) < self.group_size:  # a free slot computes some row once more
            slots = [row for own in members for row in own + (own[:1] or [0]) * (self.group_size - len(own))]
            first = [group * self.group_size + members[group].index(row) for row, group in enumerate(groups)]
            device = self.prompt_lengths.device
            self.slots, self.places = torch.tensor(slots, device=device), torch.tensor(first, device=device)

    def advance(self, tokens: int) -> None:
        """Keep the newest tokens; later ones come after them."""
        self.used += tokens
        if self.place is not None:
            self.place += tokens

    def fix_shapes(self) -> None:
        """Compute further steps of one token in shapes that stay the same until the buffers are full.

        The new token attends to a whole buffer, of which later columns are masked. What changes from step to step is on
        the device, so that a recorded step can be repeated. At least one step must have been taken.
        """
        self.place = torch.tensor([self.used], device=self.prompt_lengths.device)

    def free_shapes(self) -> None:
        """Undo `fix_shapes`."""
        self.place = self.later = None

    def make_room(self) -> bool:
        """Double full buffers. True where that changed the shapes."""
        if self.used < self.responses[0][0].shape[2]:
            return False
        self.responses = [(_doubled(keys), _doubled(values)) for keys, values in self.responses]
        return True

    def expect(self, positions: Int[Tensor, "row new"]) -> None:
        """Prepare a pass over new tokens at these positions."""
        self.windows.clear()
        self._beyond.clear()
        self.positions = positions
        if self.place is not None:
            columns = torch.arange(self.responses[0][0].shape[2], device=positions.device)
            self.later = columns > self.place

    def attend(
        self,
        layer: int,
        query: Float[Tensor, "row head new width"],
        key: Float[Tensor, "row key_head new width"],
        value: Float[Tensor, "row key_head new width"],
        ask: AttentionArguments,
    ) -> Float[Tensor, "row head new width"]:
        if value.dtype != self.kind:
            with torch.autocast(value.device.type, enabled=False):
                query, key, wide = query.to(self.kind), key.to(self.kind), value.to(self.kind)
                return self.attend(layer, query, key, wide, ask).to(value.dtype)
        rows, heads, new, width = query.shape
        shared = heads // key.shape[1]
        response_keys, response_values = self._append(layer, key, value)
        prompt_keys, prompt_values = self.prompts[layer]
        asked = (query * ask.scaling).reshape(
            rows, -1, shared * new, width
        )  # heads that share keys, as tokens
        to_prompt = self._spread(self._gather(asked) @ prompt_keys.transpose(-1, -2))
        to_response = asked @ response_keys.transpose(-1, -2)
        if self.absent is not None:
            to_prompt.masked_fill_(self.absent, -torch.inf)
        if self.later is not None:
            to_response.masked_fill_(self.later, -torch.inf)
        if self.hidden is not None:
            to_response = to_response.masked_fill(self.hidden.repeat(1, 1, shared, 1), -torch.inf)
        if ask.window is not None and self.longest + response_keys.shape[2] > ask.window:
            beyond_prompt, beyond_response = (
                mask.repeat(1, 1, shared, 1) for mask in self._outside(ask.window)
            )
            to_prompt = to_prompt.masked_fill(beyond_prompt, -torch.inf)
            to_response = to_response.masked_fill(beyond_response, -torch.inf)
        weights = torch.cat([to_prompt, to_response], dim=-1).softmax(-1, dtype=torch.float32).to(value.dtype)
        on_prompt, on_response = torch.split(weights, [to_prompt.shape[-1], to_response.shape[-1]], dim=-1)
        out = self._spread(self._gather(on_prompt) @ prompt_values) + on_response @ response_values
        spread: Tensor = out.reshape(rows, heads, new, value.shape[-1])
        return spread

    def _outside(self, window: int) -> tuple[Tensor, Tensor]:
        """Masks of prompt and response, True outside of a new token's window; made once per pass."""
        if window not in self._beyond:
            device = self.prompt_lengths.device
            first = self.positions[:, None, :, None] - window + 1
            kept = self.used if self.later is None else len(self.later)
            response = self.prompt_lengths[:, None] + torch.arange(kept, device=device)
            if self.later is None:
                response = torch.cat([response, self.positions], dim=1)
            prompt = torch.arange(self.longest, device=device)
            self._beyond[window] = prompt < first, response[:, None, None, :] < first
        return self._beyond[window]

    def _gather(self, rows: Tensor) -> Tensor:
        """[row, head, token, x] → [group, head, K · token, x]: all rows of a prompt, for one product with its keys."""
        slots = rows if self.slots is None else rows.index_select(0, self.slots)
        if self.group_size == 1:
            return slots
        _, heads, tokens, width = slots.shape
        groups = len(slots) // self.group_size
        split = slots.reshape(groups, self.group_size, heads, tokens, width)
        return split.transpose(1, 2).reshape(groups, heads, self.group_size * tokens, width)

    def _spread(self, grouped: Tensor) -> Tensor:
        """The reverse of `_gather`."""
        slots = grouped
        if self.group_size > 1:
            groups, heads, tokens, width = grouped.shape
            split = grouped.reshape(groups, heads, self.group_size, tokens // self.group_size, width)
            slots = split.transpose(1, 2).reshape(-1, heads, tokens // self.group_size, width)
        return slots if self.places is None else slots.index_select(0, self.places)

    def _append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Append the new keys and values; returns all of the response's."""
        if self.place is not None:
            held = self.responses[layer]
            for buffer, added in zip(held, (key, value), strict=True):
                buffer.index_copy_(2, self.place, added)
            return held
        end = self.used + key.shape[2]
        if layer == len(self.responses):
            self.responses.append((_empty(key, FIRST_ROOM), _empty(value, FIRST_ROOM)))
        held = self.responses[layer]
        while held[0].shape[2] < end:
            held = self.responses[layer] = (_doubled(held[0]), _doubled(held[1]))
        for buffer, added in zip(held, (key, value), strict=True):
            buffer[:, :, self.used : end] = added
        return held[0][:, :, :end], held[1][:, :, :end]


def _by_prompt(packed: Tensor, paths: Sequence[Sequence[slice]]) -> Tensor:
    """[1, head, token of the row, channel] → [prompt, head, token, channel], padded on the right."""
    row = packed[0].transpose(0, 1)
    parts = [torch.cat([row[place] for place in path]) for path in paths]
    return pad_sequence(parts, batch_first=True).transpose(1, 2).contiguous()


def _parted(
    layers: list[tuple[Tensor, Tensor]], parts: Sequence[Tensor]
) -> list[list[tuple[Tensor, Tensor]]]:
    """Keys and values of each part's rows, layer by layer. The list is emptied, so that one layer is held twice."""
    found: list[list[tuple[Tensor, Tensor]]] = [[] for _ in parts]
    while layers:
        keys, values = layers.pop(0)
        for one, rows in zip(found, parts, strict=True):
            one.append((keys.index_select(0, rows), values.index_select(0, rows)))
    return found


def _empty(like: Tensor, tokens: int) -> Tensor:
    rows, heads, _, width = like.shape
    return like.new_zeros(rows, heads, tokens, width)


def _doubled(buffer: Tensor) -> Tensor:
    """A buffer with as much room again, which holds zeros: what is masked is multiplied by a weight of 0."""
    return torch.cat([buffer, torch.zeros_like(buffer)], dim=2)
