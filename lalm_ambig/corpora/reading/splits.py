"""Seeded splits that are the same on every machine: groups ordered by hash, then cut into parts."""

import hashlib
from collections.abc import Iterable, Mapping

from lalm_ambig.core.items import FOLDS, Split

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1


def seeded_order(names: Iterable[str], *, seed: int, purpose: str = "") -> list[str]:
    """Order the distinct names by SHA-256 of seed, purpose and name, so that nothing else matters."""
    return sorted(
        set(names), key=lambda name: (hashlib.sha256(f"{seed}/{purpose}/{name}".encode()).digest(), name)
    )


def split_by_group(
    groups: Iterable[str], *, seed: int, fold: int | None = None, shares: Mapping[str, float] | None = None
) -> dict[str, Split]:
    """Draw the split of every group, so that no group is in two splits.

    Without a fold the groups are cut 70/10/20 into train, validation and test, or by `shares`. With a fold, fold k of
    five equal parts is the test, and a seeded tenth of the others validates. Each split gets at least one group while
    there are enough groups; with fewer a split is empty (see `split_check`).

    Args:
        groups: Names of the groups: speakers, or single items.
        seed: Seed of the order.
        fold: None for the single split, or 0 to 4.
        shares: Shares of validation and test, in [0, 1]; by default 0.1 and 0.2.

    Returns:
        Group → split.
    """
    order = seeded_order(groups, seed=seed)
    shares = shares or {"validation": VALIDATION_SHARE, "test": TEST_SHARE}
    if fold is None:
        wanted = 1 + sum(share > 0 for share in shares.values())
        tests = _part(len(order), shares["test"], enough=len(order) >= wanted)
        test, rest = order[:tests], order[tests:]
        validations = _part(len(order), shares["validation"], enough=len(order) >= wanted)
    else:
        test = order[fold::FOLDS]
        rest = seeded_order(set(order) - set(test), seed=seed, purpose=f"validation of fold {fold}")
        validations = _part(len(rest), shares["validation"], enough=len(rest) > 1)
    splits: dict[str, Split] = dict.fromkeys(test, "test")
    splits.update(dict.fromkeys(rest[:validations], "validation"))
    splits.update(dict.fromkeys(rest[validations:], "train"))
    return splits


def _part(groups: int, share: float, *, enough: bool) -> int:
    """Number of groups for a share: at least one where there are enough groups."""
    return max(1, round(groups * share)) if share > 0 and enough else round(groups * share)
