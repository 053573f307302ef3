"""One-line forms of jsonargparse's nested reports: the key, the mistake, and the nearest valid name."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lalm_ambig.config.precision import AUTO, COMPUTES
from lalm_ambig.config.precision import WHERE as PRECISION
from lalm_ambig.config.suggestions import class_names, meant_key
from lalm_ambig.corpora.base import corpus_class, corpus_names
from lalm_ambig.help.names import closest

KEY = re.compile(r'Parser key "([^"]+)"')
GIVEN = re.compile(r"Given value: ([\w.+/-]+)$")
FRAME = re.compile(
    r"^(usage:|tip:|(- )?Does not validate|Subtypes:|Errors:|Given value|Parser key|(- )?Problem with given class_path"
    r"|(- )?Expected a <class 'NoneType'>|\{|(- )?Not a valid subclass of|Subclass types expect|- a class path \(str\)"
    r"|- a dict (with|without) )"
)
CLASS = re.compile(r"<class '(?:[\w.]+\.)?(\w+)'>")
CLASS_PATH = re.compile(r"Problem with given class_path '([\w.]+)'")
BASE_CLASS = re.compile(
    r"\n\s+- Problem with given class_path 'lightning\.Callback':\n\s+Option .* is not accepted"
)
"""The parser tries an option of a Lightning callback with the base class as well, and reports that attempt."""
UNION = "Does not validate"
"""Beginning of a report after a class refused its own settings."""
LITERAL = re.compile(r"expected a typing\.Literal\[(.*)\]")
UNKNOWN_CLASS = re.compile(r"expected a dot import path string: (\S+)")
UNKNOWN_PATH = re.compile(r"expected a path but .* either not accessible or invalid")
UNKNOWN_KEYS = re.compile(r"unrecognized arguments: (.*)")
UNKNOWN_OPTION = re.compile(r"option '([^']+)' is not accepted")
MISSING = re.compile(r"the following arguments are required: (.*)")
REQUIREMENT = re.compile(r"Requirement '([\w.-]+)([^']*)' not met")
NO_LIST = re.compile(r"[Ee]xpected a path but (\S+) either not accessible")
LISTS = ("model.rewards",)
"""Keys of a list of classes. The parser reads a single name there as a path."""
NO_CLASS = re.compile(r"Not a valid subclass of \w+|Expected an instantiatable class, but \S+ is abstract")
ANY_VALUE = re.compile(r"(?:Got|Given) value: (.*)")
NO_VALUE = re.compile(r"argument --(\S+): expected one argument")
KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "list": "a list"}
TYPE = re.compile(r"expected an? (\w+)(?:, got ?.*)?")
BESIDE_CHOICES = {
    "bool": "true or false",
    "list": "a list such as [1,2]",
    "int": "a whole number",
    "float": "a number",
    "Path": "a path",
}
"""Values of these types that a key takes beside its choices."""
LIST = re.compile(r"Subtypes: .*\blist\[")
"""In a report about a key that takes a list: a whole number is one of the list then."""
EXTRAS = {"wandb": "'lalm_ambig[wandb]'"}
"""Package name to the extra of this project that installs it."""


def readable(message: str) -> str:
    """Return the innermost complaint of a report, after the dotted key that it is about.

    Args:
        message: A report of jsonargparse.

    Returns:
        One line.
    """
    message = BASE_CLASS.sub("", message)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    key = ".".join(KEY.findall(message))
    complaints = [_plain(line) for line in lines if not FRAME.match(line)]
    inline = [
        _plain(line.split(": ", 2)[-1])
        for line in lines
        if line.count("Problem with given class_path") and not line.endswith(":")
    ]
    if NO_CLASS.search(message) and "class_path'" not in message:
        return _no_class(key, message)
    values = [match[1] for line in lines if (match := GIVEN.search(line))]
    phrases = list(dict.fromkeys(complaints or inline)) or [_plain(lines[0])]
    classes = CLASS_PATH.findall(message)
    if clear := _explained(phrases, key, classes[-1] if classes else ""):
        return clear
    what = "; ".join(_worded(phrases, key, beside=_beside(message)))
    if values and "got" not in what.lower() and not what.startswith(("option", "unrecognized")):
        what += f", got {values[0]}"
    return f"{key}: {what}" if key and not what.startswith(key) else what


def _no_class(key: str, message: str) -> str:
    """Return our own line for settings whose class no file has named, or for a value that is none."""
    given = ANY_VALUE.search(message)
    if given is None or given[1].startswith("{"):
        return f"{key}: settings of no class: name its class_path, or put this file behind the one that does."
    return f"{key}: expected one of {', '.join(class_names(key))}, with its settings; got {given[1]}"


def _explained(phrases: Sequence[str], key: str, class_path: str) -> str | None:
    """Return our own line for a known kind of mistake; None for all others, which keep the parser's words."""
    for words in phrases:
        if match := UNKNOWN_KEYS.fullmatch(words):
            return _unknown_words(match[1].split(), key)
        if match := UNKNOWN_OPTION.search(words):
            name = f"{key}.{match[1]}" if key else match[1]
            return f"unknown key {name}{_of(class_path)}{meant_key(match[1], key, class_path=class_path)}"
        if match := MISSING.search(words):
            return _missing(match[1].split(", ")[0], key, class_path)
        if match := REQUIREMENT.search(words):
            package = EXTRAS.get(match[1], f"'{match[1]}{match[2]}'")
            needs = f"{_short(class_path)} needs {match[1]}{match[2]}, which is not installed."
            return f"{needs} Run: pip install {package}"
        if (match := NO_LIST.search(words)) and key in LISTS:
            return f"{key}: expected a list, got {match[1]}: write [{match[1]}]"
        if match := NO_VALUE.fullmatch(words):
            return f"{match[1]}: no value is given."
    unknown = [match[1] for words in phrases if (match := UNKNOWN_CLASS.search(words))]
    if not unknown or any(
        not (UNKNOWN_CLASS.search(w) or UNKNOWN_PATH.search(w) or _is_type(w)) for w in phrases
    ):
        return None
    names = class_names(key)
    meant = closest(unknown[0], names)
    guess = f": did you mean {meant}?" if meant else "."
    expected = f" Expected one of {', '.join(names)}; or a class path." if names else ""
    return f"{key}: unknown class {unknown[0]!r}{guess}{expected}"


