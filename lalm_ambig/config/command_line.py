"""The parser of every command except `fit`: a mistake gives one line, which suggests the nearest name."""

import argparse
import itertools
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from lalm_ambig.core.door import SCRIPT, shown
from lalm_ambig.core.errors import InputError
from lalm_ambig.help.names import closest, spelled

HELP = "(--help lists every option)"
UNKNOWN = re.compile(r"unrecognized arguments: (?P<given>.*)", re.DOTALL)
MISSING = re.compile(r"the following arguments are required: (?P<names>.*)")
ONE_OF = re.compile(r"one of the arguments (?P<names>.*) is required")
CHOICE = re.compile(r"argument (?P<name>\S+): invalid choice: '(?P<given>.*)' \(choose from (?P<names>.*)\)")
NUMBER = re.compile(r"argument (?P<name>\S+): invalid (?P<kind>int|float) value: (?P<given>.*)")
"""argparse's messages, as these patterns match them."""
NUMBERS = {"int": "a whole number", "float": "a number"}


class HelpText(argparse.HelpFormatter):
    """Wraps paragraphs, and keeps lines that begin with a space as they are, such as examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = [
            self._block(list(lines), width) for _, lines in itertools.groupby(text.splitlines(), _is_kept)
        ]
        return "\n".join(line for block in blocks for line in block)

    @staticmethod
    def _block(lines: list[str], width: int) -> list[str]:
        return lines if _is_kept(lines[0]) else textwrap.wrap(" ".join(lines), width, break_on_hyphens=False)


def _is_kept(line: str) -> bool:
    return line[:1].isspace() or not line.strip() or (line.endswith(":") and len(line.split()) == 1)


class CommandParser(argparse.ArgumentParser):
    """argparse's parser with one-line errors: it raises `InputError` and does not exit. Its subcommands do the same.

    Its name is shown as the user has started the command. Names and choices are read in American and British spelling.
    `Examples:` at the end of the description come last in the help.
    """

    _given: Sequence[str] = ()

    def __init__(self, *, prog: str, description: str | None = None, **settings: Any) -> None:
        """Make a parser.

        Args:
            prog: `python -m lalm_ambig.NAME`.
            description: The command's docstring.
            **settings: As argparse has them.
        """
        about, head, examples = (description or "").partition("\n\nExamples:\n")
        if head:
            settings["epilog"] = f"{settings.get('epilog') or ''}\n\nexamples:\n{examples}".strip()
        settings.setdefault("formatter_class", HelpText)
        super().__init__(prog=shown(prog), description=about, **settings)

    def format_help(self) -> str:
        """Return argparse's help, with commands named as the user has started this one."""
        return shown(super().format_help())

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, and keep the words for the error message.

        Args:
            args: Words of the command line; None for those of the process.
            namespace: As argparse has it.

        Returns:
            The parsed options and the words that are no options.
        """
        self._given = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args([self._spelled(word) for word in self._given], namespace)

    def _spelled(self, word: str) -> str:
        name, equals, value = word.partition("=")
        return (
            f"{spelled(name, self._options())}{equals}{value}"
            if name.startswith("--") and len(name) > 2
            else word
        )

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Return an option's values, with choices in the project's spelling."""
        choices = action.choices or ()
        words = [str(choice) for choice in choices] if not isinstance(choices, dict) else []
        return super()._get_values(action, [spelled(text, words) if words else text for text in arg_strings])

    def error(self, message: str) -> NoReturn:
        """Report a mistake in one line: the command, the mistake, and the nearest name.

        Args:
            message: argparse's message.

        Raises:
            InputError: Always.
        """
        where = self.prog.removeprefix("python -m ").removeprefix(f"{SCRIPT} ")
        where = where.removeprefix("lalm_ambig").lstrip(". ")
        raise InputError(self._plain(message), where=where, remedy=HELP)

    def _plain(self, message: str) -> str:
        if match := UNKNOWN.fullmatch(message):
            first, *others = match["given"].split()
            if first.startswith("-"):
                return self._unknown(first)
            return f"one argument too many: {' '.join([first, *others])}."
        if (match := MISSING.fullmatch(message) or ONE_OF.fullmatch(message)) is not None:
            if unknown := self._first_unknown():
                return self._unknown(unknown)
            names = [self._shown(name) for name in re.split(r"[, ]+", match["names"])]
            return f"missing: {(', ' if match.re is MISSING else ' or ').join(names)}."
        if match := CHOICE.fullmatch(message):
            names = re.findall(r"'?([^',]+)'?(?:, |$)", match["names"])
            meant = closest(match["given"], names)
            guess = f": did you mean {meant}?" if meant else "."
            return f"{match['name']}: expected one of {', '.join(names)}, got {match['given']!r}{guess}"
        if match := NUMBER.fullmatch(message):
            return f"{match['name']}: expected {NUMBERS[match['kind']]}, got {match['given']}."
        return message.removeprefix("argument ").replace("with argument", "with").rstrip(".") + "."

    def _unknown(self, word: str) -> str:
        meant = closest(word.partition("=")[0], self._options())
        return f"unknown option {word}" + (f": did you mean {meant}?" if meant else ".")

    def _first_unknown(self) -> str | None:
        """Return the first unknown option. argparse reports a missing option before it looks for unknown ones."""
        words = [word for word in self._given if word.startswith("--") and len(word) > 2]
        names = [word.partition("=")[0] for word in words]
        options = self._options()
        return next((name for name in names if not any(option.startswith(name) for option in options)), None)

    def _options(self) -> list[str]:
        """Return the names of this parser's options and of its subcommands' options."""
        inner = [action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        parsers = [self, *(parser for choices in inner for parser in choices.values())]
        return [name for parser in parsers for action in parser._actions for name in action.option_strings]

    def _shown(self, name: str) -> str:
        """Return an option's name with the placeholder of its value."""
        action = next((a for a in self._actions if name in a.option_strings), None)
        return name if action is None or action.metavar is None else f"{name} {action.metavar}"
