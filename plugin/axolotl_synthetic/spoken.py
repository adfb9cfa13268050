"""The language that samples are requested in, if not the seeds': its name, its code, and the sentence that asks a model for it.

The sentence is appended to a prompt's last turn, so that prompts still share a prefix, and a user's own prompts need not mention it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from axolotl_synthetic.records import Message

# ISO 639-1 codes that py3langid recognises, with one or two English names each.
_NAMES = """
af Afrikaans, am Amharic, ar Arabic, as Assamese, az Azerbaijani, be Belarusian, bg Bulgarian, bn Bengali, br Breton, bs Bosnian, ca
Catalan, cs Czech, cy Welsh, da Danish, de German, el Greek, en English, eo Esperanto, es Spanish, et Estonian, eu Basque, fa
Persian/Farsi, fi Finnish, fo Faroese, fr French, ga Irish, gl Galician, gu Gujarati, ha Hausa, he Hebrew, hi Hindi, hr Croatian, ht
Haitian, hu Hungarian, hy Armenian, id Indonesian, ig Igbo, is Icelandic, it Italian, ja Japanese, jv Javanese, ka Georgian, kk
Kazakh, km Khmer, kn Kannada, ko Korean, ku Kurdish, ky Kyrgyz, la Latin, lb Luxembourgish, lo Lao, lt Lithuanian, lv Latvian, mg
Malagasy, mk Macedonian, ml Malayalam, mn Mongolian, mr Marathi, ms Malay, mt Maltese, my Burmese, ne Nepali, nl Dutch, no
Norwegian, oc Occitan, pa Punjabi, pl Polish, ps Pashto, pt Portuguese, qu Quechua, ro Romanian, ru Russian, rw Kinyarwanda, si
Sinhala, sk Slovak, sl Slovenian/Slovene, so Somali, sq Albanian, sr Serbian, sv Swedish, sw Swahili, ta Tamil, te Telugu, th Thai,
tk Turkmen, tl Tagalog/Filipino, tr Turkish, ug Uyghur, uk Ukrainian, ur Urdu, uz Uzbek, vi Vietnamese, xh Xhosa, yo Yoruba, zh
Chinese, zu Zulu
"""


@cache
def _codes() -> dict[str, str]:
    """Return each name's code; names are in lower case."""
    pairs = [entry.split(" ", 1) for entry in " ".join(_NAMES.split()).split(", ")]
    return {name.lower(): code for code, names in pairs for name in names.split("/")}


def code_of(language: str | None) -> str | None:
    """Return a language's ISO 639-1 code; None where it is unknown.

    The English name may be part of a longer one, such as `Brazilian Portuguese`.
    """
    if language is None:
        return None
    names = _codes()
    return next((names[word] for word in reversed(re.findall(r"\w+", language.lower())) if word in names), None)


def named(language: str) -> str:
    """Return the English name for a code; return a name unchanged."""
    return next((name.title() for name, code in _codes().items() if code == language.lower()), language)


def language_for(task: object) -> str | None:
    """Return the language that a run's samples are requested in, None for the seeds' own."""
    found: str | None = getattr(task, "language", None)
    return found


def question_in(messages: Sequence[Message], task: object) -> tuple[Message, ...]:
    """Return a prompt for a question, with a request for the language."""
    language = language_for(task)
    text = f"Write it in {language}, whatever language is used above. Keep numbers in digits, written the way they are above."
    return tuple(messages) if language is None else _with(messages, text)


def answer_in(messages: Sequence[Message], task: object) -> tuple[Message, ...]:
    """Return a prompt for an answer, with a request for the language; unchanged where answers are labels or queries."""
    language = language_for(task)
    if language is None or not getattr(task, "prose", True):
        return tuple(messages)
    text = f"Answer in {language}, whatever language is used above."
    if getattr(task, "has_final_answer", False):
        text += " Write the final answer in the form that is asked for, its mark included, and numbers the way they are above."
    return _with(messages, text)


def judged_in(messages: Sequence[Message], task: object) -> tuple[Message, ...]:
    """Return a prompt for a judge, which says that the answer's language was requested and is no fault."""
    language = language_for(task)
    return tuple(messages) if language is None else _with(messages, f"The answer was to be in {language}, also where the question is not.")


def _with(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """Return a chat whose last turn ends with a text."""
    *before, last = messages
    return (*before, {**last, "content": f"{last['content']}\n\n{text}"})
