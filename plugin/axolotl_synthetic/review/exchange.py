"""Push, pull and status of a review. Each can be interrupted and started again.

Before anything is sent, the server is asked what it has, so nothing is sent twice. Its answers are stored (`kept.py`) before they are used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axolotl_synthetic.config import Review
from axolotl_synthetic.errors import ConfigError, ReviewOpenError
from axolotl_synthetic.review import kept, page
from axolotl_synthetic.review.agreement import Overruled, alpha, overruled
from axolotl_synthetic.review.applying import Standing, original, stand
from axolotl_synthetic.review.client import Dataset, Server
from axolotl_synthetic.review.kept import Book, Kept
from axolotl_synthetic.review.ruling import read_answer
from axolotl_synthetic.review.selection import choices, select
from axolotl_synthetic.review.work import Work


@dataclass(frozen=True)
class Pushed:
    """Result of a push.

    Attributes:
        added: records that are new on the server.
        there: chosen samples that were on the server before.
        deleted: chosen samples that were deleted in Argilla and are not pushed again.
        changed: chosen samples whose text differs from that on the server.
        url: address of the dataset's page.
    """

    added: int
    there: int
    deleted: int
    changed: int
    url: str


@dataclass(frozen=True)
class Found:
    """State of the server: number of records, records to store, and each person's responses by status."""

    records: int
    book: Book
    by_person: Mapping[str, Counter[str]]
    url: str


@dataclass(frozen=True)
class Pulled:
    """Result of a pull: records on the server, records deleted there, answers in all, and new or changed answers."""

    records: int
    gone: int
    answers: int
    changed: int


def push(work: Work, on_progress: Callable[[int, int], None]) -> Pushed:
    """Add the chosen samples that are not on the server, and change nothing else there.

    Args:
        on_progress: called with the number of records added so far and the total.

    Raises:
        ServiceError: if the server cannot be used; records already added are not sent again.
        ConfigError: if the guidelines cannot be read, there is no key, or the dataset was not made by us.
    """
    settings, seeds = work.review, {seed.id: seed for seed in work.seeds}
    chosen = select(choices(map(original, work.rows())), settings.select, work.settings.seed)
    text = page.guidelines(settings, work.settings.task)
    server = Server(settings)
    dataset = server.dataset() or server.make_dataset(text)
    name = kept.name(settings.workspace, settings.dataset)
    book = kept.read(work.folder)
    texts = {row["id"]: page.content_of(row) for row in map(original, work.rows())}
    on_server = {record["external_id"]: record for record in _ours(server.records(dataset, responses=False), texts, book)}
    known = {(one.id, one.content) for one in book.values() if one.dataset == name and one.dataset_id == dataset.id}
    missing = [sample for sample in chosen if sample not in on_server]
    wanted = [sample for sample in missing if (sample, texts[sample]) not in known]
    places = {sample: place for place, sample in enumerate(wanted)}
    made: list[dict[str, Any]] = [{}] * len(wanted)
    for row in map(original, work.rows()):
        if (place := places.get(row["id"])) is not None:
            seed = seeds[row["seed_id"]]
            made[place] = page.record(row, seed, work.task.prompt(seed.question))

    def pushed(sample: str, content: str) -> None:
        record = Kept(name, dataset.id, sample, content, settings.annotators)
        book[record.key] = kept.merged(book.get(record.key), record, taken_back=())

    for sample, record in on_server.items():
        pushed(sample, _content(record))
    _mark_gone(book, name, on_server)
    added = 0

    def on_added(number: int) -> None:
        nonlocal added
        for sample in wanted[added:number]:
            pushed(sample, texts[sample])
        added = number
        on_progress(added, len(wanted))

    try:
        server.add(dataset, made, on_added)
    finally:
        kept.write(work.folder, book)
    there = [sample for sample in chosen if sample in on_server]
    changed = sum(_content(on_server[sample]) != texts[sample] for sample in there)
    return Pushed(added, len(there), len(missing) - len(wanted), changed, dataset.url)


def look(work: Work) -> Found:
    """Read the server's records and merge them with the stored ones. Nothing is written.

    Raises:
        ServiceError: if the server cannot be used.
        ConfigError: if nothing was pushed there, or there is no key.
    """
    settings = work.review
    server = Server(settings)
    dataset = server.dataset()
    if dataset is None:
        raise ConfigError(
            f"synthetic.review: {settings.api_url} has no dataset {settings.dataset!r} in the workspace {settings.workspace!r}; `axolotl"
            " synthetic review push CONFIG` makes it"
        )
    book = kept.read(work.folder)
    records = _ours(server.records(dataset, responses=True), {row["id"] for row in work.rows()}, book)
    names = server.names()
    name = kept.name(settings.workspace, settings.dataset)
    by_person: dict[str, Counter[str]] = {}
    for record in records:
        responses = record.get("responses") or []
        for response in responses:
            by_person.setdefault(names.get(response["user_id"], response["user_id"]), Counter())[response["status"]] += 1
        one = _as_kept(record, responses, names, dataset, settings, name)
        book[one.key] = kept.merged(
            book.get(one.key),
            one,
            taken_back=[response["user_id"] for response in responses if response["status"] != "submitted"],
        )
    _mark_gone(book, name, {record["external_id"]: record for record in records})
    return Found(len(records), book, by_person, dataset.url)


