"""The quantities that a text names, in digits and in English words, and a comparison of two texts by them.

A quantity may have several readings (`a quarter` is 1/4, 25 % and the fourth part); one reading in common is enough. Numbers spelled out in
other languages are not read, and so not compared.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from axolotl_synthetic.numerals import SCALES, UNITS, Decimal, with_point

# Words that may mean a number but need not: they match a number in the other text, but require none.
LOOSE: dict[str, tuple[Fraction, ...]] = {
    word: tuple(Fraction(reading) for reading in readings.split())
    for words, readings in {
        "a an each every per single once": "1",
        "both pair pairs couple couples twice double doubles doubled doubling twofold": "2",
        "half halves halved": "1/2 50 2",
        "triple triples tripled tripling thrice threefold": "3",
        "third thirds": "1/3 3",
        "quarter quarters": "1/4 25 4",
        "quadruple quadrupled": "4",
        "none no": "0",
        "first": "1",
        "second": "2",
        "fourth fourths": "4 1/4",
        "fifth fifths": "5 1/5 20",
        "sixth sixths": "6 1/6",
        "seventh sevenths": "7 1/7",
        "eighth eighths": "8 1/8",
        "ninth ninths": "9 1/9",
        "tenth tenths": "10 1/10",
    }.items()
    for word in words.split()
}


@dataclass(frozen=True, slots=True)
class Times:
    """A multiple: `3 times` is not the same as 3."""

    number: Fraction


Reading = Fraction | Times
_MULTIPLES = {
    2: "twice double doubles doubled doubling twofold",
    3: "triple triples tripled tripling thrice threefold",
    4: "quadruple quadrupled",
}
# These words as a part or a multiple. `half` means 1/2 or 50 %; its reading 2 only matches, and is required of no text.
FACTORS: dict[str, frozenset[Reading]] = {
    **dict.fromkeys(("half", "halves", "halved"), frozenset((Fraction(1, 2), Fraction(50)))),
    **{word: frozenset((Times(Fraction(number)),)) for number, words in _MULTIPLES.items() for word in words.split()},
}
_PARTS = {"third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10}
# The beginning of the word after a number, which says what is counted; short enough to be equal in two forms of the word.
_COUNTED = re.compile(r"[\s-]+([a-z]{1,4})")
# Smaller spelled-out numbers are often turns of speech (`the two of them`), which come and go when a text is reworded.
SMALLEST_REQUIRED = 3
LONGEST_DIGITS = 40
_SPELLED = "|".join(sorted([*UNITS, *SCALES, *(f"{scale}s" for scale in SCALES)], key=len, reverse=True))
_QUANTITY = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    rf"(?:(?:an?|one|1)[\s-]+(?P<part>{'|'.join(_PARTS)})"
    rf"|(?P<several>{'|'.join([word for word, value in UNITS.items() if 2 <= value < 20])}|[2-9])[\s-]+(?P<parts>{'|'.join(_PARTS)})s)\b"
    # In digits this `half` gives another number: `1.5` or `30 minutes`.
    r"|(?P<half>(?:and\s+(?:an?|one)[\s-]+half|half[\s-]+(?:of\s+)?(?:an?[\s-]+)?(?:minute|hour|day|week|month|year|century))\b)"
    r"|(?P<six>half[\s-]+(?:of\s+)?(?:a[\s-]+)?dozen\b)"
    r"|(?:(?P<whole>\d+)[\s-](?=\d+/\d))?"
    r"(?P<digits>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:\s*/\s*(?P<over>\d+))?(?P<sharp>:00\b)?"
    rf"(?:\s*(?P<percent>%|¢|cents?\b)|[\s-]+(?P<scale>{'|'.join(SCALES)})s?\b)?"
    rf"|(?P<spelled>\b(?:{_SPELLED})(?:(?:[\s-]+|(?<=hundred)\s+and\s+|(?<=thousand)\s+and\s+)(?:{_SPELLED}))*\b)"
    rf"|(?P<loose>\b(?:{'|'.join(sorted(LOOSE, key=len, reverse=True))})\b)"
    r")(?:(?P<times>)(?=\s+times\b))?"
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One mention of a quantity.

    Attributes:
        text: as the text writes it.
        means: its possible values; the other text must name one of them.
        names: all values that it matches: `two hundred` means 200 and also names 2.
        required: whether the other text must name it, too.
        spelled: whether it is written in words.
        factor: its value as a part or a multiple of something; empty if it is neither.
        counted: the beginning of the word after it.
    """

    text: str
    means: frozenset[Fraction]
    names: frozenset[Reading]
    required: bool
    spelled: bool
    factor: frozenset[Reading] = frozenset()
    counted: str = ""

    @property
    def exactly(self) -> frozenset[Reading]:
        """Return its values, as a part or a multiple if it is one."""
        return self.factor or self.means


def missing(one: str, other: str, *, spelled: bool, decimal: Decimal | None = None) -> str | None:
    """Return the first quantity of a text that another text does not name, None when it names them all.

    Args:
        spelled: whether numbers in words are required, too; for English alone, because Polish `ten` is no number.
        decimal: the seeds' convention for `,` and `.`.
    """
    named = frozenset(reading for quantity in quantities(other, decimal) for reading in quantity.names)
    for quantity in quantities(one, decimal):
        if quantity.required and (spelled or not quantity.spelled) and not quantity.means & named:
            return quantity.text
    return None


