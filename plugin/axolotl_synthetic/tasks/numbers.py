"""Read numbers as people write them, with their units: `1,000`, `$72`, `1 1/2`, `2.5 million`, `twelve`, `5 feet 6 inches`, `12 支`.

This is the fast path of `values.py`. It reads a whole text or nothing. math-verify instead takes the first number in a plain text (`1 1/2`
as 1, `- 5` as 5). Texts have ASCII digits and a decimal point, as `numerals.plain` writes them.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

from axolotl_synthetic.tasks.amounts import Amount
from axolotl_synthetic.tasks.dates import is_month
from axolotl_synthetic.tasks.spelled import FRACTIONS, NUMBER_WORDS, spelled
from axolotl_synthetic.tasks.units import MAGNITUDES, NONE, Unit, convertible, magnitude, split_unit, unit_of

_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+"
_CURRENCY = r"(?:US\$|USD|[$€£¥₹])"
# A unit cannot begin with signs that continue a formula, a list or a sentence.
_NO_UNIT = r"\s0-9=+*^<>\\{}|()\[\],.;:!?/_'\"~&@#±≈≤≥≠√∞∪∩×÷·…✗✘❌⁰¹²³⁴-⁹₀-₉-"
_PLAIN = re.compile(
    rf"(?:(?P<money>{_CURRENCY})\s*)?(?P<sign>[-+]?)\s*(?:(?P<money2>{_CURRENCY})\s*)?"
    rf"(?:(?P<whole>[0-9]{{1,9}})\s+(?=[0-9]+\s*/))?(?P<number>{_NUMBER})(?:\s*/\s*(?P<over>{_NUMBER}))?"
    r"(?P<power>[eE][+-]?[0-9]+|\s*(?:[*×x]|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*\{?\s*[+-]?[0-9]+\s*\}?)?"
    rf"(?P<gap>\s*)(?P<unit>(?:/\s*(?=[A-Za-z])|[^{_NO_UNIT}])[^0-9=+*^<>\\{{}}|]*(?:\^?\{{?[23]\}}?)?)?"
)
_UNIT_BEGINS = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "So", "Sc"))
_SIMPLE = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_FRACTION = re.compile(
    r"(?P<sign>-?)\s*(?P<whole>[0-9]{1,9})?\s*\\[dt]?frac\s*(?:\{\s*(-?[0-9]{1,30})\s*\}|([0-9]))\s*(?:\{\s*([0-9]{1,30})\s*\}|([0-9]))(?P<rest>.*)"
)
_REPEATING = re.compile(r"(-?)([0-9]{0,15})\.([0-9]{0,15})\\(?:overline|bar)\s*\{?([0-9]{1,15})\}?")
_MAGNITUDES_OF_MONEY = {"k": 1_000, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}  # `$12.5M`
_PART = re.compile(rf"({_NUMBER})\s*([^\W\d_]+\.?|['’′\"”″$€£¢])[\s,]*(?:and\s+)?")
_MONEY_BEFORE = re.compile(rf"\A([$€£])\s*({_NUMBER})(?=\s)")
_COMMA_OF_MONEY = re.compile(
    r"(?:(?<=[$€£])|(?<=[$€£]\s)|\A(?=\S+\s?(?:[$€£]|EUR\b|euros?\b)))[0-9]{1,3}(?:(?:\.[0-9]{3})+|[0-9]*),[0-9]{1,2}(?![0-9.,])",
    re.IGNORECASE,
)
_GROUPED_BY_POINTS = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}(?![0-9.])")
_IN_BRACKETS = re.compile(r"(?<=[0-9])\s+\(([^()0-9=<>+*/^\\]{2,})\)\Z")
# Words that change the meaning of the number before them, or join a second number to it. Magnitudes are in `units.py`.
_NOT_UNITS = re.compile(
    r"[bmt]n|mod|grand|gross|tens|hal(?:f|ves)|thirds?|quarters|and|or|to|by|times|over|plus|minus|point|remainder|am|pm|bc|bce|ad|ce"
    r"|squared|cubed|divided|multiplied|pi|sin|cos|tan|log|ln|sqrt|factorial|choose|wrong|incorrect|not"
    r"|oder|und|oder|ou|et|y|o|или|и|або|або|lub|i|ve|veya|または|或|或者|和",
    re.IGNORECASE,
)
# With these words the number is not the whole answer: `half past seven`, `12 noon`, `5 at most`.
_CHANGES = re.compile(r"past|noon|midnight|o.clock|most|least|maximum|minimum|max|respectively|if|unless|except|when|where", re.IGNORECASE)
_HEDGE = re.compile(r"(?:approximately|approx|roughly|about|around|almost|nearly|tops|below zero)\.?\Z", re.IGNORECASE)
# `5x` is a product and `5 m` a length. Without a space only these are units; after a space, a single letter must be one of
# `_UNITS_OF_ONE_LETTER`.
_UNITS_WITHOUT_SPACE = re.compile(
    r"[ckmd]m|kg|m[gl]|mL|lbs?|oz|ft|in|yds?|hrs?|mins?|secs?|mph|kph|km/h|m/s|ms|[KMGT]B|k?Hz|kWh?|percent|pct|degrees|USD|EUR|cents|[мглсч]"
)
_UNITS_OF_ONE_LETTER = frozenset("mglLsh")
LONGEST_UNIT = 5  # words
LONGEST_NUMBER = 100  # characters, enough for money with a unit; int() of thousands of digits is slow
LARGEST_POWER = 300
_MINUS = re.compile(r"\A(?:minus|negative)\s+(?=[$€£¥₹]?[0-9.])", re.IGNORECASE)
_AND_A_PART = re.compile(r"\Aan?\s+(?P<unit>\w+)\s+and\s+a\s+(?P<part>half|quarter)\Z", re.IGNORECASE)
_AND_A_HALF = re.compile(r"(?<=[0-9])\s+and\s+(?:(?:an?|one)[\s-]+(?P<word>half|third|quarter|fourth|fifth)\b|(?P<fraction>[0-9]+/[0-9]+))")


@lru_cache(maxsize=65_536)
def read_number(text: str) -> Amount | None:
    """Return a text's number if the text is one number with or without a unit; None for anything else."""
    text = text.strip()
    if _SIMPLE.fullmatch(text):
        return Amount(Fraction(text), len(text.partition(".")[2]))
    if len(text) > LONGEST_NUMBER:
        return None
    text = _AND_A_PART.sub(lambda match: f"1 1/{FRACTIONS[match['part'].lower()]} {match['unit']}", text)
    text = _MINUS.sub("-", text, count=1)
    text = _AND_A_HALF.sub(lambda match: f" {match['fraction'] or '1/' + str(FRACTIONS[match['word']])}", text)
    if text[-1:] == ")":
        text = _IN_BRACKETS.sub(r" \1", text)
    if text.count(".") > 1:
        text = _GROUPED_BY_POINTS.sub(lambda match: match[0].replace(".", ""), text)
    if "," in text:
        text = _COMMA_OF_MONEY.sub(lambda match: match[0].replace(".", "").replace(",", "."), text)
    return _in_digits(text) or _in_latex(text) or _in_parts(text) or _in_words(text)


