"""`data.eval_batch_size: auto` takes the largest batch that fits a card's free memory, by the estimate."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from memory_page import plan, plan_and_lines
from rich.console import Console
from seven_b import write_qwen2_audio

from lalm_ambig.config.cli import parse
from lalm_ambig.core.errors import InputError
from lalm_ambig.data.datamodule import DEFAULT_EVAL_BATCH
from lalm_ambig.estimation.estimate import GIB
from lalm_ambig.estimation.eval_batch import fitted_batch
from lalm_ambig.estimation.fitting import EVAL_SIZES, Plan, largest_that_fits

AUTO = "--data.eval_batch_size=auto"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_qwen2_audio(tmp_path_factory.mktemp("qwen2_audio_7b"))


@pytest.fixture(scope="module")
def grpo(folder: Path) -> Plan:
    return plan("qwen2_audio", "crema_d", "grpo", folder, AUTO)


def _needed(run: Plan, items: int, responses: int | None = None) -> float:
    return run.estimate(replace(run.chosen, eval_batch_size=items), responses=responses).needed_in(
        "evaluation"
    )


@pytest.mark.parametrize("size_gib", [18, 20, 24, 40, 80, 141])
def test_what_is_taken_fits_and_twice_as_much_does_not(grpo: Plan, size_gib: int) -> None:
    items = largest_that_fits(grpo, size_gib * GIB)
    assert items in EVAL_SIZES
    assert items == 1 or _needed(grpo, items) <= size_gib * GIB
    assert items == EVAL_SIZES[0] or _needed(grpo, 2 * items) > size_gib * GIB


def test_more_room_takes_more_and_more_responses_take_less(grpo: Plan) -> None:
    by_size = [largest_that_fits(grpo, size * GIB) for size in (1, 20, 24, 40, 80, 141)]
    assert by_size == sorted(by_size)
    assert (by_size[0], by_size[-1]) == (1, 64)
    by_responses = [largest_that_fits(grpo, 40 * GIB, responses=drawn) for drawn in (1, 8, 64)]
    assert by_responses == sorted(by_responses, reverse=True)
    assert by_responses[0] > by_responses[-1]


def test_an_evaluation_alone_holds_no_gradients(folder: Path) -> None:
    full = plan(
        "qwen2_audio",
        "crema_d",
        "sft",
        folder,
        AUTO,
        "--policy.dtype=float32",
        "--policy.adapter.method=full",
    )
    assert largest_that_fits(full, 80 * GIB) == 1
    assert largest_that_fits(full, 80 * GIB, responses=1) > 1


def test_free_memory_of_the_card_decides(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config=configs/policy/qwen2_audio.yaml", "--config=configs/data/crema_d.yaml"]
    words += [
        "--config=configs/method/grpo.yaml",
        f"--policy.path={folder}",
        "--data.corpus.root=nowhere",
        AUTO,
    ]
    words += ["--trainer.accelerator=gpu", "--trainer.precision=bf16-mixed"]
    cli = parse(words)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (round(30 * GIB), round(80 * GIB)))
    card = torch.device("cuda", 0)
    items = fitted_batch(cli, cli.datamodule, device=card, console=Console(width=120))
    assert capsys.readouterr().out == f"data.eval_batch_size auto: {items}, for 30.0 GiB that are free\n"
    assert 1 < items < 64


@pytest.mark.parametrize("kind", ["cpu", "mps"])
def test_a_device_whose_free_memory_is_not_known_takes_the_usual_batch(kind: str) -> None:
    cli = parse([AUTO])
    device = torch.device(kind)
    assert fitted_batch(cli, cli.datamodule, device=device, console=Console()) == DEFAULT_EVAL_BATCH


def test_an_estimate_of_auto_counts_the_smallest_batch(folder: Path) -> None:
    run, lines = plan_and_lines("qwen2_audio", "crema_d", "grpo", folder, AUTO)
    assert run.chosen.eval_batch_size == 1
    small, large = (largest_that_fits(run, size * GIB) for size in (24, 80))
    line = f"items in a batch of evaluation (data.eval_batch_size auto): 24 GiB card: {small}, 80 GiB card: {large}"
    assert line in lines


@pytest.mark.parametrize("value", ["0", "-1", "automatic", "1.5", "true"])
def test_another_word_or_number_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="eval_batch_size"):
        parse([f"--data.eval_batch_size={value}"])
