"""A checkpoint tried out at load: every way in which states are computed here, against its class's own forward.

What it finds decides how the checkpoint is used. A way that gives other values than the class's own forward on token
ids, one text alone, is not taken; where even one row cannot be computed, the checkpoint is refused. Nothing is known
of families: some mix tokens in recurrent or convolution layers, some have attention code of their own, some need ids
beside embeddings, some ignore padding, and all of that shows in the values.

Two kinds of comparison: agreement with the class's own forward, up to the rounding of the type; and a perturbation
that no rounding can hide: where another text in the row is exchanged for one of equal length, this one's states must
not move.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.errors import InputError
from lalm_ambig.policies.abilities import Abilities, Batching, Decoding, Finding
from lalm_ambig.policies.adapter_check import adapter_problems
from lalm_ambig.policies.check_cache import keep, kept, key_of
from lalm_ambig.policies.forward import go_on, prefill, shared_states
from lalm_ambig.policies.own_forward import BehindHead
from lalm_ambig.policies.plain import PlainDecoding, plain_states
from lalm_ambig.policies.tree import Segment, install, uninstall

AGREES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 6e-2}
"""Mean difference of a token's states, as a share of their mean size, that rounding in a type explains: between two
ways of computing the same, products are summed in another order in each layer."""
WORST = {torch.float32: 1.0, torch.float16: 0.75, torch.bfloat16: 0.75}
"""Which token is held to that, as a quantile of all: with two bytes a router's near tie may fall to another expert for
some of them, which says nothing of the rest."""
ULPS = {torch.float32: 8.0, torch.float16: 0.5, torch.bfloat16: 0.25}
"""By how many units in the last place, on average, a token's states may move where another text is exchanged. Most
models do not move at all; experts get other batches then, so their products may be rounded otherwise."""
LONG, SHORT, BEHIND = 14, 9, 4
"""Tokens of the probes."""
WIDEST_WINDOW = 200
"""A sliding window of up to so many tokens is tried out by a longer probe; a wider one must be told to the layout."""
STEPS = 2
"""Tokens that are decoded one at a time."""
CLIP_S = 0.7
"""Length of the sound that models with ears are tried with."""


@dataclass(frozen=True)
class Trial:
    """A policy as it would be with other abilities."""

    policy: Any
    abilities: Abilities

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)


@dataclass(frozen=True)
class Probe:
    """A text whose states the class's own forward has computed, alone and unpatched."""

    text: Segment
    ids: Int[Tensor, "token"]
    """Its tokens, those in place of sound included."""
    states: Float[Tensor, "token channel"]

    def beginning(self, cut: int) -> Segment:
        """Its first tokens."""
        return self.text.part(slice(cut), None)

    def rest(self, cut: int, parent: int) -> Segment:
        """What follows them, which holds no sound."""
        return Segment(self.text.embeddings[cut:], parent, self.ids[cut:])


def self_check(policy: Any) -> Abilities:
    """What a policy whose weights were just read can do: found before for this checkpoint and settings, or tried now.

    Raises InputError where its class's own forward of one text cannot be used.
    """
    key = key_of(policy)
    found = kept(key)
    if found is None:
        with torch.no_grad(), policy.evaluating():
            found = examined(policy)
        keep(key, found)
    return found


def examined(policy: Any) -> Abilities:
    """What trying shows; the policy's attention is as configured when this begins and when it ends."""
    uninstall(policy.attention_config)
    probes = _probes(policy)
    batching, tried = _batching(policy, probes)
    _check_adapter(policy, probes[1].ids)
    behind, logits = _behind_head(policy, probes[1])
    abilities = Abilities(
        batching=batching,
        behind_head=behind,
        rotary_limit=rotary_limit(policy.attention_config),
        findings=(logits, *tried),
    )
    decoding, tried = _decoding(policy, abilities, probes)
    abilities = replace(abilities, decoding=decoding, findings=(*abilities.findings, *tried))
    shared, limit, reason = _row_shared(policy, abilities, probes)
    backward = _tried("gradients reach what is trained", partial(_backward, policy, probes[1]))
    return replace(
        abilities,
        shares=not reason,
        longest_shared=limit,
        untrainable="" if backward.ok else backward.detail,
        reason=reason,
        findings=(*abilities.findings, *shared, backward),
    )


def _row_shared(
    policy: Any, abilities: Abilities, probes: tuple[Probe, Probe]
) -> tuple[list[Finding], int | None, str]:
    """What was found of texts in one row, for how long a text that holds, and why they cannot lie there."""
    try:
        install(policy.attention_config)
        found, limit = _shared(Trial(policy, abilities), probes)
        name = "texts computed apart come out the same beside it"
        found.append(_together(name, policy, abilities.batching, probes[1:]))
    except Exception as error:  # whatever a class makes of a layout that it was not written for
        return [Finding("texts in one row come out as each alone", False, _said(error))], None, _said(error)
    finally:
        uninstall(policy.attention_config)
    wrong = next((finding for finding in found if not finding.ok), None)
    return found, limit, f"it does not hold that {wrong.name} ({wrong.detail})" if wrong else ""


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return text or type(error).__name__


