"""Trials of texts in one row: agreement, invariance, decoding after cached prompts, and the longest text."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lalm_ambig.policies.attention.abilities import Abilities, Finding
from lalm_ambig.policies.attention.positions import rotary_limit
from lalm_ambig.policies.attention.tree import Segment, disable_layout_attention, enable_layout_attention
from lalm_ambig.policies.attention.tree_pass import continue_from_cache, prefill, shared_states
from lalm_ambig.policies.self_check.plain import check_batching
from lalm_ambig.policies.self_check.probes import (
    BEHIND,
    STEPS,
    PolicyWithAbilities,
    ProbeText,
    agreement,
    error_line,
    exchanged,
    invariance,
    window_of,
)


def check_shared_row(
    policy: Any, abilities: Abilities, probes: tuple[ProbeText, ProbeText]
) -> tuple[list[Finding], int | None, str]:
    """The findings on texts in one row, the longest text for which they hold, and why texts cannot share a row."""
    try:
        enable_layout_attention(policy.attention_config)
        findings, limit = _shared(PolicyWithAbilities(policy, abilities), probes)
        name = "texts computed apart come out the same beside it"
        findings.append(check_batching(name, policy, abilities.batching, probes[1:]))
    except Exception as error:  # whatever a class makes of a layout that it was not written for
        return (
            [Finding("texts in one row come out as each alone", False, error_line(error))],
            None,
            error_line(error),
        )
    finally:
        disable_layout_attention(policy.attention_config)
    wrong = next((finding for finding in findings if not finding.ok), None)
    return findings, limit, f"it does not hold that {wrong.name} ({wrong.detail})" if wrong else ""


def _shared(
    trial: PolicyWithAbilities, probes: tuple[ProbeText, ProbeText]
) -> tuple[list[Finding], int | None]:
    """Findings on texts in one row, and the longest text in tokens for which they hold."""
    segments = _tree(probes)
    layout, states = shared_states(trial, segments)
    findings = [_in_one_row(probes, states)]
    if findings[0].ok:
        findings.append(_unmoved(trial, segments, states))
    if all(finding.ok for finding in findings):
        findings.append(_after_prompts(trial, probes))
    return findings, _limit(trial.policy.attention_config, layout.windows)


def _tree(probes: tuple[ProbeText, ProbeText]) -> list[Segment]:
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


def _in_one_row(probes: tuple[ProbeText, ProbeText], states: Sequence[Tensor]) -> Finding:
    longer, shorter = probes
    cut, short = len(longer.text) - BEHIND, len(shorter.text) - BEHIND
    return agreement(
        "texts in one row come out as each alone",
        [
            (states[0], longer.states[:cut]),
            (states[3], longer.states[cut:]),
            (states[1], shorter.states[:short]),
            (states[4], shorter.states[short:]),
        ],
    )


def _unmoved(trial: PolicyWithAbilities, segments: Sequence[Segment], states: Sequence[Tensor]) -> Finding:
    """Exchange segments after the first and before the fourth; these two must not change."""
    other = [exchanged(trial, s) if n in (1, 2, 4) else s for n, s in enumerate(segments)]
    _, after = shared_states(trial, other)
    pairs = [(states[n], after[n]) for n in (0, 3)]
    return invariance("a text stays as it is when others in its row are exchanged", pairs)


def _after_prompts(trial: PolicyWithAbilities, probes: tuple[ProbeText, ProbeText]) -> Finding:
    """Two responses after each cached prompt, one token at a time."""
    cuts = [len(p.text) - STEPS for p in probes]
    last, cache = prefill(
        trial, [p.beginning(cut) for p, cut in zip(probes, cuts, strict=True)], group_size=2
    )
    pairs = [(ours[None], p.states[cut - 1][None]) for ours, p, cut in zip(last, probes, cuts, strict=True)]
    for step in range(STEPS):
        tokens = torch.stack(
            [p.ids[cut + step] for p, cut in zip(probes, cuts, strict=True)]
        ).repeat_interleave(2)
        states = continue_from_cache(
            trial, cache, tokens[:, None], (cache.prompt_lengths + cache.used)[:, None]
        )
        cache.advance(1)
        expected = [p.states[cut + step] for p, cut in zip(probes, cuts, strict=True) for _ in range(2)]
        pairs += [(ours, theirs[None]) for ours, theirs in zip(states, expected, strict=True)]
    return agreement("decoding behind kept prompts gives what the whole text gives", pairs)


def _limit(config: Any, told: Sequence[int | None]) -> int | None:
    """Longest text in tokens for which sharing is exact: layers do not tell of chunks, and may not tell of a window."""
    settings = vars(config.get_text_config())
    limits = [settings.get("attention_chunk_size"), rotary_limit(config)]
    window = window_of(config)
    kinds = settings.get("layer_types")
    expected = len(told) if kinds is None else list(kinds).count("sliding_attention")
    if window is not None and list(told).count(window) < expected:
        limits.append(window)
    return min((limit for limit in limits if isinstance(limit, int) and limit > 0), default=None)


def row_limit(config: Any) -> int | None:
    """Longest row in tokens for which sharing is exact: above it Llama 4 scales queries by their position."""
    settings = vars(config.get_text_config())
    step = settings.get("floor_scale")
    return int(step) - 1 if step and settings.get("attn_temperature_tuning") else None
