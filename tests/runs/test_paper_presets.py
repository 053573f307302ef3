"""Every preset of the papers passes its own evaluation unflagged, in the way that README runs each table."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from lalm_ambig.config.class_names import class_path_of
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.demo.writer import DemoSettings, write_demo
from lalm_ambig.data.datamodule import DataModule, MethodNeeds
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.trained_items import TrainedItems, TrainedRun
from lalm_ambig.methods.sft import SFT
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.trained_items import (
    StartHistory,
    history_of_start,
    overlap_of,
    record_of_run,
    used_items,
    write_record,
)

PAPER = config_folder() / "paper"
PRESETS = sorted(path.relative_to(PAPER).with_suffix("").as_posix() for path in PAPER.glob("*/*.yaml"))
FROM_SFT = ("dpo", "dpo_ce_only", "grpo", "grpoz")
FOLDS = range(5)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each paper's corpora in small, in their own layouts."""
    folder = tmp_path_factory.mktemp("corpora")
    found = {"crema_d": folder / "crema_d"}
    write_demo(
        found["crema_d"], DemoSettings(actors=30, clips_per_actor=1)
    )  # the demo is in CREMA-D's layout
    for name in ("iemocap", "chaosnli", "goemotions", "msp_podcast"):
        layout: Any = importlib.import_module(f"layouts.{name}")
        found[name] = layout.write(folder / name)
    return found


@pytest.fixture(autouse=True)
def cache(roots: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(roots["crema_d"].parent / "cache"))


def data_of(preset: str, roots: dict[str, Path], **options: Any) -> DataModule:
    """The data of a preset, as far as it says how they are split."""
    corpus = yaml.safe_load((PAPER / f"{preset}.yaml").read_text())["data"]["corpus"]
    spec = {"class_path": corpus} if isinstance(corpus, str) else corpus
    path = class_path_of(Corpus, spec["class_path"])
    assert path is not None
    module, _, name = path.rpartition(".")
    kind: Any = getattr(importlib.import_module(module), name)
    settings = {**spec.get("init_args", {}), **options}
    data = DataModule(kind(roots[kind.name], **settings))
    return data.prepared_for(MethodNeeds(rationale=False))  # then more is trained on


def record(preset: str, data: DataModule) -> TrainedItems:
    return TrainedItems((TrainedRun(preset, data.corpus.settings(), used_items(data)),))


def kept(folder: Path, data: DataModule, start: Path | None = None) -> RunFolder:
    """The run folder of a fit with that data, as far as its record goes."""
    run = RunFolder(folder)
    folder.mkdir()
    run.config.write_text("")
    assert write_record(run, data, past(start, data)).notes == ()
    return run


def past(start: Path | None, data: DataModule) -> StartHistory:
    return history_of_start(SFT(Tiny(), reasoning=False, start=start), data, allow=False)


@pytest.mark.parametrize("preset", PRESETS)
def test_its_own_test_is_clean(preset: str, roots: dict[str, Path]) -> None:
    data = data_of(preset, roots)
    test = data.items("test")
    assert len(test) > 0
    assert overlap_of(record(preset, data), data, "test") == Overlap(0, 0, len(test))


@pytest.mark.parametrize("method", FROM_SFT)
def test_crema_d_goes_on_from_sft(method: str, roots: dict[str, Path], tmp_path: Path) -> None:
    sft = kept(tmp_path / "crema_d_sft", data_of("lalm/crema_d_sft", roots))
    run = kept(tmp_path / "run", data_of(f"lalm/crema_d_{method}", roots), start=sft.path)
    assert [one.name for one in record_of_run(run).runs] == ["run", "crema_d_sft"]


@pytest.mark.parametrize("method", FROM_SFT)
def test_each_fold_of_iemocap_goes_on_from_its_own_sft_and_from_no_other(
    method: str, roots: dict[str, Path], tmp_path: Path
) -> None:
    sft = [
        kept(tmp_path / f"sft-fold{fold}", data_of("lalm/iemocap_sft", roots, fold=fold)) for fold in FOLDS
    ]
    for fold in FOLDS:
        data = data_of(f"lalm/iemocap_{method}", roots, fold=fold)
        assert not past(sft[fold].path, data).overlap.is_leaky
        for other in set(FOLDS) - {fold}:
            with pytest.raises(InputError, match=rf"run sft-fold{other} trained on 9 of the 9 items"):
                past(sft[other].path, data)


@pytest.mark.parametrize("preset", ["lalm/crema_d_sft", "lalm/crema_d_sft_kl_only"])
def test_all_of_iemocap_is_a_test_of_what_was_trained_on_crema_d(preset: str, roots: dict[str, Path]) -> None:
    other = data_of("lalm/iemocap_sft", roots)
    every = len(other.prepared.items())
    assert every == 45 and len(other.items("test")) == 9
    assert overlap_of(record(preset, data_of(preset, roots)), other, "all") == Overlap(0, 0, every)


def test_one_part_of_chaosnli_is_a_test_of_what_was_trained_on_the_other(roots: dict[str, Path]) -> None:
    ours, theirs = (data_of(f"shala/chaosnli_{part}_shala", roots) for part in "sm")
    assert not overlap_of(record("s", ours), theirs, "all").is_leaky
    both = data_of("shala/chaosnli_shala", roots)
    assert not overlap_of(record("both", both), ours, "test").is_leaky  # each part is split by itself
    assert overlap_of(record("both", both), ours, "train").items == len(ours.items("train"))


@pytest.mark.parametrize("corpus", ["msp_podcast", "goemotions"])
def test_folds_of_shala_s_corpora_are_clean_and_their_neighbours_are_not(
    corpus: str, roots: dict[str, Path]
) -> None:
    preset = f"shala/{corpus}_shala"
    for fold in FOLDS:
        data, next_one = (data_of(preset, roots, fold=f) for f in (fold, (fold + 1) % 5))
        assert not overlap_of(record(preset, data), data, "test").is_leaky
        assert overlap_of(record(preset, data), next_one, "test").items == len(next_one.items("test"))
