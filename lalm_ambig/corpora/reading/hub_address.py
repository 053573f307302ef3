"""Addresses of datasets on the hub, as a corpus's root: `hf://owner/name[@revision][/path]`."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lalm_ambig.core.errors import InputError

COMMIT = re.compile(r"[0-9a-f]{40}")
"""A revision that is a commit, which never changes."""
SCHEME = re.compile(r"hf:/*(?P<rest>.*)", re.DOTALL | re.IGNORECASE)
"""A `Path` makes one slash of two."""
OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:/.*", re.DOTALL | re.IGNORECASE)
WEB = re.compile(
    r"https?:/{1,2}[^/]+/datasets/(?P<repository>[^/]+/[^/]+)(?:/(?:tree|blob)/(?P<revision>[^/]+))?.*"
)
FORM = re.compile(
    r"(?:datasets/)?(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>refs/(?:convert|pr)/[^/]+|[^/@]+))?"
    r"(?:/(?P<path>[^@]+?))?/?"
)
OTHER_KINDS = ("models", "spaces", "buckets")
"""First parts of the hub's addresses of what is no dataset."""
FILE_ENDINGS = frozenset((".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow"))
"""Endings of a path that is a file of rows; any other is a folder."""
EXAMPLE = "Write hf://owner/name, hf://owner/name@revision or hf://owner/name/folder/file.jsonl."


@dataclass(frozen=True)
class HubAddress:
    """A dataset on the hub, or a folder or file in it."""

    repository: str
    """`owner/name`."""
    revision: str | None = None
    """Branch, tag or commit; None for the main branch."""
    path: str = ""
    """Folder or file in the dataset; empty for all of it."""

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"hf://{self.repository}{revision}" + (f"/{self.path}" if self.path else "")

    @property
    def folder(self) -> str:
        """The folder that a corpus at this address may read; empty for the whole dataset."""
        place = PurePosixPath(self.path)
        folder = place.parent if place.suffix.lower() in FILE_ENDINGS else place
        return "" if folder == PurePosixPath(".") else str(folder)


def hub_address(root: Path | str) -> HubAddress | None:
    """Parse a root as an address of the hub.

    Args:
        root: As the user gives it.

    Returns:
        The address; None for a folder or file on this machine.

    Raises:
        InputError: The root begins like an address of the hub and is none, or is another kind of address.

    >>> str(hub_address("hf://datasets/owner/name@v1/data"))
    'hf://owner/name@v1/data'
    """
    text = str(root)
    if match := WEB.fullmatch(text):
        address = HubAddress(match["repository"], match["revision"])
        raise InputError(f"{text} is a page.", where="corpus root", remedy=f"Write {address}.")
    scheme = SCHEME.fullmatch(text)
    if (scheme is None and not OTHER_SCHEME.fullmatch(text)) or Path(text).exists():
        return None
    if scheme is None:
        wrong = f"{text} is an address that is not read: only folders, files and hf://owner/name are."
        raise InputError(wrong, where="corpus root", remedy="Fetch it first.")
    rest = scheme["rest"]
    match = FORM.fullmatch(rest)
    if match is None or rest.startswith(OTHER_KINDS):
        raise InputError(
            f"hf://{rest} is no address of a dataset on the hub.", where="corpus root", remedy=EXAMPLE
        )
    path = match["path"] or ""
    if {"..", "."} & set(path.split("/")):
        raise InputError(f"{text} leads out of the dataset.", where="corpus root", remedy=EXAMPLE)
    return HubAddress(match["repository"], match["revision"], "/".join(filter(None, path.split("/"))))
