"""Uploads an export to a model hub. No other module imports the uploads of huggingface_hub.

The token is read from the environment when it is used. It is not stored, printed or written.
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
REFUSALS = {401: "it does not know the token", 403: "the token may not write there"}


def check_push(name: str) -> None:
    """Check the name and that there is a token. Nothing is sent.

    Raises:
        InputError: The name is not OWNER/NAME, or HF_TOKEN is not set.
    """
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
    """Upload a folder as one commit to a repository, which is created if need be.

    The environment variable HF_ENDPOINT names another hub.

    Args:
        folder: The export. It stays in any case.
        name: OWNER/NAME of the repository.
        private: Whether the repository is private.

    Returns:
        The address of the repository.

    Raises:
        InputError: The hub refuses or cannot be reached, or the repository is public although `private` is set.
    """
    disable_progress_bars()
    api = HfApi(
        endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ[TOKEN].strip(), library_name="lalm_ambig"
    )
    try:
        address = api.create_repo(name, private=private, exist_ok=True)
        if private and not api.model_info(name).private:
            raise _failed(
                folder, f"{name} is there already and everybody can see it, so nothing was uploaded"
            )
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="Weights and card, by lalm_ambig")
    except InputError:
        raise
    except HfHubHTTPError as error:
        status = error.response.status_code
        reason = REFUSALS.get(status, error.server_message or "no reason given")
        raise _failed(folder, f"the hub refused {name} ({status}): {reason}") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RuntimeError) as error:
        raise _failed(folder, f"{name} was not uploaded: {type(error).__name__}: {error}") from error
    return str(address)


def _failed(folder: Path, why: str) -> InputError:
    return InputError(f"{why}.", where="--push", remedy=f"What was written stays in {folder}.")