# The probes


def _probes(policy: Any) -> tuple[Probe, Probe]:
    """A longer and a shorter text, and their states by the class's own forward. InputError where it cannot be used."""
    ids = _token_ids(policy, _longest(policy) + SHORT + 2 * BEHIND)
    longer, shorter = ids[: len(ids) - SHORT - BEHIND], ids[len(ids) - SHORT - BEHIND :]
    try:
        probes = Probe(*policy.own_states(longer, CLIP_S)), Probe(*policy.own_states(shorter, 0.0))
    except InputError:
        raise
    except Exception as error:  # a class's own code, on settings that nobody has tried
        raise InputError(
            f"its own forward pass of one short text fails: {_said(error)}:",
            where="policy.path",
            remedy="Try policy.attention eager, another policy.dtype, or another checkpoint.",
        ) from error
    for found in probes:
        refuse_infinite(policy, found.states)
    return probes


def refuse_infinite(policy: Any, states: Tensor) -> None:
    """InputError where the class's own states are not finite."""
    if not torch.isfinite(states).all():
        raise InputError(
            f"{policy.describe}: its own forward pass of one short text gives values that are not finite in "
            f"{str(states.dtype).removeprefix('torch.')}:",
            where="policy.dtype",
            remedy="Try float32 (or bfloat16), or another checkpoint.",
        )


def _longest(policy: Any) -> int:
    window = window_of(policy.attention_config)
    return LONG if window is None or window > WIDEST_WINDOW else window + LONG


def _token_ids(policy: Any, count: int, *, seed: int = 0) -> Int[Tensor, "token"]:
    """Tokens of text, drawn from the vocabulary with a seed of their own."""
    tokenizer = policy.tokenizer
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    size = min(len(tokenizer), policy.base.get_input_embeddings().weight.shape[0])
    plain = torch.tensor([token for token in range(min(size, 20_000)) if token not in special])
    drawn = torch.randint(len(plain), (count,), generator=torch.Generator().manual_seed(seed))
    return plain[drawn].to(policy.device)


def exchanged(policy: Any, segment: Segment) -> Segment:
    """Another text of equal length, of other tokens."""
    assert segment.ids is not None
    ids = _token_ids(policy, len(segment), seed=1)
    return Segment(policy.embed_ids(ids), segment.parent, ids)


# The comparisons


def apart(pairs: Sequence[tuple[Tensor, Tensor]], *, quantile: float = 1.0) -> float:
    """Mean difference of a token's states as a share of their mean size: of the token at that quantile."""
    shares = []
    for ours, reference in pairs:
        ours, reference = ours.float(), reference.float()
        shares.append((ours - reference).abs().mean(-1) / reference.abs().mean(-1).clamp(min=1e-12))
    every = torch.cat(shares)
    return float(every.quantile(quantile)) if torch.isfinite(every).all() else float("inf")


def _agreement(name: str, pairs: Sequence[tuple[Tensor, Tensor]]) -> Finding:
    dtype = pairs[0][1].dtype
    allowed, worst = AGREES[dtype], apart(pairs, quantile=WORST[dtype])
    return Finding(
        name, worst <= allowed, f"states differ by {worst:.2g} of their size; rounding explains {allowed:.2g}"
    )


def _stillness(name: str, pairs: Sequence[tuple[Tensor, Tensor]]) -> Finding:
    dtype = pairs[0][1].dtype
    allowed = ULPS[dtype] * torch.finfo(dtype).eps
    worst = apart([(after, before) for before, after in pairs])
    return Finding(
        name, worst <= allowed, f"states move by {worst:.2g} of their size; rounding explains {allowed:.2g}"
    )


def _behind_head(policy: Any, probe: Probe) -> tuple[BehindHead, Finding]:
    """What the class does behind its head, and whether logits from its states are then its own.

    InputError where they are not.
    """
    behind = policy.own_forward.behind_head(probe.ids[None])
    theirs = policy.own_forward.logits(probe.ids)
    ours = behind(policy.own_forward.head(probe.states).float()).to(theirs.dtype)
    finding = _agreement("logits are the class's own", [(ours, theirs.to(probe.states.dtype))])
    if not finding.ok:
        raise InputError(
            f"{policy.describe} does more behind its head than scaling or capping its logits ({finding.detail}):",
            where="policy.path",
            remedy="choose a model without this.",
        )
    return behind, finding


