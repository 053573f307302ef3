"""Print the script with which a shell completes commands, options, names and choices at a tab.

The script is static: a tab starts no Python. zsh's is bash's, by its own emulation.

Examples:
  source <(lalm-ambig completion bash)                       in this shell; for all, in ~/.bashrc
  source <(lalm-ambig completion zsh)                        in this shell; for all, in ~/.zshrc
  lalm-ambig completion fish > ~/.config/fish/completions/lalm-ambig.fish
"""

import argparse
from collections.abc import Sequence

from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.core.errors import run_command
from lalm_ambig.help.completion_scripts import SHELLS, script


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the script.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code, 0.
    """
    options = _parser().parse_args(arguments)
    print(script(options.shell), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m lalm_ambig.completion", description=__doc__)
    parser.add_argument("shell", choices=SHELLS, help="the shell")
    return parser


if __name__ == "__main__":
    run_command(main)
