"""Keys in servers' texts, in every spelling: they are removed from errors, and no reply contains one."""

from __future__ import annotations

import base64
import html
import json
import time
from urllib.parse import quote

import pytest

from axolotl_synthetic.errors import RefusedCall
from axolotl_synthetic.teachers.redaction import ALL_HIDDEN, Redactor
from axolotl_synthetic.teachers.replies import read_reply

from fake_wire import counted, message

KEY = "sk-proj-Zq4/Tb7+Xw9_Lm2Rk5Vn8Hc3Jd6Pf1Gs0"
SHORT = "hunter2-hunter3"


def entities(text: str, form: str = "&#{};") -> str:
    return "".join(form.format(ord(letter)) for letter in text)


def coded(text: str, altered: bytes | None = None) -> str:
    return base64.b64encode(text.encode(), altered).decode()


def broken(text: str, width: int, between: str = "\n") -> str:
    return between.join(text[at : at + width] for at in range(0, len(text), width))


SPELLINGS = {
    "plain": KEY,
    "in capitals": KEY.upper(),
    "in small letters": KEY.lower(),
    "over two lines": broken(KEY, 20),
    "over lines of ten": broken(KEY, 10),
    "over lines of five": broken(KEY, 5),
    "with line ends of Windows": broken(KEY, 16, "\r\n"),
    "spaced": " ".join(KEY),
    "with soft hyphens": broken(KEY, 6, "\u00ad"),
    "with zero-width spaces": broken(KEY, 4, "\u200b"),
    "with escaped line ends": broken(KEY, 16, "\\n"),
    "quoted printable": broken(KEY, 30, "=\n"),
    "decimal entities": entities(KEY),
    "padded entities": entities(KEY, "&#{:05d};"),
    "hexadecimal entities": entities(KEY, "&#x{:x};"),
    "entities of entities": html.escape(entities(KEY)),
    "named entities": KEY.replace("/", "&sol;").replace("+", "&plus;").replace("_", "&lowbar;"),
    "base64": coded(KEY),
    "base64 for addresses": coded(KEY, b"-_"),
    "base64 with a user": coded(f"u:{KEY}"),
    "base64 of a header": coded(f"Bearer {KEY}"),
    "base64 of a body": coded(json.dumps({"headers": {"Authorization": f"Bearer {KEY}"}})),
    "base64 over lines": broken(coded(f"xx{KEY}"), 20),
    "hexadecimal": KEY.encode().hex(),
    "escaped JSON": KEY.replace("/", "\\/"),
    "twice escaped JSON": KEY.replace("/", "\\\\/"),
    "JSON of code points": "".join(f"\\u{ord(letter):04x}" for letter in KEY),
    "escapes of Python": "".join(f"\\x{ord(letter):02x}" for letter in KEY),
    "an address": quote(KEY, safe=""),
    "an address, all": "".join(f"%{ord(letter):02X}" for letter in KEY),
    "an address, twice": quote(quote(KEY, safe=""), safe=""),
    "its beginning": KEY[:15] + "…",
    "its beginning, starred": KEY[:13] + "*" * 30,
    "its end": "…" + KEY[-8:],
    "its end, starred": "*" * 30 + KEY[-10:],
    "both": f"{KEY[:7]}...{KEY[-8:]}",
    "its middle": KEY[8:-4],
}


def shows(text: str) -> bool:
    """Return whether eight consecutive letters of the key, or of its encodings, are left."""
    plain = text.lower()
    encoded = [coded(KEY)[2:-2], coded(f"u:{KEY}")[6:-2], KEY.encode().hex(), "".join(f"%{ord(letter):02X}" for letter in KEY)]
    runs = [
        one[at : at + size].lower()
        for one, size in [(KEY[8:], 8), *((other, 12) for other in encoded)]
        for at in range(len(one) - size + 1)
    ]
    return any(run in plain for run in runs) or entities(KEY[:3]) in text


@pytest.mark.parametrize("padding", [0, 250, 290, 5_000])
@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
def test_a_key_in_an_error_is_not_shown(spelled, padding):
    said = Redactor([KEY])(f"{'x' * padding} the key {spelled} is wrong")
    assert not shows(said)
    assert not shows("".join(said.split()))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"bad key {KEY}, go away", "bad key ***, go away"),
        (f"bad key sk-…{KEY[-8:]}, go away", "bad key ***, go away"),
        (f"bad key {' '.join(KEY)}", ALL_HIDDEN),
        ("bad key sk-proj-another, go away", "bad key sk-proj-another, go away"),
        ("see https://example.com/docs?a=b%20c&amp;d", "see https://example.com/docs?a=b%20c&amp;d"),
        ("stop", "stop"),
    ],
)
def test_the_other_words_are_shown_where_the_key_can_be_told_from_them(said, shown):
    assert Redactor([KEY])(said) == shown


WHOLE = {name: text for name, text in SPELLINGS.items() if not name.startswith(("its ", "both"))}


@pytest.mark.parametrize("field", ["content", "reasoning"])
@pytest.mark.parametrize("spelled", WHOLE.values(), ids=WHOLE)
def test_a_reply_that_holds_the_key_is_refused_and_its_words_are_not_kept(spelled, field):
    said = f"You sent: Authorization: Bearer {spelled}\n#### 60"
    fields = {"reasoning": said} if field == "reasoning" else {}
    body = json.dumps(message("60" if fields else said, usage=counted(20, 30), **fields)[1]).encode()
    with pytest.raises(RefusedCall, match="echoed_key: the reply holds the key") as caught:
        read_reply(body, 0.1, Redactor([KEY]))
    reply = caught.value.reply
    assert reply is not None
    assert (reply.raw, reply.thinking, reply.prompt_tokens, reply.completion_tokens) == ("", "", 20, 30)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("k", "k is a letter"),
        ("EMPTY", "The set is EMPTY."),
        (SHORT, "hunter2-hunter33 and xhunter2-hunter3"),
        ("sk-no-key-required", "no-key-required"),
        (KEY, f"It ends in {KEY[-8:]} and begins with sk-proj-."),
        (KEY, "6 * 10 = 60\n#### 60"),
    ],
)
def test_a_reply_that_has_a_word_in_common_with_a_key_is_taken(key, text):
    assert read_reply(json.dumps(message(text)[1]).encode(), 0.1, Redactor([key])).raw == text


def test_a_short_key_in_a_reply_is_refused_as_a_word():
    with pytest.raises(RefusedCall, match="echoed_key"):
        read_reply(json.dumps(message(f"The key is {SHORT}.")[1]).encode(), 0.1, Redactor([SHORT]))


@pytest.mark.parametrize("piece", ["x", "sk-proj-", KEY[:11], "&#115;", "%73", "\\u0073", "*", " ", "&amp;", "\n"])
def test_a_hostile_body_of_megabytes_takes_no_time(piece):
    redacted, text = Redactor([KEY, SHORT]), piece * (4_000_000 // len(piece))
    began = time.monotonic()
    redacted(text)
    redacted.holds(text)
    assert time.monotonic() - began < 20