def _check_adapter(policy: Any, ids: Tensor) -> None:
    """InputError where the adapter does not do what an adapter must."""
    if problems := adapter_problems(policy, ids):
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise InputError(
            f"{problems[0]}{more}:",
            where="policy.adapter",
            remedy="Choose other layers by policy.adapter.targets, or set policy.adapter.method to full.",
        )


# The plain way


def _batching(policy: Any, probes: tuple[Probe, Probe]) -> tuple[Batching, list[Finding]]:
    """Which texts can be computed together, and what was tried.

    InputError where even one by itself comes out otherwise than by its class's own forward.
    """
    names: dict[Batching, str] = {
        "padded": "texts of several lengths in one batch come out as each alone",
        "equal": "texts of equal length in one batch come out as each alone",
        "single": "one text comes out as by the class's own forward",
    }
    tried: list[Finding] = []
    for batching, name in names.items():
        tried.append(_tried(name, partial(_together, name, policy, batching, probes)))
        if tried[-1].ok:
            return batching, tried
    raise InputError(
        f"{policy.describe}: one text by itself comes out otherwise than by its class's own forward "
        f"({tried[-1].detail}):",
        where="policy.path",
        remedy="Try policy.attention eager; otherwise do not train this checkpoint here.",
    )


def _together(name: str, policy: Any, batching: Batching, probes: Sequence[Probe]) -> Finding:
    """The texts batched so; each of them twice where only equal lengths go together."""
    rows = [*probes, *probes] if batching == "equal" else [*probes]
    found = plain_states(Trial(policy, Abilities(batching=batching)), [p.text for p in rows])
    return _agreement(name, [(ours, p.states) for ours, p in zip(found, rows, strict=True)])


def _decoding(
    policy: Any, abilities: Abilities, probes: tuple[Probe, Probe]
) -> tuple[Decoding, list[Finding]]:
    """The fastest way to write responses that gives the class's own states, and what was tried."""
    tried: list[Finding] = []
    names: dict[Decoding, str] = {
        "padded": "decoding rows of several lengths gives what the whole text gives",
        "equal": "decoding rows of equal length gives what the whole text gives",
        "single": "decoding one row gives what the whole text gives",
    }
    for decoding, name in names.items():
        trial = Trial(policy, replace(abilities, decoding=decoding))
        tried.append(_tried(name, partial(_decoded, trial, name, probes)))
        if tried[-1].ok:
            return decoding, tried
    return "never", tried


def _decoded(trial: Trial, name: str, probes: tuple[Probe, Probe]) -> Finding:
    """Beginnings of the probes, and their next tokens one at a time; each twice where equal lengths go together."""
    copies = 2 if trial.abilities.decoding == "equal" else 1
    rows = [p for p in probes for _ in range(copies)]
    cuts = [len(p.text) - STEPS for p in rows]
    decoder = PlainDecoding(trial, [p.beginning(cut) for p, cut in zip(rows, cuts, strict=True)])
    pairs = list(
        zip(decoder.start(), [p.states[cut - 1] for p, cut in zip(rows, cuts, strict=True)], strict=True)
    )
    for step in range(STEPS):
        tokens = torch.stack([p.ids[cut + step] for p, cut in zip(rows, cuts, strict=True)])
        expected = [p.states[cut + step] for p, cut in zip(rows, cuts, strict=True)]
        pairs += zip(decoder.step(tokens), expected, strict=True)
    return _agreement(name, [(ours[None], theirs[None]) for ours, theirs in pairs])


def _tried(name: str, trial: Callable[[], Finding]) -> Finding:
    """What a trial finds; a class whose code fails on it cannot do it."""
    try:
        return trial()
    except Exception as error:  # a class's own code
        return Finding(name, False, _said(error))


# The shared way


def _shared(trial: Trial, probes: tuple[Probe, Probe]) -> tuple[list[Finding], int | None]:
    """Texts in one row: agreement, stillness, and decoding behind kept prompts; and for how long a text."""
    segments = _tree(probes)
    layout, states = shared_states(trial, segments)
    findings = [_in_one_row(probes, states)]
    if findings[0].ok:
        findings.append(_unmoved(trial, segments, states))
    if all(finding.ok for finding in findings):
        findings.append(_behind_prompts(trial, probes))
    return findings, _limit(trial.policy.attention_config, layout.windows)


def _tree(probes: tuple[Probe, Probe]) -> list[Segment]:
    """The longer text's beginning with two responses, the shorter one's with one, in one row."""
    longer, shorter = probes
    cut, short = len(longer.text) - BEHIND, len(shorter.text) - BEHIND
    return [
        longer.beginning(cut),
        shorter.beginning(short),
        shorter.rest(short, 0),  # another response, whose states nobody knows
        longer.rest(cut, 0),
        shorter.rest(short, 1),
    ]


