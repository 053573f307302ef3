"""Runs the product's commands on the pretend accelerator, one after the other: an import costs ten seconds.

Reads one JSON object a line from standard input: `probe` (one of `probes.PROBES`), or `command` (one of the product's)
with `words` (its arguments) and, where it is to be stopped, `before_step`, or `count` (decode, train) with the words of
`fit`. Writes one JSON object a line: `error`
(null, or what was raised and at which lines of the product), `counts` and `answer`.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import torch
from product.commands import Stopped, command, fit, stopped_before_step

from pretend.device import register, train_on_it
from pretend.gathered import check_what_is_gathered
from pretend.phases import decoding, training
from pretend.probes import PROBES
from pretend.watch import PRODUCT, Watch


def main() -> None:
    torch.set_num_threads(1)
    answers = _own_output()
    backend = register()
    train_on_it()
    check_what_is_gathered()
    for line in sys.stdin:
        order = json.loads(line)
        with Watch(backend) as watch:
            answer, error = _tried(lambda: carried_out(order, backend))  # noqa: B023
        print(
            json.dumps({"error": error, "counts": watch.counts, "answer": answer}), file=answers, flush=True
        )


def carried_out(order: dict[str, Any], backend: Any) -> Any:
    """What the order asks for, done; its answer in types that JSON has."""
    if "probe" in order:
        return PROBES[order["probe"]](backend)
    if "count" in order:
        return {"decode": decoding, "train": training}[order["count"]](backend, order["words"])
    if order["command"] != "fit":
        return command(order["command"], order["words"])
    if "before_step" not in order:
        return str(fit(order["words"]).path)
    with stopped_before_step(order["before_step"]):
        try:
            fit(order["words"])
        except Stopped:
            return "stopped"
    raise RuntimeError(f"the run ended before step {order['before_step']}")


def _tried(work: Callable[[], Any]) -> tuple[Any, str | None]:
    """The answer, or else the error and the product's innermost lines; the whole traceback goes to the log."""
    try:
        return work(), None
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.filename.removeprefix(PRODUCT) + f":{f.lineno}" for f in frames if PRODUCT in f.filename]
        return None, f"{type(error).__name__}: {error} @ {' > '.join(lines[-4:])}"


def _own_output() -> TextIO:
    """Where the answers go; what commands print goes to the log, as standard error does."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