def _beside(message: str) -> dict[str, str]:
    """Return what a key takes beside its choices, by type."""
    return {**BESIDE_CHOICES, "int": BESIDE_CHOICES["list"]} if LIST.search(message) else BESIDE_CHOICES


def _worded(phrases: Sequence[str], key: str, *, beside: Mapping[str, str] = BESIDE_CHOICES) -> list[str]:
    """Return complaints in plain words. Types are named by what a user writes, and choices are joined into one."""
    if key == PRECISION:
        return [f"expected one of {', '.join((*COMPUTES, AUTO))}"]
    choices = [match[1] for words in phrases if (match := LITERAL.search(words))]
    if choices and all(LITERAL.search(words) or _is_type(words) for words in phrases):
        names = list(dict.fromkeys(name.strip(" '\"") for choice in choices for name in choice.split(",")))
        got = next((words.partition(", got ")[2] for words in phrases if ", got " in words), "")
        others = (match[1] for words in phrases if (match := TYPE.fullmatch(words)))
        names += dict.fromkeys(beside[kind] for kind in others if kind in beside)
        return [f"expected one of {', '.join(names)}" + (f", got {got}" if got else "")]
    kinds = [words for words in phrases if not _is_type(words)]
    return kinds or [_typed(words) for words in phrases]


def _is_type(words: str) -> bool:
    return TYPE.fullmatch(words) is not None


def _typed(words: str) -> str:
    return re.sub(
        r"expected a (\w+)", lambda match: f"expected {KINDS.get(match[1], 'a ' + match[1])}", words
    )


def _unknown_words(words: Sequence[str], key: str) -> str:
    """Return the line about a word of the command line that is neither an option nor a value of one."""
    first = words[0]
    if not first.startswith("-"):
        if Path(first).suffix in (".yaml", ".yml"):
            return f"{first} stands by itself: did you mean --config {first}?"
        return f"{first} stands by itself: every setting is --KEY VALUE."
    name = first.lstrip("-").partition("=")[0]
    shown = f"{key}.{name}" if key else name
    return f"unknown key {shown}{meant_key(name, key)}"


def _missing(name: str, key: str, class_path: str) -> str:
    """Return the line about a missing setting. For a corpus's root it says how to obtain the corpus."""
    corpora = [corpus_class(corpus_name) for corpus_name in corpus_names()] if key == "data.corpus" else []
    corpus = next((cls for cls in corpora if cls and cls.__name__ == _short(class_path)), None)
    if name == "root" and corpus is not None:
        return f"--{key}.root DIR is missing: the folder (or file) of {corpus.name}. {corpus.how_to_obtain}"
    whose = f"{_short(class_path)} needs it, and it has no default." if class_path else "it has no default."
    return f"--{key}.{name} is missing: {whose}" if key else f"--{name} is missing: {whose}"


def _of(class_path: str) -> str:
    return f" of {_short(class_path)}" if class_path else ""


def _short(class_path: str) -> str:
    return class_path.rpartition(".")[2] or "it"


def _plain(line: str) -> str:
    words = CLASS.sub(r"\1", line.removeprefix("- ")).replace("Got value:", "got").replace(". got", ", got")
    return words[:1].lower() + words[1:] if words.startswith(("Option", "Expected", "Key")) else words
