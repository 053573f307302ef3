"""The help of `fit`: its own options and keys on two screens, and how to see every other key."""

from collections.abc import Iterator, Mapping, Sequence

from lalm_ambig.config.cli import DESCRIPTION, EXAMPLES, USAGE
from lalm_ambig.config.estimate_option import HELP as ESTIMATE_HELP
from lalm_ambig.config.run_options import FOLDS_HELP, SEEDS_HELP, TEST_HELP, TRAINED_ITEMS_HELP
from lalm_ambig.config.seed import HELP as SEED_HELP
from lalm_ambig.config.short_names import CHOICE_HELP
from lalm_ambig.config.trust import ALLOW_HELP
from lalm_ambig.help.catalogue import Entry, Key
from lalm_ambig.help.rendering import entry_lines, first_sentence, key_lines

THIS_CALL = {
    "--test": TEST_HELP,
    "--seeds N …": SEEDS_HELP,
    "--folds all|N,N": FOLDS_HELP,
    "--seed N": SEED_HELP,
    "--estimate": ESTIMATE_HELP,
    "--print_config": "Print the whole configuration as YAML. Nothing is trained.",
    "--allow-trained-items": TRAINED_ITEMS_HELP,
    "--allow-any-class": ALLOW_HELP,
}
"""Options of one call. What a run's parser has beside these is found by a test."""
ASKED_FOR = (
    ("GRPO", "model.optimiser.learning_rate"),
    ("GRPO", "model.reasoning"),
    ("GRPO", "model.readout"),
    ("GRPO", "model.start"),
    ("GRPO", "model.grouping.group_size"),
    ("Qwen2Audio", "policy.path"),
    ("Qwen2Audio", "policy.quantize"),
    ("Qwen2Audio", "policy.adapter.rank"),
    ("CremaD", "data.corpus.root"),
)
"""Keys of classes that are looked for most, each with a class that has it."""
TRAINER = {
    "--trainer.max_epochs N": "Passes over the training items.",
    "--trainer.devices N": "Devices of this machine; with several also --trainer.strategy.",
    "--trainer.strategy NAME": "auto, ddp, deepspeed_stage_1, _2 or _3 (also with _offload), fsdp2.",
    "--trainer.precision NAME": "32-true, bf16-mixed, bf16-true, 16-mixed.",
}
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
        [USAGE, "", *DESCRIPTION],
        ["what is trained, on what, and how", *_options(CHOICE_HELP)],
        ["this call", *_options(THIS_CALL)],
        ["keys that are asked for most (defaults are the class's: --help after choosing one)", *_plain(asked), *_options(TRAINER)],
        ["data", *key_lines(sections["data"], brief=True)],
        ["run", *key_lines(sections["run"], brief=True)],
        MORE.splitlines(),
        ["examples", *EXAMPLES],
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _options(helps: Mapping[str, str]) -> Iterator[str]:
    for name, text in helps.items():
        yield from entry_lines(name, f"{first_sentence(text)}.")


def _plain(keys: Sequence[Key]) -> Iterator[str]:
    """Keys without defaults, since these depend on the class."""
    for key in keys:
        yield from entry_lines(f"--{key.name} {key.takes}", f"{first_sentence(key.meaning)}.")
