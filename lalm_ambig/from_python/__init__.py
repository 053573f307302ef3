"""What a Python session calls above the commands: `train`, which runs what `fit` runs and returns the run."""

from lalm_ambig.from_python.training import TrainedRun as TrainedRun
from lalm_ambig.from_python.training import train as train
