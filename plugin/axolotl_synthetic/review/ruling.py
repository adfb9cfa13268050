"""Combine people's answers about one sample to a decision. Pure.

A sample is decided when `review.annotators` people have submitted, and more than half of the submitted verdicts agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from axolotl_synthetic.review.kept import Answer
from axolotl_synthetic.review.page import QUALITY, VERDICTS

What = Literal["accept", "edit", "reject"]


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision.

    Attributes:
        what: the verdict of the majority.
        who: names of the people with that verdict, sorted.
        when: time of the last of these verdicts.
        question, answer: corrected texts, None if unchanged.
    """

    what: What
    who: tuple[str, ...]
    when: str
    question: str | None = None
    answer: str | None = None


def rule(answers: Sequence[Answer], annotators: int) -> Ruling | None:
    """Return the decision, None while answers are missing or tie.

    Among several corrections the most frequent one counts, then the latest, because people seldom choose the same words.
    """
    given = [(what, answer) for answer in answers if (what := verdict(answer)) is not None]
    if len(given) < annotators:
        return None
    (what, number), *_ = Counter(what for what, _ in given).most_common(1)
    if 2 * number <= len(given):
        return None
    theirs = sorted((answer for said, answer in given if said == what), key=lambda answer: (answer.when, answer.user))
    who, when = tuple(sorted(answer.who for answer in theirs)), theirs[-1].when
    if what != "edit":
        return Ruling(what, who, when)
    same = Counter((answer.question, answer.answer) for answer in theirs)
    chosen = max(theirs, key=lambda answer: (same[answer.question, answer.answer], answer.when, answer.user))
    return Ruling("edit", who, when, chosen.question, chosen.answer)


def verdict(answer: Answer) -> What | None:
    """Return one person's verdict; None if it cannot count.

    A correction turns an `accept` into an `edit`, because `accept` is preselected. An `edit` without a correction says that something is
    wrong but not what, so it cannot count.
    """
    corrected = answer.question is not None or answer.answer is not None
    if answer.verdict == "reject":
        return "reject"
    if answer.verdict in ("accept", "edit") and corrected:
        return "edit"
    return "accept" if answer.verdict == "accept" else None


def read_answer(response: Mapping[str, Any], who: str, shown: Mapping[str, str | None]) -> Answer:
    """Return a submitted response of Argilla's HTTP API as an Answer; missing or null values become None.

    Args:
        who: the name of its user.
        shown: initial texts of the boxes `corrected_question` and `corrected_answer`.
    """
    values = {question: held.get("value") for question, held in (response.get("values") or {}).items() if isinstance(held, Mapping)}
    quality = values.get("quality")
    said = _text(values.get("verdict"))
    return Answer(
        who=who,
        user=str(response["user_id"]),
        when=_utc(str(response["updated_at"])),
        verdict=said if said in VERDICTS else None,
        question=_correction(values.get("corrected_question"), shown.get("corrected_question")),
        answer=_correction(values.get("corrected_answer"), shown.get("corrected_answer")),
        reason=_text(values.get("reason")),
        quality=quality if quality in QUALITY else None,
    )


def _correction(value: object, shown: str | None) -> str | None:
    """Return a text if it differs from the shown one in more than white space, which browsers change on their own."""
    text = _text(value)
    if text is None or text.split() == (shown or "").split():
        return None
    # A browser's editor turns some spaces into non-breaking ones.
    return text if "\u00a0" in (shown or "") else text.replace("\u00a0", " ")


def _text(value: object) -> str | None:
    return (value.strip() or None) if isinstance(value, str) else None


def _utc(text: str) -> str:
    """Mark Argilla's times as UTC, which they are without saying so."""
    return text if text.endswith("Z") or "+" in text else text + "Z"
