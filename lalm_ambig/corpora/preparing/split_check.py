"""Check, before any weights are loaded, that a corpus has items in every split that is needed.

If this program draws the split, an empty part is always an error: training or test would not be what was asked for. If
the corpus or its file gives the split, only the needed parts must have items.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import ALL, FOLDS, SPLITS, Item, Portion, Split
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.preparing.prepared import load_prepared

SEEDS = 50
"""Seeds that are tried for one that leaves no split empty."""
TRYING_S = 5.0
"""Longest time for these tries."""
GIVE = 'Give each row a "split" (train, validation, test), so that each of the three is there'


def check_splits(corpus: Corpus, counts: Mapping[Split, int], needed: Sequence[Portion] = SPLITS) -> None:
    """Check that every needed split has items.

    Args:
        corpus: The corpus; read again where a split is empty, to find a remedy.
        counts: Number of its items per split.
        needed: Portions to train or evaluate on; `all` needs no particular split.

    Raises:
        InputError: A needed split is empty; says which, why, and what helps.
    """
    wanted = SPLITS if corpus.draws_splits and ALL not in needed else needed
    empty = [split for split in SPLITS if split in wanted and not counts.get(split)]
    if not empty:
        return
    items = list(corpus.read())
    what = f"split {empty[0]} has" if len(empty) == 1 else f"splits {' and '.join(empty)} have"
    has = ", ".join(f"{split} {counts.get(split, 0):,}" for split in SPLITS)
    ways = [*_ways(corpus, items), *_other_portions(corpus, counts, needed)]
    raise InputError(
        f"{what} no items ({has}): {_why(corpus, items, empty)}.",
        where=f"corpus {corpus.name}",
        remedy=f"{', or '.join(ways)}.",
    )


def check_splits_at_hand(corpus: Corpus) -> None:
    """Run `check_splits` for training, if the labels are on disk and can be read. Opens no sound file."""
    if not corpus.root.exists():
        return
    prepared = load_prepared(corpus)
    try:
        counts = Counter(item.split for item in corpus.read()) if prepared is None else prepared.counts()
    except InputError:
        return
    check_splits(corpus, counts)


def _why(corpus: Corpus, items: Sequence[Item], empty: Sequence[Split]) -> str:
    listed = Counter(item.split for item in items)
    if all(listed[split] for split in empty):
        return f"the check has left all {sum(listed[split] for split in empty):,} out"
    if not corpus.draws_splits:
        return f"{'its file' if corpus.root.is_file() else 'the corpus'} says itself which item is in which"
    groups = _groups(corpus, items)
    how = f"seed {corpus.seed}" if corpus.fold is None else f"fold {corpus.fold} of {FOLDS}"
    return f"{groups}, split by {how}, {'is' if groups.startswith('1 ') else 'are'} too few for all three"


def _groups(corpus: Corpus, items: Sequence[Item]) -> str:
    """Number and name of the units that a split keeps together: speakers where it looks at them, else items."""
    speakers = {item.speaker for item in items} - {None}
    by_speaker = corpus.draws_speakers_apart and speakers
    count, unit = (len(speakers), "speaker") if by_speaker else (len(items), "item")
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def _ways(corpus: Corpus, items: Sequence[Item]) -> list[str]:
    """Remedies that were tried and help, or that are sure to help."""
    by_rows = [GIVE] if corpus.root.is_file() else []
    if not corpus.draws_splits:
        return by_rows or [corpus.no_items_remedy]
    other = _other(corpus)
    by_split = [f"{'Take' if not by_rows else 'take'} {other}"] if other is not None else []
    if by_rows and len(items) >= len(SPLITS) and _groups(corpus, items).split()[1].startswith("speaker"):
        by_rows.append('leave "speaker" out to split by item')
    return [*by_rows, *by_split] or ["Take the whole corpus"]


def _other(corpus: Corpus) -> str | None:
    """A fold or seed that leaves no split empty; None where none of the tries does."""
    until_s = time.monotonic() + TRYING_S
    folds = [] if corpus.fold is None else [fold for fold in (None, *range(FOLDS)) if fold != corpus.fold]
    tries = [(corpus.seed, fold) for fold in folds]
    tries += [(seed, corpus.fold) for seed in range(SEEDS) if seed != corpus.seed]
    for seed, fold in tries:
        if time.monotonic() > until_s:
            return None
        counts = Counter(item.split for item in corpus.redrawn(seed=seed, fold=fold).read())
        if all(counts[split] for split in SPLITS):
            return f"seed {seed}" if fold == corpus.fold else "no fold" if fold is None else f"fold {fold}"
    return None


def _other_portions(corpus: Corpus, counts: Mapping[Split, int], needed: Sequence[Portion]) -> list[str]:
    """Remedies that evaluate on other items."""
    if tuple(needed) == SPLITS:
        return []
    there = [] if corpus.draws_splits else [f"--split {split}" for split in SPLITS if counts.get(split)]
    return [f"evaluate on {' or '.join([*there, '--split all'])}"]
