"""Trials of the plain way: which texts can be batched, and how responses continue from the class's own cache."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.attention.abilities import Abilities, Batching, Decoding, Finding
from lalm_ambig.policies.attention.plain import PlainDecoding, plain_states
from lalm_ambig.policies.attention.tree import Segment
from lalm_ambig.policies.self_check.probes import (
    STEPS,
    PolicyWithAbilities,
    ProbeText,
    agreement,
    exchanged,
    invariance,
    run_trial,
)

STILL = "a text stays as it is when others in its batch are exchanged"


def find_batching(policy: Any, probes: tuple[ProbeText, ProbeText]) -> tuple[Batching, list[Finding]]:
    """The largest batches in which texts come out right, and the findings.

    Raises:
        InputError: Even one text by itself comes out otherwise than by its class's own forward.
    """
    names: dict[Batching, str] = {
        "padded": "texts of several lengths in one batch come out as each alone",
        "equal": "texts of equal length in one batch come out as each alone",
        "single": "one text comes out as by the class's own forward",
    }
    findings: list[Finding] = []
    for batching, name in names.items():
        findings.append(run_trial(name, partial(check_batching, name, policy, batching, probes)))
        if findings[-1].ok and batching == "padded":
            findings.append(run_trial(STILL, partial(_unmoved, policy, probes)))
        if findings[-1].ok:
            return batching, findings
    raise InputError(
        f"{policy.description}: one text by itself comes out otherwise than by its class's own forward "
        f"({findings[-1].detail}):",
        where="policy.path",
        remedy="Try policy.attention eager; otherwise do not train this checkpoint here.",
    )


def _unmoved(policy: Any, probes: tuple[ProbeText, ProbeText]) -> Finding:
    """The shorter text beside the longer one, and beside another of equal length."""
    trial = PolicyWithAbilities(policy, Abilities(batching="padded"))
    longer, shorter = (p.text for p in probes)
    other = Segment(longer.embeddings.flip(0)) if longer.ids is None else exchanged(policy, longer)
    before, after = (plain_states(trial, [text, shorter])[1] for text in (longer, other))
    return invariance(STILL, [(before, after)])


def check_batching(name: str, policy: Any, batching: Batching, probes: Sequence[ProbeText]) -> Finding:
    """Compare states of texts in batches with those of each text alone.

    Args:
        name: Name of the trial.
        policy: The policy.
        batching: Texts that go together; under `equal` each text is there twice.
        probes: The texts, with their states alone.
    """
    rows = [*probes, *probes] if batching == "equal" else [*probes]
    states = plain_states(PolicyWithAbilities(policy, Abilities(batching=batching)), [p.text for p in rows])
    return agreement(name, [(ours, p.states) for ours, p in zip(states, rows, strict=True)])


def find_decoding(
    policy: Any, abilities: Abilities, probes: tuple[ProbeText, ProbeText]
) -> tuple[Decoding, list[Finding]]:
    """The fastest way to write responses that gives the class's own states, and the findings."""
    findings: list[Finding] = []
    names: dict[Decoding, str] = {
        "padded": "decoding rows of several lengths gives what the whole text gives",
        "equal": "decoding rows of equal length gives what the whole text gives",
        "single": "decoding one row gives what the whole text gives",
    }
    for decoding, name in names.items():
        trial = PolicyWithAbilities(policy, replace(abilities, decoding=decoding))
        findings.append(run_trial(name, partial(_decoded, trial, name, probes)))
        if findings[-1].ok:
            return decoding, findings
    return "never", findings


def _decoded(trial: PolicyWithAbilities, name: str, probes: tuple[ProbeText, ProbeText]) -> Finding:
    """Decode the last tokens of the probes one at a time; each probe twice if only equal lengths go together."""
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
    return agreement(name, [(ours[None], theirs[None]) for ours, theirs in pairs])
