"""The options that make a run fit: the cheapest first, and the run that they make does fit."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from memory_page import BEGIN, END, PAGE, estimates, plan
from rich.console import Console
from seven_b import write_qwen2_audio, write_text

from lalm_ambig.config.cli import parse
from lalm_ambig.config.estimate_option import Assumptions
from lalm_ambig.config.files import config_folder
from lalm_ambig.estimation.estimate import GIB, print_estimate
from lalm_ambig.estimation.fitting import Choice, Plan, first_that_fits, least


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_qwen2_audio(tmp_path_factory.mktemp("qwen2_audio_7b"))


@pytest.fixture(scope="module")
def grpo(folder: Path) -> Plan:
    return plan("qwen2_audio", "crema_d", "grpo", folder, "--data.eval_batch_size=4")


def test_batches_come_before_layers_computed_again_and_these_before_a_quantised_base(grpo: Plan) -> None:
    choices = list(grpo.alternatives())
    assert choices[:4] == [Choice(None, 0, 8, n) for n in (4, 2, 1)] + [Choice(None, 0, 4, 4)]
    kinds = list(dict.fromkeys((choice.quantize, choice.recompute_every) for choice in choices))
    assert kinds == [(base, again) for base in (None, "int8", "nf4") for again in (0, 4, 2, 1)]


def test_less_room_costs_more_and_what_is_chosen_fits(grpo: Plan) -> None:
    chosen = [first_that_fits(grpo, size * GIB) for size in (200, 80, 48, 24, 12)]
    assert chosen == [
        Choice(None, 0, 8, 4),
        Choice(None, 0, 2, 4),
        Choice(None, 0, 1, 4),
        Choice(None, 1, 2, 4),
        Choice("nf4", 1, 1, 4),
    ]
    order = list(grpo.alternatives())
    for choice, size in zip(chosen, (200, 80, 48, 24, 12), strict=True):
        assert choice is not None
        assert grpo.estimate(choice).needed <= size * GIB
        cheaper = order[: order.index(choice)]
        assert all(grpo.estimate(one).needed > size * GIB for one in cheaper)
    assert first_that_fits(grpo, 4 * GIB) is None
    assert least(grpo) > 4 * GIB


def test_the_words_make_the_run_that_was_estimated(folder: Path, grpo: Plan) -> None:
    choice = first_that_fits(grpo, 12 * GIB)
    assert choice is not None
    words = grpo.words(choice)
    assert words == ("--data.batch_size 1 --policy.adapter.checkpoint_activations true --policy.quantize nf4")
    again = plan("qwen2_audio", "crema_d", "grpo", folder, "--data.eval_batch_size=4", *words.split())
    assert again.chosen == choice
    assert again.estimate(again.chosen) == grpo.estimate(choice)
    assert again.step_items == grpo.step_items == 8


@pytest.mark.parametrize("configured", [(), ("--policy.adapter.checkpoint_every=3",)])
@pytest.mark.parametrize("every", [4, 2, 1])
def test_the_words_say_how_many_layers_are_computed_again(
    every: int, configured: tuple[str, ...], folder: Path
) -> None:
    run = plan("qwen2_audio", "crema_d", "sft", folder, *configured)
    words = run.words(replace(run.chosen, recompute_every=every))
    again = plan("qwen2_audio", "crema_d", "sft", folder, *configured, *words.split())
    assert again.chosen == replace(run.chosen, recompute_every=every)


def test_a_step_that_is_not_named_is_kept_by_name(tmp_path: Path) -> None:
    more = ("--data.items_per_update=null", "--data.batch_size=4")
    run = plan("causal_lm", "chaosnli", "sft", write_text(tmp_path), *more)
    assert run.words(Choice(None, 0, 2, 16)) == "--data.batch_size 2 --data.items_per_update 4"


def test_all_weights_that_are_trained_or_divided_are_not_quantised(folder: Path) -> None:
    full = ("--policy.adapter.method=full", "--policy.dtype=float32")
    divided = ("--trainer.strategy=fsdp2", "--trainer.devices=2")
    for more in (full, divided):
        run = plan("qwen2_audio", "crema_d", "sft", folder, *more)
        assert {choice.quantize for choice in run.alternatives()} == {None}


def test_what_does_not_fit_is_said_with_the_options_or_that_there_are_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    files = ("policy/qwen2_audio", "data/crema_d", "method/grpo", "hardware/one_80gb")
    words = [f"--config={config_folder() / name}.yaml" for name in files]
    words += ["--policy.path", str(folder), "--data.corpus.root", str(folder / "none")]
    print_estimate(parse(words), Assumptions(clip_s=5.0, cards=(24.0, 4.0)), Console(width=200))
    text = capsys.readouterr().out
    assert re.search(
        r"24 GiB card: (--data\S+ \d+ )*--policy.adapter.checkpoint_activations true needs [\d.]+ GiB", text
    )
    assert re.search(r"4 GiB card: smaller batches, .* do not make it fit: the least .* is [\d.]+ GiB", text)


def test_the_files_for_a_24_gib_card_fit_it_with_clips_of_five_seconds(folder: Path) -> None:
    hardware = f"--config={config_folder() / 'hardware/one_24gb'}.yaml"
    for method in ("sft", "dpo", "grpo"):
        run = plan("qwen2_audio", "crema_d", method, folder, hardware)
        assert run.chosen.recompute_every == 1
        assert run.estimate(run.chosen).needed <= 24 * GIB


@pytest.mark.slow
def test_the_table_in_the_docs_is_what_the_command_prints(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    written = page.partition(BEGIN.format("estimates"))[2].partition(END)[0].strip()
    assert written.splitlines() == list(estimates(tmp_path)), "run: python tests/estimation/memory_page.py"
