"""What a run was trained on, kept with it and with its weights; and the refusal to take such items for a test."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lalm_ambig.config.cli import parse
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item, Portion
from lalm_ambig.corpora.duplicates.between_splits import duplicates
from lalm_ambig.corpora.duplicates.contents import contents
from lalm_ambig.data.datamodule import DataModule, MethodNeeds
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.trained_items import (
    FILE,
    TestSet,
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


def refuse_trained(found: Overlap, *, where: str, allow: bool, remedies: Sequence[str] = ()) -> None:
    """InputError where items of a test were trained on, unless that is allowed; the remedies stand before the flag."""
    if found.is_leaky and not allow:
        raise InputError(f"{found.what}: this is no test.", where=where, remedy=_sentence(remedies))


def _sentence(remedies: Sequence[str]) -> str:
    ways = ", or ".join([*remedies, ALLOWED])
    return f"{ways[0].upper()}{ways[1:]}."


def allowed_in(words: Sequence[str]) -> tuple[list[str], bool]:
    """The other words of a command line, and whether the flag is among them."""
    return [word for word in words if word != FLAG], FLAG in words


def test_set(data: DataModule, portion: Portion) -> TestSet:
    """A part of data that has been set up, as a test set."""
    corpus = data.corpus
    apart = corpus.draws_speakers_apart
    return TestSet(corpus, data.items(portion), data.prepared.items(), speakers_apart=apart)


def overlap_of(record: TrainedItems, data: DataModule, portion: Portion) -> Overlap:
    """What of a part of the data is in a record."""
    if not record.runs:  # nothing has to be read for that
        return Overlap(0, 0, len(data.items(portion)), unchecked=record.unknown)
    return overlap(record, test_set(data, portion))


def record_of_run(run: RunFolder) -> TrainedItems:
    """What a run of fit was trained on: its record, or what its configuration says where it has none.

    Where neither tells, the record says that nothing is known.
    """
    return _record_of_run(run, before=frozenset())


def record_of(loaded: Loaded) -> TrainedItems:
    """What the policy of a command was trained on: a run's, or what a base model's own folder says."""
    if loaded.run is not None:
        return record_of_run(loaded.run)
    return record_of_base(loaded.model.policy)


def training_note(loaded: Loaded, item: Item) -> str | None:
    """A sentence on a single item that was trained on, or where that is not known; None for an unseen one.

    No corpus is read for it: a run without a record is not known.
    """
    record = record_of_base(loaded.model.policy)
    if loaded.run is not None:
        places = (loaded.run.path, loaded.run.adapter)
        kept = next((one for place in places if (one := read_trained_items(place)) is not None), None)
        name = loaded.run.path.resolve().name
        why = f"Whether run {name} was trained on this is not known: it keeps no {FILE}."
        record = TrainedItems(unknown=(why,)) if kept is None else kept
    if (found := same_item(record, item)) is not None:
        return (
            f"Run {found[0].name} was trained on this, or chose its checkpoint by it, as item {found[1].id}."
        )
    return next((f"{line[0].upper()}{line[1:].rstrip('.')}." for line in record.unknown), None)


def record_of_start(start: Path) -> TrainedItems:
    """What the weights were trained on that `model.start` names: a run's, or an adapter's by itself."""
    return _record_of_start(start, before=frozenset())


def record_of_base(policy: Policy) -> TrainedItems:
    """What a base model's own folder says it was trained on: a merged export of a run has a record in it."""
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
    """`before`: the folders of the runs that go on from this one, which a circle would come back to."""
    for folder in (run.path, run.adapter):
        if (kept := read_trained_items(folder)) is not None:
            return kept
    name = run.path.resolve().name
    try:
        cli = parse([f"--config={run.config}"])
        model = cli.model
        # Which items an older version left out for a limit is not known: none, to be sure.
        data = cli.datamodule.unlimited().prepared_for(MethodNeeds(rationale=model.needs_rationale))
        own = TrainedItems((TrainedRun(name, data.corpus.settings(), used_items(data)),))
    except InputError as error:
        why = f"run {name} keeps no {FILE}, and its configuration does not tell either ({error})"
        return TrainedItems(unknown=(f"what was trained on cannot be checked: {why}",))
    if model.start is None:
        return own.and_also(record_of_base(model.policy))
    here = run.path.resolve()
    return own if here in before else own.and_also(_record_of_start(model.start, before=before | {here}))


