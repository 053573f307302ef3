"""Dusha: Russian speech, acted by a crowd (201,850 clips) or cut from podcasts (102,113); arXiv:2212.12266.

Read are `PART/raw_PART.jsonl`, or else `PART/raw_PART.tsv`, of the parts `crowd_train`, `crowd_test`, `podcast_train`
and `podcast_test`, one row per vote (`rows`). The sound is `PART/AUDIO_PATH`; that of podcasts is not distributed.

**This reader was written from the column names of the authors' processing code: nobody has run it on the real files.**
The corpus leaves some points open; these are our choices:

1. The classes are `angry`, `sad`, `neutral` and `positive`. A clip with a single vote for `other` is left out, and
   counted, as in MSP-Podcast. With `other: ignore` such votes are dropped, and counted, as in IEMOCAP; a clip without
   another vote is left out. The authors drop clips whose aggregated label is `other`.
2. Control tasks, which have a `golden_emo`, are left out, and counted. The authors leave them out of experiments, too.
3. `speaker_emo` is what the actor was asked for. It is never a label, and is not read.
4. Test parts are tested. A seeded tenth of the speakers of each train part validates, so that no speaker is trained on
   and validates. `source_id` is the speaker; of a podcast it may be the podcast. Clips without one are for training:
   they never validate, and nobody can say whether their speaker does.
5. Nobody says that test parts have other speakers than train parts. Those in both are counted in a note.
6. An annotator's second vote on a clip is a bad row, whatever it is for. So is a clip that two parts have, and a row
   that contradicts the first one of its clip.
7. Clips without sound and sound without votes are left out, and counted: any subset of the sound may be on disk, and is
   split as the full corpus.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item, Split
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.dusha.rows import ENDINGS
from lalm_ambig.corpora.dusha.sounds import Sounds
from lalm_ambig.corpora.dusha.tally import DushaTally
from lalm_ambig.corpora.dusha.votes import CATEGORIES, OTHER, PartFile, VotedClip, read_votes
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.paths import Enclosure
from lalm_ambig.corpora.reading.splits import VALIDATION_SHARE, split_by_group

DOMAINS = ("crowd", "podcast")
KINDS = ("train", "test")
LEAVE_OUT, IGNORE = "leave_out", "ignore"


@dataclass(kw_only=True, eq=False)
class Dusha(Corpus):
    """The clips that have votes and a sound file, without control tasks.

    Args:
        root: The folder that holds crowd_train and crowd_test.
        part: crowd or podcast, with its train and test part; None for both.
        seed: Seed of the speakers that validate.
        fold: None; the corpus says which clips are tested.
        other: A clip with a vote for none of the four classes: `leave_out`, or `ignore` that vote.
        allow_outside: Accept sound that is not in the root, but that a link in it leads to.

    Raises:
        InputError: `other` is none of these, or a fold is asked for.
    """

    part: str | None = "crowd"
    other: str = LEAVE_OUT
    allow_outside: bool = False

    name = "dusha"
    how_to_obtain = (
        "Dusha (attribution, share-alike) is linked from github.com/salute-developers/golos, folder dusha: unpack "
        "crowd.tar and give the folder that holds crowd_train and crowd_test. podcast.tar has no sound."
    )
    prompt = "speech_emotion"
    parts = DOMAINS
    usual_target = "no votes for other"

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"corpus {self.name}"
        if self.other not in (LEAVE_OUT, IGNORE):
            raise InputError(f"other must be one of {LEAVE_OUT}, {IGNORE}, got {self.other!r}", where=where)
        if self.fold is not None:
            wrong = f"fold must be null, got {self.fold}: the corpus says which clips are tested"
            raise InputError(wrong, where=where)

    @property
    def categories(self) -> CategorySet:
        return CATEGORIES

    @property
    def speaker_disjoint(self) -> bool:
        """False: nobody says that the test parts have other speakers."""
        return False

    @property
    def target_name(self) -> str:
        """Which clips with votes for other there are."""
        return "votes for other ignored" if self.other == IGNORE else self.usual_target

    def label_files(self) -> Sequence[Path]:
        return [file.path for file in self._files()]

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "other": self.other, "allow_outside": self.allow_outside}

    def read(self) -> Iterator[Item]:
        """Yield the clips of each part, train parts first within a domain, in the order of their first votes.

        Raises:
            InputError: No clip has votes and sound, too few speakers are known, or a row is malformed and
                `skip_bad_rows` is off.
        """
        bad_rows, files = BadRows(skip=self.skip_bad_rows), self._files()
        voted = read_votes(files, bad_rows=bad_rows)
        tally = DushaTally([file.path.name for file in files], len(voted.clips), voted.controls)
        sounds = Sounds(Enclosure(self.root, allow_outside=self.allow_outside))
        splits = self._splits(voted.clips, tally)
        for clip in voted.clips.values():
            if (item := self._item(clip, sounds, splits=splits, tally=tally, bad_rows=bad_rows)) is not None:
                tally.items += 1
                yield item
        tally.sounds_without_votes = sounds.unused()
        if not tally.items:
            self._refuse_none(tally, bad_rows)
        self._notes = (*tally.notes(), *bad_rows.notes(good=tally.items))

    def _files(self) -> list[PartFile]:
        """The label file of each part.

        Raises:
            InputError: The root or a file is missing.
        """
        self.require(self.root)
        files = []
        for domain in DOMAINS if self.part is None else (self.part,):
            for kind in KINDS:
                stem = self.root / f"{domain}_{kind}" / f"raw_{domain}_{kind}"
                paths = [stem.with_name(f"{stem.name}{ending}") for ending in ENDINGS]
                path = next((path for path in paths if path.exists()), paths[0])
                files.append(PartFile(self.require(path), domain, kind == "test"))
        return files

    def _splits(self, clips: Mapping[str, VotedClip], tally: DushaTally) -> dict[str, dict[str, Split]]:
        """Split of each speaker of the train parts, by domain.

        Raises:
            InputError: A train part has clips of fewer than two speakers that are known.
        """
        splits = {}
        for domain in {clip.source.domain: None for clip in clips.values()}:
            train, test = (
                {c.speaker for c in clips.values() if c.source.domain == domain and c.source.is_test is on}
                for on in (False, True)
            )
            if train and len(train - {""}) < 2:
                wrong = f"{domain}_train has {len(train - {''})} speaker with a source_id, and needs two:"
                remedy = "a tenth of them validates. Fill source_id in, or take another part."
                raise InputError(wrong, where=f"corpus {self.name}", remedy=remedy)
            tally.shared_speakers += len((train & test) - {""})
            shares = {"validation": VALIDATION_SHARE, "test": 0.0}
            splits[domain] = split_by_group(train - {""}, seed=self.seed, shares=shares)
        return splits

    def _item(
        self,
        clip: VotedClip,
        sounds: Sounds,
        *,
        splits: Mapping[str, Mapping[str, Split]],
        tally: DushaTally,
        bad_rows: BadRows,
    ) -> Item | None:
        """The item of a clip; None where it is left out, which is counted."""
        if (sound := sounds.path(clip)) is not None:
            try:
                sounds.give(sound, clip)
            except InputError as error:
                bad_rows.add(str(error), where=clip.where)
                return None
        ratings = [(name, at) for name, at in zip(clip.annotators, clip.places, strict=True) if at != OTHER]
        others = len(clip.places) - len(ratings)
        if others and self.other == LEAVE_OUT:
            tally.with_other += 1
        elif sound is None:
            tally.without_sound.append(clip.id)
        elif not ratings:
            tally.only_other += 1
        else:
            tally.dropped += others
            tally.without_text += not clip.text
            tally.unknown_speaker += not clip.speaker and not clip.source.is_test
            counts = Counter(at for _, at in ratings)
            return Item(
                id=clip.id,
                votes=tuple(float(counts[place]) for place in range(len(CATEGORIES))),
                audio=sound,
                text=clip.text or None,
                speaker=f"{clip.source.domain}-{clip.speaker}" if clip.speaker else None,
                split="test"
                if clip.source.is_test
                else splits[clip.source.domain].get(clip.speaker, "train"),
                part=clip.source.domain,
                annotators=tuple(name for name, _ in ratings),
                annotations=tuple(at for _, at in ratings),
            )
        return None

    def _refuse_none(self, tally: DushaTally, bad_rows: BadRows) -> None:
        """Refuse a corpus without items.

        Raises:
            InputError: Always.
        """
        first = f"; the first bad row: {bad_rows.lines[0]}" if bad_rows.lines else ""
        lost = len(tally.without_sound)
        why = f": {lost:,} have no sound file, the first {tally.without_sound[0]}" if lost else ""
        what = f"none of the {tally.clips:,} clips that have votes is an item{why}{first}."
        raise InputError(what, where=f"corpus {self.name}", remedy=self.how_to_obtain)
