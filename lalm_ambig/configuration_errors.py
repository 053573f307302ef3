"""jsonargparse's nested reports as one line: where in the configuration, and what is wrong there."""

import re

KEY = re.compile(r'Parser key "([^"]+)"')
GIVEN = re.compile(r"Given value: ([\w.+/-]+)$")
FRAME = re.compile(
    r"^(usage:|tip:|(- )?Does not validate|Subtypes:|Errors:|Given value|Parser key|(- )?Problem with given class_path"
    r"|(- )?Expected a <class 'NoneType'>|\{)"
)
CLASS = re.compile(r"<class '(?:[\w.]+\.)?(\w+)'>")
UNION = "Does not validate"
"""How a report begins when a class refused its own settings."""


def readable(message: str) -> str:
    """The innermost complaint of a report, behind the dotted key that it is about."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    key = ".".join(KEY.findall(message))
    complaints = [_plain(line) for line in lines if not FRAME.match(line)]
    inline = [
        _plain(line.split(": ", 2)[-1])
        for line in lines
        if line.count("Problem with given class_path") and not line.endswith(":")
    ]
    given = [found[1] for line in lines if (found := GIVEN.search(line))]
    what = "; ".join(dict.fromkeys(complaints or inline)) or _plain(lines[0])
    if given and "got" not in what.lower() and not what.startswith(("option", "unrecognized")):
        what += f", got {given[0]}"
    return f"{key}: {what}" if key and not what.startswith(key) else what


def _plain(line: str) -> str:
    words = CLASS.sub(r"\1", line.removeprefix("- ")).replace("Got value:", "got").replace(". got", ", got")
    return words[:1].lower() + words[1:] if words.startswith(("Option", "Expected", "Key")) else words
