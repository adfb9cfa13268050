"""Division of a model's raw reply into its answer, its thoughts and leftovers of the chat template; only `records.Reply` uses it.

Servers that do not know a model's markers leave them in the text: `<think>` blocks, OpenAI's harmony channels, and others that `turns.py`
finds. No check may read them, no prompt quote them, no training use them. A text that only mentions a marker, in quotes or in code, stays
as it is (`mentions.py`). This file does no I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from axolotl_synthetic.mentions import Mentions
from axolotl_synthetic.turns import MOST_MARKERS, SPECIAL_TOKEN, own_turn

# Tag names in reasoning models' chat templates: DeepSeek and Qwen (think), Claude (thinking, antthinking), Gemini and EXAONE (thought),
# Nemotron and GRPO recipes (reasoning), Seed-OSS (seed:think), LongCat (longcat_think), MiniMax (mm:think).
_NAMES = (
    "(?:seed:|mm:|ant|longcat_)?think(?:ing)?|thought|reasoning|(?:inner|internal)_thoughts?|(?:extended_|deep_?|internal_)thinking"
    "|think(?:ing)?_process|reasoning_(?:content|process)"
)
# Names that ordinary XML also uses: they mark thoughts only at the start of a reply.
_AT_THE_START = (
    "thoughts|analysis|reflection|scratch_?pad|cot|chain[_-]of[_-]thought|(?:inner_)?monologue|rationale|reason|thought_process"
    "|reasoning_steps"
)
# Angle brackets as they are, escaped as in HTML or JSON, and in full width as in Chinese.
_LESS, _MORE = r"(?:<|＜|&(?:amp;)?lt;|\\?u003[cC])", r"(?:>|＞|&(?:amp;)?gt;|\\?u003[eE])"
_BRACKETED = "(?:THINK|think|THINKING|thinking|REASONING|reasoning|THOUGHT|thought)"
_OPENING = (
    rf"{_LESS}\s?(?i:{_NAMES})(?:\s[^<>]{{0,200}}?)?{_MORE}|◁think▷|\[THINK\]"  # Kimi, Magistral
    rf"|(?P<bracketed>[\[【]{_BRACKETED}[\]】])"
    # OpenThinker, Cohere, Apertus, MiniCPM, Solar
    rf"|<[|｜](?i:(?:begin[_▁]of[_▁]|start[_▁]of[_▁]|start_|begin_)?(?:{_NAMES})(?:_start|_begin)?|inner_prefix)[|｜]>"
    r"|<\|channel>(?:thought|analysis)|<(?:unused|ctrl)94>thought"  # Gemma 4, MedGemma, Gemini
    r"|<\|im_start\|>\s?think(?:ing)?\b"  # s1
)
_CLOSING = (
    rf"{_LESS}\s?/\s?(?i:{_NAMES})\s?{_MORE}|◁/think▷|[\[【]/{_BRACKETED}[\]】]"
    rf"|<[|｜](?i:(?:end[_▁]of[_▁]|end_?(?:of)?|/)(?:{_NAMES})|(?:{_NAMES})_end|inner_suffix)[|｜]>|</[|｜]?(?:{_NAMES})[|｜]>"
    r"|<channel\|>|<(?:unused|ctrl)95>|<\|im_start\|>\s?answer\b|<\|content\|>"
)
_TAG = re.compile(rf"(?P<closing>{_CLOSING})|(?P<opening>{_OPENING})")
_BRACKETS = re.compile(rf"[\[【]/?{_BRACKETED}[\]】]")
_CLOSED_BRACKETS = re.compile(rf"[\[【]/{_BRACKETED}[\]】]")
_OPENS_THE_REPLY = re.compile(rf"\s*<({_AT_THE_START})>", re.IGNORECASE)
# Folded thoughts of Open WebUI and others.
_DETAILS = re.compile(
    r"\A\s*<details(?: type=\"reasoning\"[^<>]*>|[^<>]*>\s*<summary>[^<>]{0,40}(?i:thought|thinking|reasoning)[^<>]{0,40}</summary>)"
    r".*?(?:</details>|\Z)",
    re.DOTALL,
)
# Phrases of Granite 3 and Ollama's terminal around thoughts, and a fence of thoughts; an unclosed one ends with the reply.
_WORDS = re.compile(
    r"\A\s*(?:(?i:Here(?: is|'s|’s) my thought process:).*?(?:(?i:Here(?: is|'s|’s) my (?:response|answer):)|\Z)"
    r"|\*\*(?i:Thinking|Thoughts?|Thought process):\*\*.*?\*\*(?i:(?:Final )?Answer|Response):\*\*"
    r"|Thinking\.\.\.\n.*?(?:\n\.\.\.done thinking\.|\Z)|```(?:thinking|think|thoughts?|reasoning)\n.*?(?:\n```|\Z))",
    re.DOTALL,
)
# Beginnings and ends of these blocks, which are stripped to get their content.
_FRAMES = (
    (re.compile(r"\A\s*(?i:Here(?: is|'s|’s) my thought process:)"), re.compile(r"(?i:Here(?: is|'s|’s) my (?:response|answer):)\s*\Z")),
    (re.compile(r"\A\s*Thinking\.\.\.\n"), re.compile(r"\n\.\.\.done thinking\.\s*\Z")),
    (re.compile(r"\A\s*```(?:thinking|think|thoughts?|reasoning)\n"), re.compile(r"\n```\s*\Z")),
    (re.compile(r"\A\s*<details[^<>]*>\s*(?:<summary>[^<>]*</summary>)?"), re.compile(r"</details>\s*\Z")),
)
# Wrapper that may surround the answer after thoughts were cut out.
_WRAPPED = re.compile(
    r"\A\s*(?:<(?P<name>answer|final_answer|final|response|output|solution)>(?P<first>.*)</(?P=name)>"
    r"|(?P<less>&lt;)(?P<escaped>answer)&gt;(?P<third>.*)&lt;/answer&gt;"
    r"|\[ANSWER\](?P<fourth>.*)\[/ANSWER\]"
    r"|<\|(?:begin_of_solution|START_RESPONSE)\|>(?P<second>.*?)(?:<\|(?:end_of_solution|END_RESPONSE)\|>)?)\s*\Z",
    re.DOTALL | re.IGNORECASE,
)

# Harmony (https://github.com/openai/harmony): <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…
_CHANNEL = re.compile(r"<\|channel\|>")
_FINAL = re.compile(r"<\|channel\|>\s*final(?:\s*<\|constrain\|>\s*\w+)?(?:\s*<\|message\|>)?")
_HARMONY_MARKS = re.compile(
    r"(?:<\|start\|>\s*assistant(?:\s+to=\S+)?\s*)?<\|channel\|>\s*\w+(?:\s+to=\S+)?(?:\s*<\|constrain\|>\s*\w+)?(?:\s*<\|message\|>)?"
    r"|<\|start\|>\s*assistant|<\|(?:end|return|call|message)\|>"
)
_HARMONY_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
# The same format without its special tokens: `analysisWe need …assistantfinalThe answer …`.
_GLUED_FINAL = re.compile(r"assistant\s?final(?=[\W\dA-Z_]|\Z)")
_GLUED_AFTER_ANALYSIS = re.compile(r"assistant\s?final")
_GLUED_ANALYSIS = re.compile(
    r"\A\s*(?:analysis(?=[A-Za-z])|assistantanalysis"
    r"|(?:assistant)?(?:analysis|commentary)\s?(?=[A-Z]|(?i:the user|user |we |need |let's |i )))"
)

_GLUED_NAME = re.compile(r"\A\s*(?:assistant)?(?:analysis|commentary)")

# A cheap test before any pattern: a reply without any of these is its own answer, and most are.
_SIGNS = (
    *("◁", "＜", "[/INST]", "[INST]", "[EO", "[|", "]~b", "[e~[", "[TOOL_C", "[UNUSED", "【", "assistant", "lt;", "u003"),
    *("\ue200", "<function=", " USER:", "\nQ:", "[CLS]", "[SEP]", "[PAD]", "[BOS]"),
    *("\nUser", "\nHuman", "\nUSER", "\nHUMAN", "\n用户", "\nuser", "**User", "**Human", "# User", "# Human", "# Instruction"),
)
_SUSPECT = re.compile(r"<(?:\s?/?\s?[A-Za-z]\w*(?:[:_-]\w+)*(?:\s[^<>]*)?>|[|｜]|</?SYS>|/[|｜]|channel\||turn\|)")
_FIRST_WORDS = re.compile(
    r"\s*(?:analysis|assistant|commentary|Here.{1,3} my thought process:|Thinking\.\.\.|(?:\*\*|```)(?:think|thought|reason))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Divided:
    """Parts of a raw reply.

    Attributes:
        answer: the model's answer; empty where a block of thoughts was never closed or nothing is left.
        thoughts: its thoughts without markers; empty where it shows none.
        unusable: the marker because of which no part is taken for the answer; see `turns.py`. Empty where there is none.
    """

    answer: str
    thoughts: str = ""
    unusable: str = ""


@lru_cache(maxsize=256)  # several callers in a row ask for the same reply
def divide(raw: str) -> Divided:
    """Divide a reply as it was received; a text without markers stays the same byte for byte."""
    if not _is_suspect(raw):
        return Divided(raw)
    answer, thoughts = _final_channel(raw)
    answer, more = _outside_of_blocks(answer)
    thoughts += more
    if thoughts and (wrapped := _WRAPPED.match(answer)):
        answer = next((part for part in wrapped.group("first", "second", "third", "fourth") if part), "")
    answer, unusable = own_turn(answer)
    return Divided(answer, "\n".join(part.strip() for part in thoughts if part.strip()), unusable)


def trainable(thoughts: str) -> str:
    """Return thoughts without any marker, even a mentioned one: in training it would end the student's thoughts or turn."""
    for begin, end in _FRAMES:
        if opening := begin.match(thoughts):
            thoughts = end.sub("", thoughts[opening.end() :])
    thoughts = SPECIAL_TOKEN.sub("", _HARMONY_MARKS.sub("\n", _TAG.sub("", thoughts)))
    return "\n".join(line.rstrip() for line in thoughts.splitlines()).strip()


