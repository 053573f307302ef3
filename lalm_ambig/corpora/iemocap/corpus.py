"""IEMOCAP: ten actors talk in pairs, scripted and improvised; at least three raters judged every turn.

Read as distributed: `SessionN/dialog/EmoEvaluation/*.txt` for codes and raters, `SessionN/dialog/transcriptions` for
the words, `SessionN/sentences/wav/DIALOGUE/TURN.wav` for the sound. The corpus leaves some points open; these are our
choices:

1. Items are the turns whose header has the code ang, hap, exc, sad or neu (5,531 in the full corpus). Option
   `keep: all` adds the other turns that have a vote. The code chooses items; the votes alone make their labels.
2. Excited is a vote for happiness. Votes for other labels are dropped, and counted in a note. A turn without another
   vote is left out, and counted.
3. Fold k tests on Session k+1. Without a fold, Session5 is the test, as in fold 4. A seeded tenth of the dialogues of
   the other sessions validates, so that no dialogue is in two splits. The eight actors of these sessions are in both
   train and validation; the two actors of the test are in the test only.
4. A missing session is an error, since every fold needs all five. `skip_bad_rows` allows a missing session to train
   on, never the one to test on.
5. Intervals are over sessions: the two actors of a session share their dialogues, their raters, and the fold's model.
6. A turn without a sound file and a sound file without a rated turn are left out, and counted in a note. A turn without
   a transcript is a bad row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import FOLDS, Item, Split
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.iemocap.files import (
    LABEL_FOLDER,
    SESSIONS,
    SOUND_FOLDER,
    TRANSCRIPT_FOLDER,
    Dialogue,
    find_dialogues,
    find_sounds,
    session_folder,
)
from lalm_ambig.corpora.iemocap.tally import TOTAL_ITEMS, IemocapTally
from lalm_ambig.corpora.iemocap.votes import CATEGORIES, CLASS_CODES, SEVERAL_TAGS, count_votes
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.paths import Enclosure
from lalm_ambig.corpora.reading.splits import VALIDATION_SHARE, split_by_group

KEEP = ("consensus", "all")


@dataclass(kw_only=True, eq=False)
class Iemocap(Corpus):
    """The rated turns that have a sound file, one session left out as the test.

    Args:
        root: The folder that holds Session1 to Session5 (`IEMOCAP_full_release`).
        seed: Seed of the dialogues that validate.
        fold: 0 to 4 tests on Session1 to Session5; None is as 4.
        keep: `consensus`: turns whose header code is ang, hap, exc, sad or neu; `all`: also the others that have a
            vote for one of the four classes.
        several_tags: Votes of the k tags of one rater: `each` is a vote, only the `first` is, or each is `1/k`.
        allow_outside: Accept sound that is not in the root, but that a link in it leads to.
        skip_bad_rows: Leave malformed rows and missing training sessions out, with a note, instead of stopping at
            the first.

    Raises:
        InputError: `keep` or `several_tags` is none of these.
    """

    keep: str = "consensus"
    several_tags: str = "each"
    allow_outside: bool = False

    name = "iemocap"
    how_to_obtain = (
        "IEMOCAP is licensed by the SAIL lab of the University of Southern California: request it at "
        "sail.usc.edu/iemocap, unpack it and give the folder that holds Session1 to Session5."
    )
    licensed = True
    prompt = "speech_emotion"
    total_items: ClassVar[int | None] = TOTAL_ITEMS
    speaker_disjoint_validation = False
    clusters = "sessions"

    @classmethod
    def cluster_of(cls, speaker: str) -> str:
        """The session of a speaker: 01 for 01F and 01M."""
        return speaker.rstrip("FM")

    def __post_init__(self) -> None:
        super().__post_init__()
        choices = ("keep", self.keep, KEEP), ("several_tags", self.several_tags, SEVERAL_TAGS)
        for option, value, allowed in choices:
            if value not in allowed:
                expected = f"{option} must be one of {', '.join(allowed)}, got {value!r}"
                raise InputError(expected, where=f"corpus {self.name}")

    @property
    def test_session(self) -> int:
        """Number of the session that is tested on, 1 to 5."""
        return (FOLDS - 1 if self.fold is None else self.fold) + 1

    @property
    def categories(self) -> CategorySet:
        return CATEGORIES

    def label_files(self) -> Sequence[Path]:
        dialogues = self._dialogues(BadRows(skip=self.skip_bad_rows))
        return [path for dialogue in dialogues for path in (dialogue.labels, dialogue.transcripts)]

    def settings(self) -> dict[str, Any]:
        return {
            **super().settings(),
            "keep": self.keep,
            "several_tags": self.several_tags,
            "allow_outside": self.allow_outside,
        }

    def read(self) -> Iterator[Item]:
        bad_rows = BadRows(skip=self.skip_bad_rows)
        dialogues = self._dialogues(bad_rows)
        sessions = sorted({dialogue.session for dialogue in dialogues})
        enclosure = Enclosure(self.root, allow_outside=self.allow_outside)
        sounds = {name: path for n in sessions for name, path in find_sounds(self.root, n, enclosure).items()}
        splits = self._splits(dialogues)
        tally = IemocapTally(dialogues=len(dialogues))
        items: list[Item] = []
        for dialogue in dialogues:
            items += self._items(
                dialogue, sounds, split=splits[dialogue.name], tally=tally, bad_rows=bad_rows
            )
        tally.set_unlabelled_sounds(sounds)
        self._require_test(items, tally)
        self._notes = (*tally.notes(self.keep, items=len(items)), *bad_rows.notes(good=len(items)))
        yield from items

    def _items(
        self,
        dialogue: Dialogue,
        sounds: dict[str, str],
        *,
        split: Split,
        tally: IemocapTally,
        bad_rows: BadRows,
    ) -> Iterator[Item]:
        """Yield the items of one dialogue and count its other turns. The sounds of rated turns leave `sounds`."""
        spoken = dialogue.spoken(bad_rows)
        for turn in dialogue.turns(bad_rows):
            tally.count_turn(turn)
            sound = sounds.pop(f"{dialogue.name}/{turn.name}", None)
            votes = count_votes(turn.tags, self.several_tags)
            if self.keep == "consensus" and turn.code not in CLASS_CODES:
                tally.other_codes += 1
            elif not any(votes):
                tally.without_vote += 1
            elif turn.name not in spoken:
                bad_rows.add(f"turn {turn.name} has no line in {dialogue.transcripts}", where=turn.where)
            elif sound is None:
                tally.without_sound.append(turn.name)
            else:
                tally.count_item(turn)
                text = spoken[turn.name] or None
                yield Item(turn.name, votes, audio=sound, text=text, speaker=turn.speaker, split=split)

    def _dialogues(self, bad_rows: BadRows) -> list[Dialogue]:
        """Every dialogue with labels, of the sessions on disk."""
        self.require(self.root)
        missing = [n for n in SESSIONS if not session_folder(self.root, n).is_dir()]
        if len(missing) == len(SESSIONS) or self.test_session in missing:
            self.require(session_folder(self.root, self.test_session))
        dialogues: list[Dialogue] = []
        for session in SESSIONS:
            folder = session_folder(self.root, session)
            if session in missing:
                bad_rows.add("this session is missing, and is trained on", where=str(folder))
                continue
            for part in (LABEL_FOLDER, TRANSCRIPT_FOLDER, SOUND_FOLDER):
                self.require(folder / part)
            dialogues += find_dialogues(self.root, session, bad_rows=bad_rows)
        return dialogues

    def _splits(self, dialogues: Sequence[Dialogue]) -> dict[str, Split]:
        """The split of each dialogue by name."""
        others = [dialogue.name for dialogue in dialogues if dialogue.session != self.test_session]
        shares = {"validation": VALIDATION_SHARE, "test": 0.0}
        splits = split_by_group(others, seed=self.seed, shares=shares)
        return {dialogue.name: splits.get(dialogue.name, "test") for dialogue in dialogues}

    def _require_test(self, items: Sequence[Item], tally: IemocapTally) -> None:
        if any(item.split == "test" for item in items):
            return
        lost = tally.without_sound
        why = f"; {len(lost):,} rated turns have no sound file, the first: {lost[0]}" if lost else ""
        folder = session_folder(self.root, self.test_session)
        raise InputError(f"no item in {folder}, which is tested on{why}.", where=f"corpus {self.name}")
