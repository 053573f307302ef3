"""MSP-Podcast, releases 1.12 and 2.0: turns cut from podcasts; at least five raters chose the primary emotion of each,
and rated its arousal, valence and dominance.

Read as distributed: one of `Labels/labels.txt`, `labels_detailed.csv` and `labels_detailed.json` for the votes,
`labels_consensus.csv` (or .json) for speakers and the official split, `Audios/*.wav`, and `Transcripts/*.txt` where
they are on disk. `Speaker_ids.txt` and `Partition.txt` repeat the consensus file and are not read. The corpus leaves
some points open; these are our choices:

1. A turn with a single vote outside the eight classes (`Other`, `Other-…`, any unknown word) is left out, and counted
   (SHALA-LLM, Appendix B.2). The paper has 12,955 items (Appendix C.1.2), and does not say in full how it chose them.
   With `other: class` such votes are for a ninth class, `other`, and no turn is left out for them.
2. `split: papers` cuts the remaining items into five even folds, by item (SHALA-LLM, Appendix C.1.2). Fold k is the
   test, the next one validates, three train; without a fold, k is 0. Turns without a sound file have a place in the
   folds, too, so that a subset on disk is split as the full corpus. **A speaker is in several splits.**
3. `split: official` uses Train, Development and Test1, whose speakers are disjoint. Test2 and Test3 are left out, and
   counted.
4. Sound without votes is normal, since Test3's votes are hidden: it is left out, and counted. Votes without sound are
   bad rows. So is a turn that only one of the two label files has, except for Test3. Release 2.0 has votes on one turn
   without sound (LACKING): it is left out, and counted.
5. The consensus is never a label. Turns whose votes do not lead to it are counted in a note.
6. With `votes: primary_and_secondary` the emotions that a rater named, primary or secondary, share that rater's one
   vote evenly. Only those that are classes count (`secondary`). The field often takes the share of mentions instead
   (*all-inclusive* distributions, Chou et al.): there, a rater who names three emotions counts three times as much as
   one who names one. Here each rater counts once. Such votes are fractions, no draws: nothing that needs draws is
   computed of them (noise floor, `brier_mean_unbiased`, `budget`). `annotations` stay the primary emotions.
7. With `target: arousal` (or valence, dominance) the votes are the raters' steps on that scale, and the seven steps are
   ordered classes. All turns count, whatever their emotions are. A rater whose rating is missing does not count, and
   is counted in a note; a rating that is no whole step from 1 to 7 is a bad row. The corpus's mean is never a label:
   it only serves to check that the ratings were read right. The folds of `split: papers` are drawn over all turns, so
   they are others than those for emotions.

The columns of 2.0 are known from descriptions: nobody has run this reader on the files of that release.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import FOLDS, Item, Split
from lalm_ambig.corpora.base import SHALA_METRICS, Corpus, TableColumns
from lalm_ambig.corpora.msp_podcast.consensus import CONSENSUS_FILES, read_consensus
from lalm_ambig.corpora.msp_podcast.files import (
    LABEL_FOLDERS,
    SOUND_FOLDERS,
    TRANSCRIPT_FOLDER,
    Transcripts,
    find_sounds,
    first_file,
    first_folder,
)
from lalm_ambig.corpora.msp_podcast.scales import SCALES, Scale
from lalm_ambig.corpora.msp_podcast.secondary import CATEGORIES
from lalm_ambig.corpora.msp_podcast.tally import LabelledTurn, MspPodcastTally, join_labels
from lalm_ambig.corpora.msp_podcast.turns import WITH_OTHER, Sharing, read_votes
from lalm_ambig.corpora.msp_podcast.votes import LAYOUTS
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.paths import Enclosure
from lalm_ambig.corpora.reading.splits import seeded_order

SPLIT_OF_PART: dict[str, Split] = {"Train": "train", "Development": "validation", "Test1": "test"}
SPLIT_KINDS = ("papers", "official")
LEAVE_OUT, AS_CLASS = "leave_out", "class"
PRIMARY, BOTH = "primary", "primary_and_secondary"
AUTO = "auto"
EMOTION = "emotion"
LACKING = frozenset({"MSP-PODCAST_1909_1017"})
"""Turns with votes whose sound a release lacks."""


@dataclass(kw_only=True, eq=False)
class MspPodcast(Corpus):
    """The turns whose sound is on disk and, for emotions, whose votes are all for the classes.

    Args:
        root: The folder that holds Audios, Labels and Transcripts.
        seed: Seed of the five folds.
        fold: 0 to 4: the fold that is the test, the next one validates; None is as 0.
        labels: The file that votes come from: txt, csv or json; auto takes the first that is on disk.
        split: `papers`: five even folds by item, which share speakers; `official`: the corpus's own parts.
        other: A turn with a vote for none of the eight classes: `leave_out`, or `class` for a ninth class, `other`.
        votes: `primary`: each rater's primary emotion; `primary_and_secondary`: all classes that a rater named share
            one vote.
        target: What the raters judged: `emotion`; or `arousal`, `valence` or `dominance`, scales of seven steps. Of
            these, all turns count, and `other` and `votes` say nothing.
        allow_outside: Accept sound and transcripts that are not in the root, but that a link in it leads to.

    Raises:
        InputError: `labels`, `split`, `other`, `votes` or `target` is none of these, a fold is asked of the official
            split, or `other` or `votes` of a scale.
    """

    labels: str = AUTO
    split: str = "papers"
    other: str = LEAVE_OUT
    votes: str = PRIMARY
    target: str = EMOTION
    allow_outside: bool = False

    name = "msp_podcast"
    how_to_obtain = (
        "MSP-Podcast is licensed by the MSP lab (lab-msp.com, formerly UT Dallas): request a release (1.12 or 2.0) "
        "there, unpack it and give the folder that holds Audios, Labels and Transcripts."
    )
    licensed = True
    table_metrics = TableColumns(SHALA_METRICS)
    usual_target = PRIMARY

    def __post_init__(self) -> None:
        super().__post_init__()
        choices = (
            ("labels", self.labels, (AUTO, *LAYOUTS)),
            ("split", self.split, SPLIT_KINDS),
            ("other", self.other, (LEAVE_OUT, AS_CLASS)),
            ("votes", self.votes, (PRIMARY, BOTH)),
            ("target", self.target, (EMOTION, *SCALES)),
        )
        for option, value, allowed in choices:
            if value not in allowed:
                expected = f"{option} must be one of {', '.join(allowed)}, got {value!r}"
                raise InputError(expected, where=f"corpus {self.name}")
        self._refuse_emotions_of_a_scale()
        if self.split == "official" and self.fold is not None:
            wrong = f"fold {self.fold} was asked for, but the official split has none"
            raise InputError(wrong, where=f"corpus {self.name}")
        self._enclosure = Enclosure(self.root, allow_outside=self.allow_outside)

    def _refuse_emotions_of_a_scale(self) -> None:
        for option, value, default in (("other", self.other, LEAVE_OUT), ("votes", self.votes, PRIMARY)):
            if self.scale is not None and value != default:
                wrong = f"{option} is about emotions, and the target is {self.target}"
                remedy = f"Leave the option {option} out."
                raise InputError(wrong, where=f"corpus {self.name}", remedy=remedy)

    @property
    def scale(self) -> Scale | None:
        """The scale that is the target; None where emotions are."""
        return SCALES.get(self.target)

    @property
    def prompt(self) -> str:
        return f"speech_{self.target}"

    @property
    def categories(self) -> CategorySet:
        if self.scale is not None:
            return self.scale.categories
        return WITH_OTHER if self.other == AS_CLASS else CATEGORIES

    @property
    def target_name(self) -> str:
        """The votes that count, and whether there is a ninth class; or the scale."""
        if self.scale is not None:
            return self.target
        votes = "primary and secondary" if self.votes == BOTH else PRIMARY
        return f"nine classes, {votes}" if self.other == AS_CLASS else votes

    @property
    def speaker_disjoint(self) -> bool:
        """True for the official split; the folds of the papers ignore speakers."""
        return self.split == "official"

    @property
    def draws_splits(self) -> bool:
        """True for the folds of the papers; the official split is the corpus's own."""
        return self.split != "official"

    @property
    def draws_speakers_apart(self) -> bool:
        """False: neither split is drawn by speaker."""
        return False

    def label_files(self) -> Sequence[Path]:
        self.require(self.root)
        consensus = self._consensus_file()
        return [self._votes_file()[1], *([] if consensus is None else [consensus])]

    def listed_folders(self) -> Sequence[Path]:
        return [self.root / TRANSCRIPT_FOLDER]

    def settings(self) -> dict[str, Any]:
        added = {
            "other": (self.other, LEAVE_OUT),
            "votes": (self.votes, PRIMARY),
            "target": (self.target, EMOTION),
        }
        return {
            **super().settings(),
            "labels": self.labels,
            "split": self.split,
            "allow_outside": self.allow_outside,
            **{name: value for name, (value, default) in added.items() if value != default},
        }

    def read(self) -> Iterator[Item]:
        """Yield the turns that have both votes and a sound file.

        Raises:
            InputError: There is no such turn, or a row is malformed and `skip_bad_rows` is off.
        """
        bad_rows = BadRows(skip=self.skip_bad_rows)
        self.require(self.root)
        sounds = find_sounds(self.require(first_folder(self.root, SOUND_FOLDERS)), self._enclosure)
        turns, tally = self._labelled(sounds, bad_rows)
        for item in self._items(turns, sounds, bad_rows=bad_rows, tally=tally):
            tally.items += 1
            yield item
        if not tally.items:
            first = f"; the first bad row: {bad_rows.lines[0]}" if bad_rows.lines else ""
            what = f"none of the {len(turns):,} turns that have votes is an item{first}"
            raise InputError(what, where=f"corpus {self.name}", remedy=self.how_to_obtain)
        self._notes = (*tally.notes(), *bad_rows.notes(good=tally.items))

    def _labelled(
        self, sounds: Mapping[str, str], bad_rows: BadRows
    ) -> tuple[list[LabelledTurn], MspPodcastTally]:
        """Every turn that has votes, by name, and the tally so far."""
        layout, votes_file = self._votes_file()
        consensus_file = self._consensus_file()
        sharing = Sharing(other_is_class=self.other == AS_CLASS) if self.votes == BOTH else None
        votes = read_votes(votes_file, layout, bad_rows=bad_rows, sharing=sharing, scale=self.scale)
        consensus = None
        if consensus_file is not None:
            consensus = read_consensus(consensus_file, bad_rows=bad_rows, scale=self.scale)
        tally = MspPodcastTally(
            votes_from=votes_file.name,
            speakers_from=None if consensus_file is None else consensus_file.name,
            split=self.split,
            turns=len(votes.turns),
            sounds_without_votes=len(sounds.keys() - votes.turns.keys()),
            unknown_words=votes.unknown_words,
            sharing=sharing,
            scale=self.scale,
        )
        return list(join_labels(votes, consensus, bad_rows=bad_rows, tally=tally)), tally

    def _items(
        self,
        turns: Sequence[LabelledTurn],
        sounds: Mapping[str, str],
        *,
        bad_rows: BadRows,
        tally: MspPodcastTally,
    ) -> Iterator[Item]:
        """Yield an item per turn, or count it, or report it as a bad row."""
        splits = self._splits([turn for turn in turns if self._counts(turn)])
        classes = len(self.categories)
        transcripts = Transcripts(self.root / TRANSCRIPT_FOLDER, self._enclosure, bad_rows)
        for turn in turns:
            if not self._counts(turn):
                tally.outside += 1
            elif turn.name not in splits:
                tally.other_part += 1
            elif turn.name not in sounds and turn.name in LACKING:
                tally.without_sound.append(turn.name)
            elif turn.name not in sounds:
                bad_rows.add(f"turn {turn.name} has no sound file", where=turn.where)
            else:
                text = transcripts.read(turn.name)
                tally.without_transcript += text is None
                tally.without_speaker += turn.speaker is None
                yield Item(
                    id=turn.name,
                    votes=turn.voted.class_votes(classes),
                    audio=sounds[turn.name],
                    text=text,
                    speaker=turn.speaker,
                    split=splits[turn.name],
                    annotators=turn.voted.workers,
                    annotations=turn.voted.places,
                )

    def _counts(self, turn: LabelledTurn) -> bool:
        """Whether all votes on a turn are for classes."""
        return self.other == AS_CLASS or turn.voted.inside

    def _splits(self, turns: Sequence[LabelledTurn]) -> dict[str, Split]:
        """Split of each turn by name, without turns that are in no split."""
        if self.split == "official":
            return {turn.name: SPLIT_OF_PART[turn.part] for turn in turns if turn.part in SPLIT_OF_PART}
        return even_folds([turn.name for turn in turns], seed=self.seed, test_fold=self.fold or 0)

    def _votes_file(self) -> tuple[str, Path]:
        """Layout and path of the label file: the one that `labels` names, or the first on disk."""
        folder = self.require(first_folder(self.root, LABEL_FOLDERS))
        layouts = [self.labels] if self.labels != AUTO else list(LAYOUTS)
        for layout in layouts:
            if (path := first_file(folder, [LAYOUTS[layout][0]])) is not None:
                return layout, path
        names = " or ".join(LAYOUTS[layout][0] for layout in layouts)
        raise InputError(
            f"not found: {names} under {folder}.", where=f"corpus {self.name}", remedy=self.how_to_obtain
        )

    def _consensus_file(self) -> Path | None:
        """The consensus file; None where it is missing and the split does not need it."""
        folder = self.require(first_folder(self.root, LABEL_FOLDERS))
        path = first_file(folder, CONSENSUS_FILES)
        if path is None and self.split == "official":
            self.require(folder / CONSENSUS_FILES[0])
        return path


def even_folds(names: Sequence[str], *, seed: int, test_fold: int) -> dict[str, Split]:
    """Split items into five folds whose sizes differ by at most one: one tests, the next validates.

    Args:
        names: The items.
        seed: Seed of the order.
        test_fold: The fold that tests, 0 to 4.

    Returns:
        Name → split.
    """
    splits: dict[str, Split] = {}
    for place, name in enumerate(seeded_order(names, seed=seed, purpose="folds")):
        after = (place - test_fold) % FOLDS
        splits[name] = "test" if after == 0 else "validation" if after == 1 else "train"
    return splits
