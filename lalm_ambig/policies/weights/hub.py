"""Check once, in seconds, whether the model hub answers, before anything else is read.

The hub's own client asks six times for each file, with pauses and messages: minutes on a machine without a network. If
no answer comes, the cache is used; if the cache lacks the checkpoint, one line says what to do.
"""

import os
import sys
from pathlib import Path

from huggingface_hub import constants, get_session, hf_hub_url, try_to_load_from_cache
from huggingface_hub.utils._headers import build_hf_headers

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.hub_answers import BUSY, PATIENCE_S, call_within, first_line

WHERE = "policy.path"
FILES = ("config.json", "adapter_config.json")
"""Every model or adapter has one of these."""
_ANSWERED: set[str] = set()
"""Hub ids that have been checked."""


def check_hub(source: str, *, download_gb: float | None = None) -> None:
    """Refuse a hub id whose hub gives no answer, unless it is in the hub's cache.

    Args:
        source: A hub id, or a folder, for which nothing is checked.
        download_gb: Size of the download in GB, if known.

    Raises:
        InputError: The hub does not answer, and its cache lacks the checkpoint.
    """
    if source in _ANSWERED or Path(source).exists():
        return
    offline = bool(constants.HF_HUB_OFFLINE)
    silence = "is not asked, since HF_HUB_OFFLINE is set" if offline else no_answer_reason(source)
    if silence is not None:
        if not _cached(source):
            raise _unreachable(source, silence, download_gb)
        if not offline:
            constants.HF_HUB_OFFLINE = True  # else its client would ask, and wait, for every file
            if distributed.is_first():
                print(f"{source}: the hub {silence}. What its cache has is used.", file=sys.stderr)
    _ANSWERED.add(source)


def no_answer_reason(source: str, *, patience_s: float = PATIENCE_S) -> str | None:
    """Why the hub has not answered a request for this id; None if it has, with any answer."""
    reasons = [f"gives no answer within {patience_s:g} s"]

    def ask() -> None:
        try:
            url = hf_hub_url(source, FILES[0], endpoint=os.environ.get("HF_ENDPOINT"))
            answer = get_session().head(
                url, headers=build_hf_headers(), timeout=patience_s, follow_redirects=False
            )
        except Exception as error:
            reasons[:] = [f"cannot be reached: {first_line(error)}"]
        else:
            reasons[:] = [f"answers with {answer.status_code}"] if answer.status_code in BUSY else []

    call_within(ask, patience_s)
    return reasons[0] if reasons else None


def _cached(source: str) -> bool:
    return any(isinstance(try_to_load_from_cache(source, name), str) for name in FILES)


def _unreachable(source: str, silence: str, download_gb: float | None) -> InputError:
    size = "" if download_gb is None else f", about {download_gb:g} GB"
    cache = os.environ.get("HF_HOME")
    home = f"HF_HOME (now {cache})" if cache else "HF_HOME (not set: ~/.cache/huggingface)"
    return InputError(
        f"{source} is not in the hub's cache, and the hub ({constants.ENDPOINT}) {silence}.",
        where=WHERE,
        remedy="Give a copy on this machine as --policy.path FOLDER; or fetch it where there is a network (hf download "
        f"{source}{size}), bring that cache here as {home}, and set HF_HUB_OFFLINE=1.",
    )