def _in_digits(text: str) -> Amount | None:
    match = _PLAIN.fullmatch(text)
    if match is None or (match["money"] and match["money2"]):
        return None
    value, places = Fraction(_digits(match["number"])), len(match["number"].partition(".")[2])
    fraction = match["over"] is not None
    if match["over"]:
        over = Fraction(_digits(match["over"]))
        if over == 0 or (match["whole"] and value >= over):
            return None
        value /= over
    elif match["whole"]:
        return None
    if match["power"]:
        power = int(re.findall(r"[+-]?[0-9]+", match["power"])[-1])
        if fraction or abs(power) > LARGEST_POWER:
            return None
        value, places = value * Fraction(10) ** power, max(0, places - power)
    value += int(match["whole"] or 0)
    money = match["money"] or match["money2"]
    if money and not match["gap"] and match["unit"] in _MAGNITUDES_OF_MONEY:
        factor, unit, words, counted = _MAGNITUDES_OF_MONEY[match["unit"]], NONE, "", ""
    elif (read := _unit(match["unit"] or "", spaced=bool(match["gap"]))) is not None:
        factor, unit, words, counted = read
    else:
        return None
    if money:
        currency = unit_of(money)
        # `$5 USD` and `$5 per hour` are money; `$5 km` is not.
        if currency is None or (unit.of and not convertible(unit, currency)):
            return None
        found, words = split_unit(f"{currency.name} {counted}") if counted and not unit.of else (currency, words)
        unit = found or currency
    return Amount(
        value * factor * (-1 if match["sign"] == "-" else 1), None if fraction else places if factor == 1 else 0, unit, words, counted
    )


def _unit(text: str, *, spaced: bool) -> tuple[int, Unit, str, str] | None:
    """Split the text after a number into factor, unit, words, and unit with words; None where it changes what the number means."""
    if not text:
        return 1, NONE, "", ""
    if text[0] == "/":
        text, spaced = f"per {text[1:].strip()}", True
    factor, rest = magnitude(text)
    if factor == 1 and not _is_unit(text, spaced=spaced):
        return None
    if factor != 1 and rest and not _is_unit(rest, spaced=True):
        return None
    rest = rest.strip(" .")
    unit, words = split_unit(rest) if rest else (NONE, "")
    return factor, unit or NONE, words, rest


