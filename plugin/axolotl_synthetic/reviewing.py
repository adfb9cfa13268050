"""The commands of a human review, in which people decide in Argilla: start its server, push samples, ask where it stands, pull decisions.

What Argilla has to do with each stands in `review/`; how decisions get into the samples and the training file, in `run.py`, because a
run that is made anew takes them in again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from axolotl_synthetic import dataset, terminal
from axolotl_synthetic.config import Settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.lock import held
from axolotl_synthetic.prepare import Prepared, finished, prepare
from axolotl_synthetic.review import applying, exchange, kept
from axolotl_synthetic.review import serve as serving
from axolotl_synthetic.run import decide_again, has_decisions, work_of


def serve(port: int) -> serving.Served:
    """Start an Argilla server on this machine, and install it when it is not.

    Raises:
        ServiceError: if it cannot be installed or started.
    """
    if not serving.is_installed():
        terminal.notice("installing an Argilla server of its own (about a minute, 600 MB; once)")
        serving.install()
    return serving.start(port)


def stop() -> bool:
    """End that server; tells whether it ran."""
    return serving.stop()


def push(settings: Settings) -> exchange.Pushed:
    """Send the chosen samples to Argilla, those that are not there yet.

    Raises:
        ConfigError: if there is no `review:` block, no finished run, or no key.
        ServiceError: if Argilla cannot be used; what is there by then is not sent again.
        FolderInUseError: if a run holds the folder.
    """
    prepared = _reviewed(settings)
    with held(settings.folder), work_of(prepared) as work, terminal.counted("pushing", "records") as on_progress:
        return exchange.push(work, on_progress)


def status(settings: Settings) -> exchange.Stand:
    """Ask Argilla where the review stands, and change nothing.

    Raises:
        The same as `push`.
    """
    with work_of(_reviewed(settings)) as work:
        return exchange.status(work)


@dataclass(frozen=True)
class Outcome:
    """What a pull brought, what is decided by it, and what that did to the samples: None when nothing was to be done, or when they
    must be generated for these settings first (`manifest` is None then)."""

    pulled: exchange.Pulled
    standing: applying.Standing
    effect: applying.Effect | None
    manifest: Mapping[str, Any] | None


def pull(settings: Settings) -> Outcome:
    """Take people's decisions into the samples and the training file. The former training file is kept.

    Raises:
        The same as `push`.
    """
    prepared = _reviewed(settings, must_be_finished=False)
    with held(settings.folder):
        with work_of(prepared) as work:
            pulled = exchange.pull(work)
            standing = applying.stand(work.rows(), kept.read(settings.folder))
        manifest, effect = finished(prepared), None
        if manifest is not None and not has_decisions(prepared):
            manifest, effect = decide_again(prepared, manifest)
        return Outcome(pulled, standing, effect, manifest)


def _reviewed(settings: Settings, *, must_be_finished: bool = True) -> Prepared:
    """A run that can be reviewed.

    Args:
        must_be_finished: whether it must be finished with these very settings.
    """
    if settings.review is None:
        raise ConfigError("synthetic.review: is missing; add the block, `review: {}` at least (the README shows it)")
    prepared = prepare(settings)
    if not (settings.folder / dataset.SAMPLES).exists() or (must_be_finished and finished(prepared) is None):
        raise ConfigError(
            f"{settings.folder}: holds no finished run of these settings to review; `axolotl synthetic generate CONFIG` makes it"
        )
    return prepared
