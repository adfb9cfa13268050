"""`axolotl synthetic push`: publish a finished run as a data set on the Hugging Face Hub, or list its files.

`hub/` defines the files and what forbids publishing them. Human review in Argilla has its own push, in `reviewing.py`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from axolotl_synthetic import dataset, terminal, versions
from axolotl_synthetic.config import Model, Settings
from axolotl_synthetic.errors import ConfigError, StorageError
from axolotl_synthetic.hub import client, files, licences
from axolotl_synthetic.lock import held
from axolotl_synthetic.prepare import Prepared, finished, prepare
from axolotl_synthetic.run import has_decisions, refuse_open_review
from axolotl_synthetic.seeds.files import find_files
from axolotl_synthetic.seeds.rows import Row, read_rows
from axolotl_synthetic.teachers import model_name
from axolotl_synthetic.teachers.redaction import SHORTEST_IN_A_REPLY, secrets_of_the_environment

# Number of places that a message names.
PLACES_SHOWN = 3


@dataclass(frozen=True)
class Published:
    """Result of a push: a line on each file, the number of seeds by licence, and the Hub's result, None for a dry run."""

    lines: Sequence[str]
    licences: Mapping[str, int]
    pushed: client.Pushed | None


def push(settings: Settings, name: str, *, public: bool = False, dry_run: bool = False) -> Published:
    """Send a finished run to the Hub; a repeated push sends only what is missing there.

    Args:
        settings: the `synthetic:` block.
        name: USER/NAME of the data set.
        public: True to let everybody read it.
        dry_run: True to send nothing; the Hub is only asked for the licence of seeds that come from it.

    Raises:
        ConfigError: if there is no finished run of these settings, a licence of the seeds forbids it, or the data set is already public and
            `public` is False.
        ServiceError: if the Hub cannot be used.
        FolderInUseError: if a run is active in the folder.
    """
    client.refuse_no_name(name)
    with _finished(settings) as (prepared, manifest):
        found = _licences(prepared)
        _refuse_forbidden(found)
        with _scratch(settings.folder) as folder:
            made = files.write(folder, settings.folder, manifest, _provenance(prepared, found))
            _refuse_secrets(made)
            lines = [files.in_words(file) for file in made]
            pushed = None if dry_run else client.push(name, made, public=public)
    return Published(lines, found.found, pushed)


@contextmanager
def _finished(settings: Settings) -> Iterator[tuple[Prepared, Mapping[str, Any]]]:
    """Lock the folder of a finished run, so that it does not change while it is read."""
    prepared = prepare(settings)
    if not (settings.folder / dataset.MANIFEST).exists():
        raise ConfigError(f"{settings.folder}: holds no finished run; `axolotl synthetic generate CONFIG` makes it")
    with held(settings.folder):
        manifest = finished(prepared)
        if manifest is None or not has_decisions(prepared):
            raise ConfigError(
                f"{settings.folder}: holds no run that was finished with these settings, seeds and decisions; `axolotl synthetic generate"
                " CONFIG` makes it"
            )
        refuse_open_review(settings)
        yield prepared, manifest


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder inside the output folder, whose disk has room for the data."""
    try:
        with tempfile.TemporaryDirectory(prefix=".push-", dir=folder) as scratch:
            yield Path(scratch)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror or error}; free some space or make it writable") from error


def _licences(prepared: Prepared) -> licences.Licences:
    """Return the licences of the run's seeds: those in their rows and that of their data set."""
    settings = prepared.settings.seeds
    places = {prepared.seeds.places[seed.id] for seed in prepared.seeds.seeds}
    rows = read_rows(settings.path, settings.name, settings.split, note=lambda _: None)
    found = licences.of_rows((row.place, row.values) for row in rows if isinstance(row, Row) and row.place in places)
    for licence in licences.of_card(_card_of_seeds(settings.path)):
        found.add(licence, f"the card of {settings.path}")
    if not found.found:
        terminal.notice(f"{settings.path} names no licence: whether what is made of these seeds may be handed on is for you to know")
    return found


def _card_of_seeds(path: str) -> Mapping[str, Any]:
    """Return the metadata in the card of the seeds' data set, on the Hub or in a local folder."""
    if path.startswith("hf://datasets/"):
        return client.card_of("/".join(path.removeprefix("hf://datasets/").split("@")[0].split("/")[:2]))
    local = Path(path).expanduser()
    if "://" in path:
        return {}
    if local.is_dir():
        return files.front_matter(local / files.CARD)
    return {} if local.exists() or find_files(path) else client.card_of(path)


def _refuse_forbidden(found: licences.Licences) -> None:
    if not found.forbidden:
        return
    told = []
    for licence, places in found.forbidden.items():
        more = f" and {len(places) - PLACES_SHOWN:,} more" if len(places) > PLACES_SHOWN else ""
        told.append(f"{licence!r} ({', '.join(places[:PLACES_SHOWN])}{more})")
    raise ConfigError(
        f"synthetic.seeds: a licence forbids handing on what is made of some of the seeds: {'; '.join(told)}. Nothing was sent; take these"
        " seeds out, and generate into another output_dir"
    )


def _refuse_secrets(made: Sequence[files.File]) -> None:
    secrets = {secret for secret in secrets_of_the_environment() if len(secret) >= SHORTEST_IN_A_REPLY}
    if name := files.holding(made, secrets):
        raise ConfigError(
            f"{name}: holds a key or password of your environment, which others could read. Nothing was sent; find it and remove it"
        )


def _named(path: str) -> str:
    """Return the seeds' path without local folders, and without credentials that a URL may contain."""
    if "://" not in path:
        return Path(path).name if Path(path).expanduser().is_absolute() or Path(path).exists() or path.startswith((".", "~")) else path
    parts = urlsplit(path)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _provenance(prepared: Prepared, found: licences.Licences) -> dict[str, Any]:
    """Return how a run was made, without paths or names of this machine."""
    settings = prepared.settings

    def model(of: Model) -> dict[str, Any]:
        dumped = of.model_dump(mode="json", include={"provider", "generation", "thinking"}, exclude_none=True)
        return {"model": model_name(of), **dumped}  # type: ignore[arg-type]

    return {
        "made_by": versions.summary(),
        "task": settings.task,
        "teacher": model(settings.teacher),
        "augmenter": model(settings.model_for("augmenter")),
        **({} if settings.student is None else {"student": model(settings.student)}),
        "checks": [check.name for check in prepared.checks],
        "seeds": {"path": _named(settings.seeds.path)},
        "licences_of_seeds": dict(found.found.most_common()),
    }
