"""Libraries' chatter turned down, so that what a command prints is what its user needs."""

import logging
import os
import warnings

EXPECTED = (
    r".*does not have many workers.*",  # cached features need none
    r".*is_gradient_checkpointing.*",  # peft's use of a name that transformers has changed
    r".*module\(s\) in eval mode at the start of training.*",  # the frozen audio tower
    r".*sync_dist=True.*",  # what is logged was pooled over processes before
    r".*predict returned None.*",  # predictions are kept by the method
    r".*Checkpoint directory .* exists and is not empty.*",  # a run that goes on
    r".*exists and is not empty. Previous log files.*",
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",  # lightning's use of torch.utils._pytree
)


def quiet_libraries() -> None:
    """Call first in a command: progress bars and notes of the libraries off, their real warnings on."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import datasets
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in EXPECTED:
        warnings.filterwarnings("ignore", message=message)
