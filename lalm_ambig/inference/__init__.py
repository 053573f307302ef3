"""Using a trained policy: `load` gives a `Model`, whose `predict` gives an `Answer` per input.

A *source* is a run folder, an export, or its name on a hub. A *question* is one input, with its sound as a file or as
samples. `inputs` reads many questions from files, `outputs` writes their answers so that a stopped command goes on.
"""

from lalm_ambig.inference.answer import Answer as Answer
from lalm_ambig.inference.model import Model as Model
from lalm_ambig.inference.model import load as load
