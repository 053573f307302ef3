"""A corpus on the hub: `hf://owner/name[@revision][/path]` as the root, kept in the hub's own cache.

The revision, by default the main branch, is resolved to a commit before anything is read, and the commit is what a run
records. A commit in the cache is never asked for again, so that a run goes on without a network.

Only what the corpus may read is fetched: all files, or those of the folder that `path` names or that its file is in.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from huggingface_hub import HfApi, constants, get_cached_repo_tree, snapshot_download
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import logging as hub_logging
from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.reading.hub_address import COMMIT, HubAddress
from lalm_ambig.files.hub_answers import BUSY, PATIENCE_S, call_within, first_line

KIND = "dataset"
SHOWN = 8
"""Names in a folder that an error lists."""
_RESOLVED: dict[HubAddress, HubAddress] = {}
"""Addresses that this process has resolved: all its runs read one commit."""


def resolved(address: HubAddress) -> HubAddress:
    """The address with its revision as a commit. The hub is asked once; if it gives no answer, its cache is.

    Raises:
        InputError: There is no such dataset or revision, one may not read it, or neither hub nor cache has it.
    """
    if COMMIT.fullmatch(address.revision or ""):
        return address
    if address not in _RESOLVED:
        _RESOLVED[address] = replace(address, revision=_commit(address))
    return _RESOLVED[address]


def fetched(address: HubAddress) -> Path:
    """The folder or file on this machine, fetched if it is not in the cache yet.

    Args:
        address: An address with any revision.

    Raises:
        InputError: As `resolved`; or the download failed, or the dataset has no such path.
    """
    address = resolved(address)
    try:
        folder = _from_cache(address)
    except LocalEntryNotFoundError as error:
        if constants.HF_HUB_OFFLINE:
            raise _not_in_cache(address, "is not asked, since HF_HUB_OFFLINE is set") from error
        answer = _asked(address)  # else the client would ask, and wait, for every file
        if isinstance(answer, Exception):
            raise _not_in_cache(address, _silence(answer, address)) from answer
        folder = _downloaded(address)
    path = folder / address.path
    if not path.exists():
        wrong = f"the dataset has no {address.path!r}{_top_level(folder, address)}"
        raise InputError(wrong, where=str(address))
    return path


def _commit(address: HubAddress) -> str:
    if constants.HF_HUB_OFFLINE:
        silence = "is not asked, since HF_HUB_OFFLINE is set"
    else:
        answer = _asked(address)
        if not isinstance(answer, Exception):
            return answer
        silence = _silence(answer, address)
    commit = _commit_in_cache(address)
    if commit is None:
        raise _not_in_cache(address, silence)
    if not constants.HF_HUB_OFFLINE and distributed.is_first():
        known = f"The commit that its cache has of {address.revision or 'main'} is used: {commit}."
        print(f"{address}: the hub {silence}. {known}", file=sys.stderr)
    return commit


def _asked(address: HubAddress) -> str | Exception:
    """Ask the hub for the commit of a revision, and note it in the hub's cache."""
    answers: list[str | Exception] = []
    api = HfApi()

    def ask() -> None:
        try:
            api.repo_info(
                address.repository, repo_type=KIND, revision=address.revision, timeout=PATIENCE_S
            )  # the next call takes no timeout, and answers from the cache where the hub is silent
            revision = api.resolve_revision(address.repository, repo_type=KIND, revision=address.revision)
            answers.append(str(revision.resolved))
        except Exception as error:
            answers.append(error)

    with _quietly():
        call_within(ask, PATIENCE_S)
    return answers[0] if answers else TimeoutError(f"no answer within {PATIENCE_S:g} s")


def _silence(error: Exception, address: HubAddress) -> str:
    """Why the hub gave no answer.

    Raises:
        InputError: It did answer: that there is no such thing, or that it may not be read.
    """
    if (refusal := _refusal(error, address)) is not None:
        raise refusal from error
    if isinstance(error, TimeoutError):
        return f"gives {error}" if str(error).startswith("no answer") else "gives no answer"
    if isinstance(error, HfHubHTTPError):
        return f"answers with {error.response.status_code}"
    return f"cannot be reached: {first_line(error)}"


