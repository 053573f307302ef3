"""A written folder uploaded to a model hub; the only importer of huggingface_hub's uploads.

The token is read from the environment when it is used, and is neither kept, printed nor written.
"""

import os
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # handed on lazily
    disable_progress_bars,
    httpx,
    validate_repo_id,
)

from lalm_ambig.core.errors import InputError

TOKEN = "HF_TOKEN"
REFUSED = {401: "it does not know the token", 403: "the token may not write there"}


def check_push(name: str) -> None:
    """InputError for a name that is not OWNER/NAME, or where there is no token. Nothing is sent."""
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(
            f"{name!r} is no name on a hub: {str(error).split(chr(10))[0]}", where="--push"
        ) from error
    if name.count("/") != 1:
        raise InputError(f"expected OWNER/NAME, got {name!r}", where="--push")
    if not os.environ.get(TOKEN, "").strip():
        raise InputError(
            f"there is no token in the environment variable {TOKEN}:",
            where="--push",
            remedy="set it to one that may write, or leave --push out.",
        )


def push(folder: Path, name: str, *, private: bool) -> str:
    """Upload a folder as one commit to a repository, made where there is none; returns its address.

    HF_ENDPOINT names another hub. Raises InputError where the hub refuses or cannot be reached, or where `private` is
    asked for and the repository is a public one; the folder stays.
    """
    disable_progress_bars()
    api = HfApi(
        endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ[TOKEN].strip(), library_name="lalm_ambig"
    )
    try:
        made = api.create_repo(name, private=private, exist_ok=True)
        if private and not api.model_info(name).private:
            raise _failed(
                folder, f"{name} is there already and everybody can see it, so nothing was uploaded"
            )
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="Weights and card, by lalm_ambig")
    except InputError:
        raise
    except HfHubHTTPError as error:
        status = error.response.status_code
        reason = REFUSED.get(status, error.server_message or "no reason given")
        raise _failed(folder, f"the hub refused {name} ({status}): {reason}") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RuntimeError) as error:
        raise _failed(folder, f"{name} was not uploaded: {type(error).__name__}: {error}") from error
    return str(made)


def _failed(folder: Path, why: str) -> InputError:
    return InputError(f"{why}.", where="--push", remedy=f"What was written stays in {folder}.")
