"""Units of measure and words of magnitude: which unit follows a number, and what two units have in common.

Only units of this table are told apart: what is counted (`apples`, `支`) never makes two answers differ. Sizes are exact.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit.

    Attributes:
        name: its one spelling, such as `cm`, `km/h` or `$`; empty for a bare number.
        of: what it measures; units of the same measure can be converted.
        size: in the measure's first unit.
        per: the measure that a rate is divided by; empty for what is no rate.
    """

    name: str = ""
    of: str = ""
    size: Fraction = Fraction(1)
    per: str = ""


NONE = Unit()
PERCENT = Unit("%", "%")
# A line is a measure: its units, each with its size and its spellings.
_MEASURES = {
    "length": """m 1 meter meters metre metres; mm 1/1000 millimeter millimeters millimetre millimetres; dm 1/10 decimeter decimeters
        cm 1/100 centimeter centimeters centimetre centimetres; km 1000 kilometer kilometers kilometre kilometres
        in 127/5000 inch inches; ft 381/1250 foot feet; yd 1143/1250 yard yards yds; mi 201168/125 mile miles""",
    "area": "ha 1 hectare hectares; acre 1 acres",
    "volume": """l 1 L liter liters litre litres; ml 1/1000 mL ML milliliter milliliters millilitre millilitres; cl 1/100 cL; dl 1/10 dL""",
    "US volume": "cup 1 cups; pt 2 pint pints; qt 4 quart quarts; gal 16 gallon gallons; floz 1/8",
    "mass": """g 1 gram grams gramme grammes; mg 1/1000 milligram milligrams; kg 1000 kilogram kilograms kilo kilos kgs
        lb 45359237/100000 lbs; oz 45359237/1600000 ounce ounces; tonne 1000000 tonnes""",
    "time": """s 1 sec secs second seconds; ms 1/1000 millisecond milliseconds; min 60 mins minute minutes; h 3600 hr hrs hour hours
        day 86400 days; week 604800 weeks wk wks""",
    "months": "month 1 months; year 12 years yr yrs; decade 120 decades; century 1200 centuries",
    "$": "$ 1 US$ USD dollar dollars buck bucks; ¢ 1/100 cent cents",
    "€": "€ 1 EUR euro euros",
    "£": "£ 1 GBP",
    "pound": "pound 1 pounds",
    "¥": "¥ 1 JPY yen",
    "yuan": "CNY 1 RMB yuan 元",
    "₹": "₹ 1 INR Rs rupee rupees",
    "%": "% 1 percent pct Prozent procent процент процента процентов",
    "°": "° 1 degree degrees deg",
    "°C": "°C 1 ℃",
    "°F": "°F 1 ℉",
    "rad": "rad 1 radian radians",
    "byte": "byte 1 bytes; KB 1000 kB; MB 1000000; GB 1000000000; TB 1000000000000",
    "watt": "watt 1 watts; kW 1000 kilowatt kilowatts; MW 1000000 megawatt megawatts",
    "kWh": "kWh 1",
    "Hz": "Hz 1 hertz; kHz 1000; MHz 1000000",
}
# Spelled alike and not the same: a pound of silver or of money, a degree of warmth or of an angle, ¥ of two countries.
_ALSO = {"pound": {"£", "mass"}, "°": {"°C", "°F"}, "yuan": {"¥"}}
_PHRASES = {
    "mph": "mi/h", "kph": "km/h", "kmh": "km/h", "kmph": "km/h", "mps": "m/s", "per cent": "%", "por ciento": "%", "pour cent": "%",
    "fluid ounces": "floz", "fluid ounce": "floz", "fl oz": "floz", "us dollars": "$",
    "degrees celsius": "°C", "degree celsius": "°C", "° c": "°C", "degrees c": "°C", "celsius": "°C",
    "degrees fahrenheit": "°F", "degree fahrenheit": "°F", "° f": "°F", "degrees f": "°F", "fahrenheit": "°F",
}  # fmt: skip
_BY_NAME: dict[str, Unit] = {}
for _of, _lines in _MEASURES.items():
    for _line in re.split(r"[;\n]", _lines):
        _name, _size, *_others = _line.split()
        for _spelling in (_name, *_others):
            _BY_NAME[_spelling] = Unit(_name, _of, Fraction(_size))
