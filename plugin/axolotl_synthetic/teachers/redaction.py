"""Removal of secrets from a server's words before they are shown or stored. It comes before shortening: half a key is a key, too.

A key in plain text is cut out, as are its beginning and its end, which servers quote. If a key shows only after decoding (base64, HTML, URL
escapes, line breaks), none of the text is shown. A reply that holds a key is refused rather than cut (`replies.py`): with a hole in it, it
is no answer to train on.
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
# A shorter key, such as `k` or `EMPTY` for a server that needs none, is hidden only as a whole word, or it would be cut out of other words.
SHORTEST_ANYWHERE = 8
# Characters at the beginning or end of a long key that reveal it; a run of HEAD characters from its middle does too.
HEAD, TAIL, LONGEST_WITHOUT_HEAD = 12, 8, 19
# Characters of a key that must show in a reply, which may contain shorter matches by chance.
SHORTEST_IN_A_REPLY = 16
# Characters of an error that are read; more would only take time.
MOST_READ = 200_000
_BEFORE, _BEHIND = r"(?<![\w.*…+-])[\w.*…+-]*", r"[\w.*…+/=-]*"
_ESCAPED = re.compile(r"\\(?:u00([0-9a-fA-F]{2})|x([0-9a-fA-F]{2})|[nrt]|)")
# Soft line break of quoted-printable mail.
_SOFT_BREAK = re.compile(r"=\r?\n")
_WHITE_SPACE = bytes(code for code in range(128) if chr(code).isspace())
_WITHOUT_WIDTH = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]+")


class Redactor:
    """Shortener of a text to one line without the secrets.

    Args:
        secrets: keys; empty ones are ignored.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        keys = {secret for secret in secrets if secret}
        spellings = {spelled for secret in keys for spelled in _spellings(secret)}
        # The longest first: one key may be the beginning of another.
        patterns = [_pattern(spelled) for spelled in sorted(spellings, key=len, reverse=True)]
        self._secrets = re.compile("|".join(patterns), re.IGNORECASE) if patterns else None
        long = {key for key in keys if len(key) > LONGEST_WITHOUT_HEAD}
        short = {key for key in keys if SHORTEST_ANYWHERE <= len(key) <= LONGEST_WITHOUT_HEAD}
        encoded = {text for key in long | short for text in _encoded(key)}
        self._whole = {_decoded(key) for key in long | short} | encoded
        # Every run of HEAD characters of a long key, and its end.
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
        """Return whether a reply holds a key, plain or encoded. Keys below eight characters are ignored: any reply may hold such words."""
        if not self._in_replies and self._words is None:
            return False
        if self._words is not None and self._words.search(reply):
            return True
        decoded = _decoded(reply)
        return any(piece in decoded for piece in self._in_replies)

    def _is_hidden_in(self, said: str) -> bool:
        """Return whether a key, or a large part of one, would remain after cutting out its plain spellings."""
        assert self._secrets is not None
        left, plain = _decoded(self._secrets.sub("\0", said)), self._secrets.search(said)
        if any(piece in left for piece in self._whole | self._ends):
            return True
        if self._runs and any(left[at : at + HEAD] in self._runs for at in range(len(left) - HEAD + 1)):
            return True
        # Of a key that is broken over lines, plain redaction may remove only the ends.
        lines = said.split("\n")
        return (
            plain is not None
            and len(lines) > 1
            and any(key in _decoded(said) and not any(key in _decoded(line) for line in lines) for key in self._whole)
        )


def secrets_in(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield every text under a name that indicates a secret, at any depth; for `Bearer sk-…` also the key alone."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from secrets_in(value)
        elif SECRET_KEYS.search(str(name)):
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and len(text) >= SHORTEST_ANYWHERE:
                    yield from {text, text.split()[-1] if text.split() else text}


def secrets_of_the_environment() -> Iterator[str]:
    """Yield the environment's keys, for a library that does not say which it reads."""
    return secrets_in(os.environ)


def _spellings(secret: str) -> set[str]:
    """Return the secret as it is, and as escaped in JSON, HTML and URLs."""
    return {secret, json.dumps(secret)[1:-1], secret.replace("/", "\\/"), html.escape(secret), quote(secret, safe="")}


def _pattern(secret: str) -> str:
    if len(secret) < SHORTEST_ANYWHERE:
        return rf"(?<![\w-]){re.escape(secret)}(?![\w-])"
    if len(secret) <= LONGEST_WITHOUT_HEAD:
        return re.escape(secret)
    return rf"{re.escape(secret)}|{re.escape(secret[:HEAD])}{_BEHIND}|{_BEFORE}{re.escape(secret[-TAIL:])}(?!\w)"


def _decoded(text: str) -> str:
    """Return the text in lower case, without white space and with escapes of HTML, URLs and JSON decoded."""
    for _ in range(3):  # escapes may be nested
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
        # A fast path for every reply: it takes a tenth of the time.
        return text.encode().translate(None, _WHITE_SPACE).lower().decode()
    return "".join(_WITHOUT_WIDTH.sub("", text).split()).lower()


def _encoded(secret: str) -> Iterator[str]:
    """Yield the secret in lower-case hexadecimal and base64, at each of the three offsets in an encoded text."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + secret.encode()).decode()
        # Drop the first and last characters that mix in bits of neighbouring bytes.
        inner = text.rstrip("=")[(0, 2, 3)[before] :]
        inner = inner if (len(secret.encode()) + before) % 3 == 0 else inner[:-1]
        yield from {inner.lower(), inner.translate(str.maketrans("+/", "-_")).lower()}
    yield secret.encode().hex()