def _is_suspect(raw: str) -> bool:
    return (
        ("<" in raw and _SUSPECT.search(raw) is not None)
        or any(sign in raw for sign in _SIGNS)
        or ("[" in raw and _BRACKETS.search(raw) is not None)
        or ("####" in raw and "\n" in raw[raw.find("####") :].rstrip())
        or _FIRST_WORDS.match(raw) is not None
    )


def _final_channel(text: str) -> tuple[str, list[str]]:
    """Return the final channel of a reply in harmony's format, and its other channels; any other reply as it is."""
    code = Mentions(text)
    if any(not code.speaks_of(0, *channel.span()) for channel in islice(_CHANNEL.finditer(text), MOST_MARKERS)):
        if finals := list(_FINAL.finditer(text)):
            said = text[finals[-1].end() :]
            end = _HARMONY_END.search(said)
            return said if end is None else said[: end.start()], [text[: finals[-1].start()]]
        # Without a final channel, only text after the last channel's end is the answer.
        thought, end_token, said = text.rpartition("<|end|>")
        return (said, [thought]) if end_token and "<|channel|>" not in said else ("", [text])
    analysis = _GLUED_ANALYSIS.match(text)
    if finals := list((_GLUED_AFTER_ANALYSIS if analysis else _GLUED_FINAL).finditer(text)):
        return text[finals[-1].end() :], [_GLUED_NAME.sub("", text[: finals[-1].start()])]
    return ("", [_GLUED_NAME.sub("", text)]) if analysis else (text, [])