# Words that come between a number and its unit, or before one: `5 more hours`.
_BETWEEN = re.compile(r"(?:(?:more|total|extra|additional|whole|full|US|U\.S\.)\s+)+", re.IGNORECASE)
_POWER = re.compile(
    r"(?:(?P<word>square|sq\.?|cubic|cu\.?)\s+)?(?P<name>[^\d²³^\s/]+)(?:\s+(?P<after>squared|cubed)|\^?\{?(?P<digit>[23²³])\}?)?",
    re.IGNORECASE,
)
_RATE = re.compile(r"\s*(?:/|\bper\b|\ban?\b)\s*", re.IGNORECASE)
# A number with one of these words is another number: `3 million`, `3万`. Behind another word it makes the text unclear.
_MAGNITUDES = {
    10: "十 拾",
    12: "dozen dozens Dutzend docena docenas douzaine douzaines dozzina дюжина дюжины дюжин",
    100: "hundred hundreds hundert cientos 百 सौ ร้อย مئة",
    1_000: """thousand thousands tausend Tsd mila mille mil duizend bin ribu nghìn ngàn тысяча тысячи тысяч тыс тисяча тисячі тисяч
        tysiąc tysiące tysięcy tys 千 천 พัน ألف آلاف الاف هزار हज़ार हजार אלף""",
    10_000: "万 萬 만 หมื่น",
    100_000: "lakh lakhs लाख แสน",
    1_000_000: """million millions mio mln Millionen millón millones milhão milhões milione milioni miljoen milyon milion miliony milionów
        juta triệu миллион миллиона миллионов млн мільйон мільйона мільйонів 百万 ล้าน مليون ملايين میلیون מיליון""",
    10_000_000: "crore crores करोड़",
    100_000_000: "亿 億 억",
    1_000_000_000: """billion billions bn Milliarde Milliarden Mrd milliard milliards miliardo miliardi miljard milyar miliar tỷ
        миллиард миллиарда миллиардов млрд мільярд мільярда мільярдів مليار میلیارد""",
    1_000_000_000_000: "trillion trillions 兆 조",
}
MAGNITUDES = {word: factor for factor, words in _MAGNITUDES.items() for word in words.casefold().split()}
_LONGEST_FIRST = sorted(MAGNITUDES, key=len, reverse=True)
# Thai, Chinese, Japanese and Korean put no space behind it.
_UNSPACED = [word for word in _LONGEST_FIRST if "\u0e00" <= word[0] < "\u0e80" or word[0] >= "\u3000"]
_MAGNITUDE = re.compile(
    rf"(?:(?P<unspaced>{'|'.join(_UNSPACED)})"
    rf"|(?P<word>{'|'.join(_LONGEST_FIRST)})(?![^\W\d_])\.?)\s*(?:(?:of|de)\b)?\s*",
    re.IGNORECASE,
)


def magnitude(text: str) -> tuple[int, str]:
    """Split `million people` into 1,000,000 and `people`; a text that begins with no such word into 1 and itself."""
    match = _MAGNITUDE.match(text)
    if match is None:
        return 1, text
    return MAGNITUDES[(match["unspaced"] or match["word"]).casefold()], text[match.end() :]


@lru_cache(maxsize=4_096)
def unit_of(text: str) -> Unit | None:
    """Return the unit that a text begins with (`km an hour`, `dollars in all`); None for a text that begins with none of the table."""
    text = _BETWEEN.sub("", text.strip(), count=1).rstrip(". ") if _BETWEEN.match(text.strip()) else text.strip().rstrip(". ")
    if (unit := _phrase(text)) is not None:
        return unit
    rate = _RATE.search(text)
    if rate is not None and (over := _phrase(text[: rate.start()])) is not None:
        under = _phrase(text[rate.end() :]) or _first(text[rate.end() :])
        return over if under is None else Unit(f"{over.name}/{under.name}", over.of, over.size / under.size, under.of)
    return _first(text)


def _first(text: str) -> Unit | None:
    """Return the unit of the first words. `in` is an inch and `m` a metre only by themselves: `5 in total` has no unit."""
    words = text.replace(",", " ").split()
    for count in (3, 2, 1):
        if len(words) > count and (unit := _phrase(" ".join(words[:count]))) is not None and len(" ".join(words[:count])) > 2:
            return unit
    return None


def _phrase(text: str) -> Unit | None:
    name = _PHRASES.get(text) or _PHRASES.get(text.casefold())
    if name is not None:
        return unit_of(name) if "/" in name else _BY_NAME[name]
    match = _POWER.fullmatch(text)
    if match is None:
        return None
    unit = _BY_NAME.get(match["name"]) or _BY_NAME.get(match["name"].lower())
    if unit is None:
        return None
    power = (match["word"] or match["after"] or match["digit"] or "1")[:2].lower()
    power = 2 if power in ("sq", "2", "²") else 3 if power in ("cu", "3", "³") else 1
    return unit if power == 1 else Unit(unit.name + " ²³"[power - 1], f"{unit.of}{power}", unit.size**power)


def convertible(one: Unit, other: Unit) -> bool:
    """Say whether amounts in these units can be equal: one has no unit, or both measure the same. `$5` may be short for `$5 an hour`."""
    if not one.of or not other.of:
        return True
    if one.per and other.per and one.per != other.per:
        return False
    if one.per != other.per:
        return other.name == one.name.split("/")[0] or one.name == other.name.split("/")[0]
    return one.of == other.of or other.of in _ALSO.get(one.of, ()) or one.of in _ALSO.get(other.of, ())
