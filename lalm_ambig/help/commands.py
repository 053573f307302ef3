"""The help of a command line, from the texts that `make help` has written."""

import re
from collections.abc import Sequence

from lalm_ambig.core.door import ELSEWHERE, PACKAGE, command_names
from lalm_ambig.help.catalogue import FOLDER
from lalm_ambig.help.chosen import chosen_help, part_help
from lalm_ambig.help.names import closest
from lalm_ambig.help.rendering import cut

TEXTS = FOLDER / "texts"
HELP = ("-h", "--help")
ORDER = (
    "fit",
    "predict",
    "evaluate",
    "serve",
    "baseline",
    "compare",
    "report",
    "study",
    "describe",
    "budget",
    "doctor",
    "export",
)
"""Commands in the order in which one meets them; others follow by name."""
ELSEWHERE_CALLED = {
    **dict.fromkeys(("train", "finetune", "sft", "grpo", "dpo", "run", "resume"), "fit"),
    **dict.fromkeys(("eval", "test", "score"), "evaluate"),
    **dict.fromkeys(("infer", "generate", "chat", "ask"), "predict"),
    **dict.fromkeys(("plot", "table"), "report"),
    **dict.fromkeys(("merge", "push"), "export"),
    **dict.fromkeys(("ls", "models"), "list"),
    **dict.fromkeys(("annotators", "votes", "power"), "budget"),
    "data_curation": "curate",
}
"""What other programs call a command."""
DOCSTRING = re.compile(r'\s*r?"""(?P<text>.*?)(?:"""|\n\n|(?<=[^.]\.)\s)', re.DOTALL)
OVERVIEW = """usage: lalm-ambig COMMAND [WORDS ...]      lalm-ambig COMMAND --help

Language models that answer with the distribution of human judgements: train, evaluate, ask, compare.

commands
{commands}

examples
  lalm-ambig fit --test                                  train the tiny model on a synthesised corpus
  lalm-ambig fit --policy qwen2_audio --data crema_d --method grpo --data.corpus.root ~/CREMA-D
  lalm-ambig predict clip.wav --run runs/NAME            ask a trained model
  lalm-ambig list                                        methods, policies, corpora, rewards, presets, … and their keys
"""


def overview() -> str:
    """Return the help of the program: each command with one line, and examples.

    Returns:
        The text. Commands are found by their files, so that a new one is listed at once.
    """
    names = command_names()
    ordered = [*(name for name in ORDER if name in names), *(name for name in names if name not in ORDER)]
    return OVERVIEW.format(commands="\n".join(cut(f"  {name:<12}{about(name)}") for name in ordered))


def closest_command(name: str) -> str | None:
    """Return the command that is nearest to a name, or that other programs call so; None if none is near."""
    return ELSEWHERE_CALLED.get(name.lower()) or closest(name, command_names())


def help_of(command: str, words: Sequence[str]) -> str | None:
    """Return the help that a command line asks for.

    Args:
        command: The command.
        words: Its words.

    Returns:
        The text. None if no word asks for help, or none was written for the command: it has its own then.
    """
    before = list(words[: words.index("--")]) if "--" in words else list(words)
    if command == "fit" and (asked := part_help(before)) is not None:
        return asked
    if not any(word in HELP for word in before):
        return None
    if command == "fit" and (chosen := chosen_help(before)) is not None:
        return chosen
    inner = next((word for word in before if not word.startswith("-")), "")
    return _text(f"{command}.{inner}") or _text(command)


def _text(name: str) -> str | None:
    path = TEXTS / f"{name}.txt"
    return (
        path.read_text(encoding="utf-8") if name.replace(".", "").isidentifier() and path.is_file() else None
    )


def about(name: str) -> str:
    """Return what a command does: its docstring's first sentence.

    Args:
        name: The command.

    Returns:
        One line, without the command that the sentence names.
    """
    file = PACKAGE.parent / ELSEWHERE[name] / "__main__.py" if name in ELSEWHERE else PACKAGE / f"{name}.py"
    match = DOCSTRING.match(file.read_text(encoding="utf-8"))
    text = " ".join(match["text"].split()) if match else ""
    return re.sub(r":? `(python -m|lalm-ambig) [^`]*`", "", text).rstrip(".")
