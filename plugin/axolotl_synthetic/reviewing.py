"""Commands of a human review in Argilla: start its server, push samples, show the status, pull decisions.

`review/` talks to Argilla. `run.py` applies decisions to the samples and the training file, because a repeated run applies them again.
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
    """Start an Argilla server on this machine, and install it first if necessary.

    Raises:
        ServiceError: if it cannot be installed or started.
    """
    if not serving.is_installed():
        terminal.notice("installing an Argilla server of its own (about a minute, 600 MB; once)")
        serving.install()
    return serving.start(port)


def stop() -> bool:
    """Stop that server; return whether it ran."""
    return serving.stop()


def push(settings: Settings) -> exchange.Pushed:
    """Send the chosen samples that are not in Argilla yet.

    Raises:
        ConfigError: if there is no `review:` block, no finished run, or no key.
        ServiceError: if Argilla cannot be used; records already added are not sent again.
        FolderInUseError: if a run holds the folder.
    """
    prepared = _reviewed(settings)
    with held(settings.folder), work_of(prepared) as work, terminal.counted("pushing", "records") as on_progress:
        return exchange.push(work, on_progress)


def status(settings: Settings) -> exchange.Stand:
    """Return the review's status according to Argilla, and change nothing.

    Raises:
        The same as `push`.
    """
    with work_of(_reviewed(settings)) as work:
        return exchange.status(work)


@dataclass(frozen=True)
class Outcome:
    """Result of a pull: the answers, the decisions, and their effect on the samples.

    `effect` is None if nothing had to change, or if these settings need a new run first; then `manifest` is None, too.
    """

    pulled: exchange.Pulled
    standing: applying.Standing
    effect: applying.Effect | None
    manifest: Mapping[str, Any] | None


def pull(settings: Settings) -> Outcome:
    """Apply people's decisions to the samples and the training file. The old training file is kept.

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
    """Return a run that can be reviewed.

    Args:
        must_be_finished: True if it must be finished with exactly these settings.
    """
    if settings.review is None:
        raise ConfigError("synthetic.review: is missing; add the block, `review: {}` at least (plugin/docs/review.md shows it)")
    prepared = prepare(settings)
    if not (settings.folder / dataset.SAMPLES).exists() or (must_be_finished and finished(prepared) is None):
        raise ConfigError(
            f"{settings.folder}: holds no finished run of these settings to review; `axolotl synthetic generate CONFIG` makes it"
        )
    return prepared
