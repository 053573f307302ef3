"""Lightning's help of its own keys, `trainer.*`: `fit --help.trainer`. It is computed, in Lightning's words."""

import lightning
from lightning.pytorch.cli import LightningArgumentParser

from lalm_ambig.core.door import shown

TRAINER_HELP = "--help.trainer"
ABOUT = "Keys of Lightning's trainer. configs/base.yaml sets some of them; options win over it."


def print_trainer_help() -> None:
    """Print every key of the trainer with its default and meaning."""
    usage = shown("lalm-ambig fit [--trainer.KEY VALUE ...]")
    parser = LightningArgumentParser(usage=usage, description=ABOUT, add_help=False)
    parser.add_lightning_class_args(lightning.Trainer, "trainer")
    parser.print_help()
