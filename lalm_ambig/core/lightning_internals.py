"""All private names of Lightning and DeepSpeed that the project uses, each with the public way that falls short.

They were read and tested in Lightning 2.6.6 and DeepSpeed 0.19.8. A version that has renamed one of them fails with
`Changed`, never in silence. The file is in the lowest room since methods, policies and runs all use it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.strategies import ModelParallelStrategy, ParallelStrategy
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector

TESTED = {"lightning": "2.6.6", "deepspeed": "0.19.8"}
"""The version of each library in which these names were read and tested."""


class Changed(RuntimeError):
    """A library has no longer the private name that the project uses."""


def check_has(owner: Any, name: str, *, library: str = "lightning") -> None:
    """Check that an object of a library still has a private name.

    Args:
        owner: The object, or its class.
        name: The private name.
        library: The distribution that the object is from.

    Raises:
        Changed: It has not.
    """
    if name not in dir(owner):
        raise Changed(
            f"{library} {version(library)} has no {type(owner).__name__}.{name}: it was there in {TESTED[library]}"
        )


# Lightning's loops


def forget_train_loader(trainer: Any) -> None:
    """Let `fit` make the training loader anew, although counting the steps has made it already.

    A saved place in the data is restored only to a loader that is made after it. `fit_loop.setup_data`, the public
    way, keeps the loader that is there.
    """
    check_has(trainer.fit_loop, "_combined_loader")
    trainer.fit_loop._combined_loader = None


def set_batches_that_stepped(trainer: Any, count: int) -> None:
    """Tell the loop how many of its batches ended in an optimiser step, which numbers the rows of its logs.

    The loop restores its own guess for a state that was saved before a step. The public `on_load_checkpoint` takes
    the number only as this same private key of a checkpoint.
    """
    loop = trainer.fit_loop.epoch_loop
    check_has(loop, "_batches_that_stepped")
    loop._batches_that_stepped = count


@contextmanager
def first_iteration_kept(trainer: Any) -> Iterator[None]:
    """Inside, a validation may run before the first step. The logs of that step are then reset as they would be.

    `trainer.validate`, the public way, ends the fit that it is called in.
    """
    logs = trainer._logger_connector
    check_has(logs, "_first_loop_iter")
    first = logs._first_loop_iter
    yield
    logs._first_loop_iter = first


# Lightning's progress bar


class CountedEpochs(RichProgressBar):
    """Lightning's bar with epochs counted from 1. It has no setting for the first number."""

    def __init__(self) -> None:
        check_has(RichProgressBar, "_get_train_description")
        super().__init__()

    def _get_train_description(self, current_epoch: int) -> str:
        last = self.trainer.max_epochs
        name = f"Epoch {current_epoch + 1}" + ("" if last is None or last < 0 else f"/{last}")
        return f"{name:{len(self.validation_description)}}"  # as wide as the bar of a validation


# Lightning's processes and signals


def start_other_processes(launcher: Any) -> list[Any]:
    """Start the other processes of this machine, and return them as `subprocess.Popen` objects.

    The public `launcher.launch` does the same and adds a watch, which kills this process without a word when another
    one fails.
    """
    check_has(launcher, "_call_children_scripts")
    launcher._call_children_scripts()
    return list(launcher.procs)


class NoHandlers(_SignalConnector):
    """Takes the place of Lightning's signal handlers, and registers none."""

    def register_signal_handlers(self) -> None:
        self.received_sigterm = False


def without_handlers(trainer: Any) -> Any:
    """The trainer without Lightning's signal handlers.

    These save inside a step, talk to other processes from within a handler, and leave with exit status 0. No public
    setting turns off the one of SIGTERM.
    """
    check_has(trainer, "_signal_connector")
    check_has(_SignalConnector, "register_signal_handlers")
    trainer._signal_connector = NoHandlers(trainer)
    return trainer


def cluster_environment(trainer: Any) -> Any:
    """Who starts and numbers the trainer's processes: Lightning, torchrun, SLURM.

    A strategy of several processes says so by itself. That of a single device does not.
    """
    strategy = trainer.strategy
    if isinstance(strategy, ParallelStrategy) and strategy.cluster_environment is not None:
        return strategy.cluster_environment
    check_has(trainer, "_accelerator_connector")
    return trainer._accelerator_connector.cluster_environment


def divide_over_all(strategy: ModelParallelStrategy) -> None:
    """Make one data-parallel group of all devices.

    The public arguments of the constructor want numbers, and the number of devices is known only later.
    """
    check_has(strategy, "_data_parallel_size")
    check_has(strategy, "_tensor_parallel_size")
    strategy._data_parallel_size = strategy.num_processes * strategy.num_nodes
    strategy._tensor_parallel_size = 1


# Lightning's metrics.csv


class KeepingWriter(ExperimentWriter, ABC):
    """Lightning's writer of metrics.csv, which deletes no rows of an earlier start.

    Lightning has no setting that keeps them.
    """

    def __init__(self, log_dir: str) -> None:
        for name in ("_check_log_dir_exists", "_rewrite_with_new_header"):
            check_has(ExperimentWriter, name)
        super().__init__(log_dir=log_dir)

    def _check_log_dir_exists(self) -> None:
        """Nothing: Lightning's would delete the rows."""

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        self.rewrite(fieldnames)

    @abstractmethod
    def rewrite(self, fieldnames: list[str]) -> None:
        """Give the file another head line, and keep its rows."""


def set_writer(logger: CSVLogger, writer: KeepingWriter) -> None:
    """Let a logger write by this writer.

    The public `experiment` makes a writer of its own, and `finalize` looks only at the private field.
    """
    check_has(logger, "_experiment")
    logger._experiment = writer


# DeepSpeed


def register_hooks(offload: Any) -> None:
    """Put ZeRO-3's hooks, which bring and free weights, back on all modules.

    The public `setup_zero_stage3_hooks` also adds one more hook to the root, and one more entry to a global stack,
    each time that it is called.

    Args:
        offload: DeepSpeed's object that divides the weights.
    """
    check_has(offload, "_register_deepspeed_module", library="deepspeed")
    offload._register_deepspeed_module(offload.module)