def _refusal(error: Exception, address: HubAddress) -> InputError | None:
    """The error of a hub that answered; None for one that did not."""
    hub, where = constants.ENDPOINT, str(address)
    if isinstance(error, GatedRepoError):
        what = f"{address.repository} is gated at {hub}, and you have no access."
        remedy = "Ask for it on the dataset's page, then log in with hf auth login."
        return InputError(what, where=where, remedy=remedy)
    if isinstance(error, RepositoryNotFoundError):
        what = f"{hub} has no dataset {address.repository}, or it is private."
        remedy = "Check owner and name; for a private one log in with hf auth login."
        return InputError(what, where=where, remedy=remedy)
    if isinstance(error, RevisionNotFoundError):
        what = f"{address.repository} has no revision {address.revision or 'main'} at {hub}."
        return InputError(what, where=where, remedy="Name a branch, a tag or a commit after the @.")
    if isinstance(error, HFValidationError):
        what = f"{address.repository!r} is no name of a dataset."
        return InputError(what, where=where, remedy="Write hf://owner/name.")
    if isinstance(error, HfHubHTTPError) and error.response.status_code not in BUSY:
        return InputError(
            f"{hub} answers with {error.response.status_code}: {first_line(error)}", where=where
        )
    return None


def _commit_in_cache(address: HubAddress) -> str | None:
    try:
        file = _store(address) / "refs" / (address.revision or constants.DEFAULT_REVISION)
        commit = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return commit if COMMIT.fullmatch(commit) else None


def _store(address: HubAddress) -> Path:
    return Path(constants.HF_HUB_CACHE) / f"{KIND}s--{address.repository.replace('/', '--')}"


def _from_cache(address: HubAddress) -> Path:
    """The commit's folder in the cache, with every file that is asked for.

    Raises:
        LocalEntryNotFoundError: A file is missing, or there is no such folder.
    """
    try:
        get_cached_repo_tree(address.repository, repo_type=KIND, revision=address.revision)
    except CachedRepoTreeNotFoundError as error:
        if not constants.HF_HUB_OFFLINE:  # the hub knows what is missing
            raise LocalEntryNotFoundError("no list of files") from error
        folder = _snapshot(address, local_files_only=True)
        if distributed.is_first():
            unsure = "its copy in the hub's cache has no list of files: whether it is complete is not known."
            print(f"{address}: {unsure}", file=sys.stderr)
        return folder
    return _snapshot(address, local_files_only=True)


def _downloaded(address: HubAddress) -> Path:
    if distributed.is_first():
        print(f"{address}: fetched from {constants.ENDPOINT} into {_store(address)}", file=sys.stderr)
    try:
        return _snapshot(address, local_files_only=False)
    except Exception as error:
        if (refusal := _refusal(error, address)) is not None:
            raise refusal from error
        what = f"the download from {constants.ENDPOINT} failed: {first_line(error)}."
        remedy = "The same command goes on with it; files that are there are kept."
        raise InputError(what, where=str(address), remedy=remedy) from error


def _snapshot(address: HubAddress, *, local_files_only: bool) -> Path:
    folder = address.folder
    with _quietly():
        path = snapshot_download(
            address.repository,
            repo_type=KIND,
            revision=address.revision,
            allow_patterns=f"{folder}/*" if folder else None,
            local_files_only=local_files_only,
        )
    return Path(path)


def _top_level(folder: Path, address: HubAddress) -> str:
    names = sorted(path.name for path in (folder / address.folder).glob("*"))[:SHOWN]
    return f"; there is {', '.join(names)}." if names else "."


def _not_in_cache(address: HubAddress, silence: str) -> InputError:
    fetch = f"hf download {address.repository} --repo-type {KIND}"
    if address.revision:
        fetch += f" --revision {address.revision}"
    return InputError(
        f"it is not complete in the hub's cache, and the hub ({constants.ENDPOINT}) {silence}.",
        where=str(address),
        remedy=f"Give a copy on this machine as the root; or fetch it where there is a network ({fetch}), bring that "
        f"cache here (now {constants.HF_HUB_CACHE}; HF_HOME names another), and set HF_HUB_OFFLINE=1.",
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence the hub client's log, and its progress bars where nobody sees them: it raises the same errors."""
    before, silent = hub_logging.get_verbosity(), are_progress_bars_disabled()
    hub_logging.set_verbosity(logging.CRITICAL)
    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        yield
    finally:
        hub_logging.set_verbosity(before)
        if not silent and not sys.stderr.isatty():
            enable_progress_bars()
