"""Whether the model hub can be reached: asked once, in seconds, before anything else is read.

The hub's own client asks six times for every file, with pauses, and says so each time: minutes on a machine without a
network. Where no answer comes, what lies in its cache is taken, and else one line says what to do.
"""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import constants, get_session, hf_hub_url, try_to_load_from_cache
from huggingface_hub.utils._headers import build_hf_headers

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError

WHERE = "policy.path"
PATIENCE_S = 4.0
"""How long an answer is waited for, the search for the hub's address included."""
FILES = ("config.json", "adapter_config.json")
"""One of which every model or adapter has."""
BUSY = (407, 429, 500, 502, 503, 504)
"""Answers that are none: a proxy that lets nobody through, too many requests, and a server that is not well."""
_ANSWERED: set[str] = set()
"""Hub ids that were asked about."""


def check_hub(source: str, *, download_gb: float | None = None) -> None:
    """InputError in one line for a hub id whose hub gives no answer, and which is not in its cache either.

    Args:
        source: A folder, of which nothing is asked, or a hub id.
        download_gb: What there is to fetch, where that is known.
    """
    if source in _ANSWERED or Path(source).exists():
        return
    offline = bool(constants.HF_HUB_OFFLINE)
    said = "is not asked, since HF_HUB_OFFLINE is set" if offline else no_answer_reason(source)
    if said is not None:
        if not _cached(source):
            raise _unreachable(source, said, download_gb)
        if not offline:
            constants.HF_HUB_OFFLINE = True  # else its client would ask, and wait, for every file
            if distributed.is_first():
                print(f"{source}: the hub {said}. What its cache has is used.", file=sys.stderr)
    _ANSWERED.add(source)


def no_answer_reason(source: str, *, patience_s: float = PATIENCE_S) -> str | None:
    """Why the hub has not answered a question about that id; None where it has, whatever it has said."""
    found = [f"gives no answer within {patience_s:g} s"]

    def ask() -> None:
        try:
            url = hf_hub_url(source, FILES[0])
            answer = get_session().head(
                url, headers=build_hf_headers(), timeout=patience_s, follow_redirects=False
            )
        except Exception as error:
            found[:] = [f"cannot be reached: {_first_line(error)}"]
        else:
            found[:] = [f"answers with {answer.status_code}"] if answer.status_code in BUSY else []

    _within(ask, patience_s)
    return found[0] if found else None


def _within(call: Callable[[], None], patience_s: float) -> None:
    """Call it, and go on after that time at the latest: the search for an address cannot be given one."""
    thread = threading.Thread(target=call, daemon=True, name="question to the hub")
    thread.start()
    thread.join(patience_s)


def _cached(source: str) -> bool:
    return any(isinstance(try_to_load_from_cache(source, name), str) for name in FILES)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def _unreachable(source: str, said: str, download_gb: float | None) -> InputError:
    size = "" if download_gb is None else f", about {download_gb:g} GB"
    cache = os.environ.get("HF_HOME")
    home = f"HF_HOME (now {cache})" if cache else "HF_HOME (not set: ~/.cache/huggingface)"
    return InputError(
        f"{source} is not in the hub's cache, and the hub ({constants.ENDPOINT}) {said}.",
        where=WHERE,
        remedy="Give a copy on this machine as --policy.path FOLDER; or fetch it where there is a network (hf download "
        f"{source}{size}), bring that cache here as {home}, and set HF_HUB_OFFLINE=1.",
    )
