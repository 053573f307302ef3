"""The JSON files of MSP-Podcast as numbered entries, so that every error can name its line."""

from collections.abc import Callable, Iterator

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.json_lines import Pairs, json_value


class Members(tuple[tuple[str, object], ...]):
    """The members of a JSON object in the file's order, in which a name may come twice."""

    __slots__ = ()


def json_entries(
    text: str,
    *,
    source: str,
    keep: Callable[[Pairs], object] = Members,
) -> Iterator[tuple[int, str, object]]:
    """Line, name and value of every member of the outermost object, which may be wrapped in a list of one.

    Args:
        text: Content of the file.
        source: How errors name the file.
        keep: What becomes of each object inside; a smaller form keeps a large file small in memory.
    """
    content = json_value(text, source=source, of_pairs=keep)
    if isinstance(content, list) and len(content) == 1:
        content = content[0]
    if not isinstance(content, Members):
        raise InputError("expected one JSON object with a member a file", where=source)
    line, at = 1, 0
    for name, value in content:
        position = text.find(f'"{name}"', at)
        if position >= 0:
            line, at = line + text.count("\n", at, position), position + len(name)
        yield line, name, value
