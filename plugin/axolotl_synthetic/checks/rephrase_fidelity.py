"""Check that a reworded question still asks what the seed asks, of the same quantities, in its own words. For Question Rephrase only.

It rejects only what certainly shows a wrong rewording; `final_answer` catches a teacher that then answers another question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from axolotl_synthetic.checks import Judge
from axolotl_synthetic.checks.duplicate import normalised
from axolotl_synthetic.checks.languages import LETTERS, is_other
from axolotl_synthetic.checks.quantities import missing, replaced
from axolotl_synthetic.numerals import Decimal
from axolotl_synthetic.records import QUESTION_REPHRASE, Candidate, Seed, Verdict, failed, not_applicable, passed
from axolotl_synthetic.spoken import language_for

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

# The commonest English words: nearly every English question has two of them, and hardly any in another language does.
_ENGLISH = frozenset(
    ["the", "how", "what", "which", "many", "much", "does", "each", "have", "has", "was", "were", "with", "and", "this", "these", "that"]
)
_ASKS = re.compile(
    r"[?？؟]|\b(?:how|what|which|who|whom|whose|when|where|why|find|calculate|compute|determine|work out|figure out|tell|give|name|list"
    r"|write|identify|select|choose|pick|explain|describe|state|solve|estimate|express|show|prove|complete|translate|summari[sz]e"
    r"|return|retrieve|count|display|report|provide|fetch)\b",
    re.IGNORECASE,
)
# A stressed negation in a question, and all the ways in which a rewording may express it.
_REVERSED = re.compile(r"\bNOT\b|\bEXCEPT\b|\b(?:is|are|does|do|would|can|could) not\b(?=[^?]{0,60}\?)|\bexcept\b")
_SAYS_NOT = re.compile(
    r"\bnot\b|n't\b|n’t\b|\bexcept|\bexclud|\bexception|\bno\b|\bnone\b|\bnever\b|\bneither\b|\bnor\b|\bwithout\b|\black|\bfail|\bleast\b|\bfalse\b"
    r"|\bincorrect|\bother than\b|\bodd one out\b|\bapart from\b|\bimpossible\b|\bunable\b|\bcannot\b|\b(?:un|non|in|im|dis)-?\w{4,}",
    re.IGNORECASE,
)
_ANSWERED = re.compile(r"####|\\boxed\s*\{|(?:^|[.?!]\s)\W*(?:final |the |correct )?answer\b\W*(?:is\b|:)", re.IGNORECASE | re.MULTILINE)
_SEPARATED = re.compile(r"\d+(?:[.,]\d+)+")
# Letters that two forms of a word share: `jars` and `jar`, `selling` and `sells`.
STEM = 4
# A longer rewording adds content of its own.
MOST_TIMES_LONGER = 4
MOST_LONGER = 500
# Names and things stay when a text is reworded; a smaller share of them means another story.
SHARE_KEPT = 0.2
FEWEST_STEMS = 3


def make(task: Task, keeps_answer: Mapping[str, bool]) -> Judge:
    """Return the check's judge."""

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if candidate.strategy != QUESTION_REPHRASE or candidate.question is None:
            return not_applicable(f"{candidate.strategy} does not reword the seed's question")
        asked, reworded = seed.question.text, candidate.question.text
        if normalised(reworded) == normalised(asked):
            return failed("a copy of the seed's question")
        if len(reworded) > MOST_TIMES_LONGER * len(asked) + MOST_LONGER:
            return failed(f"it has {len(reworded):,} characters, and the seed's question {len(asked):,}")
        if is_other(asked, language_for(task)):
            against = _number(asked, reworded) or _answered(asked, reworded)
        else:
            against = _quantity(asked, reworded, seed.question.decimal) or _request(asked, reworded, asks=getattr(task, "asks", True))
        return passed() if against is None else failed(against)

    return judge


def _quantity(asked: str, reworded: str, decimal: Decimal | None) -> str | None:
    english = _is_english(asked)
    lost, new = missing(asked, reworded, spelled=english, decimal=decimal), missing(reworded, asked, spelled=False, decimal=decimal)
    # In another language a number may have been spelled out, or written in digits. A changed number is both lost and new.
    if lost is not None and (english or new is not None):
        return f"the seed's {lost!r} is missing"
    if new is not None and english:
        return f"{new!r} is not in the seed's question"
    if english and (pair := replaced(asked, reworded)) is not None:
        return f"the seed's {pair[0]!r} became {pair[1]!r}"
    return None


def _number(asked: str, reworded: str) -> str | None:
    """Compare the whole numbers of texts in two languages. Numbers with a comma or a point may be written otherwise; words are not read."""
    asked, reworded = (_SEPARATED.sub(" ", text) for text in (asked, reworded))
    lost, new = missing(asked, reworded, spelled=False), missing(reworded, asked, spelled=False)
    return f"the seed's {lost!r} is missing" if lost is not None and new is not None else None


def _answered(asked: str, reworded: str) -> str | None:
    return "it holds an answer" if _ANSWERED.search(reworded) and not _ANSWERED.search(asked) else None


def _request(asked: str, reworded: str, *, asks: bool) -> str | None:
    if (against := _answered(asked, reworded)) is not None:
        return against
    if asks and _is_english(asked):
        if _ASKS.search(asked) and not _ASKS.search(reworded):
            return "it asks nothing"
        if _REVERSED.search(asked) and not _SAYS_NOT.search(reworded):
            return f"the seed's {_REVERSED.search(asked)[0]!r} is missing"  # type: ignore[index]
        if re.search(r"\bNOT\b|\bEXCEPT\b", reworded) and not _SAYS_NOT.search(asked):
            return "it asks for the reverse"
    stems, kept = _stems(asked), _stems(reworded)
    if len(stems) >= FEWEST_STEMS and len(stems & kept) < SHARE_KEPT * len(stems):
        return f"it shares {len(stems & kept)} of the {len(stems)} longer words of the seed's question, so it is about something else"
    return None


@lru_cache(maxsize=4_096)
def _is_english(text: str) -> bool:
    return len(_ENGLISH.intersection(LETTERS.findall(text.lower()))) >= 2


@lru_cache(maxsize=4_096)
def _stems(text: str) -> frozenset[str]:
    """Return the first letters of the content words: those of four letters and more."""
    return frozenset(word[:STEM] for word in LETTERS.findall(text.casefold()) if len(word) >= STEM and word not in _ENGLISH)
