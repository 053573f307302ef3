"""The share of each process under a strategy: by hand, and that more devices never need more each."""

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.estimation.division import process_share
from lalm_ambig.estimation.formulas import ComputeTypes
from lalm_ambig.estimation.shapes import DecoderShape, Shapes

BFLOAT16 = ComputeTypes(2, 2, casts=False)
STRATEGIES = [
    "auto",
    "ddp",
    "fsdp2",
    *(f"deepspeed_stage_{n}{o}" for n in (1, 2, 3) for o in ("", "_offload")),
]
FULL = Shapes(
    decoder=DecoderShape(10, 64, 4, 4, 16, 128, 1000),
    encoder=None,
    parameters=1000,
    placed=1000,
    trained=1000,
    weights=2000,
    adapters=0,
    base_bytes=2,
    trained_bytes=2,
    linear=700,
    head=100,
    rank=0,
)
LORA = Shapes(
    decoder=FULL.decoder,
    encoder=None,
    parameters=1100,
    placed=1100,
    trained=100,
    weights=2000,
    adapters=400,
    base_bytes=2,
    trained_bytes=4,
    linear=700,
    head=100,
    rank=8,
)


def parts(shapes: Shapes, strategy: str, processes: int) -> tuple[int, ...]:
    share = process_share(shapes, BFLOAT16, strategy=strategy, processes=processes)
    return share.weights, share.adapters, share.gradients, share.optimiser, share.gathered


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("auto", (2000, 0, 4000, 4000, 0)),
        ("ddp", (2000, 0, 4000, 4000, 0)),  # gradients twice: in buckets, too
        ("fsdp2", (1000, 0, 1000, 2000, 1000)),
        ("deepspeed_stage_1", (2000, 0, 2000, 6000, 0)),  # 12 bytes of state a parameter, halved
        ("deepspeed_stage_2", (2000, 0, 1000, 6000, 0)),
        ("deepspeed_stage_3", (1000, 0, 1000, 6000, 1000)),
        ("deepspeed_stage_2_offload", (2000, 0, 0, 0, 0)),
        ("deepspeed_stage_3_offload", (0, 0, 0, 0, 2000)),
    ],
)
def test_two_devices_hold_what_the_strategy_leaves_them(strategy: str, expected: tuple[int, ...]) -> None:
    assert parts(FULL, strategy, 2) == expected


def test_one_device_has_no_buckets_and_an_adapter_is_counted_in_its_own_type() -> None:
    assert parts(LORA, "auto", 1) == (2000, 400, 400, 800, 0)
    assert parts(LORA, "fsdp2", 2) == (1000, 200, 200, 400, 1200)
    assert parts(LORA, "deepspeed_stage_2", 2) == (2000, 200, 100, 600, 0)  # brought into bfloat16


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("shapes", [FULL, LORA], ids=["full", "lora"])
def test_more_devices_never_hold_more_each(shapes: Shapes, strategy: str) -> None:
    totals = [sum(parts(shapes, strategy, processes)[:4]) for processes in (2, 4, 8)]
    assert totals == sorted(totals, reverse=True)


def test_a_strategy_that_is_not_known_is_refused() -> None:
    with pytest.raises(InputError, match=r"trainer.strategy: no estimate is known for strategy 'ddp_spawn'"):
        parts(FULL, "ddp_spawn", 2)
