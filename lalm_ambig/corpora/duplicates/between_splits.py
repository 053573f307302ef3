"""Texts, premises, clips and speakers that test items share with training items: counted and named, never an error."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from lalm_ambig.core.items import Item
from lalm_ambig.corpora.duplicates.contents import contents, premise_form, sounds_among, text_form
from lalm_ambig.corpora.duplicates.sound_sketch import copies

SHOWN = 3
"""Pairs of copies that a line names."""
FORMS: Mapping[str, Callable[[str], str | None]] = {"text": text_form, "premise": premise_form}
"""What two texts may have in common."""


class InBoth:
    """Finds texts, premises, clips and speakers that both test items and training items have.

    Training items are shown one by one, and not held in memory, but for those with sound.

    Args:
        test: The test items.
    """

    def __init__(self, test: Sequence[Item]) -> None:
        self._test = test
        self._tested = {
            what: [form(item.text) if item.text else None for item in test] for what, form in FORMS.items()
        }
        self._sought = {what: set(forms) - {None} for what, forms in self._tested.items()}
        self._trained: dict[str, set[str | None]] = {what: set() for what in FORMS}
        self._heard, self._speakers = list[Item](), set[str | None]()

    def show(self, item: Item) -> None:
        """Compare a training item."""
        self._speakers.add(item.speaker)
        if item.audio is not None:
            self._heard.append(item)
        if item.text:
            for what, forms in self._sought.items():
                if forms and (form := FORMS[what](item.text)) in forms:
                    self._trained[what].add(form)

    def lines(self) -> tuple[str, ...]:
        """One line for each kind that was found."""
        lines = [_shared(what, self._tested[what], self._trained[what]) for what in FORMS]
        speakers = _speakers(self._speakers - {None}, self._test)
        return (*filter(None, lines), *_clips(self._heard, self._test), *speakers)


def _shared(what: str, tested: Sequence[str | None], trained: set[str | None]) -> str:
    shared = [form for form in tested if form in trained]
    if not shared:
        return ""
    distinct = len(set(shared))
    kinds = f"{distinct} {what}{'s' if distinct > 1 else ''}"
    return f"{len(shared)} of {len(tested)} test items have a {what} that training items have too ({kinds})"


def _clips(heard: Sequence[Item], test: Sequence[Item]) -> Iterator[str]:
    ours, theirs = sounds_among(contents(test)), sounds_among(contents(heard))
    places = copies([clip for _, clip in ours], [clip for _, clip in theirs])
    pairs = [
        f"{test[at].id} = {heard[theirs[place][0]].id}"
        for (at, _), place in zip(ours, places, strict=True)
        if place is not None
    ]
    if pairs:
        listed = ", ".join(pairs[:SHOWN]) + (", …" if len(pairs) > SHOWN else "")
        yield f"{len(pairs)} of {len(test)} test clips are copies of training clips ({listed})"


def _speakers(trained: set[str | None], test: Sequence[Item]) -> Iterator[str]:
    found = [item.speaker for item in test if item.speaker in trained]
    if found:
        speakers = f"{len(set(found))} speaker{'s' if len(set(found)) > 1 else ''}"
        yield f"{len(found)} of {len(test)} test items are by speakers of training items ({speakers})"
