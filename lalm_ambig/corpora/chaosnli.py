"""ChaosNLI: pairs of sentences from the development sets of SNLI and MNLI, each judged by 100 annotators.

Read as distributed: `chaosNLI_snli.jsonl` and `chaosNLI_mnli_m.jsonl`, in the root or in the folder `chaosNLI_v1.0`
that the archive unpacks to. Votes are `label_counter`. The fields `majority_label` and `old_label` are not used: of
classes with equal votes the first is the majority, in this program's every corpus.

The split is that of SHALA-LLM, Appendix C.1.1: items shuffled by the seed, 65/15/20. Items of one image (SNLI) or one
premise (MNLI) can therefore be in two splits. With seed 0, 25 % of the test items of SNLI show an image of the training
items, and 20 % of MNLI's a premise. Each part is split by itself, so that an item is in the same split whether one part
is read or both.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item, id_text
from lalm_ambig.corpora.base import SHALA_METRICS, Corpus, TableColumns
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.splits import split_by_group
from lalm_ambig.files.json_lines import is_missing, json_object, number_hint, numbered_lines, short_repr

FILES = {"snli": "chaosNLI_snli.jsonl", "mnli": "chaosNLI_mnli_m.jsonl"}
"""File of each part."""
SIZES = {"snli": 1514, "mnli": 1599}
"""Pairs of each part as distributed."""
UNPACKED = "chaosNLI_*"
"""Name of the folder that the archive unpacks to, whatever its version."""
SHARES = {"validation": 0.15, "test": 0.2}
CATEGORIES = CategorySet(("entailment", "neutral", "contradiction"))
LETTERS = ("e", "n", "c")
"""Letters of the classes in the files, in the order of CATEGORIES (and of `label_count`)."""
ANNOTATORS = 100
"""Votes that every pair has."""


@dataclass(frozen=True)
class Pair:
    """One row of a file."""

    uid: str
    votes: tuple[float, ...]
    """Counts in the order of CATEGORIES; they sum to ANNOTATORS."""
    text: str
    """`Premise: …` and `Hypothesis: …`, one line each."""


class ChaosNli(Corpus):
    """The pairs of one part or both; text only.

    Args:
        root: The folder that holds the files, or the one that the archive was unpacked in.
        part: snli or mnli; None for both.
        seed: Seed of the split by item.
        fold: None for 65/15/20, or 0 to 4 for one of five folds, of whose other items 15 % validate.
    """

    name = "chaosnli"
    how_to_obtain = (
        "ChaosNLI (CC BY-NC 4.0) is linked from github.com/easonnie/chaos_nli: unpack it and give the folder that "
        f"holds {' and '.join(FILES.values())}."
    )
    prompt = "inference"
    table_metrics = TableColumns(SHALA_METRICS)
    parts = tuple(FILES)
    total_items: ClassVar[int | None] = sum(SIZES.values())

    @property
    def categories(self) -> CategorySet:
        return CATEGORIES

    def label_files(self) -> Sequence[Path]:
        self.require(self.root)
        return [self._file(part) for part in self._chosen()]

    def read(self) -> Iterator[Item]:
        """Yield the pairs, part by part.

        Raises:
            InputError: No pair of a file could be read, or a row is malformed and `skip_bad_rows` is off.
        """
        bad_rows, places = BadRows(skip=self.skip_bad_rows), dict[str, str]()
        pairs_by_part: dict[str, list[Pair]] = {}
        for part, path in zip(self._chosen(), self.label_files(), strict=True):
            pairs_by_part[part] = read_pairs(path, bad_rows=bad_rows, places=places)
            if not pairs_by_part[part]:
                raise InputError("no pair in it could be read", where=str(path))
        sizes = [f"{part}: {len(pairs):,} of {SIZES[part]:,} pairs" for part, pairs in pairs_by_part.items()]
        self._notes = (*sizes, *bad_rows.notes(good=len(places)))
        for part, pairs in pairs_by_part.items():
            splits = split_by_group(
                (pair.uid for pair in pairs), seed=self.seed, fold=self.fold, shares=SHARES
            )
            for pair in pairs:
                split = splits[pair.uid]
                yield Item(id=pair.uid, votes=pair.votes, text=pair.text, split=split, part=part)

    def _chosen(self) -> Sequence[str]:
        return self.parts if self.part is None else (self.part,)

    def _file(self, part: str) -> Path:
        """The file of a part.

        Raises:
            InputError: There is none, or more than one to choose from.
        """
        name = FILES[part]
        if (self.root / name).is_file():
            return self.root / name
        unpacked = sorted(path for path in self.root.glob(f"{UNPACKED}/{name}") if path.is_file())
        if len(unpacked) > 1:
            wrong = f"{name} is in {unpacked[0].parent.name} and {unpacked[1].parent.name}: give one of them"
            raise InputError(wrong, where=str(self.root))
        if not unpacked:
            wrong = f"not found: {name} or {UNPACKED}/{name} under {self.root}."
            raise InputError(wrong, where=f"corpus {self.name}", remedy=self.how_to_obtain)
        return unpacked[0]


def read_pairs(path: Path, *, bad_rows: BadRows, places: dict[str, str]) -> list[Pair]:
    """Parse the good rows of a file, in its order.

    Args:
        path: The file of one part.
        bad_rows: Collects each malformed row and each repeated uid.
        places: Place of every uid read so far; the file's own are added.

    Returns:
        One pair per good row.

    Raises:
        InputError: Most rows have the same fault, or one is malformed and `bad_rows` leaves none out.
    """
    pairs = []
    with bad_rows.reading(path) as reading:
        for where, line in numbered_lines(path):
            try:
                pair = parse_pair(json_object(line))
                if pair.uid in places:
                    raise InputError(f"uid {short_repr(pair.uid)} was used before, in {places[pair.uid]}")
            except InputError as error:
                bad_rows.add(str(error), where=where)
                continue
            places[pair.uid] = where
            pairs.append(pair)
        reading.good = len(pairs)
    return pairs


def parse_pair(values: Mapping[str, Any]) -> Pair:
    """Parse a row's object.

    Raises:
        InputError: The row is malformed; the message has no place.
    """
    uid = id_text(values.get("uid"))
    if uid is None or not uid.strip():
        raise InputError('a row needs a "uid" that is a text')
    example = values.get("example")
    if not isinstance(example, dict):
        raise InputError(f'pair {short_repr(uid)} needs an "example": an object of premise and hypothesis')
    premise, hypothesis = (_sentence(example, key, uid) for key in ("premise", "hypothesis"))
    text = f"Premise: {premise}\nHypothesis: {hypothesis}"
    return Pair(uid=uid, votes=_votes(values, uid), text=text)


def _sentence(example: Mapping[str, Any], key: str, uid: str) -> str:
    sentence = example.get(key)
    if not isinstance(sentence, str) or not sentence.strip():
        raise InputError(
            f'"example.{key}" of pair {short_repr(uid)} must be a text, got {short_repr(sentence)}'
        )
    return " ".join(sentence.split())


def _votes(values: Mapping[str, Any], uid: str) -> tuple[float, ...]:
    """Votes by `label_counter`; a letter that is missing or null has none. `label_count` must agree where present."""
    counter = values.get("label_counter")
    if not isinstance(counter, dict):
        raise InputError(f'pair {short_repr(uid)} needs a "label_counter": an object of letter and count')
    for letter, count in counter.items():
        if letter not in LETTERS:
            raise InputError(f"votes for unknown class {short_repr(letter)}: expected {', '.join(LETTERS)}")
        if not is_missing(count) and not _is_count(count):
            limits = f"a count from 0 to {ANNOTATORS}"
            raise InputError(
                f"votes for {letter} must be {limits}, got {short_repr(count)}{number_hint(count)}"
            )
    counts = [int(counter[letter]) if _is_count(counter.get(letter)) else 0 for letter in LETTERS]
    if sum(counts) != ANNOTATORS:
        raise InputError(f"the votes of pair {short_repr(uid)} sum to {sum(counts)}, not {ANNOTATORS}")
    if values.get("label_count", counts) != counts:
        differ = f"label_count {short_repr(values['label_count'])} is not its label_counter's {counts}"
        raise InputError(f"pair {short_repr(uid)}: {differ}")
    return tuple(float(count) for count in counts)


def _is_count(value: object) -> bool:
    """True for a whole number from 0 to ANNOTATORS; pandas may have made it a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= ANNOTATORS and value == int(value)
