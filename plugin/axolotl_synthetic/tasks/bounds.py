"""Numbers inside a phrase: bounds (`at most 5`, `5 or more`, `≥ 5`, `about 5`), changes (`a profit of $5`) and shares (`1 in 3`)."""

from __future__ import annotations

import re

from axolotl_synthetic.tasks.amounts import Amount
from axolotl_synthetic.tasks.numbers import read_number

_AMOUNT = r"(?P<{}>[-$€£¥]?\w.*?)"
_BOUNDS = tuple(
    (
        re.compile(
            rf"(?:(?:{before})(?:(?<=[≤≥<>])|\s+){_AMOUNT.format('behind')}|{_AMOUNT.format('before')},?\s+(?:{behind}))", re.IGNORECASE
        ),
        sign,
    )
    for sign, before, behind in (
        (
            "≤",
            r"≤|at most|no more than|not more than|up to|(?:a )?maximum(?: of)?|max\.?",
            r"at (?:the )?most|or (?:less|fewer|below)|maximum|max\.?|tops",
        ),
        (
            "≥",
            r"≥|at least|no less than|no fewer than|not less than|(?:a )?minimum(?: of)?",
            r"at (?:the )?least|or (?:more|above|greater)|minimum",
        ),
        (">", ">|more than|over|greater than|above|exceeding", "exclusive"),
        ("<", "<|less than|fewer than|under|below", "exclusive"),
        ("≈", r"about|approximately|approx\.?|around|roughly|almost|nearly|[≈~]", "approximately|approx\\.?|roughly"),
    )
)
_CHANGE = re.compile(r"(?:an?|the)\s+(?P<words>[^\W\d_]+)\s+of\s+(?P<amount>[$€£¥]?\d.*)", re.IGNORECASE)
_SHARE = re.compile(r"(?P<some>\w+)\s+(?:in|out of)\s+(?P<of>(?:every\s+)?\w+(?:\s[^\W\d]+)?)", re.IGNORECASE)


def read_bound(text: str) -> tuple[str, Amount] | None:
    """Read a bound as its sign and its number. `a profit of $5` is `$5 profit` and `1 in 3` a fraction; their sign is empty."""
    for pattern, sign in _BOUNDS:
        match = pattern.fullmatch(text)
        if match is not None and (amount := read_number(match["before"] or match["behind"])) is not None:
            return sign, amount
    match = _CHANGE.fullmatch(text)
    if match is not None and (amount := read_number(f"{match['amount']} {match['words']}")) is not None:
        return "", amount
    match = _SHARE.fullmatch(text)
    if match is None or (some := read_number(match["some"])) is None or (of := read_number(match["of"])) is None:
        return None
    if of.value == 0 or some.unit.of or of.unit.of or some.words:
        return None
    return "", Amount(some.value / of.value, None, words=of.words, counted=of.counted)
