"""Train language models to answer with the distribution of human judgements.

>>> from lalm_ambig import load                                  # doctest: +SKIP
>>> load("runs/x").predict("a.wav").distribution                 # doctest: +SKIP
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lalm_ambig.core.installation import check_command, is_command, wrong_python

if TYPE_CHECKING:
    from lalm_ambig.from_python import train as train
    from lalm_ambig.inference import Answer as Answer
    from lalm_ambig.inference import Model as Model
    from lalm_ambig.inference import load as load

__version__ = "0.1.0"

LAZY = {
    **dict.fromkeys(("Answer", "Model", "load"), "lalm_ambig.inference"),
    "train": "lalm_ambig.from_python",
}
"""Public names, each with its module, which is imported when it is first asked for."""

warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm, of a notebook without widgets

if is_command():
    check_command()
    from lalm_ambig.core.stopping import end_quietly  # not above: an older Python cannot read it

    end_quietly()
    from lalm_ambig.help.early import answer_help  # and this one reads files

    answer_help()
    import_module("lalm_ambig.core.collection").hold()  # until `run_command`
elif wrong_python():
    raise ImportError(wrong_python())

# Before torch is loaded; and not imported above, since an older Python cannot read it.
import_module("lalm_ambig.core.threads").wait_briefly()


def __getattr__(name: str) -> Any:
    """Import what is asked for: the package itself stays light."""
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *LAZY})
