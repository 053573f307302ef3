"""Joins the parts of a run: reads the corpus, loads the policy, and gives the method its encoder and features."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lalm_ambig.core import distributed
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import SPLITS, Item, Portion
from lalm_ambig.corpora.preparing.split_check import check_splits
from lalm_ambig.data.annotators import EACH
from lalm_ambig.data.datamodule import AUTO, DataModule, MethodNeeds
from lalm_ambig.data.encoding import Encoder, prompt_notes
from lalm_ambig.data.feature_cache import cached_features, encoder_moments
from lalm_ambig.evaluation.cross_domain import check_mapping
from lalm_ambig.files.places import cache_root
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.weights.saved_adapter import SETTINGS
from lalm_ambig.runs.batch_checks.long_items import leave_out_long
from lalm_ambig.runs.batch_checks.token_budget import budget_notes
from lalm_ambig.runs.folder.run_folder import open_run


@dataclass(frozen=True)
class TrainedWeights:
    """Weights that a policy takes over from a finished run."""

    adapter: Path | None
    """Folder of the adapter; None where the policy's own checkpoint has the trained weights."""
    categories: CategorySet | None = None
    """The classes that the weights have learnt, where these are another corpus's. The policy is then asked for the
    data's classes in those words."""


def connect(  # noqa: PLR0913  # what a run is made of
    model: Method,
    data: DataModule,
    *,
    weights: TrainedWeights | None = None,
    splits: tuple[Portion, ...] = SPLITS,
    heard: tuple[Portion, ...] | None = None,
    training: bool = False,
    device: torch.device | str = "cpu",
    fit_batch: Callable[[DataModule], int] | None = None,
) -> DataModule:
    """Read the data, load the policy, and give the method its encoder.

    Corpus and prompt are checked before any weights are loaded, so that a user's mistake is found at once. The weights
    are loaded onto the device on which they are used, and the audio features are computed there.

    Args:
        model: The method; its policy need not be loaded.
        data: The data as configured; its corpus need not be read.
        weights: Trained weights to start from; by default those of `model.start`, or the base model.
        splits: Splits whose items the policy will see. Items of others may be too long for it.
        heard: Splits whose audio features are needed, where these are others; in training they are all.
        training: Whether the model will be trained. The training items are then checked first.
        device: The device of the trainer that will run the model.
        fit_batch: Gives the items in a batch of evaluation for `data.eval_batch_size: auto`, once the corpus is read.

    Returns:
        The data with loaders for this method, without the items that are left out.

    Raises:
        InputError: Data, prompt, weights and method do not go together.
    """
    model.policy.check_reachable()
    if training and model.engine is not None:
        model.engine.check_reachable()
    if weights is None and model.start is not None:
        weights = TrainedWeights(weights_of_start(model.start))
    data = _read(model, data, splits=splits, training=training)
    if data.eval_batch_size == AUTO and fit_batch is not None:
        data = data.fitted(fit_batch(data))
    learnt = None if weights is None else weights.categories
    if learnt is not None:
        check_mapping(data.categories, learnt, where=f"corpus {data.corpus.name}")
    categories = data.categories if learnt is None else data.categories.with_words_of(learnt)
    _check_words(data, categories)
    asked = data.elicitation(reasoning=model.reasoning, readout=model.readout)
    clips = [item for split in SPLITS for item in data.items(split).with_sound()]
    texts = sum(len(data.items(split)) for split in SPLITS) - len(clips)
    notes = prompt_notes(asked, categories, heard=len(clips), texts=texts)
    policy = model.policy
    policy.load(device)
    model.check_abilities(training=training)
    if weights is not None and weights.adapter is not None:
        policy.load_weights(weights.adapter)
    if training and model.engine is not None and model.sampled_tokens:
        model.engine.check(policy, model.sampling)
    encoder = Encoder(policy, categories, asked)
    _hear(encoder, data, clips, splits=SPLITS if training else heard or splits)
    long = leave_out_long(model, data, encoder, training=training)
    data = data.without(long.ids).encoded_by(encoder)
    notes += [*long.notes, *(_trainable(model, data) if training else [])]
    _tell(data.corpus.name, notes)
    _tell(policy.description, policy.notes)
    model.attach(encoder)
    return data


