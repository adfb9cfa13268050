"""Units of measure and words of magnitude: which unit follows a number, and which units can be converted.

`words.py` compares counted things and units that are not in this table, by their words. Sizes are exact.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from axolotl_synthetic.tasks.words import say_the_same


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit.

    Attributes:
        name: canonical spelling, such as `cm`, `km/h` or `$`; empty for a bare number.
        of: measure; units of the same measure can be converted. For a counted thing, its name after a colon.
        size: in the measure's first unit.
        per: the measure that a rate is divided by; empty if it is not a rate.
    """

    name: str = ""
    of: str = ""
    size: Fraction = Fraction(1)
    per: str = ""


NONE = Unit()
PERCENT = Unit("%", "%")
# Each entry is a measure with its units, and each unit has its size and its spellings.
_MEASURES = {
    "length": """m 1 meter meters metre metres м метр метра метров 米 メートル 미터
        mm 1/1000 millimeter millimeters millimetre millimetres мм 毫米
        dm 1/10 decimeter decimeters; cm 1/100 centimeter centimeters centimetre centimetres Zentimeter см 厘米
        μm 1/1000000 micrometer micrometers micrometre micrometres
        km 1000 kilometer kilometers kilometre kilometres Kilometer км километр километра километров 公里 千米
        in 127/5000 inch inches; ft 381/1250 foot feet; yd 1143/1250 yard yards yds; mi 201168/125 mile miles""",
    "length2": "ha 10000 hectare hectares; acre 40468564224/10000000 acres",
    "length3": """l 1/1000 L liter liters litre litres Liter л литр литра литров 升 リットル 리터; cl 1/100000 cL; dl 1/10000 dL
        ml 1/1000000 mL ML milliliter milliliters millilitre millilitres мл 毫升; μl 1/1000000000 μL""",
    "US volume": "cup 1 cups; pt 2 pint pints; qt 4 quart quarts; gal 16 gallon gallons; floz 1/8",
    "mass": """g 1 gram grams gramme grammes Gramm г грамм грамма граммов 克 グラム 그램; mg 1/1000 milligram milligrams мг 毫克
        μg 1/1000000 mcg microgram micrograms; kg 1000 kilogram kilograms kilo kilos kgs кг килограмм килограмма килограммов 公斤 千克 キロ
        lb 45359237/100000 lbs; oz 45359237/1600000 ounce ounces; tonne 1000000 tonnes; 斤 500""",
    "time": """s 1 sec secs second seconds Sekunde Sekunden seconde secondes segundo segundos секунда секунды секунд 秒 초
        ms 1/1000 millisecond milliseconds; μs 1/1000000 microsecond microseconds
        min 60 mins minute minutes Minuten minuto minutos минута минуты минут 分钟 分鐘 분
        h 3600 hr hrs hour hours Stunde Stunden Std heure heures hora horas час часа часов 小时 小時 个小时 個小時 時間 시간
        day 86400 days Tag Tage jour jours día días день дня дней 天; week 604800 weeks wk wks Woche Wochen неделя недели недель 周 星期""",
    "months": """month 1 months Monat Monate месяц месяца месяцев 个月 個月
        year 12 years yr yrs Jahr Jahre год года лет 年; decade 120 decades; century 1200 centuries""",
    "$": "$ 1 US$ USD dollar dollars buck bucks 美元; ¢ 1/100 cent cents",
    "€": "€ 1 EUR euro euros 欧元 евро",
    "£": "£ 1 GBP 英镑",
    "pound": "pound 1 pounds",
    "¥": "¥ 1",
    "yen": "JPY 1 yen 円 日元",
    "yuan": "CNY 1 RMB yuan 元 人民币",
    "₹": "₹ 1 INR Rs rupee rupees",
    "%": "% 1 percent pct Prozent procent процент процента процентов",
    "pp": "pp 1; bp 1/100 bps",
    "°": "° 1 degree degrees deg",
    "°C": "°C 1 ℃",
    "°F": "°F 1 ℉",
    "K": "K 1 kelvin kelvins",
    "rad": "rad 1 radian radians",
    "byte": "byte 1 bytes; KB 1000 kB; MB 1000000; GB 1000000000; TB 1000000000000",
    "watt": "watt 1 watts; kW 1000 kilowatt kilowatts; MW 1000000 megawatt megawatts",
    "kWh": "kWh 1",
    "Hz": "Hz 1 hertz; kHz 1000; MHz 1000000",
}
# Same spelling, different measures: a pound is mass or money, a degree temperature or angle, ¥ two currencies.
_ALSO = {"pound": {"£", "mass"}, "°": {"°C", "°F"}, "yuan": {"¥"}, "yen": {"¥"}}
# Rates of money may be shortened: `$5` for `$5 an hour`.
_MONEY = {"$", "€", "£", "¥", "₹"}
_PHRASES = {
    "mph": "mi/h", "kph": "km/h", "kmh": "km/h", "kmph": "km/h", "mps": "m/s", "per cent": "%", "por ciento": "%", "pour cent": "%",
    "percentage point": "pp", "percentage points": "pp", "percent points": "pp", "basis point": "bp", "basis points": "bp",
    "fluid ounces": "floz", "fluid ounce": "floz", "fl oz": "floz", "us dollars": "$", "cc": "cm³", "м/с": "m/s", "км/ч": "km/h",
    "degrees celsius": "°C", "degree celsius": "°C", "° c": "°C", "degrees c": "°C", "celsius": "°C",
    "degrees kelvin": "K", "degrees fahrenheit": "°F", "degree fahrenheit": "°F", "° f": "°F", "degrees f": "°F", "fahrenheit": "°F",
}  # fmt: skip
_BEHIND_A_LETTER = ("of", "long", "wide", "high", "tall", "deep", "away")
# Chinese puts an extra word before areas and volumes.
_POWERS_OF_MEASURES = {"平方": "²", "立方": "³"}
_BY_NAME: dict[str, Unit] = {}
for _of, _lines in _MEASURES.items():
    for _line in re.split(r"[;\n]", _lines):
        _name, _size, *_others = _line.split()
        for _spelling in (_name, *_others):
            _BY_NAME[_spelling] = _BY_NAME[_spelling.casefold() if len(_spelling) > 3 else _spelling] = Unit(_name, _of, Fraction(_size))