def replaced(one: str, other: str) -> tuple[str, str] | None:
    """Return a quantity that became another of its kind: one is named fewer times than before, and a new one is named.

    Either alone may be a turn of speech: `the three friends` for whom the first text gives names, or a number that is named once instead of
    twice. Parts and multiples are one kind; numbers of the same things are another.
    """
    before, after = quantities(one), quantities(other)
    named = frozenset(reading for quantity in before for reading in quantity.names)
    known = [quantity for quantity in before if quantity.required or quantity.factor or quantity.text == "two"]
    for new in after:
        if (new.required or new.factor) and not new.exactly & named:
            for lost in known:
                alike = lost.factor if new.factor else not lost.factor and lost.counted == new.counted
                if alike and _naming(lost, before) > _naming(lost, after):
                    return lost.text, new.text
    return None


def _naming(quantity: Quantity, some: Iterable[Quantity]) -> int:
    """Count the quantities that match this one."""
    return sum(bool(quantity.exactly & each.names) for each in some)


@lru_cache(maxsize=4_096)
def quantities(text: str, decimal: Decimal | None = None) -> tuple[Quantity, ...]:
    """Return the quantities that a text names, in their order."""
    return tuple(_quantities(_plain(with_point(text) if decimal == "comma" else text)))


def _plain(text: str) -> str:
    """Return the text in lower case, with `½` as `1/2`. Digits of other scripts stay, because they make a different text."""
    if text.isascii():
        return text.lower()
    fractions = "".join(f" {unicodedata.normalize('NFKC', letter)}" if unicodedata.category(letter) == "No" else letter for letter in text)
    return fractions.replace("⁄", "/").lower()


def _quantities(text: str) -> Iterator[Quantity]:
    for match in _QUANTITY.finditer(text):
        after = _COUNTED.match(text, match.end())
        counted = after[1] if after else ""
        if match["digits"]:
            readings = frozenset(_of_digits(match))
            factor = _times(match, readings)
            yield Quantity(match[0], readings, readings | factor, bool(readings), False, factor, counted)
        elif match["part"] or match["parts"]:
            yield _of_parts(match)
        elif match["six"]:
            yield Quantity(match[0], frozenset(map(Fraction, (6, 12))), frozenset((*LOOSE["half"], Fraction(6), Fraction(12))), True, True)
        elif match["half"]:
            readings = frozenset(LOOSE["half"])
            yield Quantity(match[0], readings, readings, False, True)
        elif match["loose"]:
            readings, factor = frozenset(LOOSE[match["loose"]]), FACTORS.get(match["loose"], frozenset())
            yield Quantity(match[0], readings, readings | factor, False, True, factor)
        else:
            parts = re.split(r"[\s-]+(?:and\s+)?", match["spelled"])
            words = [part if part in UNITS or part in SCALES else part.removesuffix("s") for part in parts]
            means = frozenset(map(Fraction, _of_words(words)))
            alone = frozenset(Fraction(UNITS[word] if word in UNITS else SCALES[word]) for word in words)
            factor = _times(match, means)
            yield Quantity(match[0], means, means | alone | factor, max(means) >= SMALLEST_REQUIRED, True, factor, counted)


def _times(match: re.Match[str], readings: frozenset[Fraction]) -> frozenset[Reading]:
    return frozenset() if match["times"] is None else frozenset(map(Times, readings))


def _of_parts(match: re.Match[str]) -> Quantity:
    """Return a fraction in words: `two thirds` is 2/3, or 67 %, 66.7 %, 66.67 %."""
    several = match["several"] or "one"
    count, of = int(several) if several.isdecimal() else UNITS[several], _PARTS[match["part"] or match["parts"]]
    share = Fraction(count, of)
    factor = frozenset((share, *(Fraction(round(100 * share, digits)) for digits in range(3))))
    # Quarters may be coins, and `a third` may be an ordinal number.
    means = factor | ({Fraction(count)} if of == 4 else set())
    names = means | set(LOOSE[match["part"]] if match["part"] else ())
    return Quantity(match[0], means, names, several.isdecimal() or count >= SMALLEST_REQUIRED, not several.isdecimal(), factor)


def _of_digits(match: re.Match[str]) -> Iterator[Fraction]:
    digits = match["digits"].replace(",", "")
    if len(digits) > LONGEST_DIGITS:
        return
    # Give digits of another script another value, so that a text cannot replace `3` by the Arabic digit unnoticed.
    zero = ord(next(d for d in digits if d.isdecimal())) - unicodedata.decimal(next(d for d in digits if d.isdecimal()))
    apart = 0 if zero == ord("0") else Fraction(zero, 7_919)
    value = Fraction("".join(str(unicodedata.decimal(d)) if d.isdecimal() else d for d in f"0{digits}"))
    if match["whole"]:
        # `1 1/2` is 1.5; where the other text spells it out (`one and a half`), only its whole part can be compared.
        if len(match["whole"]) <= LONGEST_DIGITS and match["over"] and int(match["over"][:LONGEST_DIGITS]):
            yield Fraction(int(match["whole"])) + apart
            yield int(match["whole"]) + value / int(match["over"][:LONGEST_DIGITS]) + apart
        return
    yield value + apart
    if match["over"] and int(match["over"][:LONGEST_DIGITS]):
        yield value / int(match["over"][:LONGEST_DIGITS]) + apart
    if match["percent"]:
        yield value / 100 + apart
    if match["scale"]:
        yield value * SCALES[match["scale"]] + apart


def _of_words(words: list[str]) -> Iterator[int]:
    """Yield the numbers that words form together: one, or two if they are only adjacent (`three four-legged dogs`)."""
    total = current = last = 0
    for word in words:
        if word in UNITS:
            if last and not (last % 10 == 0 and last >= 20 and UNITS[word] < 10):
                yield total + current
                total = current = 0
            current += UNITS[word]
            last = UNITS[word]
        else:
            current = max(1, current) * SCALES[word]
            last = 0
            if SCALES[word] >= 1_000:
                total, current = total + current, 0
    yield total + current
