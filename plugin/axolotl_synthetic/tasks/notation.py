"""The notation around a final answer: remove Markdown and LaTeX, and say whether the rest is a formula or prose."""

from __future__ import annotations

import re

_WRAPPED = ((r"\(", r"\)"), (r"\[", r"\]"), ("$$", "$$"), ("$", "$"), ("`", "`"), ('"', '"'), ("“", "”"), ("«", "»"), ("「", "」"))
_TEXT = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox|textit|operatorname)\s*\{([^{}]*)\}")
_LATEX = (
    ("{,}", ","), (r"\! ", ""), ("...", "…"), (r"\,", ""), (r"\!", ""), (r"\;", " "), ("~", " "), (r"^{\circ}", "°"), (r"^\circ", "°"),
    (r"{}^\circ", "°"), (r"\degree", "°"), (r"\%", "%"), (r"\dfrac", r"\frac"), (r"\tfrac", r"\frac"),
    (r"\cfrac", r"\frac"), (r"\displaystyle", ""),
)  # fmt: skip
_SPACE = re.compile(r"(?<!\\)\\ ")  # `\\ ` ends the row of a matrix
_BEFORE_A_POWER = re.compile(r"(?<=[A-Za-z])\s+(?=\^)")  # `5\\text{ cm}^2`
_FUNCTIONS = frozenset((
    "sin", "cos", "tan", "cot", "sec", "csc", "log", "exp", "sqrt", "arcsin", "arccos", "arctan", "max",
    "min", "gcd", "lcm", "det", "mod", "deg", "cup", "cap", "inf",
))  # fmt: skip


def cleaned(raw: str) -> str:
    """Remove Markdown, LaTeX delimiters and a full stop; keep the value and its unit."""
    text = _TEXT.sub(r" \1 ", raw).strip() if "\\" in raw else raw.strip()
    for mark, other in _LATEX:
        text = text.replace(mark, other)
    text = _SPACE.sub(" ", text)
    for _ in range(4):
        before = text
        text = text.strip().rstrip(".,;:。").strip(" *")
        for opening, closing in _WRAPPED:
            inner = text[len(opening) : -len(closing)]
            if len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing) and opening not in inner:
                text = inner
                break
        if text.startswith(r"\boxed{") and text.endswith("}"):
            text = text[len(r"\boxed{") : -1]
        if text == before:
            break
    text = _BEFORE_A_POWER.sub("", text.removeprefix("=").lstrip())
    return re.sub(r"\s+", " ", text.replace(r"\$", "$")) if "\n" not in text else text


def is_prose(text: str) -> bool:
    """Say whether a text holds words outside of formulas. math-verify would read `no` and `on` as equal products."""
    words = re.findall(r"[^\W\d_]{2,}", re.sub(r"\\(?:begin|end)\{\w+\}|\\[A-Za-z]+", " ", text))
    return (text.isalpha() and len(text) > 1) or any(len(word) > 2 and word.lower() not in _FUNCTIONS for word in words)