# Words that may come before a unit: `5 more hours`.
_BETWEEN = re.compile(r"(?:(?:more|total|extra|additional|whole|full|US|U\.S\.)\s+)+", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{3,}")
_POWER = re.compile(
    r"(?:(?P<word>square|sq\.?|cubic|cu\.?)\s+)?(?P<name>[^\d²³^\s/]+)(?:\s+(?P<after>squared|cubed)|\^?\{?(?P<digit>[23²³])\}?)?",
    re.IGNORECASE,
)
_RATE = re.compile(r"\s*(?:/|\b(?:per|pro|par|por|an?|в)\b)\s*", re.IGNORECASE)
# These words scale the number before them: `3 million`, `3万`. After another word they make the text unclear.
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
# Thai, Chinese, Japanese and Korean put no space after these words.
_UNSPACED = [word for word in _LONGEST_FIRST if "\u0e00" <= word[0] < "\u0e80" or word[0] >= "\u3000"]
_MAGNITUDE = re.compile(
    rf"(?:(?P<unspaced>{'|'.join(_UNSPACED)})"
    rf"|(?P<word>{'|'.join(_LONGEST_FIRST)})(?![^\W\d_])\.?)\s*(?:(?:of|de)\b)?\s*",
    re.IGNORECASE,
)


def magnitude(text: str) -> tuple[int, str]:
    """Split `million people` into 1,000,000 and `people`; return 1 and the text if it begins with no such word."""
    match = _MAGNITUDE.match(text)
    if match is None:
        return 1, text
    return MAGNITUDES[(match["unspaced"] or match["word"]).casefold()], text[match.end() :]


@lru_cache(maxsize=4_096)
def unit_of(text: str) -> Unit | None:
    """Return the unit that a text begins with (`km an hour`, `dollars in all`); None if it begins with none of the table."""
    return split_unit(text)[0]


@lru_cache(maxsize=4_096)
def split_unit(text: str) -> tuple[Unit | None, str]:
    """Split a text into its leading unit and the remaining words; None and the text if it begins with no unit."""
    text, between = text.strip().rstrip(". "), ""
    if (match := _BETWEEN.match(text)) is not None:
        between, text = match[0], text[match.end() :]
    if (unit := _phrase(text)) is not None:
        return unit, between.strip()
    rate = _RATE.search(text)
    if rate is not None:
        over, below = _phrase(text[: rate.start()]), text[rate.end() :]
        under, rest = (unit, "") if (unit := _phrase(below)) is not None else _first(below)
        if under is not None and under.of == "pound":  # `$2 per pound`
            under = _BY_NAME["lb"]
        if over is None and under is not None and _WORD.fullmatch(text[: rate.start()]):  # `words per minute`
            over = Unit(text[: rate.start()], f":{text[: rate.start()]}")
        if over is not None and under is None and _WORD.fullmatch(below):  # `$ per apple`
            return Unit(f"{over.name}/{below}", over.of, over.size, f":{below}"), between.strip()
        if over is not None and under is not None:
            return Unit(f"{over.name}/{under.name}", over.of, over.size / under.size, under.of), between + rest
        if over is not None:
            return over, between + text[rate.start() :].strip()
    found, rest = _first(text)
    return found, between + rest


def _first(text: str) -> tuple[Unit | None, str]:
    """Split off the unit of the first words. `in` is an inch and `m` a metre only if alone: `5 in total` has no unit."""
    words = text.replace(",", " ").split()
    for count in (3, 2, 1):
        name = " ".join(words[:count])
        if (
            len(words) > count
            and (unit := _phrase(name)) is not None
            and ((len(name) > 1 and name != "in") or not name.isalpha() or words[1] in _BEHIND_A_LETTER)
        ):
            return unit, " ".join(words[count:])
    return None, text


def _phrase(text: str) -> Unit | None:
    name = _PHRASES.get(text) or _PHRASES.get(text.casefold())
    if name is not None:
        return _BY_NAME.get(name) or unit_of(name)
    text = text.removesuffix("钱")
    if text[:2] in _POWERS_OF_MEASURES:
        text = f"{text[2:]}{_POWERS_OF_MEASURES[text[:2]]}"
    match = _POWER.fullmatch(text)
    if match is None:
        return None
    name = match["name"]
    # `12 CM` is a length, but `5 Mg` and `5 mW` differ from `5 mg` and `5 MW`.
    unit = _BY_NAME.get(name) or (_BY_NAME.get(name.casefold()) if len(name) > 3 or name.isupper() else None)
    if unit is None:
        return None
    power = (match["word"] or match["after"] or match["digit"] or "1")[:2].lower()
    power = 2 if power in ("sq", "2", "²") else 3 if power in ("cu", "3", "³") else 1
    return unit if power == 1 else Unit(unit.name + " ²³"[power - 1], f"{unit.of}{power}", unit.size**power)


def convertible(one: Unit, other: Unit) -> bool:
    """Say whether amounts in these units can be equal: one has no unit, or both have one measure. `$5` may mean `$5 an hour`."""
    if not one.of or not other.of:
        return True
    if one.per and other.per and not same_measure(one.per, other.per):
        return False
    if bool(one.per) != bool(other.per):
        rate, whole = (one, other) if one.per else (other, one)
        return whole.of in _MONEY and whole.name == rate.name.split("/")[0]
    return same_measure(one.of, other.of) or other.of in _ALSO.get(one.of, ()) or one.of in _ALSO.get(other.of, ())


def same_measure(measure: str, other: str) -> bool:
    """Say whether two measures are equal, or name the same counted thing."""
    return measure == other or (measure[0] == other[0] == ":" and say_the_same(measure, other))
