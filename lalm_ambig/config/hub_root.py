"""The commit of a corpus on the hub is a setting of the run: recorded with it, and part of its identity.

`data.corpus.root: hf://owner/name` becomes `hf://owner/name@COMMIT` before anything is read. If the dataset changes
later, the same command is another run; an older run is read with its own commit.
"""

from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from lalm_ambig.corpora.reading.hub_address import hub_address


def with_commit(config: Namespace) -> Namespace:
    """Write the commit into the corpus's root, in place; any other root stays.

    Args:
        config: A parsed configuration.

    Raises:
        InputError: The address is none, or what it names cannot be had.
    """
    init_args = (config.get("data.corpus") or {}).get("init_args")
    if init_args is None or init_args.get("root") is None:
        return config
    if (address := hub_address(init_args["root"])) is not None:
        from lalm_ambig.corpora.reading.hub import resolved  # not above: most runs ask no hub

        init_args["root"] = Path(str(resolved(address)))
    return config


def name_address(content: dict[str, Any]) -> None:
    """Write an address of the hub as `hf://…`, in place: as a path it has lost a slash.

    Args:
        content: A configuration as plain dictionaries.
    """
    init_args = ((content.get("data") or {}).get("corpus") or {}).get("init_args") or {}
    if init_args.get("root") is not None and (address := hub_address(init_args["root"])) is not None:
        init_args["root"] = str(address)
