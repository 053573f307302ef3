"""Texts, premises, clips and speakers that test items share with training items: counted and named, never an error."""

from collections.abc import Callable, Iterator, Sequence

from lalm_ambig.core.items import Item
from lalm_ambig.corpora.duplicates.contents import contents, premise_form, sounds_among, text_form
from lalm_ambig.corpora.duplicates.sound_sketch import copies

SHOWN = 3
"""Pairs of copies that a line names."""


def duplicates(train: Sequence[Item], test: Sequence[Item]) -> tuple[str, ...]:
    """One line each for texts, premises, clips and speakers that both test items and training items have."""
    return (*_texts(train, test), *_clips(train, test), *_speakers(train, test))


def _texts(train: Sequence[Item], test: Sequence[Item]) -> Iterator[str]:
    yield from _shared("text", lambda item: text_form(item.text) if item.text else None, train, test)
    yield from _shared("premise", lambda item: premise_form(item.text) if item.text else None, train, test)


def _shared(
    what: str, key: Callable[[Item], str | None], train: Sequence[Item], test: Sequence[Item]
) -> Iterator[str]:
    trained = {key(item) for item in train} - {None}
    shared = [form for item in test if (form := key(item)) in trained]
    if shared:
        distinct = len(set(shared))
        kinds = f"{distinct} {what}{'s' if distinct > 1 else ''}"
        yield f"{len(shared)} of {len(test)} test items have a {what} that training items have too ({kinds})"


def _clips(train: Sequence[Item], test: Sequence[Item]) -> Iterator[str]:
    ours, theirs = sounds_among(contents(test)), sounds_among(contents(train))
    places = copies([clip for _, clip in ours], [clip for _, clip in theirs])
    pairs = [
        f"{test[at].id} = {train[theirs[place][0]].id}"
        for (at, _), place in zip(ours, places, strict=True)
        if place is not None
    ]
    if pairs:
        listed = ", ".join(pairs[:SHOWN]) + (", …" if len(pairs) > SHOWN else "")
        yield f"{len(pairs)} of {len(test)} test clips are copies of training clips ({listed})"


def _speakers(train: Sequence[Item], test: Sequence[Item]) -> Iterator[str]:
    known = {item.speaker for item in train} - {None}
    found = [item.speaker for item in test if item.speaker in known]
    if found:
        speakers = f"{len(set(found))} speaker{'s' if len(set(found)) > 1 else ''}"
        yield f"{len(found)} of {len(test)} test items are by speakers of training items ({speakers})"
