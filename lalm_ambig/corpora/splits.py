"""Seeded splits that are the same on every machine: an order by hash, cut into parts."""

import hashlib
from collections.abc import Iterable, Mapping

from lalm_ambig.corpora.base import FOLDS
from lalm_ambig.items import Split

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1


def seeded_order(names: Iterable[str], *, seed: int, purpose: str = "") -> list[str]:
    """The distinct names in an order that depends only on the seed, the purpose and each name (SHA-256)."""
    return sorted(
        set(names), key=lambda name: (hashlib.sha256(f"{seed}/{purpose}/{name}".encode()).digest(), name)
    )


def split_by_group(
    groups: Iterable[str], *, seed: int, fold: int | None = None, shares: Mapping[str, float] | None = None
) -> dict[str, Split]:
    """The split of every group (a speaker, or an item on its own), so that no group is in two of them.

    Without a fold the groups are cut 70/10/20 into train, validation and test, or by `shares` (of validation
    and test). With one, fold k of five equal parts is the test and a seeded tenth of the others validates.
    """
    order = seeded_order(groups, seed=seed)
    shares = shares or {"validation": VALIDATION_SHARE, "test": TEST_SHARE}
    if fold is None:
        tests = round(len(order) * shares["test"])
        test, rest = order[:tests], order[tests:]
        validations = round(len(order) * shares["validation"])
    else:
        test = order[fold::FOLDS]
        rest = seeded_order(set(order) - set(test), seed=seed, purpose=f"validation of fold {fold}")
        validations = round(len(rest) * shares["validation"])
    splits: dict[str, Split] = dict.fromkeys(test, "test")
    splits.update(dict.fromkeys(rest[:validations], "validation"))
    splits.update(dict.fromkeys(rest[validations:], "train"))
    return splits
