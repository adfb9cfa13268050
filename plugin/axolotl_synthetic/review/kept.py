"""Pushed records and people's answers, in `review.jsonl`: one record per line, sorted, so equal answers give equal bytes.

Decisions are taken from this file, whatever happens to `samples.jsonl` or to the server. A new run applies them again, and a pulled answer
stays when its record or author is deleted in Argilla. Only its author can withdraw an answer, by discarding it or turning it into a draft.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from axolotl_synthetic.errors import StorageError
from axolotl_synthetic.files import storage_errors, write_text
from axolotl_synthetic.records import to_json

FILE = "review.jsonl"


@dataclass(frozen=True, slots=True)
class Answer:
    """One person's submitted response to one record.

    Attributes:
        who: the person's name in Argilla.
        user: the person's id there.
        when: time of the last change, in UTC (ISO 8601).
        verdict: accept, edit or reject; None if the response has no known verdict.
        question, answer: corrected texts, None if unchanged.
        reason: in the person's words.
        quality: from 1 to 5.
    """

    who: str
    user: str
    when: str
    verdict: str | None
    question: str | None = None
    answer: str | None = None
    reason: str | None = None
    quality: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """One record.

    Attributes:
        dataset: Argilla's workspace and dataset, as `workspace/dataset`.
        dataset_id: id of that dataset, which differs for a new one of the same name.
        id: the sample's id.
        content: hash of the text that was reviewed.
        annotators: number of submitted responses that it needs.
        gone: the record was deleted in Argilla, so it is neither open nor pushed again.
        answers: submitted answers, sorted by the people's ids.
    """

    dataset: str
    dataset_id: str
    id: str
    content: str
    annotators: int = 1
    gone: bool = False
    answers: tuple[Answer, ...] = field(default_factory=tuple)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.dataset, self.id, self.content


Book = dict[tuple[str, str, str], Kept]
"""All records by dataset, sample and text."""


def name(workspace: str, dataset: str) -> str:
    return f"{workspace}/{dataset}"


def read(folder: Path) -> Book:
    """Return the records stored in an output folder; empty if nothing was ever pushed.

    Raises:
        StorageError: if the file is damaged or of a later version.
    """
    path = folder / FILE
    book: Book = {}
    number = 0
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                number += 1
                row = json.loads(line)
                kept = Kept(**{**row, "answers": tuple(Answer(**answer) for answer in row["answers"])})
                book[kept.key] = kept
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(f"{path}:{number}: cannot be read ({error}); mend that line, or move the file away and pull again") from error
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}; make it readable") from error
    return book


def write(folder: Path, book: Book) -> None:
    """Write the records atomically, and only if something has changed.

    Raises:
        StorageError: if the disk is full or the folder is not writable; the old file stays.
    """
    text = "".join(to_json(asdict(book[key])) + "\n" for key in sorted(book))
    path = folder / FILE
    with storage_errors(path):
        if path.exists() and path.read_bytes() == text.encode():
            return
    write_text(path, text)


def state(folder: Path, unreviewed: str) -> str:
    """Return a hash of everything in the review that affects the training file; empty if there was no review.

    Args:
        unreviewed: the config's policy.
    """
    try:
        text = (folder / FILE).read_bytes()
    except FileNotFoundError:
        return ""
    return hashlib.sha256(text + unreviewed.encode()).hexdigest()


def merged(known: Kept | None, found: Kept, taken_back: Iterable[str]) -> Kept:
    """Return a record as it is on the server, plus stored answers that the server no longer has.

    Args:
        known: the stored record, None if there is none.
        found: the server's record.
        taken_back: users whose response there is now a draft or discarded.
    """
    answers = {answer.user: answer for answer in known.answers} if known is not None else {}
    for user in taken_back:
        answers.pop(user, None)
    answers |= {answer.user: answer for answer in found.answers}
    return replace(found, answers=tuple(answers[user] for user in sorted(answers)))
