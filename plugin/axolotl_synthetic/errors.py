"""Errors that this package raises on purpose, with the exit code of a command that ends with each.

    SyntheticError                1
    ├── ConfigError               2   the config, the seeds or the study is wrong
    │   └── SeedsError            2   … and it is the seeds' file or rows
    ├── ServiceError              3   the teacher, Argilla or another service cannot be used at all
    │   ├── MissingExtraError     3   … because an optional part of this package is not installed
    │   └── ReviewOpenError       3   … yet: people have not decided in Argilla what training waits for
    ├── FolderInUseError          4   another run holds the output folder
    ├── StorageError              1   the disk is full, or a file of ours cannot be read or written
    ├── ProcessEndedError         1   one of the run's own processes was ended from outside
    ├── TrainingError             1   a program that we start (lm-eval, Axolotl) ended with an error
    └── Interrupted             130   the user asked to stop

    CallFailed                    -   one call to a model failed: data for the ledger, never the end of a run
    ├── RetryableCall             -   … and the same call may succeed later
    └── RefusedCall               -   … and asking again cannot help

A `SyntheticError`'s text is all that a user sees: it names what was wrong, where, and what to do. A traceback is a bug.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from axolotl_synthetic.records import Reply


# Characters of an error's text that are passed to another process.
LONGEST_TOLD = 1000


class SyntheticError(Exception):
    """End of the command that the user can do something about."""

    exit_code = 1


class ConfigError(SyntheticError):
    exit_code = 2


class SeedsError(ConfigError):
    pass


class ServiceError(SyntheticError):
    exit_code = 3


class MissingExtraError(ServiceError):
    pass


class ReviewOpenError(ServiceError):
    pass


class FolderInUseError(SyntheticError):
    exit_code = 4


class StorageError(SyntheticError):
    pass


class ProcessEndedError(SyntheticError):
    pass


class TrainingError(SyntheticError):
    pass


class Interrupted(SyntheticError):
    exit_code = 130


Cost = Literal["none", "query", "unknown"]
"""Cost of a failed call.

Nothing, since it never left; a query, since the server refused it without generating; or unknown, since the server may have generated (and
billed) a reply that did not arrive.
"""


class CallFailed(Exception):
    """Failure of one call to a model, without a usable reply.

    Args:
        reason: a short name for the ledger and the samples, such as `timeout` or `http_500`.
        detail: the server's words, shortened; never a header.
        cost: the call's cost, unless `reply` shows it.
        reply: the unusable reply, which was billed.
    """

    def __init__(self, reason: str, detail: str = "", *, cost: Cost = "unknown", reply: Reply | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.cost = cost
        self.reply = reply


class RetryableCall(CallFailed):
    """Failed call that may succeed when repeated.

    Args:
        retry_after: seconds that the server asked us to wait, None when it did not say.
        slow_down: whether the server is overloaded (HTTP 429, 503, refused connections), so that fewer calls may be open from now on.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        cost: Cost = "unknown",
        retry_after: float | None = None,
        slow_down: bool = False,
        reply: Reply | None = None,
    ) -> None:
        super().__init__(reason, detail, cost=cost, reply=reply)
        self.retry_after = retry_after
        self.slow_down = slow_down


class RefusedCall(CallFailed):
    """Failed call that will never succeed: its content was filtered, its prompt is too long, and so on."""


def remedy_for(reason: str) -> str:
    """Return what to do where all candidates fail by calls with the same `reason`.

    A judge's replies stay in the ledger, so the same requests would get the same replies again.
    """
    if reason == "judge":
        return (
            "let another model judge (`by` of the judge, or another model for it), or correct its rubric, or raise"
            " `generation.max_new_tokens` if it was cut off: unchanged, it would be read the same replies again"
        )
    return "see that the teacher works"


def encoded(error: SyntheticError) -> str:
    """Return an error as text, to pass it to another process."""
    return json.dumps([type(error).__name__, str(error)[:LONGEST_TOLD]])


def decoded(text: str) -> SyntheticError:
    """Return the error from the text that `encoded` made."""
    name, message = json.loads(text)
    made: SyntheticError = globals().get(name, SyntheticError)(message)
    return made
