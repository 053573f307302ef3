"""The log of sampled responses: their numbers as means, and the responses as rows that people can read."""

from collections.abc import Mapping
from typing import Any, get_args

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from lalm_ambig.core.distributions import AMBIGUITY_LEVELS, ambiguity_level, js_divergence
from lalm_ambig.core.types import Batch, Groups
from lalm_ambig.readouts.verbalised import Reason

RolloutRow = dict[str, Any]
"""One sampled response, as `rollouts.jsonl` has it."""


def response_js_bits(
    groups: Groups, label_dist: Float[Tensor, "group category"]
) -> Float[Tensor, "group rollout"]:
    """JS divergence in bits, in [0, 1], between each response's distribution and people's.

    1, the largest there is, for a response that could not be read.
    """
    js = js_divergence(label_dist[:, None].expand_as(groups.predicted_dist), groups.predicted_dist)
    return js.masked_fill(~groups.parsed, 1)


def rollout_values(groups: Groups, label_dist: Float[Tensor, "group category"]) -> dict[str, Tensor]:
    """Numbers per response, which are logged as means.

    They are: JS divergence of the responses that could be read, well-formed, completed and truncated ones as 0 or 1,
    and length in tokens. A readout that can fail adds the share that could be read, and that of each reason.

    Args:
        groups: Sampled responses.
        label_dist: People's distribution for each group's item.
    """
    return {
        "rollouts/js_div_bits": response_js_bits(groups, label_dist)[groups.parsed],
        **_unparsed(groups),
        "rollouts/well_formed": groups.well_formed.float(),
        "rollouts/closed": groups.was_completed.float(),
        "rollouts/truncated": groups.truncated.float(),
        "rollouts/tokens": groups.mask.sum(-1).float(),
    }


def _unparsed(groups: Groups) -> dict[str, Tensor]:
    if groups.unparsed is None:
        return {}
    reasons = [reason for row in groups.unparsed for reason in row]
    shares = {
        f"rollouts/unparsed/{reason.replace(' ', '_')}": torch.tensor([float(r == reason) for r in reasons])
        for reason in get_args(Reason)
    }
    return {"rollouts/parsed": groups.parsed.float(), **shares}


def by_ambiguity(
    values: Float[Tensor, " group"], label_dist: Float[Tensor, "group category"], *, name: str
) -> dict[str, Tensor]:
    """One number per item, split by ambiguity level (SHALA-LLM, Table 8); empty for levels not in the batch."""
    levels = ambiguity_level(label_dist.cpu())
    return {f"{name}/{level}": values[levels == n] for n, level in enumerate(AMBIGUITY_LEVELS)}


def rollout_rows(
    batch: Batch, groups: Groups, columns: Mapping[str, Shaped[Tensor, "group rollout"]]
) -> list[RolloutRow]:
    """One row per response: item, text, people's and the policy's distribution, their JS, and the given columns."""
    columns = {"js_div_bits": response_js_bits(groups, batch.label_dist), **columns}
    rows = []
    for g, item in enumerate(batch.items):
        for k, text in enumerate(groups.texts[g]):
            rows.append(
                {
                    "id": item.id,
                    "response": text,
                    "closed": bool(groups.was_completed[g, k]),
                    "unparsed": None if groups.unparsed is None else groups.unparsed[g][k],
                    "label_dist": _rounded(torch.tensor(item.label_dist)),
                    "predicted_dist": _rounded(groups.predicted_dist[g, k]),
                    **{name: round(float(values[g, k]), 4) for name, values in columns.items()},
                }
            )
    return rows


def _rounded(dist: Tensor) -> list[float]:
    return [round(p, 4) for p in dist.tolist()]
