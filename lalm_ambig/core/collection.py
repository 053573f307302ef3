"""Garbage collection at a command's start: none while its modules are imported, and later ones pass them over.

What an import makes lives as long as the process. torch and transformers make half a million objects, and each full
collection among them takes 0.3 seconds.
"""

import gc


def hold() -> None:
    """Collect nothing until `release` is called."""
    gc.disable()


def release() -> None:
    """Collect again, but never what is there now. Without a `hold` before, nothing changes."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