def _outside_of_blocks(text: str) -> tuple[str, list[str]]:
    """Return the text outside all blocks of thoughts, and the thoughts. Nothing is outside if a block is not closed."""
    thoughts: list[str] = []
    if before := _WORDS.match(text) or _DETAILS.match(text):
        thoughts, text = [before[0]], text[before.end() :]
    while opening := _OPENS_THE_REPLY.match(text):
        block, closing, rest = text[opening.end() :].partition(f"</{opening[1]}>")
        thoughts.append(block)
        if not closing:
            return "", thoughts
        text = rest
    kept: list[str] = []
    code = Mentions(text)
    at = began = depth = spoken_of = 0
    tags = list(islice(_TAG.finditer(text), MOST_MARKERS + 1))
    if len(tags) > MOST_MARKERS:
        return "", [text]
    brackets_close = _CLOSED_BRACKETS.search(text) is not None
    for tag in tags:
        start, end = tag.span()
        if code.is_quoted(start, end):
            continue
        # Bracketed words also occur in ordinary text: they open thoughts only at a line's beginning, or if a closing one exists.
        if tag["bracketed"] and not brackets_close and text[text.rfind("\n", 0, start) + 1 : start].strip():
            continue
        if depth == 0 and code.speaks_of(at, start, end):
            # Code shows both tags of a block, or mentions one in passing. A closing tag alone on its line ends thoughts that left a fence
            # open.
            spoken_of += 1 if tag["opening"] else -1
            if spoken_of >= 0 or not code.has_its_line(start, end):
                spoken_of = max(0, spoken_of)
                continue
            spoken_of = 0
        if tag["opening"]:
            if depth == 0:
                kept.append(text[at:start])
                began = end
            depth += 1
        elif depth > 1:
            depth -= 1
        elif depth == 1:
            thoughts.append(text[began:start])
            at, depth = end, 0
        else:
            # The opening tag was in the prompt, as in DeepSeek-R1's template: everything before the closing tag is thought.
            thoughts += [*kept, text[at:start]]
            kept, at = [], end
    if depth:
        return "", [*thoughts, *kept, text[began:]]
    if not thoughts and not kept:
        return text, []
    return _joined([*kept, text[at:]]), thoughts or [" "]


def _joined(parts: list[str]) -> str:
    """Join the texts around removed blocks by their line breaks (at most a blank line), or by a space, or 6 and 0 would become 60."""
    joined = parts[0]
    for part in parts[1:]:
        before, after = joined.rstrip(), part.lstrip()
        gaps = joined[len(before) :], part[: len(part) - len(after)]
        between = "\n" * min(2, max(gap.count("\n") for gap in gaps)) or " "
        joined = before + (between if before and after else "") + after
    return joined
