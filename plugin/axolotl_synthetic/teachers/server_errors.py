"""Reading of the error in a body, in OpenAI's form or another, and of the HTTP status that it stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

# Names of errors without case and punctuation: DashScope writes InvalidApiKey, OpenAI invalid_api_key.
_NAMED = {
    401: "invalidapikey authenticationerror authenticationfailed unauthorized unauthenticated invalidtoken tokenexpired incorrectapikey"
    " invalidauthentication invalidauthenticationerror missingapikey apikeyinvalid apikeynotfound authfailed invalidaccesskey",
    402: "insufficientquota insufficientcredits insufficientbalance billinghardlimitreached paymentrequired arrearage billingnotactive"
    " insufficientfunds creditsexhausted exceededcurrentquotaerror accountoverdue accountoverdueerror",
    403: "permissiondenied permissionerror forbidden accessdenied modelaccessdenied accessdeniedunpurchased accountdeactivated",
    429: "ratelimitexceeded ratelimiterror toomanyrequests resourceexhausted throttling throttlingratequota throttlingallocationquota"
    " ratelimitreachederror ratelimited",
    503: "overloadederror serviceunavailable unavailable engineoverloadederror modelunavailable",
}
_STATUSES = {name: status for status, names in _NAMED.items() for name in names.split()}
# From https://platform.minimax.io/docs/api-reference/errorcode; a reply has 0.
_MINIMAX = {
    1000: 500,
    1001: 504,
    1002: 429,
    1004: 401,
    1008: 402,
    1013: 500,
    1024: 500,
    1033: 500,
    1039: 429,
    2013: 400,
    2049: 401,
    2056: 429,
}
# From https://ai.baidu.com/ai-doc/REFERENCE/Ck3dwjhhu
_BAIDU = {4: 429, 6: 403, 14: 401, 17: 402, 18: 429, 19: 402, 100: 401, 110: 401, 111: 401}
# Phrases in bodies without any code.
_SAID = (
    (
        402,
        r"payment required|insufficient[ _](?:account )?(?:balance|credits?|quota|funds)|out of credits?|no credits|arrears|欠费|余额不足",
    ),
    (
        401,
        r"\bunauthori[sz]ed\b|\bunauthenticated\b|not authenticated|authentication (?:failed|required|error)|(?:no|missing) auth"
        r"|(?:invalid|incorrect|wrong|bad|expired|missing|no|unknown) (?:api|access|auth\w*)[ _-]?(?:key|token)"
        r"|(?:api|access)[ _-]?(?:key|token) (?:is )?(?:not valid|invalid|incorrect|expired|missing|not found|required)|invalid credentials"
        r"|could not validate credentials|invalid token|鉴权失败|无效的令牌|身份验证失败",
    ),
    (403, r"\bforbidden\b|permission denied|access denied|not allowed to access"),
    (429, r"rate.?limit|too many requests|限流|请求过于频繁"),
    (503, r"overloaded|service unavailable|at capacity"),
)
_PATTERNS = tuple((status, re.compile(pattern, re.IGNORECASE)) for status, pattern in _SAID)
# Phrases about a wrong key with status 400 (Gemini, xAI).
_ABOUT_THE_KEY = ("api key not valid", "incorrect api key", "invalid api key", "api key is invalid", "api key expired", "missing api key")
# Anthropic's phrase, with status 400.
_NO_CREDIT = "credit balance is too low"
_CODES = ("code", "type", "status", "status_code", "statusCode", "http_code", "http_status", "error_code", "errorCode", "errcode")
_MESSAGES = ("message", "detail", "msg", "error_msg", "errorMessage", "error_description", "title", "error")
# Characters of a sentence; a longer text is a page, which may contain any word.
_LONGEST_SENTENCE = 500


class ServersError:
    """Error in a body, in OpenAI's form or another.

    Attributes:
        names: its code, type and status, in lower case.
        message: its text, which may contain the key.
        parameter: the parameter that it is about (OpenAI's `param`); empty if it names none.
        status: the HTTP status that its names stand for; None if there is none.
        wait: seconds that it asks to wait (Google's `retryDelay`); None if it does not say.
        lasts: whether a daily quota is used up.
        is_about_the_key: whether the key is wrong, whatever the status.
        is_about_money: whether the account is out of credit, whatever the status.
        is_about_calls_under_way: whether open calls have reserved the remaining credit (OpenRouter's 402).
        is_about_the_content: whether a filter flagged the request (OpenRouter's 403).
    """

    def __init__(self, content: bytes) -> None:
        self.message = content.decode(errors="replace")
        data: object = None
        error: object = None
        try:
            data = json.loads(content)
        except (ValueError, RecursionError):
            pass
        else:
            data = data[0] if isinstance(data, list) and data else data  # Gemini's errors are lists of one
            error = _error_in(data)
            self.message = str(error)
        told = error if isinstance(error, dict) else {}
        if told:
            self.message = next((str(told[name]) for name in _MESSAGES if told.get(name)), str(told))
        self.parameter = told["param"] if isinstance(told.get("param"), str) else ""
        named = list(_codes(told, data))
        self.names = {str(name).lower() for name in named}
        self.status = next((n for name in named if (n := _status(str(name))) is not None), None)
        if self.status is None and isinstance(data, dict):
            self.status = _MINIMAX.get(minimax_code(data)) or _BAIDU.get(_number(data.get("error_code")))
        details = [one for one in told.get("details") or () if isinstance(one, dict)] if isinstance(told.get("details"), list) else []
        self.wait = next((wait for one in details if (wait := _seconds(one.get("retryDelay"))) is not None), None)
        self.lasts = any("PerDay" in str(one.get("violations")) for one in details)
        reasons = {str(one.get("reason")) for one in details}
        said = self.message.lower()
        self.is_about_the_key = "API_KEY_INVALID" in reasons or self.status == 401 or any(text in said for text in _ABOUT_THE_KEY)
        metadata = told["metadata"] if isinstance(told.get("metadata"), dict) else {}
        self.is_about_the_content = "flagged_input" in metadata or "reasons" in metadata
        self.is_about_calls_under_way = "in_flight" in str(metadata.get("limit_source"))
        self.is_about_money = self.status == 402 or _NO_CREDIT in said or any(_STATUSES.get(_bare(name)) == 402 for name in self.names)

    @property
    def status_by_its_words(self) -> int | None:
        """Return the status that the message implies, for a body without any code."""
        sentence = self.message[:_LONGEST_SENTENCE]
        return next((status for status, pattern in _PATTERNS if pattern.search(sentence)), None)


def status_inside(content: bytes) -> int | None:
    """Return the status of an error that a server sends with status 200; None if the body is a reply or implies no status."""
    # Skip most replies cheaply: inside a JSON string these quotes would be escaped.
    if b'"content"' in content and b'"error"' not in content and b'"base_resp"' not in content:
        return None
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return None
    data = data[0] if isinstance(data, list) and data else data
    if not isinstance(data, dict):
        return None
    choices = data.get("choices")
    broken = isinstance(choices, list) and choices and isinstance(choices[0], dict) and choices[0].get("error")
    if choices and not broken:
        return None
    error = ServersError(content)
    return error.status or error.status_by_its_words


def minimax_code(data: dict[str, Any]) -> int:
    """Return the code of MiniMax's `base_resp`; 0 where there is none, and for a reply."""
    told = data.get("base_resp")
    return _number(told.get("status_code")) if isinstance(told, dict) else 0


def _codes(told: dict[str, Any], data: object) -> Iterator[object]:
    for one in (told, data, *(told.get(name) for name in ("extensions", "error", "header", "ResponseMetadata"))):
        if isinstance(one, dict):
            yield from (one[name] for name in _CODES if isinstance(one.get(name), str | int) and not isinstance(one[name], bool))


def _error_in(data: object) -> object:
    """Return a body's error: its own, or its first choice's; the whole body if it has neither."""
    if not isinstance(data, dict):
        return data
    choices = data.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict) and choices[0].get("error"):
        return choices[0]["error"]
    if isinstance(data.get("errors"), list) and data["errors"]:
        return data["errors"][0]
    if isinstance(data.get("base_resp"), dict) and minimax_code(data):
        return {"message": str(data["base_resp"].get("status_msg") or data["base_resp"])}
    return data.get("error") or data


def _status(name: str) -> int | None:
    if name.isascii() and name.isdecimal() and len(name) == 3 and 400 <= int(name) < 600:
        return int(name)
    return _STATUSES.get(_bare(name))


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | str) and re.fullmatch(r"-?[0-9]{1,9}", str(value)) else 0


def _seconds(value: object) -> float | None:
    """Return the seconds in Google's `34s`; None for another value."""
    text = value.removesuffix("s") if isinstance(value, str) else ""
    return float(text) if text.replace(".", "", 1).isdecimal() else None
