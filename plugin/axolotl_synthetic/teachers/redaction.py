"""Cuts secrets out of what a server says, before anybody sees or keeps it. First out, then short: half a key is a key, too.

A key in plain text is cut out, and its beginning and its end, by which servers show that they know it. Where one is found only after
what was said is decoded (base64, HTML, addresses, broken over lines), none of the words is shown. A reply that holds a key is not
shortened but refused (`replies.py`): it is no answer, and with a hole in it none to train on.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from axolotl_synthetic.config import SECRET_KEYS

DETAIL_LENGTH = 300
HIDDEN = "***"
ALL_HIDDEN = "*** (what was said holds a key)"
# A shorter key, such as `k` or `EMPTY` of a server that wants none, is hidden as a whole word alone, or it is cut out of every word.
SHORTEST_ANYWHERE = 8
# The beginning or the end of a long key gives it away where a server shortens what it echoes, and so does as much from its middle.
HEAD, TAIL, LONGEST_WITHOUT_HEAD = 12, 8, 19
# Of a reply, which may speak of anything, so much must be the key's.
SHORTEST_IN_A_REPLY = 16
# Nobody reads more of an error, and each character takes time.
MOST_READ = 200_000
_BEFORE, _BEHIND = r"(?<![\w.*…+-])[\w.*…+-]*", r"[\w.*…+/=-]*"
_ESCAPED = re.compile(r"\\(?:u00([0-9a-fA-F]{2})|x([0-9a-fA-F]{2})|[nrt]|)")
# A soft line break of mail.
_SOFT_BREAK = re.compile(r"=\r?\n")
_WHITE_SPACE = bytes(code for code in range(128) if chr(code).isspace())
_WITHOUT_WIDTH = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]+")


class Redactor:
    """Makes one short line of a text, without the secrets.

    Args:
        secrets: keys; empty ones are left out.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        keys = {secret for secret in secrets if secret}
        spellings = {spelled for secret in keys for spelled in _spellings(secret)}
        # The longest first: one key may begin like another.
        patterns = [_pattern(spelled) for spelled in sorted(spellings, key=len, reverse=True)]
        self._secrets = re.compile("|".join(patterns), re.IGNORECASE) if patterns else None
        long = {key for key in keys if len(key) > LONGEST_WITHOUT_HEAD}
        short = {key for key in keys if SHORTEST_ANYWHERE <= len(key) <= LONGEST_WITHOUT_HEAD}
        encoded = {text for key in long | short for text in _encoded(key)}
        self._whole = {_decoded(key) for key in long | short} | encoded
        # Any run of a key's letters, and its end.
        self._runs = {key[at : at + HEAD] for key in map(_decoded, long) for at in range(len(key) - HEAD + 1)}
        self._ends = {_decoded(key)[-TAIL:] for key in long}
        self._in_replies = {_decoded(key) for key in long} | encoded
        self._in_replies |= {end for key in map(_decoded, long) for end in (key[:SHORTEST_IN_A_REPLY], key[-SHORTEST_IN_A_REPLY:])}
        self._words = re.compile("|".join(rf"(?<![\w-]){re.escape(key)}(?![\w-])" for key in short)) if short else None

    def __call__(self, text: object, length: int = DETAIL_LENGTH) -> str:
        said = str(text)
        if len(said) > MOST_READ:
            said = " ".join(said.split())[:MOST_READ]
        shown = " ".join(said.split())
        if self._secrets is None:
            return shown[:length]
        if len(said) >= SHORTEST_ANYWHERE and self._is_hidden_in(said):
            return ALL_HIDDEN
        return self._secrets.sub(HIDDEN, shown)[:length]

    def holds(self, reply: str) -> bool:
        """Return whether a reply tells a key, as it is or encoded. Keys of fewer than eight signs are words, as any reply may have them."""
        if not self._in_replies and self._words is None:
            return False
        if self._words is not None and self._words.search(reply):
            return True
        decoded = _decoded(reply)
        return any(piece in decoded for piece in self._in_replies)

    def _is_hidden_in(self, said: str) -> bool:
        """Return whether there is a key, or much of one, that cutting out its plain spellings would leave."""
        assert self._secrets is not None
        left, plain = _decoded(self._secrets.sub("\0", said)), self._secrets.search(said)
        if any(piece in left for piece in self._whole | self._ends):
            return True
        if self._runs and any(left[at : at + HEAD] in self._runs for at in range(len(left) - HEAD + 1)):
            return True
        # A key that is broken over lines may lose its ends alone.
        lines = said.split("\n")
        return (
            plain is not None
            and len(lines) > 1
            and any(key in _decoded(said) and not any(key in _decoded(line) for line in lines) for key in self._whole)
        )


def secrets_in(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield every text under a name that says that it is a secret, however deep; of `Bearer sk-…` the key as well."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from secrets_in(value)
        elif SECRET_KEYS.search(str(name)):
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and len(text) >= SHORTEST_ANYWHERE:
                    yield from {text, text.split()[-1] if text.split() else text}


def secrets_of_the_environment() -> Iterator[str]:
    """Yield the environment's keys: for a library that reads its own, and does not tell which."""
    return secrets_in(os.environ)


def _spellings(secret: str) -> set[str]:
    """Return the secret as it is, and as JSON, HTML and addresses write it."""
    return {secret, json.dumps(secret)[1:-1], secret.replace("/", "\\/"), html.escape(secret), quote(secret, safe="")}


def _pattern(secret: str) -> str:
    if len(secret) < SHORTEST_ANYWHERE:
        return rf"(?<![\w-]){re.escape(secret)}(?![\w-])"
    if len(secret) <= LONGEST_WITHOUT_HEAD:
        return re.escape(secret)
    return rf"{re.escape(secret)}|{re.escape(secret[:HEAD])}{_BEHIND}|{_BEFORE}{re.escape(secret[-TAIL:])}(?!\w)"


def _decoded(text: str) -> str:
    """Return the text in small letters without white space, and without what HTML, addresses and JSON escape."""
    for _ in range(3):  # one within another
        before = text
        if "&" in text:
            text = html.unescape(text)
        if "%" in text:
            text = unquote(text, errors="replace")
        if "\\" in text:
            text = _ESCAPED.sub(lambda escape: chr(int(escape[1] or escape[2], 16)) if escape[1] or escape[2] else "", text)
        if text == before:
            break
    if "=" in text:
        text = _SOFT_BREAK.sub("", text)
    if text.isascii():
        # Every reply comes by here, and this takes a tenth of the time.
        return text.encode().translate(None, _WHITE_SPACE).lower().decode()
    return "".join(_WITHOUT_WIDTH.sub("", text).split()).lower()


def _encoded(secret: str) -> Iterator[str]:
    """Yield the secret in base64, wherever in the encoded text it begins, and in hexadecimal; in small letters."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + secret.encode()).decode()
        # The first and the last letter may hold bits of a neighbour.
        inner = text.rstrip("=")[(0, 2, 3)[before] :]
        inner = inner if (len(secret.encode()) + before) % 3 == 0 else inner[:-1]
        yield from {inner.lower(), inner.translate(str.maketrans("+/", "-_")).lower()}
    yield secret.encode().hex()