def _is_unit(unit: str, *, spaced: bool) -> bool:
    if not unit[0].isascii() and unicodedata.category(unit[0]) not in _UNIT_BEGINS:
        return False
    # Zero-width joiners belong to Persian, Hindi and emoji; any other invisible character is not part of a unit.
    if any(unicodedata.category(letter) == "Cf" and letter not in "\u200c\u200d" for letter in unit):
        return False
    words = re.findall(r"[A-Za-z]+", unit)
    first = unit.split()[0]
    if unit[0].isalpha() and not spaced and not _UNITS_WITHOUT_SPACE.fullmatch(first.rstrip(".")) and not _is_unspaced(first):
        return False
    if unit[0].isalpha() and unit[0].isascii() and spaced and len(words[0]) == 1 and words[0] not in _UNITS_OF_ONE_LETTER:
        return False
    # A single Greek letter is a variable or π.
    if "\u0370" <= unit[0] <= "\u03ff" and len(first) == 1:
        return False
    # `3 times` is a count, and `3 times as many` is not.
    everything = re.split(r"[^\w]+", unit.removesuffix("times"))
    if any(_CHANGES.fullmatch(word) or word.casefold() in NUMBER_WORDS for word in everything) or _HEDGE.search(unit) or is_month(unit):
        return False
    if any(_NOT_UNITS.fullmatch(word) or word.casefold() in MAGNITUDES for word in everything if word and word not in ("m", "s")):
        # In `miles per hour` or `dollars to spare` such a word joins no second number.
        return unit_of(unit) is not None and not any(word.casefold() in MAGNITUDES for word in everything)
    return len(unit.split()) <= LONGEST_UNIT


def _is_unspaced(word: str) -> bool:
    """Say whether a word may follow a number without a space. Latin and Greek letters may not, as they are variables."""
    letter = word[0]
    if letter < "\u0400":
        return False
    return len(word) > 1 or not "\u0400" <= letter <= "\u052f"


def _in_latex(text: str) -> Amount | None:
    r"""Read `\frac{1}{2}`, `1\frac{1}{2}` or `0.\overline{3}`, with or without a unit."""
    if "\\" not in text:
        return None
    if (match := _REPEATING.fullmatch(text)) is not None:
        sign, whole, fixed, repeated = match.groups()
        value = Fraction(int(f"{whole}{fixed}" or 0)) + Fraction(int(repeated), 10 ** len(repeated) - 1)
        return Amount(value / 10 ** len(fixed) * (-1 if sign else 1), None)
    match = _FRACTION.fullmatch(text)
    if match is None:
        return None
    above, below = int(match[3] or match[4]), int(match[5] or match[6])
    whole = match["whole"]
    rest = match["rest"].strip()
    if below == 0 or (whole is not None and not 0 < above < below) or rest.startswith("'"):
        return None
    read = _unit(rest, spaced=match["rest"] != rest or not rest[:1].isalpha()) if not re.match(rf"[{_NO_UNIT}]", rest) else None
    if rest and (read is None or re.search(r"[0-9=+*^<>\\{}|]", rest)):
        return None
    factor, unit, words, counted = read if rest and read is not None else (1, NONE, "", "")
    value = (int(whole or 0) + Fraction(above, below)) * factor
    return Amount(-value if match["sign"] else value, None, unit, words, counted)


def _in_parts(text: str) -> Amount | None:
    """Read `2 hours 30 minutes` or `5 ft 6 in`: one measure in several units, the largest first."""
    text = _MONEY_BEFORE.sub(r"\2\1 ", text)
    at, total, last, first = 0, Fraction(0), None, None
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            return None
        unit = unit_of({"'": "ft", "’": "ft", "′": "ft", '"': "in", "”": "in", "″": "in"}.get(match[2], match[2]))
        if unit is None or (last is not None and (unit.of != last.of or unit.size >= last.size)):
            return None
        first, last, at = first or unit, unit, match.end()
        total += Fraction(_digits(match[1])) * unit.size
    if first is None or last is None or (first is last and not re.search(r"['’′\"”″]", text)):
        return None
    return Amount(total / first.size, None, first)


def _in_words(text: str) -> Amount | None:
    """Read `twelve`, `one hundred and five apples`, `two thirds`, `half an hour`, `十二个`."""
    found = spelled(text)
    if found is None:
        return None
    rest = found.rest
    if re.search(r"[0-9=+*^<>\\{}|]", rest):
        return None
    read = _unit(rest, spaced=True) if rest else (1, NONE, "", "")
    # `half a million` takes a magnitude; nobody writes `two thirds million`.
    if read is None or (read[0] != 1 and not found.takes_magnitude):
        return None
    factor, unit, words, counted = read
    value = found.value * factor
    return Amount(value, 0 if value.denominator == 1 else None, unit, words, counted)


def _digits(number: str) -> str:
    number = number.replace(",", "").rstrip(".")
    return f"0{number}" if number.startswith(".") else number
