"""Patterns of refusals at the beginning of an answer, which prefer to miss a refusal over rejecting a right answer.

A refusal is short and says so at its beginning. "I cannot do this in my head, so …" continues with an answer and is not one.
"""

from __future__ import annotations

import re

LONGEST = 1_200
_AI = r"an? (?:ai|artificial intelligence|(?:large )?language model)\b"
_REST = r"[^.!?\n]{0,60}?"


def _any(*parts: str) -> str:
    return f"(?:{'|'.join(parts)})"


_NOT_HAVING = r"do(?:n['’]t| not) have"
_CANNOT = _any(
    r"can(?:no|['’])t",
    r"can not",
    r"(?:am|['’]m) (?:not able|unable|not allowed|not permitted|not comfortable)(?: to)?",
    r"(?:won['’]t|will not)(?: be able to)?",
    r"(?:(?:must|will)(?: have to)?|(?:have|need|['’]m going to have) to) (?:\w+ly )?(?:decline|refuse)(?: to)?",
    r"(?:decline|refuse) to",
    rf"do(?:n['’]t| not) feel comfortable|{_NOT_HAVING} (?:enough|sufficient) information to",
)
_HOW = r"(?: (?:really|directly|ethically|in good conscience|currently))?"
_DO = _any(
    r"help(?: (?:you )?(?:with|to)\b|(?: you)?[.!,]|$)",
    r"assist|comply|fulfil|accommodate|continue|create|generate|engage|discuss|offer|complete|solve|respond|produce|support|participate",
    r"process|provide|provid(?:e|ing)|giving|answering|helping|writing",
    r"answer\b(?! the (?!question|request))",
    r"do (?:that|this|it|so)\b",
    r"(?:give|tell|show) (?:you|out|any|instructions|(?:medical |legal |financial )?advice)\b",
    r"write (?:that|this|such|about)\b",
    r"share (?:that|this|any)\b",
    r"(?:with )?(?:that|this)\b",
)
_OFFERS = _any("i['’]d", "i would", "i['’]m happy", "i can (?:help|assist|offer)", "feel free", "please", "if you", "let me know")
_AND_DOES_NOT = rf"(?![^.!?\n]*\b(?:(?:so|but|yet)\b(?! {_OFFERS})|(?:without|until|unless|at first|at once|in my head)\b))"
_OPENING = _any(
    _any(
        r"i['’]?m (?:very |really |so |truly |deeply )?sorry",
        r"(?:my |please accept my )?(?:sincere )?apologies",
        r"i apologi[sz]e|sorry|i regret to (?:inform|tell|say)|i['’]m afraid|i am afraid|(?:thank you|thanks) for",
        rf"as {_AI}",
        rf"i['’]?\s?a?m (?:just |only )?{_AI}",
    )
    + _REST,
    r"unfortunately,?\s",
    r"no[.,!]\s",
    r"(?:hi|hello)\b[^.!?\n]{0,20}[.!]\s",
)
_REFUSAL = re.compile(
    # Possessive: leading punctuation is never tried again in parts, so no text takes long.
    r"\W*+"
    + _any(
        rf"(?:{_OPENING}[\s,.:;—–-]*+){{0,2}}(?:but |however,? )?i ?{_CANNOT}{_HOW}[ ,]*+{_DO}{_AND_DOES_NOT}",
        r"(?:sorry,? (?:but )?)?(?:that|this)['’ ]i?s not something (?:that )?i(?: can|['’]m able to| am able to)\b",
        r"i (?:do not|don['’]t) know[^,.!?\n]{0,40}[.!]?\s*$",
        rf"as {_AI}{_REST} i {_NOT_HAVING} (?:the (?:ability|capability)|access)\b",
        _any("lo siento", "lamento", "desculpe", "sinto muito", "(?:je suis )?désolée?", "mi dispiace", "извините", "простите")
        + r"[^.!?\n]{0,40}?\b(?:no puedo|não posso|ne peux pas|ne suis pas en mesure|non posso|не могу)\b",
        r"es tut mir (?:sehr )?leid[^.!?\n]{0,40}?\bkann (?:ich )?(?:\w+ ){0,3}nicht\b",
        r"no puedo (?:ayudar|responder)|je ne peux pas (?:(?:vous|t['’])? ?aider|répondre)|не могу (?:помочь|ответить)",
        r"ich kann (?:\w+ ){0,4}nicht (?:helfen|beantworten)\b",
        r"(?:很|非常)?(?:抱歉|对不起|對不起).{0,10}(?:无法|不能|無法)|(?:申し訳|すみません).{0,30}できません",
    ),
    re.IGNORECASE,
)


def refusal_in(answer: str) -> str | None:
    """Return the refusing words on one line, None if the answer does not open with any."""
    found = _REFUSAL.match(answer) if len(answer) <= LONGEST else None
    return None if found is None else " ".join(found[0].split())
