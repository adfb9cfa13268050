"""Read augmenters' replies for all tasks: a question among labels, quotes and fences; a yes or a no.

Each task reads final answers itself; the words that announce one in a dozen languages are defined here.
"""

from __future__ import annotations

import re

_ANSWERS = """antwort lösung ergebnis réponse respuesta solución resposta risposta antwoord svar odpowiedź odpověď válasz cevap yanıt
    jawaban ответ відповідь απάντηση الجواب الإجابة جواب پاسخ उत्तर תשובה"""
_IS = "ist lautet beträgt est es é è is är jest je adalah равен равно это είναι هو هي है הוא"
# Matches `Antwort: 56`, `La réponse est 56`, `Đáp án là 56`, `答案是56`; the last three scripts put no space between words.
ANSWER_IN_OTHER_LANGUAGES = (
    rf"\b(?:{'|'.join(_ANSWERS.split())})\b[^\n.:：=]{{0,60}}?(?:\b(?:{'|'.join(_IS.split())})(?!\w)|[:：=]|\s[—–-]\s)"
    r"|đáp (?:án|số)[^\n.:：=]{0,20}?(?:\blà\b|[:：=])"
    r"|(?:答案|答え|解答|正解|答|정답|답|คำตอบ)[^\n.。:：=]{0,20}?(?:[是为為は은는:：=]|คือ)"
)
# A question has a few hundred characters; a longer text than this comes from a runaway model.
LONGEST_QUESTION = 8_000
_FENCE = re.compile(r"\A```[\w-]*\n(.*?)\n?```\s*\Z", re.DOTALL)
_LABEL = re.compile(
    r"\A[#*_\s]*(?:(?:here\s+is|here's|sure|certainly|of\s+course)\b[^\n:]{0,80}[:!]\s*)?[*_]*"
    r"(?:(?:the\s+|my\s+|a\s+)?(?:new|rephrased|reworded|rewritten|revised|generated)?\s*(?:question|problem|instruction|task)[*_]*\s*:)?[*_]*\s*"
    r"(?:[0-9]{1,2}[.)]\s+)?",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "'": "'", "“": "”", "«": "»", "`": "`"}
_YES_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


def read_question(reply: str) -> str | None:
    """Return the question of a reply without labels, quotes and code fences; None if nothing is left."""
    text = reply.strip()
    if not text or len(text) > LONGEST_QUESTION:
        return None
    for _ in range(3):  # three levels: a label within quotes within a fence
        before = text
        if fenced := _FENCE.match(text):
            text = fenced[1].strip()
        text = _LABEL.sub("", text, count=1).strip()
        if len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
            text = text[1:-1].strip()
        if text.startswith("**") and text.endswith("**") and text.count("**") == 2:
            text = text[2:-2].strip()
        if text == before:
            break
    return text if any(letter.isalpha() for letter in text) else None


def read_yes_no(reply: str) -> bool | None:
    """Return the verdict that a reply ends with, else the one that it opens with; None when it has neither."""
    lines = [line for line in reply[-2_000:].strip().splitlines() if line.strip()]
    if not lines:
        return None
    words = {word.lower() for word in _YES_NO.findall(lines[-1])}
    if len(words) == 1:
        return "yes" in words
    opening = re.match(r"\W*(yes|no)\b", reply.strip()[:100], re.IGNORECASE)
    return None if opening is None else opening[1].lower() == "yes"
