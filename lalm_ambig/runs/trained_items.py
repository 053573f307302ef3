"""The record of the items that a run was trained on, kept with its weights. Such items are refused as a test."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from lalm_ambig.config.cli import parse
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item, Portion
from lalm_ambig.corpora.duplicates.between_splits import InBoth
from lalm_ambig.corpora.duplicates.contents import content_of, sound_contents
from lalm_ambig.data.annotators import EACH, each_once, first_of_each
from lalm_ambig.data.datamodule import DataModule, MethodNeeds
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.trained_items import (
    FILE,
    EvaluatedItems,
    TrainedItem,
    TrainedItems,
    TrainedRun,
    overlap,
    read_trained_items,
    same_item,
    trained_item,
    write_trained_items,
)
from lalm_ambig.files.atomic import write_bytes
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.base import Policy
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.loading import Loaded

FLAG = "--allow-trained-items"
HELP = (
    "take items for a test that were trained on, or that chose the checkpoint; every table, figure and file made "
    "from it says so"
)
ALLOWED = f"give {FLAG}, which marks every table, figure and file made from it"


def refuse_trained(overlap: Overlap, *, where: str, allow: bool, remedies: Sequence[str] = ()) -> None:
    """Check that no item of a test was trained on.

    Args:
        overlap: The items that were.
        where: The option or command that the message names.
        allow: Whether such items are allowed.
        remedies: Ways out that the message names before the flag.

    Raises:
        InputError: Some were trained on, and that is not allowed.
    """
    if overlap.is_leaky and not allow:
        raise InputError(f"{overlap.what}: this is no test.", where=where, remedy=_sentence(remedies))


def _sentence(remedies: Sequence[str]) -> str:
    ways = ", or ".join([*remedies, ALLOWED])
    return f"{ways[0].upper()}{ways[1:]}."


def evaluated_items(data: DataModule, portion: Portion) -> EvaluatedItems:
    """Return a split of data that is read, as a test set; of pairs with annotators, each item once."""
    corpus = data.corpus
    apart = corpus.draws_speakers_apart
    tested = first_of_each(data.items(portion)) if data.annotators == EACH else data.items(portion)
    return EvaluatedItems(corpus, tested, data.prepared.items(), speakers_apart=apart)


def count_judged(data: DataModule, portion: Portion) -> int:
    """Return the number of items of a split that were judged; those of pairs with annotators count once."""
    items = data.items(portion)
    return len(first_of_each(items)) if data.annotators == EACH else len(items)


def overlap_of(record: TrainedItems, data: DataModule, portion: Portion) -> Overlap:
    """Return the items of a split that a record has.

    Args:
        record: The training items of a policy.
        data: Data that is read.
        portion: The split.
    """
    if not record.runs:  # nothing has to be read for that
        return Overlap(0, 0, count_judged(data, portion), unchecked=record.unknown)
    return overlap(record, evaluated_items(data, portion))


def record_of_run(run: RunFolder) -> TrainedItems:
    """Return what a run of `fit` was trained on.

    A run without a record is read anew by its configuration. If that fails, the result says that nothing is known.
    """
    return _record_of_run(run, before=frozenset())


def record_of(loaded: Loaded) -> TrainedItems:
    """Return what the policy of a command was trained on, as its run or the base model's folder says."""
    if loaded.run is not None:
        return record_of_run(loaded.run)
    return record_of_base(loaded.model.policy)


def training_note(loaded: Loaded, item: Item) -> str | None:
    """Return a sentence on an item that was trained on, or may have been; None for an unseen one.

    No corpus is read for it. So of a run without a record, it is not known.

    Args:
        loaded: The policy.
        item: The item.
    """
    record = record_of_base(loaded.model.policy)
    if loaded.run is not None:
        places = (loaded.run.path, loaded.run.adapter)
        kept = next((one for place in places if (one := read_trained_items(place)) is not None), None)
        name = loaded.run.path.resolve().name
        why = f"Whether run {name} was trained on this is not known: it keeps no {FILE}."
        record = TrainedItems(unknown=(why,)) if kept is None else kept
    if (match := same_item(record, item)) is not None:
        run, trained = match
        return f"Run {run.name} was trained on this, or chose its checkpoint by it, as item {trained.id}."
    return next((f"{line[0].upper()}{line[1:].rstrip('.')}." for line in record.unknown), None)


def record_of_start(start: Path) -> TrainedItems:
    """Return what the weights of `model.start` were trained on.

    Args:
        start: A run of `fit`, or an adapter.
    """
    return _record_of_start(start, before=frozenset())


def record_of_base(policy: Policy) -> TrainedItems:
    """Return what a base model's folder says it was trained on. A merged export of a run has a record in it."""
    path = getattr(policy, "path", None)
    folder = None if path is None else Path(str(path)).expanduser()
    return (read_trained_items(folder) if folder is not None and folder.is_dir() else None) or TrainedItems()


def _record_of_start(start: Path, *, before: frozenset[Path]) -> TrainedItems:
    folder = Path(start).expanduser()
    if (kept := read_trained_items(folder)) is not None:
        return kept
    for run in (RunFolder(folder), RunFolder(folder.absolute().parent)):
        is_it = run.path == folder or run.adapter == folder.absolute()
        if is_it and run.config.is_file():
            return _record_of_run(run, before=before)
    return TrainedItems(unknown=(f"nothing is known of what {folder.name} was trained on: it has no {FILE}",))


