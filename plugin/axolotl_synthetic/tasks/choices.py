"""Find choices in text: the one that a reply marks as its answer, and those that a new question lists.

A letter counts only where it is marked as the answer: "A magnet sticks" begins with an article, and "the answer is a magnet" holds one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from axolotl_synthetic.records import Question
from axolotl_synthetic.tasks.replies import ANSWER_IN_OTHER_LANGUAGES

# The answer is at a reply's end; of a runaway reply only this many last characters are read.
LONGEST_READ = 20_000
LONGEST_LIST = 30  # lines
_MARK = re.compile(
    r"(?:####|\\boxed\{|\b(?:answer|(?:correct|right|best)\s+(?:choice|option|one))\b[^\n.:]{0,60}?(?:\bis\b|[:：])"
    rf"|{ANSWER_IN_OTHER_LANGUAGES})[\s:：*]*([^\n]*)",
    re.IGNORECASE,
)
_WRAPPING = " \t\r\n\"'“”‘’`*_$()[]{}.,;:!?。：（）"
_OPENING = " \t\r\n\"'“”‘’`*_$([{（"
_OPTION = re.compile(r"\A(?:option|choice|answer)\s+", re.IGNORECASE)
_LATEX = re.compile(r"\\(?:text|textbf|mathrm|mathbf|boxed)\s*\{")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[;。，]|\s(?:because|since|as|so|which)\b", re.IGNORECASE)
# Text that may follow a bare label: nothing, or words that go on about it. `a magnet` must not read as A.
_AFTER_LABEL = re.compile(
    r"\s*(?:$|[)\]}.:,;!?*\"'”’`\\$–—。，：）-](?![0-9])|\((?!\w\))|\s(?:because|since|as|is|for|not|rather|instead)\b)", re.IGNORECASE
)
# A second label before such a word is a second answer; after it, as in `because B is open` or `not B`, it is part of a reason.
_REASON = re.compile(r"\b(?:because|since|as|for|not|rather|instead|than|while|whereas|so|which|unlike)\b|[.!](?=\s)", re.IGNORECASE)
_TAKEN_BACK = re.compile(r"[\s)\]}*]*\s(?:is|was)\s+(?:not|wrong|incorrect|false)\b", re.IGNORECASE)
LONGEST_LED = 80  # characters after a label
_LETTERED = re.compile(r"\s*(?:[-*]\s+)?[*_]*[(\[]?([A-Za-z])[.):\]][*_]*[ \t]*(\S.*)")
_NUMBERED = re.compile(r"\s*(?:[-*]\s+)?[*_]*[(\[]?([1-9][0-9]?)[.):\]][*_]*[ \t]*(\S.*)")


def label_of(text: str, question: Question) -> str | None:
    """Return the label of the choice that a text consists of: `b`, `(B)`, `B. wet palms` or `Wet palms`."""
    return _as_label(text, question) or _as_choice(text, question) or _as_both(text, question)


def labels_marked(text: str, question: Question) -> Iterator[str]:
    """Yield the labels that a reply marks as its answer, the last first; then a last line that is only a choice."""
    if not question.choices:
        return
    tail = text[-LONGEST_READ:]
    for match in reversed(list(_MARK.finditer(tail))):
        value = _LATEX.sub("", match[1])
        label = label_of(value, question) or _as_choice(_SENTENCE_END.split(value, maxsplit=1)[0], question) or _leading(value, question)
        if label is not None:
            yield label
    lines = [line for line in tail.splitlines() if line.strip()]
    # Skip a reply that only lists the choices again, since it also ends in one.
    if lines and not any(label_of(line, question) for line in lines[-LONGEST_LIST:-1]) and (label := label_of(lines[-1], question)):
        yield label


def listed_choices(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a stem and the choices in lines `A. …` below it; no choices if their labels are out of order."""
    lines = text.splitlines()
    for pattern, labels in ((_LETTERED, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), (_NUMBERED, [str(number) for number in range(1, 27)])):
        found = [(at, match[1].upper(), match[2]) for at, line in enumerate(lines) if (match := pattern.fullmatch(line.rstrip()))]
        start = next((at for at, label, _ in found if label == labels[0] and any(other == labels[1] for _, other, _ in found)), None)
        if start is None:
            continue
        listed = [(label, choice) for at, label, choice in found if at >= start]
        stem = "\n".join(lines[:start]).strip().removesuffix("**").strip()
        if [label for label, _ in listed] != list(labels[: len(listed)]):
            return stem, ()
        return stem, tuple(choice.strip().strip("*").strip() for _, choice in listed)
    return text.strip(), ()


