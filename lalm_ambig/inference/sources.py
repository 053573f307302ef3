"""Where a policy is: a run folder, an export, or an export on a hub, which is fetched once and then is in its cache."""

from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
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
    if not _is_repository(name):
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


def _is_repository(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return name.count("/") == 1 and not name.startswith(".")


def _fetched(name: str, revision: str | None, token: str | None) -> str:
    """Fetch a repository into the hub's cache; returns its folder there."""
    silence = "is not asked, since HF_HUB_OFFLINE is set"
    if not constants.HF_HUB_OFFLINE:
        silence = no_answer_reason(name) or ""
    disable_progress_bars()
    try:
        return huggingface_hub.snapshot_download(
            name, revision=revision, token=token, allow_patterns=list(FILES), local_files_only=bool(silence)
        )
    except GatedRepoError as error:
        raise _failed(
            name, "it is gated: its owner must let you in", "Ask for access, and log in (hf auth login)."
        ) from error
    except RevisionNotFoundError as error:
        raise _failed(name, f"it has no revision {revision!r}", "Look at its branches and tags.") from error
    except RepositoryNotFoundError as error:
        remedy = "Or it is private: log in (hf auth login), or give token=."
        raise _failed(name, "there is no such folder, and no such repository on the hub", remedy) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise _failed(
            name, f"the hub answers {status}: {error.server_message or 'no reason given'}", ""
        ) from error
    except (httpx.HTTPError, OSError, ValueError) as error:
        if silence:
            what = f"it is no folder and not in the hub's cache, and the hub ({constants.ENDPOINT}) {silence}"
            raise _failed(name, what, "Fetch it where there is a network, or give a folder.") from error
        raise _failed(name, f"it could not be fetched: {error}", "The same call goes on.") from error


def _failed(name: str, why: str, remedy: str) -> InputError:
    return InputError(f"{why}.", where=f"{WHERE} {name}", remedy=remedy)
