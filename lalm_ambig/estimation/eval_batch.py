"""`data.eval_batch_size: auto`: the largest batch of evaluation that the estimate lets fit a GPU's free memory."""

import torch
from rich.console import Console

from lalm_ambig.config.cli import Cli
from lalm_ambig.config.estimate_option import Assumptions
from lalm_ambig.core import distributed
from lalm_ambig.data.datamodule import DEFAULT_EVAL_BATCH, DataModule
from lalm_ambig.estimation.estimate import GIB, plan_of
from lalm_ambig.estimation.fitting import largest_that_fits


def fitted_batch(
    cli: Cli,
    data: DataModule,
    *,
    device: torch.device,
    console: Console,
    responses: int | None = None,
) -> int:
    """Items in a batch of evaluation, the same in all processes, and a line that says so.

    Args:
        cli: The configuration.
        data: The data that is evaluated, which has been read.
        device: Where the policy will be; it is not there yet.
        console: Where the line goes.
        responses: Responses per item, in an evaluation without training; None for the run's own.

    Returns:
        A power of two up to 64; `DEFAULT_EVAL_BATCH` where a device's free memory is not known.

    Raises:
        InputError: The base model's config.json cannot be read, or the strategy has no estimate.
    """
    if device.type != "cuda":
        return DEFAULT_EVAL_BATCH
    plan, _ = plan_of(cli, Assumptions(), data)
    free, _ = torch.cuda.mem_get_info(device)
    items = int(distributed.on_rank_zero(lambda: largest_that_fits(plan, float(free), responses=responses)))
    console.print(
        f"data.eval_batch_size auto: {items}, for {free / GIB:.1f} GiB that are free", highlight=False
    )
    return items
