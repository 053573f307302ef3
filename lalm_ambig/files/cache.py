"""Where things that can be made again are kept."""

import os
from pathlib import Path


def cache_root() -> Path:
    """Folder for what can be made again: `$XDG_CACHE_HOME/lalm_ambig`, by default under `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lalm_ambig"