def same_text(choices: Sequence[str]) -> str | None:
    """Return a choice with the same text as an earlier one, None when all differ."""
    keys = _keys(tuple(choices))
    return next((choice for at, choice in enumerate(choices) if keys[at] in keys[:at]), None)


def _key(text: str, *, fold: bool = True) -> str:
    """Normalise case, white space and punctuation; keep signs where a choice is `-5` or consists of signs only."""
    spaced = " ".join(unicodedata.normalize("NFC", text.casefold() if fold else text).split())
    return re.sub(r"(?<![0-9])[.,;:!?\"'“”‘’`*]+|[.,;:!?\"'“”‘’`*]+(?![0-9])", "", spaced).strip() or spaced


@lru_cache(maxsize=1024)
def _keys(choices: tuple[str, ...]) -> tuple[str, ...]:
    """Return a comparison key for each choice. Genes differ in case only (`Ww`, `WW`), so fold case only if the keys stay distinct."""
    folded = tuple(_key(choice) for choice in choices)
    return folded if len(set(folded)) == len(folded) else tuple(_key(choice, fold=False) for choice in choices)


def _says(text: str, at: int, question: Question) -> bool:
    """Say whether a text is the choice at index `at`."""
    keys = _keys(question.choices)
    bare = text.strip(_WRAPPING)
    return keys[at] in (_key(text), _key(text, fold=False), _key(bare), _key(bare, fold=False))


@lru_cache(maxsize=1024)
def _bare(label: str) -> str:
    """Return a label without brackets and `Option`: the number of `(1)` and of `Option 1`."""
    return _OPTION.sub("", label.strip(_WRAPPING)).strip(_WRAPPING) or label


def _as_label(text: str, question: Question) -> str | None:
    bare = _bare(text).casefold()
    found = [label for label in question.labels if bare in (label.casefold(), _bare(label).casefold())]
    return found[0] if text.strip() and len(found) == 1 else None


def _as_choice(text: str, question: Question) -> str | None:
    found = [label for at, label in enumerate(question.labels) if _says(text, at, question)]
    return found[0] if len(found) == 1 else None


def _as_both(text: str, question: Question) -> str | None:
    """Return the label of a text such as `B. wet palms`, if label and text agree."""
    bare = _OPTION.sub("", text.strip(_OPENING)).strip(_OPENING)
    for at, label in enumerate(question.labels):
        start = _bare(label).casefold()
        rest = bare[len(start) :]
        if bare.casefold().startswith(start) and rest[:1] in tuple(").:]*-–, ：）") and _says(rest.lstrip(").:]*-–, ：）"), at, question):
            return label
    return None


def _leading(value: str, question: Question) -> str | None:
    """Return the label that a marked value begins with; None if it is joined to a second one or taken back."""
    bare = _OPTION.sub("", value.strip(_OPENING)).strip(_OPENING)
    for label in question.labels:
        start = _bare(label)
        rest = bare[len(start) :]
        if bare[: len(start)].casefold() == start.casefold() and _AFTER_LABEL.match(rest):
            if _TAKEN_BACK.match(rest) or _joined(rest, bare[: len(start)], question):
                return None
            if (named := _as_choice(rest.lstrip(").:]*-–, "), question)) is not None and named != label:
                return None  # `B. dry palms`, where A is dry palms
            return label
    return None


def _joined(rest: str, label: str, question: Question) -> bool:
    """Say whether a second label or choice is joined to a label: `A or maybe B`, `A; B`, `A: wet palms or dry palms`."""
    rest = rest[:LONGEST_LED]
    end = _REASON.search(rest)
    led, behind = (rest, "") if end is None else (rest[: end.start()], rest[end.end() :] if end[0] in ".!" else "")
    # Compare in the first label's case: `A, a steel flask` contains an article.
    bare = map(_bare, question.labels)
    labels = {other.upper() if label.isupper() else other.lower() if label.islower() else other for other in bare} - {label}
    if labels.intersection(re.findall(r"\w+", led)) or behind.strip(_WRAPPING) in labels:
        return True
    texts = [_key(choice) for choice in question.choices]
    return re.search(r"\b(?:or|and)\b", led) is not None and sum(text in _key(led) for text in texts if len(text) > 1) > 1