def pull(work: Work) -> Pulled:
    """Store people's answers so far.

    Raises:
        ServiceError, ConfigError: as for `look`.
        StorageError: if they cannot be stored.
    """
    before = kept.read(work.folder)
    found = look(work)
    kept.write(work.folder, found.book)
    name = kept.name(work.review.workspace, work.review.dataset)
    mine = [one for one in found.book.values() if one.dataset == name]
    old = {(key, answer.user): answer for key, one in before.items() for answer in one.answers}
    new = {(key, answer.user): answer for key, one in found.book.items() for answer in one.answers}
    return Pulled(
        records=sum(not one.gone for one in mine),
        gone=sum(one.gone for one in mine),
        answers=sum(len(one.answers) for one in mine),
        changed=sum(old.get(key) != new.get(key) for key in old.keys() | new.keys()),
    )


@dataclass(frozen=True)
class Stand:
    """Status of a review, according to the server.

    Attributes:
        found: state of the server.
        standing: the decisions that follow for the samples.
        verdicts, quality: Krippendorff's alpha of people's verdicts and ratings; None if undefined.
        overruled: by check.
        pulled: True if the output folder has all answers.
    """

    found: Found
    standing: Standing
    verdicts: float | None
    quality: float | None
    overruled: Mapping[str, Overruled]
    pulled: bool


def status(work: Work) -> Stand:
    """Return the review's status according to the server, and change nothing.

    Raises:
        ServiceError, ConfigError: as for `look`.
    """
    found = look(work)
    standing = stand(work.rows(), found.book)
    answers = [one.answers for one in found.book.values()]
    decided = ((original(row), standing.rulings[row["id"]]) for row in work.rows() if row["id"] in standing.rulings)
    return Stand(
        found, standing, alpha(answers, "verdict"), alpha(answers, "quality"), overruled(decided), found.book == kept.read(work.folder)
    )


def refuse_open(folder: Path, rows: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
    """Raise if samples are still open according to the last pull.

    Raises:
        ReviewOpenError: with their number; also if nothing was ever pushed.
    """
    remedy = "`review.unreviewed: keep` or `drop` trains without waiting"
    book = kept.read(folder)
    if not book:
        raise ReviewOpenError(
            "synthetic.review.unreviewed: training waits for people's decisions, and nothing was pushed for review yet: axolotl synthetic"
            f" review push CONFIG; {remedy}"
        )
    if number := len(stand(rows(), book).open):
        records = "1 record is" if number == 1 else f"{number:,} records are"
        raise ReviewOpenError(
            f"synthetic.review.unreviewed: training waits for people's decisions, and {records} open in {folder}: axolotl synthetic review"
            f" pull CONFIG fetches what was decided since; {remedy}"
        )


def _as_kept(
    record: Mapping[str, Any],
    responses: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    dataset: Dataset,
    settings: Review,
    name: str,
) -> Kept:
    shown = {
        "corrected_question": record["fields"].get("question"),
        # If there was no answer, a remark was shown in its place, and the correction box was empty.
        "corrected_answer": None if record["fields"].get("answer") == page.NO_ANSWER else record["fields"].get("answer"),
    }
    answers = sorted(
        (
            read_answer(response, names.get(response["user_id"], response["user_id"]), shown)
            for response in responses
            if response["status"] == "submitted"
        ),
        key=lambda answer: answer.user,
    )
    return Kept(name, dataset.id, record["external_id"], _content(record), settings.annotators, False, tuple(answers))


def _ours(records: Iterable[dict[str, Any]], samples: Container[str], book: Book) -> list[dict[str, Any]]:
    """Return the records of this run or its predecessors. Another run may share the dataset, and people may add records."""
    known = {one.id for one in book.values()}
    return [record for record in records if (sample := record["external_id"]) is not None and (sample in samples or sample in known)]


def _mark_gone(book: Book, name: str, on_server: Mapping[str, Mapping[str, Any]]) -> None:
    """Mark the records that are no longer in a dataset."""
    for key, one in book.items():
        if one.dataset == name and (one.id not in on_server or _content(on_server[one.id]) != one.content):
            book[key] = replace(one, gone=True)


def _content(record: Mapping[str, Any]) -> str:
    return str((record.get("metadata") or {}).get(page.CONTENT, ""))