def used_items(data: DataModule) -> tuple[TrainedItem, ...]:
    """The items that are trained on, and those by which the checkpoint is chosen."""
    items = [*data.train_items(), *data.items("validation")]
    return tuple(trained_item(item, content) for item, content in zip(items, contents(items), strict=True))


@dataclass(frozen=True)
class StartHistory:
    """What a policy was trained on before a run begins, and what of the run's test that is."""

    record: TrainedItems
    overlap: Overlap
    chosen_by: Overlap | None = None
    """The same of the run's validation items, as far as they were trained on."""

    @property
    def notes(self) -> list[str]:
        """For the user, before training."""
        found = list(self.overlap.notes)
        if self.chosen_by is not None and self.chosen_by.items:
            count, of = self.chosen_by.items, self.chosen_by.of
            runs = ", ".join(self.chosen_by.runs)
            found.append(
                f"{count} of the {of} validation items, which choose the checkpoint, were trained on by run {runs}"
            )
        return found


def history_of_start(model: Method, data: DataModule, *, allow: bool) -> StartHistory:
    """What the weights that a run starts from have seen. InputError where its test items are among that.

    Args:
        model: Nothing of it is loaded.
        data: Set up here where there is something to compare with.
        allow: Mark instead of refusing.
    """
    record = record_of_base(model.policy) if model.start is None else record_of_start(model.start)
    if not record.runs:
        return StartHistory(record, Overlap(0, 0, 0, unchecked=record.unknown))
    data.setup()
    found = overlap_of(record, data, "test")
    refuse_trained(found, where="model.start", allow=allow, remedies=_other_starts(record, data))
    trained = (replace(r, items=tuple(i for i in r.items if i.split == "train")) for r in record.runs)
    return StartHistory(record, found, overlap_of(TrainedItems(tuple(trained)), data, "validation"))


def _other_starts(record: TrainedItems, data: DataModule) -> list[str]:
    """Ways to a start that has not seen the test."""
    first, own = record.runs[0].settings, data.corpus.settings()
    if first.get("corpus") != own["corpus"] or not record.is_of_one_split:
        return []
    if own["fold"] is not None:
        return ["start each fold from its own run, --model.start 'runs/NAME-fold{fold}'"]
    if first.get("fold") is not None:
        return [f"take that run's fold, --data.corpus.init_args.fold {first['fold']}"]
    if first.get("seed") != own["seed"]:
        return [f"take that run's split, --data.corpus.init_args.seed {first.get('seed')}"]
    return []


def write_record(run: RunFolder, data: DataModule, past: StartHistory) -> Overlap:
    """Write the run's record before it trains; what an earlier start of it has seen stays in.

    Returns what of the run's own test was trained on before, with what its split has twice.
    """
    own = TrainedRun(run.path.name, data.corpus.settings(), used_items(data))
    before = read_trained_items(run.path)
    if before is not None and before.runs:
        items = dict.fromkeys((*before.runs[0].items, *own.items))
        own = replace(own, items=tuple(items))
    record = past.record.behind(own)
    write_trained_items(run.path, record)
    twice = duplicates(data.train_items(), data.items("test"))
    return replace(overlap_of(record, data, "test"), duplicates=twice)


def copy_record(run: RunFolder, folder: Path) -> None:
    """Put a run's record beside weights of it that go elsewhere."""
    for source in (run.path / FILE, run.adapter / FILE):
        if source.is_file():
            write_bytes(folder / FILE, source.read_bytes())
            return
