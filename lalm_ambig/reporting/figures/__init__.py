"""One file per figure: `TITLE`, and `drawings(report)`, which yields as many as the runs can fill.

A new file is found by itself. Listing the figures needs no drawing library; `drawing.draw` does.
"""

import sys

from lalm_ambig.core.discovery import module_names


def figure_names() -> list[str]:
    """Names that `--figure` takes."""
    return module_names(sys.modules[__name__])
