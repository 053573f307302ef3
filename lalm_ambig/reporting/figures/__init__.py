"""One file per figure of a report.

Each file has a `TITLE` and `drawings(report)`, which makes a `Drawing` per corpus that has the runs for it. A new file
needs no registration. Listing the figures needs no drawing library; `drawing.draw` does.

`a2_kl` is a figure of ambiguity-aware LALM. `b_levels`, `b_active_labels` and `b_classes` are figures of SHALA-LLM.
`annotators`, `cost`, `entropy`, `layers`, `learning`, `reliability` and `ternary` are ours.
"""

import sys

from lalm_ambig.core.discovery import module_names


def figure_names() -> list[str]:
    """Return the names that `--figure` takes."""
    return module_names(sys.modules[__name__])
