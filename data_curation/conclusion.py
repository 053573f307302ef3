"""How a run ends: one line about what is left to do or came to nothing, and the exit code."""

import sys

from data_curation.gate import RunStopped
from data_curation.progress import OUTCOMES, Tally
from lalm_ambig.core.errors import EXIT_CHECK_FAILED, EXIT_OK


def conclude(stopped: RunStopped | None, tally: Tally) -> int:
    """Say what is left to do, if anything; 0 only where nothing is and something was written."""
    if stopped is not None:
        print(f"stopped: {stopped.reason}. The same command goes on from here.", file=sys.stderr)
        return stopped.exit_code
    if tally.unsent:
        print(f"{tally.unsent} items had no reply; the same command sends them again.", file=sys.stderr)
        return EXIT_CHECK_FAILED
    if tally.outcomes["accepted"] or tally.outcomes["rejected"] or tally.known:
        return EXIT_OK
    came_to = {name: tally.outcomes[name] for name in OUTCOMES} | {"unusable": tally.unusable}
    counts = ", ".join(f"{number} {name}" for name, number in came_to.items() if number)
    print(f"no reasoning was written: {counts or 'there was no item'}.", file=sys.stderr)
    return EXIT_CHECK_FAILED