def _record_of_run(run: RunFolder, *, before: frozenset[Path]) -> TrainedItems:
    """Return a run's record.

    Args:
        run: The run.
        before: Folders of the runs that started from this one, at which a circle of starts ends.
    """
    for folder in (run.path, run.adapter):
        if (kept := read_trained_items(folder)) is not None:
            return kept
    name = run.path.resolve().name
    try:
        cli = parse([f"--config={run.config}"])
        model = cli.model
        # Which items an older version left out for a limit is not known: none, to be sure.
        data = cli.datamodule.unlimited().prepared_for(MethodNeeds(rationale=model.needs_rationale))
        record = TrainedItems((TrainedRun(name, data.corpus.settings(), used_items(data)),))
    except InputError as error:
        why = f"run {name} keeps no {FILE}, and its configuration does not tell either ({error})"
        return TrainedItems(unknown=(f"what was trained on cannot be checked: {why}",))
    if model.start is None:
        return record.and_also(record_of_base(model.policy))
    folder = run.path.resolve()
    if folder in before:
        return record
    return record.and_also(_record_of_start(model.start, before=before | {folder}))


def used_items(data: DataModule, *, among: InBoth | None = None) -> tuple[TrainedItem, ...]:
    """Return the items that are trained on, and those that choose the checkpoint; once each for all annotators.

    Args:
        data: The data.
        among: Is shown each item that is trained on.
    """
    parts = data.train_items(), data.items("validation")
    sounds = sound_contents(item for part in parts for item in part.with_sound())
    used: list[TrainedItem] = []
    for item in each_once(chain(*parts)):
        used.append(trained_item(item, content_of(item, sounds)))
        if among is not None and item.split == "train":
            among.show(item)
    return tuple(used)


@dataclass(frozen=True)
class StartHistory:
    """The training items of the weights that a run starts from, compared with the run's own test."""

    record: TrainedItems
    overlap: Overlap
    """The run's test items among it."""
    chosen_by: Overlap | None = None
    """The run's validation items among it, without those that only chose a checkpoint."""

    @property
    def of_validation(self) -> Overlap:
        """The run's validation items that the start was trained on, as the validation table marks them."""
        return self.chosen_by or Overlap(0, 0, 0, unchecked=self.overlap.unchecked)

    @property
    def notes(self) -> list[str]:
        """Lines for the user, before training."""
        notes = list(self.overlap.notes)
        if self.chosen_by is not None and self.chosen_by.items:
            count, of = self.chosen_by.items, self.chosen_by.of
            runs = ", ".join(self.chosen_by.runs)
            notes.append(
                f"{count} of the {of} validation items, which choose the checkpoint, were trained on by run {runs}"
            )
        return notes


def history_of_start(model: Method, data: DataModule, *, allow: bool) -> StartHistory:
    """Return what the weights that a run starts from were trained on.

    Args:
        model: The method; nothing of it is loaded.
        data: The run's data, which is read only if the start has a record.
        allow: Whether the run's test items may be among it.

    Raises:
        InputError: They are, and may not be.
    """
    record = record_of_base(model.policy) if model.start is None else record_of_start(model.start)
    if not record.runs:
        return StartHistory(record, Overlap(0, 0, 0, unchecked=record.unknown))
    data.setup()
    test = overlap_of(record, data, "test")
    refuse_trained(test, where="model.start", allow=allow, remedies=_other_starts(record, data))
    trained = (replace(r, items=tuple(i for i in r.items if i.split == "train")) for r in record.runs)
    return StartHistory(record, test, overlap_of(TrainedItems(tuple(trained)), data, "validation"))


def _other_starts(record: TrainedItems, data: DataModule) -> list[str]:
    """Return remedies that lead to a start which has not seen the test."""
    first, present = record.runs[0].settings, data.corpus.settings()
    if first.get("corpus") != present["corpus"] or not record.is_of_one_split:
        return []
    if present["fold"] is not None:
        return ["start each fold from its own run, --model.start 'runs/NAME-fold{fold}'"]
    if first.get("fold") is not None:
        return [f"take that run's fold, --data.corpus.init_args.fold {first['fold']}"]
    if first.get("seed") != present["seed"]:
        return [f"take that run's split, --data.corpus.init_args.seed {first.get('seed')}"]
    return []


def write_record(run: RunFolder, data: DataModule, past: StartHistory) -> Overlap:
    """Write a run's record before it trains. Items of an earlier start of the same run stay in it.

    Args:
        run: The run.
        data: Its data.
        past: The training items of the weights that the run starts from.

    Returns:
        The run's test items that were trained on, and items that its split has twice.
    """
    among = InBoth(first_of_each(data.items("test")))
    entry = TrainedRun(run.path.name, data.corpus.settings(), used_items(data, among=among))
    before = read_trained_items(run.path)
    if before is not None and before.runs:
        items = dict.fromkeys((*before.runs[0].items, *entry.items))
        entry = replace(entry, items=tuple(items))
    record = past.record.behind(entry)
    write_trained_items(run.path, record)
    return replace(overlap_of(record, data, "test"), duplicates=among.lines())


def copy_record(run: RunFolder, folder: Path) -> None:
    """Copy a run's record beside weights of it in another folder."""
    for source in (run.path / FILE, run.adapter / FILE):
        if source.is_file():
            write_bytes(folder / FILE, source.read_bytes())
            return
