"""What a run says of its own results."""

from pathlib import Path

from rich.console import Console
from small_model import MakePolicy

from lalm_ambig.config.cli import parse
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.methods.generation import Generation
from lalm_ambig.methods.sft import SFT
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.training import Training


def test_rows_of_averaged_responses_say_so_and_baselines_do_not(
    make_policy: MakePolicy, demo_root: Path, tmp_path: Path
) -> None:
    policy = make_policy()
    data = DataModule(open_corpus("demo", demo_root), limit=12)
    data.setup()
    uniform = (1 / len(data.categories),) * len(data.categories)
    answered = [
        Prediction(i.id, i.split, i.speaker, i.votes, i.label_dist, uniform, response="", closed=False)
        for i in data.items("test")
    ]
    for samples in (1, 4):
        model = SFT(policy, generation=Generation(samples=samples))
        training = Training(RunFolder(tmp_path), model, data, parse([]), "auto", None, Console())
        rows = training.results("test", answered, answered)
        assert {name: row.about.samples for name, row in rows.items()} == {
            "uniform": 1,
            "prior": 1,
            "base": samples,
            "trained": samples,
        }
        said = any("mean distribution of 4 responses" in note for note in rows["trained"].notes)
        assert said == (samples == 4)
