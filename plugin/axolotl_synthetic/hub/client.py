"""Push to the Hub: make the repository, send the missing files, and commit all of them at once.

Nobody sees half of a data set. After an interrupted push nothing is sent twice, because the Hub knows files by their hash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.utils import disable_progress_bars, validate_repo_id  # type: ignore[attr-defined]  # public all the same

from axolotl_synthetic import terminal
from axolotl_synthetic.errors import ConfigError, ServiceError
from axolotl_synthetic.hub.files import CARD, CONFIGURATIONS, FIGURES, PROVENANCE, File

T = TypeVar("T")
MESSAGE = "Add synthetic data"
# Paths on the Hub that belong to us: those that a new push lacks are deleted.
OURS = re.compile(rf"({'|'.join(CONFIGURATIONS)})/train-\d+-of-\d+\.parquet|{FIGURES}/[^/]+\.png|{re.escape(CARD)}|{re.escape(PROVENANCE)}")


@dataclass(frozen=True)
class Pushed:
    """Result of a push: the data set's address, its commit, the deleted files, and whether it is private."""

    url: str
    commit: str
    removed: Sequence[str]
    is_private: bool


def refuse_no_name(name: str) -> None:
    """Check a repository's name.

    Raises:
        ConfigError: if it is not a valid name.
    """
    try:
        validate_repo_id(name)
        if name.count("/") != 1:
            raise HFValidationError("it has no user or organisation before a `/`")
    except HFValidationError as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f"{name}: cannot be a data set's name on the Hub: {first}; write USER/NAME") from error


def card_of(path: str) -> Mapping[str, Any]:
    """Return the metadata in the card of a data set on the Hub; empty if it cannot be read."""
    try:
        info = HfApi().dataset_info(path)
    except Exception:  # on any error of the network or the Hub the licence is unknown, which the caller reports
        return {}
    return {} if info.card_data is None else dict(info.card_data.to_dict())  # type: ignore[no-untyped-call]


def push(name: str, files: Sequence[File], *, public: bool) -> Pushed:
    """Send a data set.

    Args:
        name: USER/NAME.
        files: all of its files.
        public: True to make a new data set public.

    Raises:
        ConfigError: if the data set exists, is public, and `public` is False.
        ServiceError: if the Hub cannot be used; files already sent are not sent again.
    """
    if get_token() is None:
        raise ServiceError("the Hub wants to know who you are: sign in with `hf auth login`, or export HF_TOKEN; nothing was sent")
    if terminal.is_quiet():
        disable_progress_bars()
    api = HfApi()
    known = _told(name, lambda: _visibility(api, name))
    if known == "public" and not public:
        raise ConfigError(
            f"{name}: is on the Hub and everybody can read it, and a push is private unless you say otherwise; add --public, or choose"
            " another name. Nothing was sent"
        )
    if known is None:
        _told(name, lambda: api.create_repo(name, repo_type="dataset", private=not public, exist_ok=True))
    there = _told(name, lambda: api.list_repo_files(name, repo_type="dataset"))
    wanted = {file.name for file in files}
    removed = sorted(path for path in there if OURS.fullmatch(path) and path not in wanted)
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        *(CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file.path) for file in files),
        *(CommitOperationDelete(path_in_repo=path) for path in removed),
    ]
    commit = _told(name, lambda: api.create_commit(name, operations, commit_message=MESSAGE, repo_type="dataset"))
    is_private = not public if known is None else known == "private"
    return Pushed(f"{api.endpoint}/datasets/{name}", commit.oid, removed, is_private)


def _visibility(api: HfApi, name: str) -> str | None:
    """Return whether a data set is private or public, None if there is none."""
    try:
        return "private" if api.dataset_info(name).private else "public"
    except RepositoryNotFoundError as error:
        # 401 means an invalid token and says nothing about the data set.
        if error.response.status_code == 401:
            raise
        return None


def _told(name: str, ask: Callable[[], T]) -> T:
    """Call the Hub, and convert any error to one message."""
    again = "run the same command again: what was sent is not sent twice"
    try:
        return ask()
    except OfflineModeIsEnabled as error:
        raise ServiceError(f"HF_HUB_OFFLINE is set, so the Hub cannot be asked; unset it and {again}") from error
    except HfHubHTTPError as error:
        code, said = error.response.status_code, (error.server_message or "").strip()
        if code in (401, 403):
            raise ServiceError(
                f"{name}: the Hub does not let this token in or write there (HTTP {code}{said and f': {said}'}); make one that may write at"
                " https://huggingface.co/settings/tokens, sign in with `hf auth login`, and run the same command again"
            ) from error
        raise ServiceError(f"{name}: the Hub refused (HTTP {code}{said and f': {said}'}); {again}") from error
    except Exception as error:  # errors of httpx, its uploads and hf_xet share no base class
        cause: BaseException = error.__cause__ or error
        if isinstance(cause, HfHubHTTPError):
            said = f"HTTP {cause.response.status_code}"
        else:
            said = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise ServiceError(f"{name}: the Hub cannot be used ({said}); {again}") from error
