"""Cuts secrets out of what a server says, before anybody sees or keeps it. First out, then short: half a key is a key, too."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from axolotl_synthetic.config import SECRET_KEYS

DETAIL_LENGTH = 300
HIDDEN = "***"
# A shorter key, such as `k` or `EMPTY` of a server that wants none, is hidden as a whole word alone, or it is cut out of every word.
SHORTEST_ANYWHERE = 8
# The beginning of a long key gives it away where a server shortens what it echoes.
HEAD, LONGEST_WITHOUT_HEAD = 12, 19


class Redactor:
    """Makes one short line of a text, without the secrets.

    Args:
        secrets: keys; empty ones are left out.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {spelled for secret in secrets if secret for spelled in _spellings(secret)}
        # The longest first: one key may begin like another.
        patterns = [_pattern(spelled) for spelled in sorted(spellings, key=len, reverse=True)]
        self._secrets = re.compile("|".join(patterns)) if patterns else None

    def __call__(self, text: object, length: int = DETAIL_LENGTH) -> str:
        shown = " ".join(str(text).split())
        return (shown if self._secrets is None else self._secrets.sub(HIDDEN, shown))[:length]


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
    return {secret, json.dumps(secret)[1:-1], html.escape(secret), quote(secret, safe="")}


def _pattern(secret: str) -> str:
    if len(secret) < SHORTEST_ANYWHERE:
        return rf"(?<![\w-]){re.escape(secret)}(?![\w-])"
    if len(secret) <= LONGEST_WITHOUT_HEAD:
        return re.escape(secret)
    return rf"{re.escape(secret)}|{re.escape(secret[:HEAD])}[\w.*+/=-]*"
