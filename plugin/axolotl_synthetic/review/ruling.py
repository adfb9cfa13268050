"""What people's answers about one sample come to. Pure.

A sample is decided when as many people as `review.annotators` have submitted, and more than half of those who did say the same.
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
    """What was decided.

    Attributes:
        what: the verdict of more than half.
        who: the people whose verdict it is, by name, sorted.
        when: the last of them said so.
        question, answer: as corrected, None where left as it was.
    """

    what: What
    who: tuple[str, ...]
    when: str
    question: str | None = None
    answer: str | None = None


def rule(answers: Sequence[Answer], annotators: int) -> Ruling | None:
    """The decision, None while answers are missing or tie.

    Where several people corrected, the correction that most of them wrote counts, then the latest: people seldom choose the same words.
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
    """What one person said; None where it cannot count.

    A correction makes an `edit` of an `accept`, whose button stands pressed from the start. An `edit` that corrects nothing says that
    something is wrong and not what: it cannot count.
    """
    corrected = answer.question is not None or answer.answer is not None
    if answer.verdict == "reject":
        return "reject"
    if answer.verdict in ("accept", "edit") and corrected:
        return "edit"
    return "accept" if answer.verdict == "accept" else None


def read_answer(response: Mapping[str, Any], who: str, shown: Mapping[str, str | None]) -> Answer:
    """A submitted response as Argilla's HTTP API gives it; whatever may be missing in one, or null, is None.

    Args:
        who: the name of its user.
        shown: what the boxes `corrected_question` and `corrected_answer` held at first.
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
    """A text that differs from what was shown in more than white space, which browsers change on their own."""
    text = _text(value)
    if text is None or text.split() == (shown or "").split():
        return None
    # A browser's editor writes some spaces as ones that do not break.
    return text if "\u00a0" in (shown or "") else text.replace("\u00a0", " ")


def _text(value: object) -> str | None:
    return (value.strip() or None) if isinstance(value, str) else None


def _utc(text: str) -> str:
    """Argilla's times are in UTC without saying so."""
    return text if text.endswith("Z") or "+" in text else text + "Z"
