"""The help of `fit`: its own options and keys on two screens, and how to see every other key."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from lalm_ambig.config.cli import DESCRIPTION, EXAMPLES, USAGE
from lalm_ambig.config.estimate_option import HELP as ESTIMATE_HELP
from lalm_ambig.config.loggers import HELP as LOGGER_HELP
from lalm_ambig.config.run_options import FIND_HELP, FOLDS_HELP, SEEDS_HELP, TEST_HELP, TRAINED_ITEMS_HELP
from lalm_ambig.config.seed import HELP as SEED_HELP
from lalm_ambig.config.short_names import CHOICE_HELP
from lalm_ambig.config.sweep import HELP as SWEEP_HELP
from lalm_ambig.config.trust import ALLOW_HELP
from lalm_ambig.help.catalogue import Entry, Key
from lalm_ambig.help.rendering import WIDTH, cut, entry_lines, first_sentence

THIS_CALL = {
    "--test": TEST_HELP,
    "--seeds N …": SEEDS_HELP,
    "--folds all|N,N": FOLDS_HELP,
    "--sweep KEY=V1,V2": SWEEP_HELP.partition(":")[0],
    "--find-lr [N]": FIND_HELP.partition(":")[0],
    "--logger NAME …": LOGGER_HELP,
    "--seed N": SEED_HELP.partition(":")[0],
    "--estimate": ESTIMATE_HELP,
    "--print_config": "Print the whole configuration as YAML",
    "--allow-trained-items": TRAINED_ITEMS_HELP,
    "--allow-any-class": ALLOW_HELP,
}
"""Options of one call."""
ASKED_FOR = (
    ("GRPO", "model.optimiser.learning_rate"),
    ("GRPO", "model.reasoning"),
    ("GRPO", "model.readout"),
    ("GRPO", "model.start"),
    ("GRPO", "model.grouping.group_size"),
    ("Qwen2Audio", "policy.path"),
    ("Qwen2Audio", "policy.quantize"),
    ("Qwen2Audio", "policy.adapter.rank"),
)
"""Keys of classes that are looked for most, each with a class that has it."""
BESIDE = {
    "--data.corpus.root DIR": "The folder (or file) of the corpus as distributed",
    "--trainer.max_epochs N": "Passes over the training items",
    "--trainer.devices N": "Devices of this machine; with several also --trainer.strategy",
    "--trainer.strategy NAME": "auto, ddp, deepspeed_stage_1, _2, _3 (also with _offload), fsdp2",
    "--trainer.precision NAME": "32-true, bf16-mixed, bf16-true, 16-mixed",
}
COLUMN = 34
MORE = """every other key
  lalm-ambig fit --method grpo --policy qwen2_audio --help    all keys of what is chosen
  lalm-ambig list                 methods, policies, corpora, rewards, presets, …; list methods GRPO
  lalm-ambig list keys WORD       keys with that word, e.g. learning_rate
  lalm-ambig fit --help.trainer   Lightning's keys, trainer.*
"""


def fit_help(sections: Mapping[str, Sequence[Key]], entries: Mapping[str, Sequence[Entry]]) -> str:
    """The text.

    Args:
        sections: Keys of no class.
        entries: Classes by kind, for the keys that are looked for most.
    """
    classes = {entry.name: entry for listed in entries.values() for entry in listed}
    asked = [next(key for key in classes[name].keys if key.name == wanted) for name, wanted in ASKED_FOR]
    blocks = [
        [f"usage: {USAGE}", "", *textwrap.wrap(" ".join(DESCRIPTION), WIDTH)],
        ["what is trained, on what, and how", *_options(CHOICE_HELP)],
        ["this call", *_options(THIS_CALL)],
        [
            "asked for most (defaults depend on the class: --help after choosing one)",
            *_brief(asked),
            *_options(BESIDE, COLUMN + 2),
        ],
        ["data (whole texts: lalm-ambig list keys data.)", *_brief(sections["data"], defaults=True)],
        ["run (whole texts: lalm-ambig list keys run.)", *_brief(sections["run"], defaults=True)],
        MORE.splitlines(),
        ["examples", *EXAMPLES],
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _options(helps: Mapping[str, str], column: int = COLUMN) -> Iterator[str]:
    for name, text in helps.items():
        yield from entry_lines(name, first_sentence(text), column=column)


def _brief(keys: Sequence[Key], *, defaults: bool = False) -> Iterator[str]:
    """A line for each key, cut at the width, with its default where no class has another one."""
    for key in keys:
        value = f"({key.default}) " if defaults and key.default not in ("", "null") else ""
        yield cut(f"  {f'--{key.name}':<{COLUMN}}{value}{first_sentence(key.meaning)}")
