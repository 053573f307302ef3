"""The JSON files of MSP-Podcast as entries with line numbers, so that every error can name its line."""

from collections.abc import Callable, Iterator

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.json_lines import Pairs, json_value


class Members(tuple[tuple[str, object], ...]):
    """The members of a JSON object in the file's order; a name may come twice."""

    __slots__ = ()


def json_entries(
    text: str,
    *,
    source: str,
    keep: Callable[[Pairs], object] = Members,
) -> Iterator[tuple[int, str, object]]:
    """Yield line, name and value of every member of the outermost object, which may be in a list of one.

    Args:
        text: Content of the file.
        source: Name of the file in errors.
        keep: Converts each object inside; a smaller form saves memory for a large file.

    Raises:
        InputError: The text is not JSON, or not such an object.
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
