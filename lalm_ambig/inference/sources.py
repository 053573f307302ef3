"""Where a policy is: a run folder, an export, or an export on a hub, which is fetched once and then is in its cache."""

import os
import sys
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # handed on lazily
    disable_progress_bars,
    httpx,
    validate_repo_id,
)

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.weights.hub import no_answer_reason
from lalm_ambig.runs.folder.exported import RECORD

WHERE = "load"
MISSING = {
    GatedRepoError: ("it is gated: its owner must let you in", "Ask for access, and log in (hf auth login)."),
    RevisionNotFoundError: ("it has no revision", "Look at its branches and tags."),
    RepositoryNotFoundError: (
        "there is no such folder, and no such repository on the hub",
        "Or it is private: log in (hf auth login), or give token=.",
    ),
}
"""What the hub's errors mean, and what to do, the more special first."""
FILES = ("*.json", "*.jsonl", "*.safetensors", "*.txt", "*.yaml", "*.jinja", "*.md", "*.model")
"""What is fetched: no pickle and no program."""


def folder_of(source: str | Path, *, revision: str | None = None, token: str | None = None) -> Path:
    """The folder of a source. An export on a hub is fetched, and without a network read from the hub's cache.

    Args:
        source: A folder, or OWNER/NAME on the hub that HF_ENDPOINT names.
        revision: Branch, tag or commit on the hub.
        token: Token for the hub; by default that of this machine.

    Raises:
        InputError: There is no such folder or repository, or it cannot be fetched.
    """
    folder = Path(source).expanduser()
    if folder.exists():
        if revision is not None:
            raise InputError(
                "a revision is for a name on the hub:", where=WHERE, remedy=f"{folder} is a folder."
            )
        return folder
    name = str(source)
    if not is_repository(name):
        raise InputError(
            f"no such folder: {folder}",
            where=WHERE,
            remedy="Give a run folder, an export, or OWNER/NAME on the hub.",
        )
    fetched = Path(_fetched(name, revision, token))
    if not (fetched / RECORD).is_file():
        raise InputError(
            f"{name} is no export of lalm_ambig: it has no {RECORD}.",
            where=WHERE,
            remedy="Push one with export RUN --adapter --push OWNER/NAME; a base model is named with --policy.",
        )
    return fetched


def is_repository(name: str) -> bool:
    """Whether a name has the form OWNER/NAME of a repository on a hub."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return name.count("/") == 1 and not name.startswith(".")


def _fetched(name: str, revision: str | None, token: str | None) -> str:
    """Fetch a repository into the hub's cache; returns its folder there."""
    silence = _silence(name)
    disable_progress_bars()
    try:
        return huggingface_hub.snapshot_download(
            name,
            revision=revision,
            token=token,
            endpoint=os.environ.get("HF_ENDPOINT"),
            allow_patterns=list(FILES),
            local_files_only=silence is not None,
        )
    except LocalEntryNotFoundError as error:
        why = f"the hub {silence}" if silence else str(error).partition("\n")[0].rstrip(".")
        what = f"it is no folder and not whole in the hub's cache, and {why}"
        raise _failed(name, what, "Fetch it where there is a network, or give a folder.") from error
    except (GatedRepoError, RevisionNotFoundError, RepositoryNotFoundError) as error:
        why, remedy = next(words for kind, words in MISSING.items() if isinstance(error, kind))
        raise _failed(name, f"{why}{f' {revision!r}' if revision else ''}", remedy) from error
    except HfHubHTTPError as error:
        reason = error.server_message or "no reason given"
        raise _failed(name, f"the hub answers {error.response.status_code}: {reason}", "") from error
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise _failed(name, f"it could not be fetched: {error}", "The same call goes on.") from error


def _silence(name: str) -> str | None:
    """Why the hub is not asked; None where it answers."""
    if constants.HF_HUB_OFFLINE:
        return "is not asked, since HF_HUB_OFFLINE is set"
    silence = no_answer_reason(name)
    if silence is not None:
        print(f"{name}: the hub {silence}. What its cache has is used.", file=sys.stderr)
    return silence


def _failed(name: str, why: str, remedy: str) -> InputError:
    return InputError(f"{why}.", where=f"{WHERE} {name}", remedy=remedy)
