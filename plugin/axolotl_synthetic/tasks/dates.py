"""Dates and times of day in answers, and the names of the months in a dozen languages."""

from __future__ import annotations

import re

# Each line has one language's months in order.
_NAMES = """
january february march april may june july august september october november december
jan feb mar apr may jun jul aug sep oct nov dec
january february march april may june july august sept october november december
januar februar märz april mai juni juli august september oktober november dezember
janvier février mars avril mai juin juillet août septembre octobre novembre décembre
enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
januari februari maart april mei juni juli augustus september oktober november december
stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
января февраля марта апреля мая июня июля августа сентября октября ноября декабря
січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня
ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık
"""
_MONTHS = {name: number for line in _NAMES.strip().splitlines() for number, name in enumerate(line.split(), start=1)}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_WEEKDAY = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+)?"
_DATE = re.compile(
    rf"(?:on\s+)?{_WEEKDAY}(?:(?P<y1>\d{{4}})[-/.](?P<m1>\d{{1,2}})[-/.](?P<d1>\d{{1,2}})"
    rf"|(?P<m2>{_MONTH})\.?\s+(?:the\s+)?(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<y2>\d{{4}}))?"
    rf"|(?:the\s+|le\s+|el\s+|il\s+|den\s+|am\s+)?(?P<d3>\d{{1,2}})(?:st|nd|rd|th|er|º|\.)?\s+(?:of\s+|de\s+)?(?P<m3>{_MONTH})"
    r"\.?(?:,?\s+(?:de\s+)?(?P<y3>\d{4}))?(?:\s*(?:г\.?|года|Uhr))?"
    r"|(?:(?P<y4>\d{4})\s*年\s*)?(?P<m4>\d{1,2})\s*月\s*(?P<d4>\d{1,2})\s*[日号號]"
    r"|(?:(?P<y5>\d{4})\s*년\s*)?(?P<m5>\d{1,2})\s*월\s*(?P<d5>\d{1,2})\s*일)",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"(?:at\s+)?(?:(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?(?::(?P<second>\d{2}))?\s*(?:(?P<half>[ap])\.?\s?m\.?|(?P<clock>o'?clock|uhr|[点點]钟?|時|시))?"
    r"(?P<in>\s+in the (?:morning|afternoon|evening))?|(?:12(?::00)?\s*)?(?P<named>noon|midnight))",
    re.IGNORECASE,
)
_BEFORE_A_MONTH = re.compile(r"\A(?:of|de|\.)\s+", re.IGNORECASE)


def is_month(text: str) -> bool:
    """Say whether a text is only a month's name, like the text after the day in `25 December` and `25 de diciembre`."""
    return _BEFORE_A_MONTH.sub("", text).rstrip(". ").casefold() in _MONTHS


def read_date(text: str) -> tuple[int | None, int, int] | None:
    """Read a date as year (None if absent), month and day."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day = next((match[f"y{n}"], match[f"m{n}"], match[f"d{n}"]) for n in range(1, 6) if match[f"m{n}"])
    return int(year) if year else None, int(month) if month.isdigit() else _MONTHS[month.casefold()], int(day)


def read_time(text: str) -> tuple[tuple[int, int, int], bool] | None:
    """Read a time of day as its hour, minute and second, and say whether morning or afternoon is given."""
    match = _TIME.fullmatch(text)
    if match is None or not (match["named"] or match["minute"] or match["half"] or match["clock"] or match["in"]):
        return None
    if match["named"]:
        return (12 if match["named"].lower() == "noon" else 0, 0, 0), True
    hour, minute, second = int(match["hour"]), int(match["minute"] or 0), int(match["second"] or 0)
    half = (
        match["half"].lower() if match["half"] else {"m": "a", "a": "p", "e": "p"}.get(match["in"].split()[-1][0]) if match["in"] else None
    )
    if hour > (12 if half else 24) or minute > 59 or second > 59:
        return None
    if half:
        hour = hour % 12 + 12 * (half == "p")
    return (hour, minute, second), half is not None
