"""The folders of a family of runs, by a name with places for seed and fold: `runs/NAME-s{seed}-fold{fold}`."""

import glob
import re
from dataclasses import dataclass
from pathlib import Path

from lalm_ambig.core.errors import InputError

PLACES = ("{seed}", "{fold}")
"""What stands for a number in the name of a family, as in `model.start`."""


@dataclass(frozen=True)
class MemberFolder:
    """One run of a family."""

    path: Path
    name: str
    """Its path from the first folder that differs between members."""
    seed: int | None
    """None where the name has no place for it."""
    fold: int | None


def is_family(name: str) -> bool:
    """Whether a name has a place for a seed or a fold.

    Raises:
        InputError: It has a place for something else, as `{sed}`, and is no folder either.
    """
    other = next((place for place in re.findall(r"\{\w*\}", name) if place not in PLACES), None)
    if other is not None and not Path(name).expanduser().exists():
        raise InputError(
            f"{name} has a place {other}, which no family has.",
            where="run",
            remedy=f"The places are {' and '.join(PLACES)}.",
        )
    return any(place in name for place in PLACES)


def member_folders(name: str, *, where: str) -> list[MemberFolder]:
    """The folders that a name with places means, by seed and fold.

    Args:
        name: The path of a folder, with `{seed}`, `{fold}` or both in place of numbers.
        where: The option, for the message.

    Raises:
        InputError: There is no such folder, two have the same numbers (s1 and s01), or a seed lacks a fold that
            another one has.
    """
    name = str(Path(name).expanduser())
    pattern, stars = re.escape(name), glob.escape(name)
    for place in PLACES:
        key, escaped = place[1:-1], re.escape(place)
        pattern = pattern.replace(escaped, rf"(?P<{key}>\d+)", 1).replace(escaped, rf"(?P={key})")
        stars = stars.replace(place, "*")
    same = next(at for at, part in enumerate(Path(name).parts) if is_family(part))
    found: dict[tuple[int, int], MemberFolder] = {}
    for path in map(Path, glob.glob(stars)):  # noqa: PTH207 - the pattern may be absolute
        if (match := re.fullmatch(pattern, str(path))) is not None and path.is_dir():
            numbers = match.groupdict()
            seed, fold = (int(numbers[key]) if key in numbers else None for key in ("seed", "fold"))
            numbered = seed or 0, fold or 0
            if numbered in found:
                raise InputError(
                    f"{found[numbered].path} and {path} are one member of {name}: their numbers are equal.",
                    where=where,
                    remedy="Move one of them away, or name each run alone.",
                )
            found[numbered] = MemberFolder(path, str(Path(*path.parts[same:])), seed, fold)
    if not found:
        raise InputError(
            f"no folder is named {name} with numbers in place of {' and '.join(p for p in PLACES if p in name)}.",
            where=where,
            remedy="Name runs that exist: `fit --seeds 0 1 2 --run.name NAME` makes NAME-s0, NAME-s1 and NAME-s2.",
        )
    _check_complete(found, name, where)
    return [found[key] for key in sorted(found)]


def _check_complete(found: dict[tuple[int, int], MemberFolder], name: str, where: str) -> None:
    """Refuse a family in which a seed lacks a fold."""
    for seed in sorted({seed for seed, _ in found}):
        for fold in sorted({fold for _, fold in found}):
            if (seed, fold) not in found:
                raise InputError(
                    f"seed {seed} has no fold {fold}, which another seed of {name} has:",
                    where=where,
                    remedy="finish it, or name only complete seeds.",
                )