def _hear(encoder: Encoder, data: DataModule, clips: list[Item], *, splits: tuple[Portion, ...]) -> None:
    """Give an encoder the audio features of some splits, where it is frozen and they have sound.

    Args:
        encoder: Gets the features.
        data: The data.
        clips: The items of all splits that have sound.
        splits: Those that are heard.
    """
    policy = encoder.policy
    every = splits == SPLITS
    used = clips if every else [item for split in splits for item in data.items(split).with_sound()]
    if used and data.cache_features and not policy.adapter.trains_tower:
        limit = data.feature_cache_gb
        encoder.features = cached_features(policy, used, cache_root(), limit_gb=limit, among=clips)
        policy.set_tower_aside()


def _check_words(data: DataModule, categories: CategorySet) -> None:
    """Refuse earlier ratings of an annotator that would name classes in other words than the rest of the prompt."""
    if data.annotators == EACH and data.annotator_examples:
        for own, learnt in zip(data.categories.prompt_names, categories.prompt_names, strict=True):
            if own != learnt:
                wrong = f"earlier ratings of annotators say {own!r}, and the policy has learnt {learnt!r}:"
                remedy = "ask without them, --annotator-examples 0."
                raise InputError(wrong, where=f"corpus {data.corpus.name}", remedy=remedy)


def needs_of(model: Method, *, splits: tuple[Portion, ...] = SPLITS) -> MethodNeeds:
    """Return what a method needs of the data.

    Args:
        model: The method.
        splits: Splits whose items its policy will see.
    """
    return MethodNeeds(
        rationale=model.needs_rationale,
        updates=model.updates,
        smallest_step=model.smallest_step,
        whole_steps=model.sampled_tokens > 0,
        next_step=model.samples_ahead,
        written_items=model.generation.validation_items if model.generates_text else None,
        splits=splits,
    )


def _read(model: Method, data: DataModule, *, splits: tuple[Portion, ...], training: bool) -> DataModule:
    """Read the corpus, and refuse one that the model cannot be trained on."""
    with distributed.rank_zero_first():  # it reads the corpus, the others then find it checked
        data = data.prepared_for(needs_of(model, splits=splits))
    if training:
        check_splits(data.corpus, data.prepared.counts())
        model.check_samples()
        _check_size(model, data)
    return data


def _check_size(model: Method, data: DataModule) -> None:
    step = data.items_per_update or data.batch_size * distributed.world_size()
    items = data.train_items()
    model.check_data(step_items=step, items=len(items), label_dist=items.label_dist())


def _trainable(model: Method, data: DataModule) -> list[str]:
    """Check what is left to train on, and compare token limits with the curated texts."""
    if model.policy.side_layers and not len(data.items("train").view.with_sound()):
        raise InputError(
            "no training item has sound, so that the side path would hear nothing:",
            where="policy.audio_layers",
            remedy="set it to last.",
        )
    if data.left_out:
        _check_size(model, data)
    return budget_notes(model, data, data.encoder)


def _tell(about: str, notes: Sequence[str]) -> None:
    """Print notes once, whatever the number of processes."""
    for note in notes if distributed.is_first() else ():
        print(f"{about}: {note}", file=sys.stderr)


def weights_of_start(start: Path) -> Path:
    """Return the folder of the adapter that training starts from.

    Args:
        start: A run of `fit`, or an adapter of PEFT.

    Raises:
        InputError: The folder is neither, or the run has not ended.
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
    """Let the side path, and an untrained projector, start on standardised features, if the policy is set so.

    Call it before training: the moments are those of the training clips under the present encoder.

    Args:
        model: The method, around a loaded policy.
        data: Data with an encoder.
    """
    policy = model.policy
    if model.start is not None:  # its moments are saved with its weights
        return
    if not policy.needs_moments:
        return
    clips = data.items("train").with_sound()
    if not clips:
        return
    features = data.encoder.features
    if features is None:
        policy.standardise(*encoder_moments(policy, clips))
    else:
        policy.standardise(*features.moments([str(item.audio) for item in clips], policy))


def load_trained(model: Method, weights: Path) -> None:
    """Put trained weights into the policy.

    Args:
        model: The method.
        weights: `checkpoints/best.safetensors` of a run.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        model.policy.load_state_dict(load_file(weights), strict=False)
    except SafetensorError as error:
        raise InputError(
            f"not a readable safetensors file: {error}",
            where=str(weights),
            remedy="Remove it and run fit again.",
        ) from error