def _in_one_row(probes: tuple[Probe, Probe], states: Sequence[Tensor]) -> Finding:
    longer, shorter = probes
    cut, short = len(longer.text) - BEHIND, len(shorter.text) - BEHIND
    return _agreement(
        "texts in one row come out as each alone",
        [
            (states[0], longer.states[:cut]),
            (states[3], longer.states[cut:]),
            (states[1], shorter.states[:short]),
            (states[4], shorter.states[short:]),
        ],
    )


def _unmoved(trial: Trial, segments: Sequence[Segment], states: Sequence[Tensor]) -> Finding:
    """Others are exchanged: those behind the first segment, and those before the fourth; these two must not move."""
    other = [exchanged(trial, s) if n in (1, 2, 4) else s for n, s in enumerate(segments)]
    _, after = shared_states(trial, other)
    pairs = [(states[n], after[n]) for n in (0, 3)]
    return _stillness("a text stays as it is when others in its row are exchanged", pairs)


def _behind_prompts(trial: Trial, probes: tuple[Probe, Probe]) -> Finding:
    """Two responses behind each kept prompt, one token at a time."""
    cuts = [len(p.text) - STEPS for p in probes]
    last, cache = prefill(trial, [p.beginning(cut) for p, cut in zip(probes, cuts, strict=True)], copies=2)
    pairs = [(ours[None], p.states[cut - 1][None]) for ours, p, cut in zip(last, probes, cuts, strict=True)]
    for step in range(STEPS):
        tokens = torch.stack(
            [p.ids[cut + step] for p, cut in zip(probes, cuts, strict=True)]
        ).repeat_interleave(2)
        states = go_on(trial, cache, tokens[:, None], (cache.prompt_lengths + cache.used)[:, None])
        cache.advance(1)
        expected = [p.states[cut + step] for p, cut in zip(probes, cuts, strict=True) for _ in range(2)]
        pairs += [(ours, theirs[None]) for ours, theirs in zip(states, expected, strict=True)]
    return _agreement("decoding behind kept prompts gives what the whole text gives", pairs)


def _backward(policy: Any, probe: Probe) -> Finding:
    """A backward pass in training mode, through every layer, into as little as will do."""
    name = "gradients reach what is trained"
    trained = _first_trained(policy)
    if not trained:
        return Finding(name, True, "nothing is trained")
    policy.train()
    with torch.enable_grad():
        (states,) = plain_states(Trial(policy, Abilities()), [probe.text])
        gradients = torch.autograd.grad(states.float().square().mean(), trained, allow_unused=True)
    policy.eval()
    found = [gradient for gradient in gradients if gradient is not None]
    finite = all(bool(torch.isfinite(gradient).all()) for gradient in found)
    moved = any(bool(gradient.any()) for gradient in found)
    detail = "they are finite" if finite else "they are not finite"
    return Finding(name, finite and moved, detail if found and moved else "none arrives")


def _first_trained(policy: Any) -> list[Tensor]:
    """Of LoRA every B (A has no gradient while B is zero); of whole weights the smallest of the first layer."""
    trained = [(name, p) for name, p in policy.named_parameters() if p.requires_grad]
    adapters = [p for name, p in trained if "lora_B" in name]
    layer = {id(p) for p in policy.layers[0].parameters()}
    first = sorted((p for _, p in trained if id(p) in layer), key=lambda p: p.numel())
    return adapters or first[:1] or [p for _, p in trained[:1]]


def window_of(config: Any) -> int | None:
    """Tokens that a sliding window holds, where some layers have one."""
    window = getattr(config.get_text_config(), "sliding_window", None)
    return window if isinstance(window, int) and window > 0 else None


def rotary_limit(config: Any) -> int | None:
    """Tokens beyond which rotary frequencies change for a whole batch, as those of dynamic and long scaling do."""
    settings = config.get_text_config()
    found = vars(settings).get("rope_parameters") or {}
    kinds = [found] if "rope_type" in found else [kind for kind in found.values() if isinstance(kind, dict)]
    limits = [
        kind.get("original_max_position_embeddings") or settings.max_position_embeddings
        for kind in kinds
        if kind.get("rope_type") in ("dynamic", "longrope")
    ]
    return min(limits, default=None)


def _limit(config: Any, told: Sequence[int | None]) -> int | None:
    """Tokens up to which sharing is exact: attention in chunks is not told to layers, and a window may not be."""
    settings = vars(config.get_text_config())
    limits = [settings.get("attention_chunk_size"), rotary_limit(config)]
    window = window_of(config)
    kinds = settings.get("layer_types")
    expected = len(told) if kinds is None else list(kinds).count("sliding_attention")
    if window is not None and list(told).count(window) < expected:
        limits.append(window)
    return min((limit for limit in limits if isinstance(limit, int) and limit > 0), default=None)
