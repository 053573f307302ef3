"""The log of a run in Weights & Biases: one W&B run per run folder, also after an interruption."""

import json
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from lightning.pytorch.loggers import WandbLogger

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.installation import install_extra
from lalm_ambig.files.atomic import write_text
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.runs.folder.run_folder import RunFolder

FLAG = "--logger wandb"
PROJECT = "lalm_ambig"
"""The project in W&B, unless the environment variable WANDB_PROJECT names one."""
OFFLINE = "WANDB_MODE=offline keeps the log in the run's folder, for `wandb sync`."
WITHOUT_LOGIN = ("offline", "dryrun", "disabled")
"""Values of WANDB_MODE with which nothing is sent by this process."""


def check_wandb() -> None:
    """Check, before anything is read, that W&B can take a run.

    Raises:
        InputError: The package is not installed, or nobody is logged in.
    """
    if find_spec("wandb") is None:
        raise InputError(
            "the package of W&B is not installed.", where=FLAG, remedy=f"Run: {install_extra('wandb')}"
        )
    if os.environ.get("WANDB_MODE") in WITHOUT_LOGIN:
        return
    import wandb

    with _as_mistake():
        wandb.login()


def wandb_logger(run: RunFolder) -> Any:
    """Return Lightning's logger of W&B for a run, already started.

    Its id is kept in the run's folder, so that a run that goes on is the same one in W&B. Neither code nor terminal
    output is sent.

    Args:
        run: The run; its configuration, which has no secrets, is sent.

    Raises:
        InputError: W&B cannot start it.
    """
    import wandb

    logger = WandbLogger(
        name=run.path.name,
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        save_dir=run.path,
        id=distributed.on_rank_zero(lambda: _run_id(run)),
        config=read_yaml(run.config),
        settings=wandb.Settings(console="off", quiet=True, disable_code=True, disable_git=True),
    )

    def start() -> None:
        with _as_mistake():
            _ = logger.experiment

    distributed.on_rank_zero(start)
    return logger


def finish_wandb(loggers: Sequence[Any]) -> None:
    """End the W&B runs of some loggers: the next run of this process begins one of its own."""
    for logger in loggers:
        if isinstance(logger, WandbLogger) and distributed.is_first():
            logger.experiment.finish()


def _run_id(run: RunFolder) -> str:
    """The run's id in W&B: the one that its folder holds, or a new one."""
    file = run.path / "wandb" / "run.json"
    if file.is_file():
        return str(json.loads(file.read_text(encoding="utf-8"))["id"])
    name = secrets.token_hex(4)
    write_text(file, json.dumps({"id": name}) + "\n")
    return name


@contextmanager
def _as_mistake() -> Iterator[None]:
    """Inside, an error of W&B is an InputError with its first line."""
    try:
        yield
    except Exception as error:
        errors = sys.modules.get("wandb.errors")
        if errors is None or not isinstance(error, errors.Error):
            raise
        text = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"W&B: {text}", where=FLAG, remedy=OFFLINE) from error
