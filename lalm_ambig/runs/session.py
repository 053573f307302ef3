"""The parts of a run put together: corpus read, weights loaded, encoder and cached features in place."""

import sys
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from lalm_ambig.core import distributed
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import SPLITS
from lalm_ambig.corpora.preparing.split_check import check_splits
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.data.encoding import Encoder, prompt_notes
from lalm_ambig.data.feature_cache import cached_features
from lalm_ambig.evaluation.cross_domain import check_mapping
from lalm_ambig.files.cache import cache_root
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.weights.saved_adapter import SETTINGS
from lalm_ambig.runs.batch_checks.long_items import leave_out_long
from lalm_ambig.runs.batch_checks.token_budget import budget_notes
from lalm_ambig.runs.folder.run_folder import open_run


def connect(
    model: Method,
    data: DataModule,
    *,
    adapter: Path | None = None,
    trained: CategorySet | None = None,
    training: bool = False,
) -> None:
    """Make model and data ready for each other.

    Corpus and prompt are read and checked before any weights are loaded, so that a user's mistake is found at once.

    Args:
        model: Its policy need not be loaded.
        data: Its corpus need not be read.
        adapter: Trained weights to start from; by default the base model.
        trained: The classes that these weights have learnt, where they are another corpus's: the policy is asked for
            the data's classes in those words.
        training: Whether the model will be trained: that there is something to train on is then checked first.
    """
    model.policy.reach()
    if adapter is None and model.start is not None:
        adapter = started_from(model.start)
    _read(model, data, training=training)
    if trained is not None:
        check_mapping(data.categories, trained, where=f"corpus {data.corpus.name}")
    categories = data.categories if trained is None else data.categories.spoken_as(trained)
    asked = data.elicitation(reasoning=model.reasoning, readout=model.readout)
    heard = [item for split in SPLITS for item in data.items(split) if item.audio]
    texts = sum(len(data.items(split)) for split in SPLITS) - len(heard)
    notes = prompt_notes(asked, categories, heard=len(heard), texts=texts)
    policy = model.policy
    policy.load()
    model.check_abilities(training=training)
    if adapter is not None:
        policy.load_weights(adapter)
    encoder = Encoder(policy, categories, asked)
    if data.cache_features and not policy.adapter.trains_tower and heard:
        with distributed.rank_zero_first():
            encoder.features = cached_features(policy, heard, cache_root())
    notes += _fitting(model, data, encoder, training=training)
    _tell(data.corpus.name, notes)
    _tell(policy.description, policy.notes)
    data.encoder = encoder
    model.attach(encoder)


def _read(model: Method, data: DataModule, *, training: bool) -> None:
    """Read the corpus, and refuse one that the model cannot be trained on."""
    data.needs_rationale, data.updates = model.needs_rationale, model.updates
    data.smallest_batch = model.smallest_batch
    data.written = model.generation.validation_items if model.writes else None
    with distributed.rank_zero_first():  # it reads the corpus, the others then find it checked
        data.setup()
    if training:
        check_splits(data.corpus, data.prepared.counts())
        model.check_samples()
        data.train_items()
        _check_batch(model, data)


def _fitting(model: Method, data: DataModule, encoder: Encoder, *, training: bool) -> list[str]:
    """Refuse or leave out what is too long, and compare token limits with the curated texts; notes on both."""
    notes = leave_out_long(model, data, encoder, training=training)
    if training and data.too_long:
        data.train_items()
        _check_batch(model, data)
    return notes + (budget_notes(model, data, encoder) if training else [])


def _tell(about: str, notes: Sequence[str]) -> None:
    """Print notes once, whatever the number of processes."""
    for note in notes if distributed.is_first() else ():
        print(f"{about}: {note}", file=sys.stderr)


def _check_batch(model: Method, data: DataModule) -> None:
    if data.batch_size < model.smallest_batch:
        raise InputError(
            f"batch_size is {data.batch_size}, but advantage_scale: batch compares at least {model.smallest_batch} "
            "prompts.",
            where="data",
            remedy="raise data.batch_size, or set model.grouping.advantage_scale to group or none.",
        )
    if len(data.train_items()) < model.smallest_batch:
        raise InputError(
            f"there is 1 training item, but advantage_scale: batch compares at least {model.smallest_batch}.",
            where="data",
            remedy="raise data.limit, or set model.grouping.advantage_scale to group or none.",
        )


def started_from(start: Path) -> Path:
    """The trained weights that training goes on from: a run's, or an adapter of PEFT by itself.

    InputError where the folder is neither, or where the run has not ended.
    """
    if (Path(start).expanduser() / SETTINGS).is_file():
        return Path(start).expanduser()
    run = open_run(start, where="model.start")
    if not run.adapter.is_dir():
        raise InputError(
            f"{run.path} has no adapter yet: its training has not ended.",
            where="model.start",
            remedy="Run that fit again; it goes on.",
        )
    return run.adapter


def standardise(model: Method, data: DataModule) -> None:
    """Start an untrained projector on standardised features, where the policy is set so.

    The moments are those of the training clips under the encoder as it is now, before any training.
    """
    policy = model.policy
    if model.start is not None:  # its projector is trained already
        return
    if not (isinstance(policy, Qwen2Audio) and policy.standardise_audio):
        return
    heard = [item for item in data.items("train") if item.audio]
    if heard:
        features = data.encoder.features or cached_features(policy, heard, cache_root())
        policy.standardise(*features.moments([str(item.audio) for item in heard]))


def load_trained(model: Method, weights: Path) -> None:
    """Put trained weights (`checkpoints/best.safetensors`) into the model's policy."""
    try:
        model.policy.load_state_dict(load_file(weights), strict=False)
    except SafetensorError as error:
        raise InputError(
            f"not a readable safetensors file: {error}",
            where=str(weights),
            remedy="Remove it and run fit again.",
        ) from error
