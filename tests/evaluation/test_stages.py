"""What policies were trained on: fingerprints of the items, sums of the efforts, and sentences where they differ."""

from dataclasses import replace
from pathlib import Path

import pytest

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.effort import Effort
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About, evaluate_predictions
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.evaluation.stages import (
    UNKNOWN,
    Stage,
    data_notes,
    data_of,
    device_seconds,
    past_of,
    total_effort,
)
from lalm_ambig.evaluation.trained_items import TrainedItem, TrainedRun

SMALL, LARGE = Stage(60, "aaa"), Stage(80, "bbb")
TEXT, SOUND = "text:0123", "sound:1:xyz"


def run_of(*items: TrainedItem, **settings: object) -> TrainedRun:
    return TrainedRun(
        "r", {"corpus": "jsonl", "seed": 0, "fold": None, "domain": "emotion", **settings}, items
    )


def item(name: str, split: str = "train", speaker: str | None = "s", content: str = TEXT) -> TrainedItem:
    return TrainedItem(name, split, speaker, content)


def test_a_fingerprint_is_of_the_training_items_in_any_order() -> None:
    digest = run_of(item("a"), item("b")).digest
    assert run_of(item("b"), item("a"), item("a")).digest == digest
    assert run_of(item("a"), item("b"), item("c", "validation")).digest == digest
    assert replace(run_of(item("a"), item("b")), name="another").digest == digest
    assert run_of(item("a"), item("c")).digest != digest
    assert run_of(item("a")).digest != digest
    assert run_of(item("a"), item("b", "validation")).digest != digest


def test_it_depends_on_what_an_item_is_and_not_on_how_items_were_chosen() -> None:
    digest = run_of(item("a")).digest
    assert run_of(item("a"), seed=3, fold=1, part="x", skip_bad_rows=True).digest == digest
    assert run_of(item("a"), domain="inference").digest != digest
    assert run_of(item("a"), corpus="demo").digest != digest
    assert run_of(item("a", speaker="t")).digest != digest
    assert run_of(item("a", content="text:4567")).digest != digest
    heard = [run_of(item("a", content=sketch)).digest for sketch in (SOUND, "sound:1:zzz", "")]
    assert heard[0] == heard[1] == heard[2] != digest  # another machine may hear another sketch


def test_rows_of_the_same_items_need_no_sentence() -> None:
    assert data_notes({"kl": [(SMALL,)], "sft": [(SMALL,)], "base": [()]}) == []
    assert data_notes({"kl": [(SMALL,)], "grpo": [(SMALL, SMALL)]}) == []
    assert data_notes({"kl": [(SMALL,), (SMALL,)], "sft": [(SMALL,)]}) == []
    assert data_notes({"alone": [None], "base": [()]}) == []


def test_rows_of_different_items_are_named_with_number_and_fingerprint() -> None:
    [note] = data_notes({"kl": [(LARGE,)], "sft": [(SMALL,)], "dpo": [(SMALL,)], "base": [()]})
    assert note == (
        "TRAINED ON DIFFERENT ITEMS: kl: 80 items (bbb); sft, dpo: 60 items (aaa). A difference between them may come "
        "from the data."
    )
    [note] = data_notes({"sft": [(SMALL,)], "grpo": [(SMALL, LARGE)]})
    assert "sft: 60 items (aaa); grpo: 60 items (aaa) after a start on 80 items (bbb)." in note
    [note] = data_notes({"sft": [(SMALL, LARGE)], "kl": [(LARGE, SMALL)]})
    assert (
        "sft: 60 items (aaa) after a start on 80" in note and "kl: 80 items (bbb) after a start on 60" in note
    )


def test_seeds_on_several_sets_are_counted_and_compared_as_a_whole() -> None:
    both = [(SMALL,), (LARGE,)]
    assert data_notes({"kl": both, "sft": both[::-1]}) == []
    [note] = data_notes({"kl": both, "sft": [(SMALL,)]})
    assert "kl: 60 to 80 items, 2 sets (aaa, bbb); sft: 60 items (aaa)" in note


@pytest.mark.parametrize("past", [None, (SMALL, UNKNOWN)])
def test_what_is_not_recorded_is_said_and_never_taken_as_the_same(past: tuple[Stage, ...] | None) -> None:
    assert data_of(past) is None
    [note] = data_notes({"kl": [(SMALL,)], "old": [past]})
    assert note == "Not recorded, so not compared: the items that old had been trained on."
    assert len(data_notes({"kl": [(SMALL,)], "sft": [(LARGE,)], "old": [past]})) == 2


def test_efforts_are_added_where_all_are_known() -> None:
    own = Effort(10, 60, 4.0, 2, tokens=300, device="H200")
    start = Effort(5, 80, 1.5, 1, tokens=200, device="H200")
    past = (replace(SMALL, effort=own), replace(LARGE, effort=start))
    assert total_effort(past) == Effort(15, 60, 5.5, 2, tokens=500, device="H200")
    assert device_seconds(past) == 4.0 * 2 + 1.5 * 1
    assert total_effort((past[0], LARGE)) is None and total_effort(()) is None
    silent = (past[0], replace(LARGE, effort=replace(start, tokens=None, device=None)))
    summed = total_effort(silent)
    assert summed is not None and summed.tokens is None and summed.updates == 15
    assert device_seconds(silent) is None and device_seconds(()) is None
    assert device_seconds((replace(SMALL, effort=replace(own, device="cpu")),)) is None


def test_metrics_json_keeps_the_past_and_older_ones_have_none(
    tmp_path: Path, predictions: list[Prediction], categories: CategorySet, about: About
) -> None:
    results = evaluate_predictions(predictions, categories, about=about)
    past = (replace(SMALL, effort=Effort(10, 60, 4.0, 2, tokens=300, device="H200")), UNKNOWN)
    for kept in (past, (), None):
        changed = replace(results, about=replace(results.about, training=kept))
        assert read_results(write_results(tmp_path / "metrics.json", changed)).about.training == kept
    text = (tmp_path / "metrics.json").read_text()
    (tmp_path / "metrics.json").write_text(text.replace('"training": null', '"training": [{"items": "x"}]'))
    with pytest.raises(InputError, match=r"not a metrics.json"):
        read_results(tmp_path / "metrics.json")


def test_a_past_is_made_of_what_a_file_has() -> None:
    assert past_of(None) is None and past_of([]) == ()
    assert past_of([{"items": 60, "digest": "aaa", "effort": None}]) == (SMALL,)
